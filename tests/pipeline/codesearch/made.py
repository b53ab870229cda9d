"""Made-up files for an index: everything of a file follows from its path and a number."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.codesearch.entries import (
    FileEntry,
    Float32,
    Int8,
    Settings,
    SnippetEntry,
)
from pipeline.codesearch.index import Index
from pipeline.codesearch.writer import Writer

DIM = 16
SETTINGS = Settings(model="raccoon-code-1", dim=DIM, lines=30, overlap=10)
VOCABULARY = np.random.default_rng(7).integers(0, 2**64, 40, dtype=np.uint64)
QUERY = np.arange(DIM, dtype=np.float32) * 16 - 120
State = dict[str, int]
"""What is in an index: a number by path."""


class Made(NamedTuple):
    file: FileEntry
    snippets: list[SnippetEntry]
    vectors: Int8
    scales: Float32


def made(path: str, number: int, snippets: int | None = None) -> Made:
    """A file; 0 … 4 snippets if it is not said."""
    name = os.fsencode(path)
    rng = np.random.default_rng([number, *name])
    n = int(rng.integers(0, 5)) if snippets is None else snippets
    found = []
    for i in range(n):
        t = int(rng.integers(0, 12))
        times = rng.integers(1, 9, t).astype(np.uint8)
        found.append(
            SnippetEntry(
                start_line=1 + 20 * i,
                end_line=30 + 20 * i,
                symbol=f"{path}.größe{i}",
                defines=tuple(f"name{j}" for j in range(int(rng.integers(0, 3)))),
                digest=rng.bytes(8),
                terms=rng.choice(VOCABULARY, t, replace=False),
                times=times,
                # A name that is defined is a term but counts for nothing here.
                length=int(times[1:].sum()),
            )
        )
    digest = hashlib.blake2b(name + bytes([number]), digest_size=16).digest()
    return Made(
        FileEntry(path, "python", 100 + number, number * 10**9, digest),
        found,
        rng.integers(-127, 128, (n, DIM), dtype=np.int8),
        rng.random(n, dtype=np.float32),
    )


def fresh(folder: Path, state: Mapping[str, int]) -> Index:
    """An index of these files, all in one commit."""
    with Writer.create(folder, SETTINGS, "/src") as writer:
        for path, number in state.items():
            writer.replace(*made(path, number))
        writer.commit()
    return Index.open(folder, model=SETTINGS.model)


def seen(index: Index) -> dict[tuple[str, int], tuple[object, ...]]:
    """All that a searcher can see of each live snippet, by file and line."""
    terms = [int(term) for term in VOCABULARY[:9]]
    weights = [1.0, 0.3, 2.5] * 3
    columns = [
        index.bm25(terms).tolist(),
        index.bm25(terms, weights, k1=0.9, b=0.4).tolist(),
        index.dense(QUERY).tolist(),
    ]
    live = np.flatnonzero(index.live).tolist()
    rows = index.rows(live)
    assert len(live) == index.alive
    return {
        (row.path, row.start_line): (row, *(column[i] for column in columns))
        for i, row in zip(live, rows, strict=True)
    }


def files(index: Index) -> dict[str, FileEntry]:
    """The live files of which there are snippets."""
    numbers = np.unique(index.file_of[index.live]).tolist()
    paths = index.paths()
    found = {paths[number]: index.file(number) for number in numbers}
    assert all(path == entry.path for path, entry in found.items())
    return found
