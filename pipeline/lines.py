"""Lines off a byte stream as they come, for the commands that answer each line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

READ_BYTES = 1 << 18
MAX_LINE_BYTES = 64 * 1024
"""A longer line is cut one byte after this, so that the parser says that it is over-long."""


def read_lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The complete lines of each read, without their newlines; the last may have had none.

    Empty lines are lines here: one answer a line. Memory is bounded whatever comes.
    """
    rest, cut = b"", MAX_LINE_BYTES + 1
    read = getattr(stream, "read1", stream.read)
    while chunk := read(READ_BYTES):
        first, *others = chunk.split(b"\n")
        if len(rest) < cut:
            rest += first[: cut - len(rest)]
        if others:
            *whole, last = others
            yield [rest, *(line[:cut] for line in whole)]
            rest = last[:cut]
    if rest:
        yield [rest]
