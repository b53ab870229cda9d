"""A file's text as it is searched, or why there is none."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.codesearch.regular import Refusal, read_content
from pipeline.codesearch.unwanted import unwanted_text
from pipeline.codesearch.walk import MOST_BYTES, Found

_HASH_BYTES: Final = 16
_BINARY_BYTES: Final = 8192
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_CONTROLS: Final = re.compile(rb"[\x80-\x9f]")


class Source(NamedTuple):
    """What is in a file that is searched."""

    text: str
    data_hash: bytes
    """Of its bytes, by which it is known again."""
    size: int
    mtime_ns: int


def read_source(root: Path, found: Found, *, most_bytes: int = MOST_BYTES) -> Source | Refusal:
    """What a file holds now, whatever has become of it since it was found."""
    path = bytes(root.resolve()) + b"/" + found.path.encode("utf-8", "surrogateescape")
    content = read_content(path, most_bytes)
    if isinstance(content, Refusal):
        return content
    data = content.data
    if not data:
        return Refusal("empty")
    if data.startswith(_WIDE) or b"\0" in data[:_BINARY_BYTES]:
        return Refusal("binary")
    text = _text(data)
    reason = unwanted_text(text, found.language)
    if reason:
        return Refusal(reason)
    digest = blake2b(data, digest_size=_HASH_BYTES).digest()
    return Source(text, digest, len(data), content.mtime_ns)


def _text(data: bytes) -> str:
    """UTF-8; Latin-1 where no letter is of the one and all could be of the other."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", "replace")
    eight_bit = all(char.isascii() or char == "\ufffd" for char in text)
    return data.decode("latin-1") if eight_bit and not _CONTROLS.search(data) else text
