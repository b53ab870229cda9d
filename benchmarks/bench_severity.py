"""Severity on real logs: predicted against the level that the program wrote, in bf16 and fp32.

Example: python -m benchmarks.bench_severity --logs DIR

DIR holds loghub samples (https://github.com/logpai/loghub): `loghub_NAME.structured.csv` with the
columns Content and Level. Only the message text is scored, without header, program or level word.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from models.checkpoint import pretrained_path
from models.inference import Engine
from models.text import canonical
from models.training.metrics import COARSE, metrics, softmax
from pipeline.labelled_lines import LabelledLines, read_labelled

SYSTEMS = ("Apache", "Zookeeper", "Hadoop", "HDFS", "Spark", "Android")


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


def measure(log: LabelledLines, auto: Engine, exact: Engine) -> Row:
    texts = [canonical(text) for text in log.texts]
    severity = np.array(log.severity, np.int64)
    log_prior = np.log(auto.emission_prior)
    one, other = (e.encode([""] * len(texts), texts).log_likelihood for e in (auto, exact))
    found = metrics(one, log_prior, severity)
    probability, expected = softmax(one + log_prior), softmax(other + log_prior)
    return Row(
        log.name,
        len(texts),
        len(set(texts)),
        found["coarse_accuracy"],
        float((COARSE[severity] == COARSE[6]).mean()),
        found["coarse_macro_f1"],
        found["auroc_warning"],
        float((probability.argmax(1) == expected.argmax(1)).mean()),
        float((np.abs(probability - expected).max(1) <= 0.02).mean()),
    )


@click.command()
@click.option("--logs", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True)
def main(logs: Path, model: Path | None, as_json: bool) -> None:
    """Print a table, or JSON."""
    start = time.perf_counter()
    path = model or pretrained_path()
    auto, exact = Engine.load(path), Engine.load(path, dtype="fp32")
    rows = [
        measure(read_labelled(log), auto, exact)
        for system in SYSTEMS
        if (log := logs / f"loghub_{system}.structured.csv").exists()
    ]
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    print("| " + " | ".join(Row._fields) + " |")
    print("|" + "---|" * len(Row._fields))
    for row in rows:
        cells = [f"{c:.3f}" if isinstance(c, float) else str(c) for c in row]
        print("| " + " | ".join(cells) + " |")
    print(f"\n{auto.version}, {auto.dtype} against fp32; {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
