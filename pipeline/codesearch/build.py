"""A new segment: out of files that were just read, or of the live files of older segments."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from models.folder import sync
from pipeline.codesearch.entries import (
    FILE_DIGEST,
    SNIPPET_DIGEST,
    FileEntry,
    Float32,
    Int8,
    SnippetEntry,
)
from pipeline.codesearch.manifest import SegmentEntry
from pipeline.codesearch.parts import ArraySink, Check, write_array, write_table
from pipeline.codesearch.postings import Kept, count, invert, merged, write_postings
from pipeline.codesearch.segment import FILES, SNIPPETS, Segment, encode_text

_BLOCK = 1 << 14
"""Vectors that are copied at a time."""


class Pending(NamedTuple):
    """A file that is not in a segment yet, with its n snippets."""

    file: FileEntry
    snippets: Sequence[SnippetEntry]
    vectors: Int8  # (n, D)
    scales: Float32  # (n,)


def check_pending(pending: Pending, dim: int) -> None:
    """Raises ValueError for shapes, types and digests that are not as they must be."""
    file, snippets, vectors, scales = pending
    n = len(snippets)
    if vectors.shape != (n, dim) or vectors.dtype != np.int8:
        raise ValueError(f"vectors: {vectors.dtype} {vectors.shape}, expected int8 ({n}, {dim})")
    if scales.shape != (n,) or scales.dtype != np.float32:
        raise ValueError(f"scales: {scales.dtype} {scales.shape}, expected float32 ({n},)")
    if len(file.digest) != FILE_DIGEST:
        raise ValueError(f"{file.path}: a digest of {len(file.digest)} bytes")
    for snippet in snippets:
        if snippet.terms.dtype != np.uint64 or snippet.times.dtype != np.uint8:
            raise ValueError(f"{file.path}: terms must be uint64, their times uint8")
        if snippet.terms.shape != snippet.times.shape:
            raise ValueError(f"{file.path}: terms and times of different lengths")
        if len(snippet.digest) != SNIPPET_DIGEST:
            raise ValueError(f"{file.path}: a digest of {len(snippet.digest)} bytes")


def build_segment(folder: Path, name: str, files: Sequence[Pending], dim: int) -> SegmentEntry:
    """Write a segment of these files into the index in `folder`.

    Raises OSError, and ValueError for a term that is twice in a snippet; nothing is left then.
    """
    snippets = [snippet for pending in files for snippet in pending.snippets]
    each = [len(snippet.terms) for snippet in snippets]
    postings = invert(
        np.concatenate([np.zeros(0, np.uint64), *(s.terms for s in snippets)]),
        np.repeat(np.arange(len(each), dtype=np.uint32), each),
        np.concatenate([np.zeros(0, np.uint8), *(s.times for s in snippets)]),
    )

    def write(path: Path) -> dict[str, Check]:
        return {
            **_write_tables(path, _file_table(files), _snippet_table(snippets)),
            **_write_vectors(
                path, len(snippets), dim, (p.vectors for p in files), (p.scales for p in files)
            ),
            **write_postings(path, len(postings.docs), iter([postings])),
        }

    return _write(folder, name, len(files), len(snippets), write)


def merge_segments(folder: Path, name: str, segments: Sequence[Segment], dim: int) -> SegmentEntry:
    """Write what lives in some segments as one. Raises OSError; nothing is left then."""
    alive = [segment.alive for segment in segments]
    first = np.cumsum([0, *alive])
    kept = [
        # What is dead gets a number too, which nobody reads.
        Kept(s.mapped.postings, s.live, (at + np.cumsum(s.live) - 1).astype(np.uint32))
        for s, at in zip(segments, first.tolist(), strict=False)
    ]
    tables = [segment.live_tables() for segment in segments]
    files, snippets = (pa.concat_tables(part) for part in zip(*tables, strict=True))

    def write(path: Path) -> dict[str, Check]:
        return {
            **_write_tables(path, files, snippets),
            **_write_vectors(
                path,
                int(first[-1]),
                dim,
                (
                    s.mapped.vectors[at : at + _BLOCK][s.live[at : at + _BLOCK]]
                    for s in segments
                    for at in range(0, len(s.live), _BLOCK)
                ),
                (s.mapped.scales[s.live] for s in segments),
            ),
            **write_postings(path, count(kept), merged(kept)),
        }

    return _write(folder, name, len(files), len(snippets), write)


def _write(
    folder: Path, name: str, files: int, snippets: int, write: Callable[[Path], dict[str, Check]]
) -> SegmentEntry:
    path = folder / name
    path.mkdir()
    try:
        parts = write(path)
        # Before a manifest names it, the disk must have it under its name.
        sync(path)
        sync(folder)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return SegmentEntry(name, files, snippets, parts)


def _write_tables(path: Path, files: pa.Table, snippets: pa.Table) -> dict[str, Check]:
    return {
        "files.arrow": write_table(path / "files.arrow", files),
        "snippets.arrow": write_table(path / "snippets.arrow", snippets),
    }


def _write_vectors(
    path: Path, n: int, dim: int, vectors: Iterable[Int8], scales: Iterable[Float32]
) -> dict[str, Check]:
    with ArraySink(path / "vectors.npy", np.int8, (n, dim)) as sink:
        for block in vectors:
            sink.append(block)
    whole = np.concatenate([np.zeros(0, np.float32), *scales])
    return {"vectors.npy": sink.check, "scales.npy": write_array(path / "scales.npy", whole)}


def _file_table(files: Sequence[Pending]) -> pa.Table:
    entries = [pending.file for pending in files]
    columns: list[Sequence[object]] = [
        [os.fsencode(entry.path) for entry in entries],
        [entry.language for entry in entries],
        [entry.size for entry in entries],
        [entry.mtime_ns for entry in entries],
        [entry.digest for entry in entries],
        [len(pending.snippets) for pending in files],
    ]
    return _table(columns, FILES)


def _snippet_table(snippets: Sequence[SnippetEntry]) -> pa.Table:
    columns: list[Sequence[object]] = [
        [snippet.start_line for snippet in snippets],
        [snippet.end_line for snippet in snippets],
        [encode_text(snippet.symbol) for snippet in snippets],
        [list(map(encode_text, snippet.defines)) for snippet in snippets],
        [snippet.digest for snippet in snippets],
        [snippet.length for snippet in snippets],
    ]
    return _table(columns, SNIPPETS)


def _table(columns: Iterable[Sequence[object]], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
