"""Lines off a byte stream as they come, for the commands that answer each line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

READ_BYTES = 1 << 18


def read_lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The complete lines of each read, without their newlines; the last may have had none.

    Empty lines are lines here: one answer a line.
    """
    rest = b""
    read = getattr(stream, "read1", stream.read)
    while chunk := read(READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]
