"""Canonical text to words, words to hashed n-gram features: stable across processes, no torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final
from zlib import crc32

MAX_WORDS: Final = 40
"""Words of a line that the encoder sees, the app included; the rest is cut."""

# A mask, or a run of letters split at snake_case and camelCase borders, or a number that was kept.
_WORD: Final = re.compile(
    r"<[a-z0-9]+>|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[0-9]+|[!?%#$*]"
)
_MAX_WORD_CHARS: Final = 24
_APP_END: Final = re.compile(r"[/(@]")
_APP: Final = "\x00"


def known_app(app: str, known: Collection[str]) -> str:
    """The name under which the model was taught this app, else "".

    `postfix/smtpd`, `sshd(pam_unix)` and `user@1000` are known by what comes before the sign.
    """
    name = app.lower()
    if name in known:
        return name
    stem = _APP_END.split(name, maxsplit=1)[0]
    return stem if stem in known else ""


def words(app: str, text: str) -> list[str]:
    """The words of a canonical text in lower case, led by the app's own word ("" = unknown)."""
    return [_APP + app.lower(), *map(str.lower, _WORD.findall(text)[: MAX_WORDS - 1])]


def features(word: str, buckets: int) -> list[int]:
    """The hash buckets of a word in lower case: itself, and its 3- to 5-grams with its borders.

    An app's word gives itself alone, the unknown app ("") too: names don't transfer by spelling.
    """
    if word.startswith(_APP):
        return [crc32(word.encode("utf-8", "replace")) % buckets]
    data = f"<{word[:_MAX_WORD_CHARS]}>".encode("utf-8", "replace")
    hashes = [crc32(b"=" + data)]
    if word[0] != "<":  # the letters of a mask mean nothing
        hashes += [crc32(data[i : i + n]) for n in (3, 4, 5) for i in range(len(data) - n + 1)]
    return [h % buckets for h in hashes]


def bags(vocabulary: Sequence[str], buckets: int) -> tuple[list[int], list[int]]:
    """Features of many words, one after the other, and the offset at which each word begins."""
    flat: list[int] = []
    offsets: list[int] = []
    for word in vocabulary:
        offsets.append(len(flat))
        flat += features(word, buckets)
    return flat, offsets
