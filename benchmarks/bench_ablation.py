"""What each choice in the model and its training is worth: the same short run without it.

Example: python -m benchmarks.bench_ablation --data DIR --rows 90000 --write-docs

Trains on a part of the corpora (whole rows drawn with a seed), so figures are below those of the
model that ships; what counts is their difference. Some minutes a variant on one core.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import click
import msgspec
import numpy as np
import pyarrow.parquet as pq

from benchmarks.bench_codepairs import load, measure, ours
from benchmarks.docs import write_section
from models.checkpoint import load_checkpoint
from models.inference import Engine
from models.raccoon import Architecture, Raccoon
from models.training import batches, corpus, steps
from models.training.corpus import read_corpus
from models.training.evaluate import by_prior, of_engine
from models.training.loop import Options, train


class Variant(NamedTuple):
    name: str
    architecture: dict[str, int] = {}  # noqa: RUF012 (never changed)
    constants: tuple[tuple[object, str, float], ...] = ()
    pairs: bool = True


VARIANTS = (
    Variant("as it ships"),
    Variant("without pairs of text and code", pairs=False),
    Variant("table learns as fast as the rest", constants=((steps, "TABLE_SHARE", 1.0),)),
    Variant("one prior for all packages", constants=((corpus, "PRIOR_STRENGTH", 1e9),)),
    Variant("deep network alone", constants=((Raccoon, "DEEP_SHARE", 1.0),)),
    Variant("linear expert alone", constants=((Raccoon, "DEEP_SHARE", 0.0),)),
    Variant("no transformer block", architecture={"blocks": 0}),
    Variant("two blocks", architecture={"blocks": 2}),
    Variant("without ranks in the loss", constants=((steps, "RANKED", 0.0),)),
    Variant("without twins", constants=((steps, "TWINS", 0.0), (batches, "TWINS", 0.0))),
    Variant("table of half the width", architecture={"ngram_width": 64}),
)


class Row(NamedTuple):
    """Figures of one variant, on the development packages."""

    variant: str
    auroc: float
    auroc_uniform: float
    accuracy: float
    coarse_f1: float
    log_loss: float
    mrr: float
    mrr_within: float
    parameters: int
    minutes: float


def measured(variant: Variant, data: Path, part: Path, pairs: Path) -> Row:
    sizes = msgspec.convert(asdict(Architecture()) | variant.architecture, Architecture)
    options = Options(architecture=sizes)
    began_s = time.monotonic()
    patches = [patch.object(*constant) for constant in variant.constants]
    dev = data / "severity_dev.parquet"
    with tempfile.TemporaryDirectory() as out:
        for one in patches:
            one.start()
        train(part, Path(out), options, pairs=pairs if variant.pairs else None, dev=dev)
        seconds = time.monotonic() - began_s
        path = Path(out) / "raccoon"
        rows = read_corpus(dev)
        priors = by_prior(of_engine(Engine.load(path), rows.apps, rows.texts, None), rows.severity)
        search = measure("ours", ours(path), load(data / "codepairs_dev.parquet"), 3, 1000)
        for one in patches:
            one.stop()
        parameters = sum(p.numel() for p in load_checkpoint(path).model.parameters())
    known = priors["corpus"]
    return Row(
        variant.name,
        known["auroc_warning"],
        priors["uniform"]["auroc_warning"],
        known["accuracy"],
        known["coarse_macro_f1"],
        known["log_loss"],
        search.mrr if variant.pairs else float("nan"),
        search.within_mrr if variant.pairs else float("nan"),
        parameters,
        seconds / 60,
    )


def sample(source: Path, target: Path, rows: int) -> None:
    """`rows` of a Parquet file, drawn with a seed, in their order."""
    table = pq.read_table(source)
    chosen = np.random.default_rng(0).permutation(len(table))[:rows]
    pq.write_table(table.take(np.sort(chosen)), target)


def table(rows: list[Row]) -> str:
    lines = ["| " + " | ".join(f.replace("_", " ") for f in Row._fields) + " |"]
    lines.append("|" + "---|" * len(Row._fields))
    for row in rows:
        cells = [
            f"{c:.1f}" if name == "minutes" else f"{c:.3f}" if isinstance(c, float) else str(c)
            for name, c in zip(Row._fields, row, strict=True)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--rows", type=click.IntRange(1000), default=90_000, show_default=True)
@click.option("--only", help="Variants whose name has this in it.")
@click.option("--write-docs", is_flag=True)
def main(data: Path, rows: int, only: str | None, write_docs: bool) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        part, pairs = Path(folder) / "severity.parquet", Path(folder) / "pairs.parquet"
        sample(data / "severity_train.parquet", part, rows)
        sample(data / "codepairs_train.parquet", pairs, rows)
        found = []
        for variant in VARIANTS:
            if only is None or only in variant.name:
                found.append(measured(variant, data, part, pairs))
                click.echo(table(found[-1:]).splitlines()[-1], err=True)
    click.echo(table(found))
    if write_docs:
        command = f"python -m benchmarks.bench_ablation --data DIR --rows {rows} --write-docs"
        write_section("model.md", "bench_ablation", command, table(found))


if __name__ == "__main__":
    main()
