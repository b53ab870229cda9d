"""Severity on real logs: predicted against the level that the program wrote, in bf16 and fp32.

Example: python -m benchmarks.bench_severity --logs DIR

DIR holds loghub samples (https://github.com/logpai/loghub): `loghub_NAME.structured.csv` with the
columns Content and Level. Only the message text is scored, without header, program or level word.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import numpy.typing as npt

from pipeline.scorer import Scorer

SYSTEMS = ("Apache", "Zookeeper", "Hadoop", "HDFS", "Spark", "Android")
LEVELS = {
    "FATAL": 2,
    "F": 2,
    "ERROR": 3,
    "error": 3,
    "E": 3,
    "WARN": 4,
    "WARNING": 4,
    "warn": 4,
    "W": 4,
    "notice": 5,
    "INFO": 6,
    "I": 6,
    "DEBUG": 7,
    "D": 7,
    "V": 7,
}
COARSE = np.array([0, 0, 0, 0, 1, 2, 2, 3])
"""err or worse, warning, notice or info, debug."""


class Row(NamedTuple):
    """Figures of one system."""

    system: str
    lines: int
    templates: int
    accuracy: float
    always_info: float
    macro_f1: float
    auroc_warning: float
    dtypes_agree: float
    """Share of lines whose class bf16 and fp32 agree on."""
    probabilities_within: float
    """Share of lines whose probabilities differ by at most 0.02."""


def load(path: Path) -> tuple[list[bytes], npt.NDArray[np.int64]]:
    """Messages and severities of a structured sample; lines without a known level are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("Level") in LEVELS]
    return (
        [row["Content"].encode() for row in rows],
        np.array([LEVELS[row["Level"]] for row in rows], np.int64),
    )


def measure(system: str, path: Path, auto: Scorer, exact: Scorer) -> Row:
    messages, severity = load(path)
    rows = auto.resolve([None] * len(messages), messages).rows
    probability = auto.table.probability[rows]
    other = exact.table.probability[exact.resolve([None] * len(messages), messages).rows]
    truth = COARSE[severity]
    found = np.stack([probability[:, c == COARSE].sum(1) for c in range(4)], 1).argmax(1)
    return Row(
        system,
        len(messages),
        len(np.unique(rows)),
        float((truth == found).mean()),
        float((truth == 2).mean()),
        macro_f1(truth, found),
        auroc(severity <= 4, probability[:, :5].sum(1)),
        float((probability.argmax(1) == other.argmax(1)).mean()),
        float((np.abs(probability - other).max(1) <= 0.02).mean()),
    )


def macro_f1(truth: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur in `truth`."""
    scores = [
        2 * ((truth == c) & (found == c)).sum() / ((truth == c).sum() + (found == c).sum())
        for c in np.unique(truth)
    ]
    return float(np.mean(scores))


def auroc(truth: npt.NDArray[np.bool_], score: npt.NDArray[np.float32]) -> float:
    """Area under the ROC curve (Mann–Whitney, ties count half); NaN where one class is missing."""
    values, place = np.unique(score, return_inverse=True)
    count = np.bincount(place, minlength=len(values))
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return float("nan")
    return float((rank[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


@click.command()
@click.option("--logs", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True)
def main(logs: Path, model: Path | None, as_json: bool) -> None:
    """Print a table, or JSON."""
    start = time.perf_counter()
    auto, exact = Scorer.load(model), Scorer.load(model, dtype="fp32")
    rows = [
        measure(system, path, auto, exact)
        for system in SYSTEMS
        if (path := logs / f"loghub_{system}.structured.csv").exists()
    ]
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    print("| " + " | ".join(Row._fields) + " |")
    print("|" + "---|" * len(Row._fields))
    for row in rows:
        cells = [f"{c:.3f}" if isinstance(c, float) else str(c) for c in row]
        print("| " + " | ".join(cells) + " |")
    print(
        f"\n{auto.model_version}, {auto.engine.dtype} against fp32; "
        f"{time.perf_counter() - start:.1f} s"
    )


if __name__ == "__main__":
    main()
