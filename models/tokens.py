"""Text to words, words to hashed n-gram features: stable across processes, no torch.

One kind of word serves logs and code, so that both teach the same table: a run of letters, split
at camelCase and snake_case borders. A log line's words carry their dress as well (case, the marks
that follow), since `len=` and `Len` are said on different occasions; a bag of code does not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.ngrams import hashed, ranges

Ints = npt.NDArray[np.int64]

MAX_WORDS: Final = 40
"""Words of a line that the encoder sees, app and facility included; the rest is cut."""

TAUGHT_FACILITIES: Final = frozenset((0, 2, 3, 4, 5, 6, 9, 10, 11, 12))
"""Those that training has programs of: of the others (user, local0 …) a word would be noise."""

_PIECE: Final = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[0-9]+"
_PIECES: Final = re.compile(_PIECE)
# A mask, a piece of a word or a number that was kept; then the marks and the blank after it.
_DRESSED: Final = re.compile(
    rf"(<[a-z0-9]+>|{_PIECE}|[!?%#$*])((?:[^\w\s<!?%#$*]|<(?![a-z])){{0,3}}_?)(\s?)"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[^\W\d_A-Za-z]+")
_HEADER_CHARS: Final = 200
_HEADER_WITHOUT_BRACKET: Final = 80
_MAX_WORD_CHARS: Final = 24
_MAX_IDENTIFIER_CHARS: Final = 32
_APP_END: Final = re.compile(r"[/(@]")
_APP: Final = "\x00"
_DRESS: Final = "\x01"
_FACILITY: Final = "\x02"
_WHOLE: Final = crc32(b"=")
_STEM: Final = crc32(b"~")

_SUFFIXES: Final = (
    *("ization", "ations", "ation", "ings", "ing", "ions", "ion", "ies", "ied", "ers", "er"),
    *("ors", "or", "ed", "es", "s", "ly", "e"),
)


class BagWord(NamedTuple):
    """A distinct word of a text that is searched with or for."""

    word: str
    times: int
    in_header: bool
    """Whether it stands before a definition's first bracket, where its name is."""


def known_app(app: str, known: Collection[str]) -> str:
    """The name under which the model was taught this app, else "".

    `postfix/smtpd`, `sshd(pam_unix)` and `user@1000` are known by what comes before the sign.
    """
    name = app.lower()
    if name in known:
        return name
    stem = _APP_END.split(name, maxsplit=1)[0]
    return stem if stem in known else ""


def app_word(app: str) -> str:
    """The word that stands for an app; "" is the unknown one."""
    return _APP + app.lower()


def facility_word(facility: int) -> str:
    """The word that stands for an RFC 5424 facility; -1, and what is never taught, is unknown."""
    return f"{_FACILITY}{facility if facility in TAUGHT_FACILITIES else -1}"


def words(app: str, facility: int, text: str) -> list[str]:
    """The dressed words of a canonical text, led by the app's and the facility's own."""
    return [app_word(app), facility_word(facility), *token_words(text)][:MAX_WORDS]


def token_words(text: str) -> list[str]:
    """The dressed words of a text; of "a b" they are those of "a " and of "b", if none is cut."""
    return [dressed(word, marks + blank) for word, marks, blank in _DRESSED.findall(text)]


def dressed(word: str, after: str) -> str:
    """A word in lower case with its dress: its case, and the marks and blank after it."""
    low = word.lower()
    case = "l" if low == word else "C" if low[1:] == word[1:] else "U"
    return f"{low}{_DRESS}{case}{after}"


def bag(text: str) -> list[BagWord]:
    """The distinct words of code or of a question about it: identifiers whole and in pieces."""
    counts: dict[str, int] = {}
    for identifier in _IDENTIFIER.findall(text):
        for word in _identifier_words(identifier):
            counts[word] = counts.get(word, 0) + 1
    bracket = text.find("(", 0, _HEADER_CHARS)
    header: set[str] = set()
    for identifier in _IDENTIFIER.findall(
        text[: bracket if bracket > 0 else _HEADER_WITHOUT_BRACKET]
    ):
        header.update(_identifier_words(identifier))
    return [BagWord(word, times, word in header) for word, times in counts.items()]


def has_words(text: str) -> bool:
    """Whether its bag holds anything."""
    return _PIECES.search(text) is not None


@lru_cache(1 << 16)
def _identifier_words(identifier: str) -> tuple[str, ...]:
    pieces = [piece.lower() for piece in _PIECES.findall(identifier)]
    if len(pieces) > 1:
        pieces.insert(0, identifier.lower().strip("_"))
    return tuple(piece[:_MAX_IDENTIFIER_CHARS] for piece in pieces)


def stem(word: str) -> str:
    """A crude stem: one suffix off, a doubled consonant made single."""
    if len(word) < 4:
        return word
    if word.endswith(_SUFFIXES):
        for suffix in _SUFFIXES:
            if word.endswith(suffix) and len(word) - len(suffix) >= 3:
                word = word[: -len(suffix)]
                break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word


def features(word: str) -> list[int]:
    """32-bit hashes of a word: itself, its stem, its 3- to 5-grams with its borders, its dress.

    The first one tells the word apart from all others. An app's and a facility's word give
    themselves alone: names don't transfer by spelling.
    """
    flat: list[int] = bags([word])[0].tolist()
    return flat


def bags(vocabulary: Sequence[str]) -> tuple[Ints, Ints]:
    """`features` of many words, one after the other, and the offset at which each word begins.

    (F,) and (V,).
    """
    first: list[int] = []  # features before the n-grams
    last: list[int] = []  # and after them
    before: list[int] = []  # how many of either each word has
    after: list[int] = []
    bordered: list[bytes] = []  # what n-grams are taken of
    for word in vocabulary:
        body, _, dress = word.partition(_DRESS)
        letters, clothes = b"", 0
        if word[0] <= _FACILITY:  # an app's or a facility's
            first.append(crc32(word.encode("utf-8", "replace")))
            before.append(1)
        else:
            data = body.encode("utf-8", "replace")
            first.append(crc32(data, _WHOLE))
            if dress:
                last += _clothes(dress)
                clothes = 3
            if body[0] == "<":  # the letters of a mask mean nothing
                before.append(1)
            else:
                if len(body) > _MAX_WORD_CHARS:
                    body = body[:_MAX_WORD_CHARS]
                    data = body.encode("utf-8", "replace")
                first.append(crc32(stem(body).encode("utf-8", "replace"), _STEM))
                letters = b"<%b>" % data
                before.append(2)
        after.append(clothes)
        bordered.append(letters)
    hashes, of_size = hashed(bordered)
    of_part = [np.array(before, np.int64), *of_size, np.array(after, np.int64)]  # (V,) each
    counts = np.sum(of_part, axis=0)
    offsets = np.cumsum(counts) - counts
    flat = np.empty(counts.sum(), np.int64)
    begins = offsets
    parts = (np.array(first, np.int64), *hashes, np.array(last, np.int64))
    for part, count in zip(parts, of_part, strict=True):
        flat[ranges(begins, count)] = part
        begins = begins + count
    return flat, offsets


@lru_cache(1 << 10)
def _clothes(dress: str) -> tuple[int, ...]:
    data = dress.encode("utf-8", "replace")
    parts = (b"\x01case" + data[:1], b"\x01marks" + data[1:], b"\x01both" + data)
    return tuple(map(crc32, parts))
