"""Parquet out of a corpus, and what each package gave on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one package."""

    package: str
    version: str
    rows: int
    seconds_s: float
    note: str = ""


def write(table: pa.Table, path: Path) -> None:
    """Writes the table whole or not at all, compressed as the given corpora are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    part.replace(path)


def report(lines: list[Line]) -> str:
    """One line a package: version, rows, seconds, and why it gave less than it could."""
    width = max([len(line.package) for line in lines] + [7])
    told = [f"{'package':{width}} {'rows':>7} {'seconds':>8}  version"]
    for line in lines:
        note = f"  ({line.note})" if line.note else ""
        told.append(
            f"{line.package:{width}} {line.rows:7,} {line.seconds_s:8.1f}  {line.version}{note}"
        )
    rows, seconds_s = sum(line.rows for line in lines), sum(line.seconds_s for line in lines)
    skipped = sum(not line.rows for line in lines)
    told.append(f"{'all':{width}} {rows:7,} {seconds_s:8.1f}  {skipped} packages without rows")
    return "\n".join(told)
