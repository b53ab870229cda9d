"""Text → the terms of the lexical index: identifiers whole and in pieces, stemmed, hashed.

`parseHTTPHeaders` and `parse_http_headers` give the same four terms: parsehttpheaders, pars, http,
header. The stemmer is Snowball's (Porter 2), from PyStemmer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from Stemmer import Stemmer

# Latin letters; of those beyond Latin-1 it does not matter here which are capitals.
_UPPER, _LOWER = "A-ZÀ-ÖØ-Þ", "a-zß-öø-ɏ"
_WORD: Final = re.compile(
    rf"[{_UPPER}{_LOWER}_][{_UPPER}{_LOWER}0-9_]*|[0-9]+|[^\W\d_{_UPPER}{_LOWER}]+"
)
_PART: Final = re.compile(
    rf"[{_UPPER}]+(?![{_LOWER}])|[{_UPPER}]?[{_LOWER}]+|[0-9]+|[^\W\d_{_UPPER}{_LOWER}]+"
)
_LONGEST: Final = 64
"""Characters of an identifier; what goes on is data."""
_STOP_WORDS: Final = """
    a about after all also an and any are as at be because been before being both but by can
    could did do does doing each for from had has have how i if in into is it its itself just
    like may me more most my no nor not of off on once only or other our out over own s same she
    should so some such t than that the their them then there these they this those through to
    too under until up upon us very was we were what when where which while who whom whose why
    will with would you your
"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_stemmer: Final = Stemmer("english")


@lru_cache(1 << 12)
def _of_word(word: str) -> tuple[str, ...]:
    pieces = [piece.lower() for piece in _PART.findall(word[:_LONGEST])]
    # Without its underscores, so that all three ways to write a name are one.
    whole = ["".join(pieces)] if len(pieces) > 1 else []
    return tuple(_stemmer.stemWords([w for w in whole + pieces if w and w not in _STOP]))


def terms(text: str) -> list[str]:
    """The terms of a text in their order, stop words out."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found += _of_word(word)
    return found


@lru_cache(1 << 15)
def hashed(term: str) -> int:
    """What the index knows a term by, 64 bits."""
    return int.from_bytes(blake2b(term.encode("utf-8", "replace"), digest_size=8).digest(), "big")


@lru_cache(1 << 16)
def _hashes_of_word(word: str) -> tuple[int, ...]:
    return tuple(map(hashed, _of_word(word)))


def hashes(text: str) -> list[int]:
    """`terms`, hashed."""
    found: list[int] = []
    for word in _WORD.findall(text):
        found += _hashes_of_word(word)
    return found


def hashed_name(name: str) -> int:
    """What the index knows a definition by: its name in any case, with or without underscores."""
    return hashed("\0" + plain(name))


def plain(name: str) -> str:
    """A name without case, underscores and dashes."""
    return name.lower().replace("_", "").replace("-", "")


def distinct(words: Iterable[str]) -> list[str]:
    """Each term once, in the order of its first place."""
    return list(dict.fromkeys(words))
