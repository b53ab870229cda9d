"""Rows that an overload left unscored, scored afterwards in the finished files that hold them.

What such a row gets is what the stream would have said of it, had it had the time:

- Without the stream's state all rows of the file are judged again, in order, so that surprise,
  priors and the flags have a past to be measured against: the file's own. Of its first 500 lines
  none is flagged for being new.
- With it the past is what the stream has counted until now, the file's scored rows among it, so
  that only the gaps are judged. Then a line is new if the stream has not said its like since, too.

Either way only the gaps are written: a row that was scored stays as it is, to the bit. What a
file gets hangs on it and the state alone, so that a run that was killed can be repeated.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.folder import sync
from pipeline.frames import Frames, Senders
from pipeline.predict import Sources
from pipeline.process import Processor
from pipeline.schema import SCHEMA_VERSION, VERSION_KEY
from pipeline.sinks import finished
from pipeline.sinks.finished import GROUP_ROWS
from pipeline.sinks.openfile import HIDDEN

SLICE = 4096
"""Lines judged at once: in the template table there is room for as many new ones."""
TEMPORARY = ".rescore"
"""Not `.tmp`: a stream that starts beside us clears those away."""
NEEDED = ["received_at", "source", "peer", "app_name", "facility", "severity", "message", "scored"]
"""What a row is judged by."""


class UnfitError(Exception):
    """A file that cannot be rescored, and why; one line."""


class Gaps(NamedTuple):
    """What a look into a finished file finds."""

    path: Path
    rows: int
    unscored: int


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep other rescores out, and clear away what a dead one has left.

    The lock is on the folder itself: it leaves no file, and ends with the process. Raises OSError,
    one line, where another has it.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{directory}: another rescore is at work there; let it end") from None
        for left in directory.glob(f"date=*/{HIDDEN}*{TEMPORARY}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(fd)


def finished_files(directory: Path) -> list[Path]:
    """The finished files of an output directory, oldest first."""
    found = [path for suffix in GROUP_ROWS for path in directory.glob(f"date=*/*.{suffix}")]
    return sorted(path for path in found if not path.name.startswith((HIDDEN, ".")))


def look(path: Path) -> Gaps:
    """Count the rows without a score; reads that one column.

    Raises UnfitError for a file of another schema, OSError and pa.ArrowException for a damaged
    one.
    """
    schema = _schema(path)
    version = (schema.metadata or {}).get(VERSION_KEY)
    if version is None:
        raise UnfitError(f"{path}: no file of ltt-stream; left as it is")
    if version.decode() != SCHEMA_VERSION:
        raise UnfitError(
            f"{path}: has schema version {version.decode()}, this program knows {SCHEMA_VERSION}; "
            "left as it is"
        )
    missing = [name for name in NEEDED if name not in schema.names]
    if missing:
        raise UnfitError(f"{path}: has no column {missing[0]}; left as it is")
    rows = unscored = 0
    for batch in _batches(path, ["scored"]):
        rows += batch.num_rows
        unscored += batch.num_rows - batch.column(0).true_count
    return Gaps(path, rows, unscored)


def rescore(
    path: Path, processor: Processor, *, gaps_only: bool, advance: Callable[[int], object]
) -> int:
    """Score the unscored rows of a finished file and put it in its own place; how many they were.

    processor: fresh, or with the stream's state. gaps_only: judge only the rows without a score,
    because the processor knows the others. advance: is told how many lines were judged.

    At any moment the old file is there or the new one, whole and on the disk. Raises UnfitError,
    OSError and pa.ArrowException; the file is as it was then, and nothing is left beside it.
    """
    before = path.stat()
    schema = _schema(path)
    for field in processor.schema:
        if field.name in schema.names and schema.field(field.name).type != field.type:
            raise UnfitError(
                f"{path}: {field.name} is {schema.field(field.name).type}, the model's is "
                f"{field.type}; give the --model that the file was written with"
            )
    filled = _Filled(processor, gaps_only=gaps_only, advance=advance)
    tables = (filled.table(batch, schema) for batch in _batches(path))
    temporary = path.with_name(f"{HIDDEN}{path.name}{TEMPORARY}")
    try:
        if path.suffix == ".parquet":
            finished._write_parquet(temporary, schema, tables)
        else:
            finished._write_arrow(temporary, schema, tables)
        temporary.chmod(before.st_mode & 0o7777)
        with contextlib.suppress(PermissionError):
            os.chown(temporary, before.st_uid, before.st_gid)
        sync(temporary)
        if not _same(path, before):
            raise UnfitError(f"{path}: was changed or removed meanwhile; left as it is")
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
    return filled.rows


class _Filled:
    """The batches of one file with their gaps filled."""

    def __init__(
        self, processor: Processor, *, gaps_only: bool, advance: Callable[[int], object]
    ) -> None:
        self.rows = 0
        self._processor = processor
        self._gaps_only = gaps_only
        self._advance = advance
        self._senders = Senders()

    def table(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
        batch.validate(full=True)
        gap = pc.invert(batch.column("scored"))
        asked, wanted = batch.select(NEEDED), gap
        if self._gaps_only:
            asked, wanted = asked.filter(gap), gap.filter(gap)
        found = self._judged(asked, wanted)
        columns = batch.columns
        at = np.flatnonzero(gap)
        index = np.arange(batch.num_rows)
        index[at] = batch.num_rows + np.arange(len(at))
        for name in found[0].schema.names:
            i = schema.get_field_index(name)
            if i >= 0:
                # The labels of the old part come first, so that its codes stay what they are;
                # every batch gets the same labels, as the file format wants it.
                both = pa.concat_arrays([columns[i], *(part.column(name) for part in found)])
                columns[i] = both.take(pa.array(index))
        self.rows += len(at)
        return pa.Table.from_batches([pa.RecordBatch.from_arrays(columns, schema=schema)])

    def _judged(self, asked: pa.RecordBatch, wanted: pa.BooleanArray) -> list[pa.RecordBatch]:
        """The score columns of the wanted rows, a slice each; of no rows an empty one."""
        found = []
        for start in range(0, max(asked.num_rows, 1), SLICE):
            part = asked.slice(start, SLICE)
            assessment = self._processor.assess(
                self._sources(part),
                part.column("app_name").dictionary_decode().cast(pa.binary()).to_pylist(),
                part.column("message").cast(pa.binary()).to_pylist(),
                _priorities(part),
                received_us=np.asarray(part.column("received_at").cast(pa.int64())),
            )
            scores = pa.RecordBatch.from_pydict(self._processor._score_columns(assessment))
            found.append(scores.filter(wanted.slice(start, SLICE)))
            self._advance(part.num_rows)
        return found

    def _sources(self, part: pa.RecordBatch) -> Sources:
        """Where the rows come from, named as the stream names it."""
        sources, peers = part.column("source").to_pylist(), part.column("peer").to_pylist()
        frames = []
        rows = zip(sources, peers, strict=True)
        for (source, unnamed), run in groupby(rows, key=lambda row: (row[0], row[1] is None)):
            of_run = [peer for _, peer in run]
            frames.append(Frames(source, 0, [b""] * len(of_run), None if unnamed else of_run))
        return self._senders.runs(frames)


def _priorities(part: pa.RecordBatch) -> npt.NDArray[np.int16]:
    """(N,) the PRI of each row, -1 without one."""
    facility, severity = (
        part.column(name).cast(pa.int16()).fill_null(-1) for name in ("facility", "severity")
    )
    numbers = np.asarray(facility) * 8 + np.asarray(severity)
    return np.where(np.asarray(severity) < 0, np.int16(-1), numbers).astype(np.int16)


def _schema(path: Path) -> pa.Schema:
    if path.suffix == ".parquet":
        return pq.read_schema(path)
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).schema


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The record batches or row groups of a finished file; of all columns or of these."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns, use_threads=False)
                yield from table.combine_chunks().to_batches()
        return
    fields = [_schema(path).get_field_index(name) for name in columns or ()]
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=fields)
    with pa.OSFile(str(path)) as source:
        reader = pa.ipc.open_file(source, options=options)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _same(path: Path, before: os.stat_result) -> bool:
    """Whether the file is still the one that was read: someone may have cleared it away."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(now, before) and now.st_mtime_ns == before.st_mtime_ns
