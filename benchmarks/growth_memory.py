"""Resident memory of the real program while a long stream goes through it."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpus import draw
from benchmarks.program import START_S, count_rows, pinned, rss_mb, start

STEPS = 10
CHUNK = 10_000
"""Lines written at once; memory is looked at after each."""


class Grown(NamedTuple):
    lines: int
    rss_mb: list[float]
    """Median of each tenth of the lines."""

    @property
    def second_half_mb(self) -> float:
        return self.rss_mb[-1] - self.rss_mb[STEPS // 2 - 1]


def stream(pool: Sequence[bytes], count: int, core: int, scratch: Path) -> Grown:
    """Draw `count` lines of the pool into `ltt-stream run --out` on one core.

    Finished files are counted and removed, so that the disk holds the run. Raises RuntimeError
    where it fails or a line is no row.
    """
    out, counted = scratch / "out", scratch / "counted"
    read_end, write_end = os.pipe()
    args = ["run", "--out", str(out), "--format", "none", "--threads", "1"]
    with pinned({core}):
        process, _ = start(args, read_end)
    os.close(read_end)
    resident_mb, rows, step = [], 0, count // STEPS
    # A program that ends early breaks the pipe; its exit code and rows are judged below.
    with suppress(BrokenPipeError), os.fdopen(write_end, "wb") as pipe:
        for i in range(STEPS):
            found, lines = [], draw(pool, step, seed=i)
            while chunk := list(islice(lines, CHUNK)):
                pipe.write(b"\n".join([*chunk, b""]))
                found.append(rss_mb(process.pid))
            resident_mb.append(statistics.median(found))
            rows += _taken(out, counted)
    process.wait(START_S)
    rows += _taken(out, counted)
    if process.returncode != 0 or rows != step * STEPS:
        raise RuntimeError(
            f"exit {process.returncode}: {rows:,} rows written of {step * STEPS:,} lines"
        )
    return Grown(step * STEPS, resident_mb)


def _taken(out: Path, counted: Path) -> int:
    """Rows of the finished files, which are then removed."""
    files = list(out.glob("date=*/*.arrow"))
    if not files:
        return 0
    for file in files:
        folder = counted / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        file.rename(folder / file.name)
    rows = count_rows(counted)
    shutil.rmtree(counted)
    return rows
