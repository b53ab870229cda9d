"""Text as pieces of words, and back: byte-pair pieces that are matched greedily.

Pieces are learned as by Sennrich et al. 2016, by merging the commonest neighbours again and again;
a text is then cut by the longest piece that fits, which needs the list of pieces and nothing else.
A piece may begin with a blank, and pieces never cross from letters into digits or signs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter

from models.fillings import SLOTS

_CHARS = tuple(chr(i) for i in range(0x20, 0x7F))
_WORD = re.compile(
    r" ?(?:{0})| ?[A-Za-z]+| ?[0-9]+| ?(?:(?!{0})[^\sA-Za-z0-9])+| ".format("|".join(SLOTS))
)
_OTHER = re.compile(r"[^\x20-\x7e]+")
_MOST_WORDS = 15_000
ALWAYS = (*_CHARS, *SLOTS, *(f" {slot}" for slot in SLOTS))
"""Every vocabulary has them: printable ASCII, and the slots, with a blank before and without."""


class Pieces:
    """A vocabulary of pieces, numbered from 0."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = tuple(pieces)
        self._number = {piece: i for i, piece in enumerate(self.pieces)}
        if not self._number.keys() >= set(ALWAYS) or len(self._number) < len(self.pieces):
            raise ValueError("pieces: a printable character or a slot is missing, or one is twice")
        self._longest = max(map(len, self.pieces))
        self._known: dict[str, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Numbers of the pieces; blanks are collapsed, what is not ASCII becomes `?`."""
        found: list[int] = []
        for word in words(text):
            if (cut := self._known.get(word)) is None:
                cut = self._known[word] = tuple(self._cut(word))
            found.extend(cut)
        return found

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of pieces: what `encode` took apart, blanks collapsed."""
        return "".join([self.pieces[i] for i in numbers])

    def _cut(self, word: str) -> Iterable[int]:
        at = 0
        while at < len(word):
            for end in range(min(len(word), at + self._longest), at, -1):
                if (number := self._number.get(word[at:end])) is not None:
                    yield number
                    at = end
                    break


def words(text: str) -> list[str]:
    """What pieces do not cross the ends of."""
    return _WORD.findall(_OTHER.sub("?", " ".join(text.split())))


def learn(texts: Iterable[str], size: int) -> Pieces:
    """A vocabulary of at most `size` pieces for texts like these."""
    counts = Counter(word for text in texts for word in words(text))
    for piece in ALWAYS:
        if len(piece) > 1:
            counts.pop(piece, None)
    # Rare words cost time and settle nothing.
    kept = [(word, n) for word, n in counts.most_common(_MOST_WORDS) if len(word) > 1]
    cut = [list(word) for word, _ in kept]
    pairs: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for i, (parts, (_, n)) in enumerate(zip(cut, kept, strict=True)):
        for pair in pairwise(parts):
            pairs[pair] += n
            where[pair].add(i)
    pieces = dict.fromkeys(ALWAYS)
    while len(pieces) < size and pairs:
        best, count = max(pairs.items(), key=itemgetter(1, 0))
        if count < 2:
            break
        pieces["".join(best)] = None
        for i in where.pop(best):
            n = kept[i][1]
            for pair in pairwise(cut[i]):
                pairs[pair] -= n
            cut[i] = _merged(cut[i], best)
            for pair in pairwise(cut[i]):
                pairs[pair] += n
                where[pair].add(i)
        del pairs[best]
    return Pieces(tuple(pieces))


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out
