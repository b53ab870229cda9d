"""An index as one reader sees it: the snippets of all segments as rows 0 … N - 1.

It stays as it was when it was opened, whatever a writer does meanwhile.
"""

from __future__ import annotations

import bisect
import math
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.codesearch.entries import (
    Bools,
    FileEntry,
    Float32,
    Float64,
    Int32,
    Int64,
    Row,
    Uint8,
)
from pipeline.codesearch.manifest import Manifest, manifest_bytes, parse_manifest
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.segment import Segment

_BLOCK = 4096
"""Vectors that are multiplied at a time: as float32 they stay in the cache."""


class Index:
    """All segments under one manifest; row and file numbers hold for this object alone."""

    def __init__(self, manifest: Manifest, segments: Sequence[Segment]) -> None:
        """See `open`."""
        self._segments = segments
        self.settings = manifest.settings
        self.root = os.fsdecode(manifest.root)
        """What was indexed; it may have moved."""
        self.generation = manifest.generation
        self.segments = len(segments)
        self._first_row = [0, *np.cumsum([s.entry.snippets for s in segments]).tolist()]
        self._first_file = [0, *np.cumsum([s.entry.files for s in segments]).tolist()]
        self.size: int = self._first_row[-1]
        """N, with the dead rows, which have a score but must not be shown."""
        self.alive = sum(s.alive for s in segments)
        self.file_count = sum(s.live_files for s in segments)
        """Live ones."""
        self.live: Bools = _joined([s.live for s in segments], np.bool_)  # (N,)
        self._norms: dict[tuple[float, float], Float64] = {}

    @classmethod
    def open(cls, folder: Path, *, model: str | None) -> Index:
        """Map and verify an index. model: version of the encoder that asks, None for any.

        Raises CodeIndexError, one line that says the mend, where there is none, where a part is
        missing or damaged, and for one of another schema or model.
        """
        while True:
            data = manifest_bytes(folder)
            manifest = parse_manifest(folder, data)
            settings = manifest.settings
            if model is not None and settings.model != model:
                raise CodeIndexError(
                    f"{folder}: made with model {settings.model!r}, this program has {model!r}; "
                    "run `ltt-stream codesearch index DIR`"
                )
            try:
                return cls(
                    manifest, [Segment.open(folder, s, settings.dim) for s in manifest.segments]
                )
            except CodeIndexError:
                # A writer may have merged a segment away since; then its manifest is a newer one.
                if manifest_bytes(folder) == data:
                    raise

    @cached_property
    def file_of(self) -> Int32:
        """(N,) number of each row's file."""
        files = [
            s.mapped.file_of + np.int32(at)
            for s, at in zip(self._segments, self._first_file, strict=False)
        ]
        return _joined(files, np.int32)

    @cached_property
    def place(self) -> Int64:
        """(N,) where each row stands among all by path and first line."""
        paths = self.paths()
        of_path = np.empty(len(paths), np.int64)
        of_path[sorted(range(len(paths)), key=paths.__getitem__)] = np.arange(len(paths))
        start = _joined([s.start_line for s in self._segments], np.int64)
        place = np.empty(self.size, np.int64)
        place[np.lexsort((start, of_path[self.file_of]))] = np.arange(self.size)
        return place

    def files(self) -> dict[str, FileEntry]:
        """The live files by path."""
        entries = (entry for segment in self._segments for entry in segment.entries().values())
        return {entry.path: entry for entry in entries}

    def languages(self) -> list[str]:
        """Of the files by number."""
        return [language for segment in self._segments for language in segment.languages()]

    def paths(self) -> list[str]:
        """Of the files by number; those of dead files too, which no live row refers to."""
        return [path for segment in self._segments for path in segment.paths()]

    def file(self, number: int) -> FileEntry:
        """A file."""
        segment, at = self._at(self._first_file, number)
        return segment.file(at)

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """What is at some rows, in the order that is asked for."""
        if not all(0 <= number < self.size for number in numbers):
            raise IndexError(f"a row of {self.size}")
        segments = np.searchsorted(self._first_row, numbers, side="right") - 1
        found: list[Row | None] = [None] * len(numbers)
        for i in np.unique(segments).tolist():
            places = np.flatnonzero(segments == i).tolist()
            base = self._first_row[i]
            rows = self._segments[i].rows([numbers[place] - base for place in places])
            for place, row in zip(places, rows, strict=True):
                found[place] = row
        return [row for row in found if row is not None]

    def postings(self, term: int) -> tuple[Int64, Uint8]:
        """Live rows that hold a term, ascending, and how often each does; 255 is that or more."""
        rows, times = [], []
        for segment, base in zip(self._segments, self._first_row, strict=False):
            docs, count = segment.mapped.postings.of(term)
            if segment.alive < len(segment.live):
                live = segment.live[docs]
                docs, count = docs[live], count[live]
            rows.append(docs.astype(np.int64) + base)
            times.append(count)
        return _joined(rows, np.int64), _joined(times, np.uint8)

    def bm25(
        self,
        terms: Sequence[int],
        weights: Sequence[float] | None = None,
        *,
        k1: float = 1.5,
        b: float = 0.75,
    ) -> Float64:
        """(N,) BM25 in Lucene's form: Σ weight idf tf / (tf + k1 (1 - b + b length / average)).

        idf is ln(1 + (n - df + ½) / (df + ½)). n, df and the average are of live rows alone and
        the sum runs by ascending term, so that a snippet scores the same, to the bit, however the
        index came about. Dead rows get 0. weights: 1 each by default.
        """
        score = np.zeros(self.size)
        norm = self._norm(k1, b)
        weighted = zip(terms, [1.0] * len(terms) if weights is None else weights, strict=True)
        for term, weight in sorted(weighted):
            rows, times = self.postings(term)
            df = len(rows)
            if not df:
                continue
            idf = math.log(1 + (self.alive - df + 0.5) / (df + 0.5))
            tf = times.astype(np.float64)
            score[rows] += weight * idf * (tf / (tf + norm[rows]))
        return score

    def dense(self, query: Float32) -> Float32:
        """(N,) products of the vectors with a query, (D,) of integers -127 … 127, as they scale.

        Sums of such products are exact in float32, so they do not depend on the order of rows.
        Raises ValueError for another shape and for what is not such integers.
        """
        dim = self.settings.dim
        if query.shape != (dim,) or not (np.abs(query) <= 127).all() or (query % 1).any():
            raise ValueError(f"query {query.shape}: expected ({dim},) integers of -127 … 127")
        query = query.astype(np.float32)
        found = np.empty(self.size, np.float32)
        block = np.empty((min(_BLOCK, self.size), dim), np.float32)
        for segment, base in zip(self._segments, self._first_row, strict=False):
            vectors, scales = segment.mapped.vectors, segment.mapped.scales
            for at in range(0, len(vectors), _BLOCK):
                piece = vectors[at : at + _BLOCK]
                wide = block[: len(piece)]
                np.copyto(wide, piece)
                np.dot(wide, query, out=found[base + at : base + at + len(piece)])
            found[base : base + len(vectors)] *= scales
        return found

    def near(self, path: str, line: int) -> int | None:
        """The row of a file whose lines are about `line`; None where it has none.

        Of those that hold the line the one with it most in the middle; else the nearest.
        """
        for segment, base in zip(self._segments, self._first_row, strict=False):
            try:
                number = segment.mapped.files.column("path").to_pylist().index(os.fsencode(path))
            except ValueError:
                continue
            if segment.dead[number]:
                continue
            lo, hi = np.searchsorted(segment.mapped.file_of, [number, number + 1]).tolist()
            if lo == hi:
                return None
            snippets = segment.mapped.snippets.slice(lo, hi - lo)
            start, end = (
                snippets.column(name).to_numpy().astype(np.int64)
                for name in ("start_line", "end_line")
            )
            off = np.maximum(np.maximum(start - line, line - end), 0)  # (h,)
            best = np.lexsort((start, np.abs(start + end - 2 * line), off))[0]
            return int(base + lo + best)
        return None

    def _at(self, first: Sequence[int], number: int) -> tuple[Segment, int]:
        """The segment of a row or file, by where those of each segment begin, and its place."""
        if not 0 <= number < first[-1]:
            raise IndexError(f"{number} of {first[-1]}")
        i = bisect.bisect_right(first, number) - 1
        return self._segments[i], number - first[i]

    def _norm(self, k1: float, b: float) -> Float64:
        """(N,) what a term's frequency is weighed against."""
        if (k1, b) not in self._norms:
            length = _joined([s.mapped.length for s in self._segments], np.float64)
            # Whole numbers, whose sum does not depend on their order; 1 where all are 0.
            average = float(length[self.live].sum()) / max(1, self.alive) or 1.0
            self._norms[k1, b] = k1 * ((1 - b) + b * length / average)
        return self._norms[k1, b]


def _joined(pieces: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *pieces])
