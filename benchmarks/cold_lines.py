"""Lines of which each is a new template: statements of programs, or words of the sample."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.corpus import pool
from models.text import canonical
from models.tokens import words
from models.training.corpus import read_corpus
from parsers.syslog import Parser

_LETTER = re.compile(r"<[a-z0-9]+>|[A-Za-z]")
_LOWER = "abcdefghijklmnopqrstuvwxyz"


class Line(NamedTuple):
    app: str
    message: str
    text: str
    """The message, canonical; no two lines of a list have the same."""


def statements(corpus: Path, seed: int) -> list[Line]:
    """The messages of a labelled corpus in random order. Raises CorpusError."""
    rows = read_corpus(corpus)
    found = list(zip(rows.apps, rows.texts, strict=True))
    Random(seed).shuffle(found)
    return distinct(found)


def shuffled_sample(count: int, seed: int) -> list[Line]:
    """Messages of the lengths of the sample's, of words drawn from all of it."""
    rng, fields = Random(seed), Parser().fields
    messages = [fields(line, 0)[9].decode("utf-8", "backslashreplace") for line in pool(None)]
    tokens = [token for message in messages for token in message.split()]
    lengths = [len(message.split()) or 1 for message in messages]
    return distinct(
        ("", " ".join(rng.choices(tokens, k=rng.choice(lengths)))) for _ in range(2 * count)
    )[:count]


def random_letters(lines: Iterable[Line], seed: int) -> list[Line]:
    """The same lines with each letter outside of masks redrawn: words that nobody shares."""
    rng = Random(seed)

    def another(match: re.Match[str]) -> str:
        found = match[0]
        if len(found) > 1:
            return found
        letter = rng.choice(_LOWER)
        return letter if found.islower() else letter.upper()

    return distinct((line.app, _LETTER.sub(another, line.text)) for line in lines)


def thirds(lines: list[Line]) -> tuple[list[Line], list[Line], list[Line]]:
    """Short, medium and long ones by their number of words, in the order they were."""
    lengths = [len(words("", -1, line.text)) for line in lines]
    order = sorted(range(len(lines)), key=lambda i: lengths[i])
    third = len(lines) // 3
    short, medium, long = order[:third], order[third:-third], order[-third:]
    return (
        [lines[i] for i in sorted(short)],
        [lines[i] for i in sorted(medium)],
        [lines[i] for i in sorted(long)],
    )


def distinct(messages: Iterable[tuple[str, str]]) -> list[Line]:
    """The first of each canonical text, of (app, message)."""
    found: dict[str, Line] = {}
    for app, message in messages:
        text = canonical(message)
        if text and text not in found:
            found[text] = Line(app, message, text)
    return list(found.values())
