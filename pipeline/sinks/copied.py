"""A stream file made an Arrow IPC file without decoding it: its bytes, then a footer.

The file format is the stream between two magic words, with the places of its record batches and
dictionaries in a footer (Arrow columnar format, "IPC File Format"; File.fbs). Of the dictionaries
that came in pieces the footer names whole ones, written behind the stream: Polars refuses deltas.
"""

from __future__ import annotations

import struct
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pipeline.sinks.messages import END, RECORD_BATCH, Message, field, messages
from pipeline.sinks.salvage import Contents, relabelled

COPIED_ROWS = 8192
"""Rows a record batch, on average, from which a stream is copied. pyarrow, Polars and DuckDB need
1.1 to 1.4 times the CPU for batches of 8,192 that they need for 32,768, and up to 2 for 4,096."""
MAGIC = b"ARROW1"
START = MAGIC + bytes(2)
"""Padded to 8 bytes: what is aligned in the stream is so in the file."""
CHUNK_BYTES = 1 << 20
BLOCK = struct.Struct("<qi4xq")
"""Offset, bytes of metadata, bytes of body."""
DICTIONARIES, RECORD_BATCHES = 2, 3
"""Fields of the Footer table."""


def as_they_are(stream: Path, contents: Contents) -> list[Message]:
    """The record batches, where all can stay as they are; none where any wants rewriting.

    They can where they are large, compressed, and under one set of labels.
    """
    large = contents.rows >= COPIED_ROWS * (contents.batches - 1)  # the last one is what was left
    if not large or any(move for _, move in contents.moves):
        return []
    with stream.open("rb") as file:
        found = (message for message in messages(file) if message.kind == RECORD_BATCH)
        try:
            batches = list(islice(found, contents.batches))  # a torn one may follow
        except (EOFError, ValueError):  # pyarrow reads older formats too
            return []
    whole = len(batches) == contents.batches
    return batches if whole and all(batch.compressed for batch in batches) else []


def copy(stream: Path, path: Path, contents: Contents, batches: list[Message]) -> None:
    """Write the IPC file: the stream up to its last batch, byte for byte. Raises OSError."""
    with stream.open("rb") as source, path.open("wb") as target:
        target.write(START)
        _copy_bytes(source, target, batches[-1].end)
        target.write(END)
        target.write(_tail(stream, contents, batches, target.tell()))


def _copy_bytes(source: BinaryIO, target: BinaryIO, count: int) -> None:
    # Half the CPU of sendfile and copy_file_range, which move page by page.
    while count:
        chunk = source.read(min(count, CHUNK_BYTES))
        if not chunk:
            raise OSError(f"{count} bytes are gone from its end")
        target.write(chunk)
        count -= len(chunk)


def _tail(stream: Path, contents: Contents, batches: list[Message], start: int) -> bytes:
    """The dictionaries, to be at byte `start`, the footer and the magic word.

    All but the places is taken from a file that pyarrow writes, of one batch without rows. The
    Footer is a flatbuffer: a vector lies as far behind its field as the field says.
    """
    model = _model(stream, contents)
    footer_end = len(model) - 4 - len(MAGIC)
    (length,) = struct.unpack_from("<i", model, footer_end)
    footer = bytearray(model[footer_end - length : footer_end])
    (table,) = struct.unpack_from("<I", footer)

    dictionaries = b""
    at = field(footer, table, DICTIONARIES)
    at += struct.unpack_from("<I", footer, at)[0]
    (count,) = struct.unpack_from("<I", footer, at)
    for place in range(at + 4, at + 4 + count * BLOCK.size, BLOCK.size):
        block = BLOCK.unpack_from(footer, place)
        struct.pack_into("<q", footer, place, start + len(dictionaries))
        dictionaries += model[block[0] : sum(block)]

    footer += bytes(-(len(footer) + 4) % 8)  # a vector is its count, then its blocks at 8 bytes
    at = field(footer, table, RECORD_BATCHES)
    struct.pack_into("<I", footer, at, len(footer) - at)
    footer += struct.pack("<I", len(batches))
    for batch in batches:
        footer += BLOCK.pack(len(START) + batch.start, batch.metadata_bytes, batch.body_bytes)
    return dictionaries + footer + struct.pack("<i", len(footer)) + MAGIC


def _model(stream: Path, contents: Contents) -> bytes:
    empty = next(relabelled(stream, contents)).slice(0, 0)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_file(sink, contents.schema, options=options) as out:
        out.write_batch(empty)
    model: bytes = sink.getvalue().to_pybytes()
    return model
