"""Prints what was flagged in a streamed sample, and whether all of oddities.txt was.

Example: `ltt-stream sample | ltt-stream --out DIR; python -m pipeline.sample.check DIR`
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds

from parsers.message import KEYWORDS
from pipeline.sample import oddities

COLUMNS = ["timestamp", "app_name", "predicted_severity", "reasons", "message", "anomaly"]


def check(directory: Path) -> list[str]:
    """Print the flagged lines of DIR and a summary; returns the oddities that were not flagged."""
    files = sorted(directory.glob("date=*/*.arrow"))
    lines = ds.dataset(files, format="ipc").to_table(columns=COLUMNS)
    flagged = lines.filter(pc.field("anomaly"))
    for row in flagged.to_pylist():
        code = row["predicted_severity"]
        severity = "-" if code is None else KEYWORDS[code]
        stamp = f"{row['timestamp']:%b %d %H:%M:%S}" if row["timestamp"] else "-"
        print(f"{stamp}  {severity:7}  {row['app_name'] or '-'}: {row['message']}")
    messages = flagged["message"].to_pylist()
    wanted = [(part.decode(), why) for part, why in oddities()]
    missed = [part for part, _ in wanted if not any(part in m for m in messages)]
    ordinary = sum(not any(part in m for part, _ in wanted) for m in messages)
    print(
        f"{len(flagged)} of {lines.num_rows} lines flagged: {len(wanted) - len(missed)} of the "
        f"{len(wanted)} oddities, and {ordinary} other lines"
    )
    for part in missed:
        print(f"not flagged: {part}")
    return missed


if __name__ == "__main__":
    check(Path(sys.argv[1]))
