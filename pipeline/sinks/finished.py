"""A stream file made what readers scan: an Arrow IPC file or Parquet, under its date."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from models.folder import sync
from pipeline.sinks.copied import COPIED_ROWS, as_they_are, copy
from pipeline.sinks.openfile import HIDDEN, OPEN_SUFFIX
from pipeline.sinks.salvage import Contents, relabelled

FileFormat = Literal["arrow", "parquet"]
GROUP_ROWS: dict[FileFormat, int] = {"arrow": 32_768, "parquet": 122_880}
"""Rows a record batch or row group, where it is written anew: small ones cost a reader more than
they hold; DuckDB spreads its work by row groups of 122,880."""
TEMPORARY = ".tmp"


def stem(stream: Path) -> str:
    """The name that a stream file's finished file has, without its suffix."""
    return stream.name.removeprefix(HIDDEN).removesuffix(OPEN_SUFFIX)


def finish(stream: Path, contents: Contents, file_format: FileFormat) -> Path:
    """Write `date=YYYY-MM-DD/<name>.arrow` (or `.parquet`) beside the stream file, fsynced.

    The date is that of the first row, in UTC, and the name the stream file's own: whoever repeats
    this after a crash arrives at the same file, and one that is there already is complete.
    A stream of large batches is copied, which costs a seventh of what writing it anew costs.
    Raises OSError; nothing is left behind then.
    """
    directory = stream.parent
    day = datetime.fromtimestamp(contents.first_us // 1_000_000, UTC)
    folder = directory / f"date={day:%Y-%m-%d}"
    target = folder / f"{stem(stream)}.{file_format}"
    for suffix in GROUP_ROWS:
        if (done := target.with_suffix(f".{suffix}")).exists():
            return done
    temporary = folder / f"{HIDDEN}{target.name}{TEMPORARY}"
    folder.mkdir(exist_ok=True)
    try:
        batches_read, rows = relabelled(stream, contents), GROUP_ROWS[file_format]
        if file_format == "parquet":
            _write_parquet(temporary, contents.schema, _groups(batches_read, rows, rows))
        elif batches := as_they_are(stream, contents):
            copy(stream, temporary, contents, batches)
        else:
            groups = _groups(batches_read, rows, COPIED_ROWS)
            _write_arrow(temporary, contents.schema, groups)
        sync(temporary)
        temporary.rename(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    sync(folder)
    sync(directory)
    return target


_GROUP_BYTES = 64 << 20
"""Very long lines make smaller groups: memory stays flat."""


def _groups(batches: Iterator[pa.RecordBatch], rows: int, enough: int) -> Iterator[pa.Table]:
    """Tables of one chunk a column, of `rows` rows or so.

    A batch of `enough` rows waits for no other. Each group is let go of before the next is read.
    """
    group: list[pa.RecordBatch] = []
    held = size = 0
    for batch in batches:
        group.append(batch)
        held += batch.num_rows
        size += batch.nbytes
        large = batch.num_rows >= enough
        del batch
        if large or held >= rows or size >= _GROUP_BYTES:
            yield _combined(group)
            held = size = 0
    if group:
        yield _combined(group)


def _combined(group: list[pa.RecordBatch]) -> pa.Table:
    """All of the group, which is empty afterwards."""
    table = pa.Table.from_batches(group)
    several = len(group) > 1
    group.clear()
    return table.combine_chunks() if several else table


def _write_arrow(path: Path, schema: pa.Schema, groups: Iterator[pa.Table]) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=options) as out:
        for table in groups:
            out.write_table(table)
            del table


def _write_parquet(path: Path, schema: pa.Schema, groups: Iterator[pa.Table]) -> None:
    # Parquet's own dictionaries for labels alone: on numbers and messages they cost a third of
    # the time and take more room than zstd does without.
    labels = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    labels += [
        f"{field.name}.list.element"
        for field in schema
        if pa.types.is_list(field.type) and pa.types.is_dictionary(field.type.value_type)
    ]
    with pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=labels
    ) as out:
        for table in groups:
            out.write_table(table, row_group_size=table.num_rows)
            del table
