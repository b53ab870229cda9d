"""Reading files that anybody may have put there: nothing waits, nothing is followed."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, NamedTuple

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_REASONS: Final = {
    errno.ELOOP: "symlink",
    errno.ENOENT: "gone",
    errno.ENOTDIR: "gone",
    errno.ENXIO: "not a regular file",
}


def changed_ns(found: os.stat_result) -> int:
    """When a file last became what it is: an older one that takes its place is a change too."""
    return max(found.st_mtime_ns, found.st_ctime_ns)


class Refusal(NamedTuple):
    """Why a file is not read."""

    reason: str


class Content(NamedTuple):
    """What is in a file, and when it was put there."""

    data: bytes
    mtime_ns: int


def read_regular(path: bytes, most_bytes: int) -> bytes | Refusal:
    """All of a regular file that has no more than `most_bytes`."""
    content = read_content(path, most_bytes)
    return content.data if isinstance(content, Content) else content


def read_content(path: bytes, most_bytes: int, *, head: int | None = None) -> Content | Refusal:
    """All of a regular file that has no more than `most_bytes`, or the first `head` bytes."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        return Refusal(_REASONS.get(error.errno or 0, "unreadable"))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Refusal("not a regular file")
        if head is None and found.st_size > most_bytes:
            return Refusal("too large")
        return _read(descriptor, most_bytes, head, changed_ns(found))
    except OSError:
        return Refusal("unreadable")
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int, head: int | None, mtime_ns: int) -> Content | Refusal:
    if head is not None:
        return Content(os.read(descriptor, head), mtime_ns)
    parts: list[bytes] = []
    left = most + 1
    while left > 0 and (part := os.read(descriptor, min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return Content(b"".join(parts), mtime_ns) if left > 0 else Refusal("too large")
