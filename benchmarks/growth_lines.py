"""Lines with a known share of new templates, or of a known number of templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random

from benchmarks.cold_lines import shuffled_sample
from benchmarks.corpus import pool

HEADER = b"Nov 20 06:25:02 web-1 worker[%d]: "
WORD = re.compile(rb"[a-z]{4,}")
WORDS = 100
"""So many to the third power are the templates that can be told apart."""


def new_ones(count: int) -> list[bytes]:
    """Lines of which each is another template: words of the sample in an order of their own."""
    return [HEADER % i + line.message.encode() for i, line in enumerate(shuffled_sample(count, 0))]


def mixed(
    lines: Sequence[bytes], new: Sequence[bytes], share: float, seed: int = 1
) -> list[bytes]:
    """The lines with about this share of them replaced by new ones, in order."""
    rng, following = Random(seed), iter(new)
    return [next(following) if rng.random() < share else line for line in lines]


class Templates:
    """A million templates, by number; all of the same hundred words."""

    def __init__(self) -> None:
        found = {word for line in pool(None) for word in WORD.findall(line)}
        self._words = sorted(found)[:WORDS]

    def line(self, number: int, process: int) -> bytes:
        first, second, third = number % WORDS, number // WORDS % WORDS, number // WORDS**2
        words = [self._words[i] for i in (first, second, third)]
        return HEADER % process + b"%d: " % process + b" ".join(words)

    def first_of_each(self, count: int) -> Iterator[bytes]:
        """Each of the first so many templates once."""
        return (self.line(number, number) for number in range(count))

    def drawn(self, templates: int, count: int, seed: int = 1) -> list[bytes]:
        """Lines drawn evenly of so many templates: the worst order for a cache."""
        rng = Random(seed)
        return [self.line(rng.randrange(templates), i) for i in range(count)]
