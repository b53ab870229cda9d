"""The messages of an Arrow IPC stream, told apart by their headers alone.

Encapsulated message format of the Arrow specification: ff ff ff ff, int32 metadata length,
metadata (a flatbuffer, Message.fbs), body. A length of 0 ends the stream.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

CONTINUATION = b"\xff\xff\xff\xff"
END = CONTINUATION + bytes(4)
"""The end-of-stream marker."""
MAX_METADATA_BYTES = 1 << 24
"""A thousand times what our schema needs; more is not a length."""
SCHEMA, DICTIONARY_BATCH, RECORD_BATCH = 1, 2, 3
"""MessageHeader of Message.fbs; the end marker is a 0."""


class Message(NamedTuple):
    """Where a message lies, in bytes from the beginning of the stream."""

    kind: int
    start: int
    metadata_bytes: int
    """With the 8 bytes in front of it."""
    body_bytes: int
    compressed: bool
    """Of a record batch: whether its buffers are."""

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + self.metadata_bytes + self.body_bytes


def messages(file: BinaryIO, start: int = 0) -> Iterator[Message]:
    """The complete messages from `start` on, the end marker among them.

    Raises EOFError where the file ends within a message, ValueError where it holds something else.
    """
    size = os.fstat(file.fileno()).st_size
    while start < size:
        file.seek(start)
        head = file.read(8)
        if not head.startswith(CONTINUATION[: len(head)]):
            raise ValueError(f"no message at byte {start}")
        if len(head) < 8:
            raise EOFError
        if head == END:
            yield Message(0, start, 8, 0, False)
            return
        length = int.from_bytes(head[4:], "little", signed=True)
        if not 0 <= length <= MAX_METADATA_BYTES:
            raise ValueError(f"no message at byte {start}")
        metadata = file.read(length)
        if len(metadata) < length:
            raise EOFError
        try:
            (table,) = struct.unpack_from("<I", metadata)
            kind_at, body_at = field(metadata, table, 1), field(metadata, table, 3)
            (kind,) = struct.unpack_from("<B", metadata, kind_at) if kind_at else (0,)
            (body,) = struct.unpack_from("<q", metadata, body_at) if body_at else (0,)
            compressed = kind == RECORD_BATCH and _compressed(metadata, table)
        except struct.error as error:
            raise ValueError(f"no message at byte {start}") from error
        if not kind or body < 0:
            raise ValueError(f"no message at byte {start}")
        message = Message(kind, start, 8 + length, body, compressed)
        if message.end > size:
            raise EOFError
        yield message
        start = message.end


def _compressed(metadata: bytes, table: int) -> bool:
    at = field(metadata, table, 2)
    header = at + struct.unpack_from("<I", metadata, at)[0]
    return field(metadata, header, 3) != 0


def field(buffer: bytes | bytearray, table: int, slot: int) -> int:
    """Where the table at `table` of a flatbuffer holds that field; 0 where it is left out.

    Raises struct.error where that lies outside the buffer.
    """
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    entry = 4 + 2 * slot
    if entry >= struct.unpack_from("<H", buffer, vtable)[0]:
        return 0
    (at,) = struct.unpack_from("<H", buffer, vtable + entry)
    return table + at if at else 0
