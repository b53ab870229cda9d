"""The figures of a checkpoint on the corpora it was never trained on, beside those that ship.

Example: python -m benchmarks.model_figures --data DIR --model out/raccoon

DIR holds `severity_dev.parquet`, `codepairs_dev.parquet` and, in `logs/`, loghub samples
(`loghub_NAME.structured.csv`); what is missing is left out. Ends with 1 when a figure is further
than 0.01 from the one that ships.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.bench_codepairs import load, measure, ours
from benchmarks.bench_severity import SYSTEMS
from models.checkpoint import pretrained_path
from models.inference import Engine
from models.training.corpus import read_corpus
from models.training.evaluate import evaluate_corpus
from pipeline.evaluate_logs import evaluate_log, mean_of_logs
from pipeline.labelled_lines import read_labelled

SHIPPED = pretrained_path().with_name("figures.json")
TOLERANCE = 0.01
ON_CORPUS = ("accuracy", "macro_f1", "coarse_macro_f1", "auroc_warning", "calibration_error")


def figures(model: Path, data: Path, threads: int) -> dict[str, float]:
    """All figures that there is data for, by name."""
    engine = Engine.load(model, threads=threads)
    found: dict[str, float] = {}
    if (dev := data / "severity_dev.parquet").exists():
        priors = _model(evaluate_corpus(engine, read_corpus(dev), None))["priors"]
        for prior in ("corpus", "uniform"):
            found |= {f"dev, {prior} prior: {f}": priors[prior][f] for f in ON_CORPUS}
    logs = [data / "logs" / f"loghub_{name}.structured.csv" for name in SYSTEMS]
    if all(log.exists() for log in logs):
        read = [read_labelled(log) for log in logs]
        mean = mean_of_logs({log.name: evaluate_log(engine, log, None) for log in read})
        priors = mean["model"]["priors"]
        for prior in ("emission", "labelled"):
            for figure in ("auroc_warning", "coarse_accuracy"):
                found[f"real logs, {prior} prior: {figure}"] = priors[prior][figure]
    if (pairs := data / "codepairs_dev.parquet").exists():
        row = measure("ours", ours(model), load(pairs), 5, 1000)
        found |= {"code search: MRR, mixed": row.mrr, "code search: MRR, within": row.within_mrr}
    return found


def _model(measured: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = measured["systems"]["model"]
    return result


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True), default=pretrained_path())
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--write", is_flag=True, help="Make these the figures that ship.")
def main(data: Path, model: Path, threads: int, write: bool) -> None:
    """Print a table."""
    found = figures(model, data, threads)
    if write:
        encoded = msgspec.json.encode({name: round(value, 4) for name, value in found.items()})
        SHIPPED.write_bytes(msgspec.json.format(encoded) + b"\n")
    shipped: dict[str, float] = msgspec.json.decode(SHIPPED.read_bytes())
    differing = 0
    click.echo(f"| figure | {model.name} | shipped | difference |\n|---|---|---|---|")
    for name, value in found.items():
        known = shipped.get(name, float("nan"))
        far = not abs(value - known) <= TOLERANCE
        differing += far
        mark = " **differs**" if far else ""
        click.echo(f"| {name} | {value:.3f} | {known:.3f} | {value - known:+.3f}{mark} |")
    if differing:
        click.echo(f"{differing} of {len(found)} figures differ from the shipped ones", err=True)
        sys.exit(1)
    click.echo(f"all {len(found)} figures are within {TOLERANCE} of the shipped ones")


if __name__ == "__main__":
    main()
