"""The replay buffer as an Arrow IPC file: one row a template, in the order of its places.

Options, the state of the random generator and a digest of everything are in the schema's metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.folder import sync
from models.replay import Replay
from models.reservoir import CLASSES, Entries

SCHEMA = "ltt-stream/replay/1"
_NAME, _HEAD, _DIGEST = b"ltt_stream.schema", b"ltt_stream.replay", b"ltt_stream.digest"
_TYPES: dict[str, pa.DataType] = {
    "template_id": pa.uint64(),
    "app": pa.string(),
    "text": pa.string(),
    "facility": pa.int8(),
    "source": pa.string(),
    "severity": pa.uint8(),
    "quality": pa.uint8(),
    "counts": pa.list_(pa.float32(), CLASSES),
    "stored": pa.list_(pa.float32(), CLASSES),
    "loss": pa.float32(),
}
_SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _TYPES.items()])


class ReplayFileError(OSError):
    """A file of a replay buffer that cannot be read; one line that names it."""


def save_buffer(path: Path, buffer: Replay) -> None:
    """Write the buffer beside `path` and rename: a reader sees the old file or the new one.

    Raises OSError, with the file named, where there is no room or no right; the old one then stays
    and nothing is left beside it.
    """
    entries, state = buffer.kept()
    batch = pa.record_batch([_column(*pair) for pair in entries._asdict().items()], schema=_SCHEMA)
    head = json.dumps({"options": buffer.options, **state}).encode()
    schema = _SCHEMA.with_metadata({_NAME: SCHEMA, _HEAD: head, _DIGEST: _digest(head, batch)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as out:
        out.write_batch(batch)
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(sink.getvalue())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException as error:
        fresh.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync(path.parent)


def load_buffer(path: Path, **options: float) -> Replay:
    """The buffer as it was saved: the next sample is the one that it would have been.

    options: of `Replay`, in place of those it was saved with; where a bound is narrower now, what
    is in excess makes room as ever. Raises ReplayFileError for a file that is missing, damaged,
    truncated or of another schema, and ValueError for an option out of range.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReplayFileError(f"{path}: {error.strerror}") from error
    head, entries = _read(path, data)
    merged: dict[str, Any] = {**head.pop("options"), **options}
    buffer = Replay(**merged)
    buffer.restore(entries, head)
    return buffer


def _read(path: Path, data: bytes) -> tuple[dict[str, Any], Entries]:
    damaged = ReplayFileError(f"{path}: truncated or damaged")
    try:
        with pa.ipc.open_file(pa.BufferReader(data)) as reader:
            metadata = reader.schema.metadata or {}
            found = metadata.get(_NAME, b"").decode("utf-8", "replace")
            if found != SCHEMA:
                raise ReplayFileError(f"{path}: schema {found!r}, this program reads {SCHEMA!r}")
            if not reader.schema.equals(_SCHEMA) or reader.num_record_batches != 1:
                raise damaged
            batch = reader.get_batch(0)
        batch.validate(full=True)
        head = metadata.get(_HEAD, b"")
        if metadata.get(_DIGEST) != _digest(head, batch):
            raise damaged
        entries: dict[str, Any] = {name: _values(batch.column(name)) for name in _TYPES}
        return json.loads(head), Entries(**entries)
    except ReplayFileError:
        raise
    except Exception as error:  # pyarrow raises nearly anything for damaged bytes
        raise damaged from error


def _column(name: str, values: list[str] | npt.NDArray[Any]) -> pa.Array:
    kind = _TYPES[name]
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(np.ravel(values), CLASSES)
    return pa.array(values, kind)


def _values(column: pa.Array) -> list[str] | npt.NDArray[Any]:
    if pa.types.is_string(column.type):
        found: list[str] = column.to_pylist()
        return found
    if pa.types.is_fixed_size_list(column.type):
        return np.array(column.flatten()).reshape(-1, CLASSES)  # (N, 8)
    return np.array(column)


def _digest(head: bytes, batch: pa.RecordBatch) -> bytes:
    """Of everything: Arrow itself notices few damages."""
    digest = hashlib.blake2b(head, digest_size=16)
    digest.update(batch.serialize())
    return digest.hexdigest().encode()
