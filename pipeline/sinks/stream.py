"""Record batches to the bytes of an Arrow IPC stream, without a file in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa

BUFFER_BYTES = 1 << 16
"""Collects the many small writes; larger pieces come from fresh pages, at ten times the cost."""


class StreamEncoder:
    """Serialises into memory, so that a full disk never stops a batch half way through its writer.

    With `deltas` a dictionary that grew is sent as what is new in it. Polars refuses deltas
    ("delta dictionary batches not supported"), so a stream for strangers sends it whole.
    `compression` is of each buffer.
    """

    def __init__(
        self, schema: pa.Schema, *, deltas: bool, compression: Literal["lz4"] | None = None
    ) -> None:
        self._pieces = _Pieces()
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._pieces, "w"), BUFFER_BYTES)
        options = pa.ipc.IpcWriteOptions(
            emit_dictionary_deltas=deltas, compression=compression, use_threads=False
        )
        self._writer = pa.ipc.new_stream(self._buffer, schema, options=options)

    def encode(self, batch: pa.RecordBatch) -> Sequence[bytes]:
        """The bytes of a batch with the dictionaries it needs; of the schema too at first."""
        self._writer.write_batch(batch)
        return self._taken()

    def finish(self) -> Sequence[bytes]:
        """The end-of-stream marker."""
        self._writer.close()
        return self._taken()

    def _taken(self) -> Sequence[bytes]:
        self._buffer.flush()
        taken, self._pieces.taken = self._pieces.taken, []
        return taken


def unwritten(pieces: Sequence[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What is left of the pieces after their first `written` bytes."""
    for i, piece in enumerate(pieces):
        if written < len(piece):
            return [memoryview(piece)[written:], *pieces[i + 1 :]]
        written -= len(piece)
    return []


class _Pieces:
    """The file that the writer sees."""

    closed = False

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.taken.append(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...
