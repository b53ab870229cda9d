"""A segment: files, their snippets, vectors and postings, in a folder that never changes.

What dies or is touched later is said beside it, by the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from pipeline.codesearch.entries import (
    FILE_DIGEST,
    SNIPPET_DIGEST,
    Bools,
    FileEntry,
    Float32,
    Int8,
    Int32,
    Int64,
    Row,
    Uint32,
)
from pipeline.codesearch.manifest import SegmentEntry
from pipeline.codesearch.parts import MEND, Check, CodeIndexError, map_array, map_table
from pipeline.codesearch.postings import Postings


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


FILES = _schema(
    path=pa.binary(),
    language=pa.string(),
    size=pa.int64(),
    mtime_ns=pa.int64(),
    digest=pa.binary(FILE_DIGEST),
    snippets=pa.uint32(),
)
"""A row a file; its snippets are the next rows of the other table, as many as it says."""
SNIPPETS = _schema(
    start_line=pa.uint32(),
    end_line=pa.uint32(),
    # Bytes: what was cut out of a file need not be UTF-8.
    symbol=pa.binary(),
    defines=pa.list_(pa.field("item", pa.binary(), nullable=False)),
    digest=pa.binary(SNIPPET_DIGEST),
    length=pa.uint32(),
)
_ERRORS = "surrogatepass"


def encode_text(text: str) -> bytes:
    """A name out of a file, which may hold lone surrogates."""
    return text.encode("utf-8", _ERRORS)


def decode_text(data: bytes) -> str:
    """The inverse of `encode_text`."""
    return data.decode("utf-8", _ERRORS)


class Mapped(NamedTuple):
    """What is on the disk, n snippets of F files."""

    vectors: Int8  # (n, D)
    scales: Float32  # (n,)
    postings: Postings
    files: pa.RecordBatch  # F rows
    snippets: pa.RecordBatch  # n rows
    length: Uint32  # (n,)
    file_of: Int32  # (n,)


class Segment:
    """A mapped segment under what a manifest says of it."""

    def __init__(self, entry: SegmentEntry, mapped: Mapped) -> None:
        self.entry, self.mapped = entry, mapped
        self.dead: Bools = np.zeros(entry.files, np.bool_)  # (F,)
        if entry.dead:
            bits = np.frombuffer(entry.dead, np.uint8)
            self.dead = np.unpackbits(bits, count=entry.files).astype(np.bool_)
        self.live: Bools = ~self.dead[mapped.file_of]  # (n,)
        self.alive = int(np.count_nonzero(self.live))
        self.live_files = entry.files - int(np.count_nonzero(self.dead))
        touched = np.frombuffer(entry.touched, "<i8").reshape(-1, 3)
        self._touched: dict[int, tuple[int, int]] = {
            number: (size, mtime_ns) for number, size, mtime_ns in touched.tolist()
        }

    @classmethod
    def open(cls, folder: Path, entry: SegmentEntry, dim: int) -> Segment:
        """Map and verify a segment of the index in `folder`. Raises CodeIndexError."""
        path = folder / entry.name

        def array(name: str, dtype: type[np.generic]) -> Any:
            return map_array(path / name, _check(path, entry, name), dtype)

        files, snippets = (
            map_table(path / name, _check(path, entry, name), schema)
            for name, schema in (("files.arrow", FILES), ("snippets.arrow", SNIPPETS))
        )
        each = files.column("snippets").to_numpy()
        mapped = Mapped(
            vectors=array("vectors.npy", np.int8),
            scales=array("scales.npy", np.float32),
            postings=Postings(
                terms=array("terms.npy", np.uint64),
                starts=array("starts.npy", np.int64),
                docs=array("docs.npy", np.uint32),
                times=array("times.npy", np.uint8),
            ),
            files=files,
            snippets=snippets,
            length=snippets.column("length").to_numpy(),
            file_of=np.repeat(np.arange(len(each), dtype=np.int32), each),
        )
        n = entry.snippets
        if (len(files), len(snippets), len(mapped.file_of), len(mapped.scales)) != (
            entry.files, n, n, n
        ) or mapped.vectors.shape != (n, dim):  # fmt: skip
            raise CodeIndexError(f"{path}: its files do not fit each other; {MEND}")
        return cls(entry, mapped)

    def amended(self, dead: set[int], touched: Mapping[int, tuple[int, int]]) -> Segment:
        """The same files, of which some more are dead, or have another size and mtime_ns."""
        if not dead and not touched:
            return self
        gone = self.dead.copy()
        gone[list(dead)] = True
        now = {
            number: values
            for number, values in {**self._touched, **touched}.items()
            if not gone[number]
        }
        rows = np.array([(number, *values) for number, values in sorted(now.items())], "<i8")
        entry = msgspec.structs.replace(
            self.entry,
            dead=np.packbits(gone).tobytes() if gone.any() else b"",
            touched=rows.tobytes(),
        )
        return Segment(entry, self.mapped)

    def paths(self) -> list[str]:
        """(F,) paths, those of dead files too."""
        return [os.fsdecode(path) for path in self.mapped.files.column("path").to_pylist()]

    def languages(self) -> list[str]:
        """(F,) languages, those of dead files too."""
        languages: list[str] = self.mapped.files.column("language").to_pylist()
        return languages

    @property
    def start_line(self) -> Uint32:
        """(n,) first lines."""
        lines: Uint32 = self.mapped.snippets.column("start_line").to_numpy()
        return lines

    def file(self, number: int) -> FileEntry:
        """A file as it is now."""
        file = self.mapped.files.slice(number, 1).to_pylist()[0]
        del file["snippets"]
        entry = FileEntry(**{**file, "path": os.fsdecode(file["path"])})
        return self._as_touched(number, entry)

    def entries(self) -> dict[int, FileEntry]:
        """The live files by number."""
        names = ("language", "size", "mtime_ns", "digest")
        columns = [self.mapped.files.column(name).to_pylist() for name in names]
        found = zip(self.paths(), *columns, strict=True)
        return {
            number: self._as_touched(number, FileEntry(*values))
            for number, (values, dead) in enumerate(zip(found, self.dead.tolist(), strict=True))
            if not dead
        }

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """Some snippets, in the order that is asked for."""
        snippets = self.mapped.snippets.take(pa.array(numbers, pa.int64()))
        files = self.mapped.files.take(pa.array(self.mapped.file_of[list(numbers)]))
        columns = [
            *(files.column(name).to_pylist() for name in ("path", "language")),
            *(snippets.column(name).to_pylist() for name in SNIPPETS.names[:-1]),
        ]
        return [
            Row(
                os.fsdecode(path),
                language,
                start_line,
                end_line,
                decode_text(symbol),
                tuple(map(decode_text, defines)),
                digest,
            )
            for path, language, start_line, end_line, symbol, defines, digest in zip(
                *columns, strict=True
            )
        ]

    def live_tables(self) -> tuple[pa.Table, pa.Table]:
        """Files and snippets without the dead, the files as they are now."""
        files = pa.Table.from_batches([self.mapped.files])
        for place, name in enumerate(("size", "mtime_ns")):
            values: Int64 = files.column(name).to_numpy().copy()
            for number, touched in self._touched.items():
                values[number] = touched[place]
            at = FILES.get_field_index(name)
            files = files.set_column(at, FILES.field(at), pa.array(values))
        snippets = pa.Table.from_batches([self.mapped.snippets])
        return files.filter(pa.array(~self.dead)), snippets.filter(pa.array(self.live))

    def _as_touched(self, number: int, entry: FileEntry) -> FileEntry:
        touched = self._touched.get(number)
        return entry if touched is None else entry._replace(size=touched[0], mtime_ns=touched[1])


def _check(path: Path, entry: SegmentEntry, name: str) -> Check:
    try:
        return entry.parts[name]
    except KeyError as error:
        raise CodeIndexError(f"{path / name}: not in the manifest; {MEND}") from error
