"""Git's patterns as regular expressions over bytes, `wildmatch.c` to the letter.

No pattern takes long over any path: of the places where the text after a star can begin the first
is as good as all others, so that nothing is ever tried twice.
"""

from __future__ import annotations

import re
import string
from typing import Final

_SLASH, _STAR, _DEEP = b"/", b"*", b"**/"
_NEVER: Final = b"(?!)"
_CLASSES: Final = {
    b"alnum": string.ascii_letters + string.digits,
    b"alpha": string.ascii_letters,
    b"blank": " \t",
    b"cntrl": "".join(map(chr, (*range(32), 127))),
    b"digit": string.digits,
    b"graph": string.ascii_letters + string.digits + string.punctuation,
    b"lower": string.ascii_lowercase,
    b"print": string.ascii_letters + string.digits + string.punctuation + " ",
    b"punct": string.punctuation,
    b"space": string.whitespace,
    b"upper": string.ascii_uppercase,
    b"xdigit": string.hexdigits,
}
_BACKSLASH, _OPEN, _CLOSE, _DASH, _COLON = b"\\[]-:"


def expression(pattern: bytes) -> bytes | None:
    """What matches the paths that a pattern does, from their beginning to their end.

    A pattern with a slash is of the whole path, one without of its last part. None: of no path.
    """
    anchored = _SLASH in pattern
    tokens = _tokens(pattern.removeprefix(_SLASH), anchored)
    if not tokens:
        return None
    parts: list[list[bytes]] = [[]]
    for token in tokens:
        if token is _DEEP:
            parts.append([])
        else:
            parts[-1].append(token)
    first, *rest = map(_component_wise, parts)
    found = first if anchored else b"(?:.*/)?" + first
    for part in rest[:-1]:
        found += b"(?>(?:[^/]*/)*?" + part + b")"
    return found + b"(?:[^/]*/)*" + rest[-1] if rest else found


def _component_wise(tokens: list[bytes]) -> bytes:
    """Tokens between two "**": each star but a component's last one matches as little as can be,
    for good."""
    found: list[bytes] = []
    chunk: list[bytes] = []
    starred = False
    for token in [*tokens, _SLASH]:
        if token is _STAR or token is _SLASH:
            text = b"".join(chunk)
            if starred:
                text = b"[^/]*" + text if token is _SLASH else b"(?>[^/]*?" + text + b")"
            found.append(text + (_SLASH if token is _SLASH else b""))
            chunk, starred = [], token is _STAR
        else:
            chunk.append(token)
    return b"".join(found)[:-1]


def _tokens(pattern: bytes, anchored: bool) -> list[bytes]:
    """Slashes, stars, and expressions of one byte each; empty: the pattern is malformed."""
    tokens: list[bytes] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        at += 1
        if byte == b"*":
            # What is plain at the beginning git compares by itself, and matches only the rest.
            begins = _plain(pattern[: at - 1]) or pattern[at - 2 : at - 1] == _SLASH
            first = at
            while pattern[at : at + 1] == b"*":
                at += 1
            deep = anchored and begins and at > first
            if deep and pattern[at : at + 1] == _SLASH:
                tokens.append(_DEEP)
                at += 1
            else:
                tokens.append(b".*" if deep and at == len(pattern) else _STAR)
        elif byte == b"/":
            tokens.append(_SLASH)
        elif byte == b"?":
            tokens.append(b"[^/]")
        elif byte == b"[":
            found, at = _bracket(pattern, at)
            if at < 0:
                return []
            tokens.append(found)
        elif byte == b"\\":
            if at == len(pattern):
                return []
            tokens.append(re.escape(pattern[at : at + 1]))
            at += 1
        else:
            tokens.append(re.escape(byte))
    return tokens


def _plain(pattern: bytes) -> bool:
    return not any(byte in pattern for byte in b"*?[\\")


def _bracket(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The bytes that a bracket stands for, and where it ends; −1: it does not."""
    text = pattern + b"\0\0"
    negated = text[at] in b"!^"
    at += negated
    kept: set[int] = set()
    before = 0
    while True:
        byte = text[at]
        if byte == 0:
            return b"", -1
        if byte == _BACKSLASH:
            at += 1
            byte = text[at]
            kept.add(byte)
        elif byte == _DASH and before and text[at + 1] not in (0, _CLOSE):
            at += 1 + (text[at + 1] == _BACKSLASH)
            kept.update(range(before, text[at] + 1))
            byte = 0
        elif byte == _OPEN and text[at + 1] == _COLON:
            end = text.find(b"]", at + 2)
            if end < 0:
                return b"", -1
            if end < at + 3 or text[end - 1] != _COLON:
                kept.add(byte)
            else:
                members = _CLASSES.get(text[at + 2 : end - 1])
                if members is None:
                    return b"", -1
                kept.update(members.encode())
                at, byte = end, 0
        else:
            kept.add(byte)
        if text[at] == 0:
            return b"", -1
        before = byte
        at += 1
        if text[at] == _CLOSE:
            break
    if negated:
        kept = set(range(256)) - kept
    kept.discard(_SLASH[0])
    members_of = b"".join(re.escape(bytes((byte,))) for byte in sorted(kept))
    return (b"[" + members_of + b"]" if kept else _NEVER), at + 1
