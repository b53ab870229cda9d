"""How far one source that lies moves what is said of the others.

200,000 lines of one source pair the texts of errors with `<191>` (debug), among the lines of a
labelled stream of honest sources. The stream is run with and without them; what counts is the
accuracy on the honest lines.

Example: python -m benchmarks.bench_poison --data DIR
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch

from benchmarks.continual_ours import Ours
from benchmarks.drifting_streams import Line, Stream, load, refilled

STREAM = "sudden"
LIES = 200_000
BATCH, LIE_BATCH = 16, 512
DEBUG, ERR = 7, 3


class Outcome(NamedTuple):
    accuracy: float
    """On the honest lines, each before it was learnt."""
    unseen: float
    """Of those, on templates that had not come before."""
    last: float
    """On the last fifth of them."""
    errors_called_debug: float
    """Share of honest lines at err or worse that were predicted to be debug."""
    updates: int
    rejected: int


def run(stream: Stream, lies: list[Line], seed: int) -> Outcome:
    """Follow the stream, the lies spread evenly among its lines."""
    rival = Ours(seed)
    guess = np.empty(len(stream.lines), np.int64)
    told = 0
    for start in range(0, len(stream.lines), BATCH):
        lines = stream.lines[start : start + BATCH]
        guess[start : start + BATCH] = rival.predict(lines)
        rival.learn(lines)
        due = len(lies) * (start + len(lines)) // len(stream.lines)
        while due - told >= LIE_BATCH:
            rival.learn(lies[told : told + LIE_BATCH])
            told += LIE_BATCH
    truth = np.array([line.severity for line in stream.lines])
    right, severe = guess == truth, truth <= ERR
    return Outcome(
        float(right.mean()),
        float(right[stream.unseen].mean()),
        float(right[-len(right) // 5 :].mean()),
        float((guess[severe] == DEBUG).mean()),
        rival.updates,
        rival.rejected,
    )


def lies_of(stream: Stream, seed: int) -> list[Line]:
    """Error texts of the stream itself, which one source calls debug, again and again."""
    random = np.random.default_rng(seed)
    errors = [line for line in stream.lines if line.severity <= ERR]
    chosen = random.integers(0, len(errors), LIES)
    return [
        refilled(errors[i], random)._replace(severity=DEBUG, source="liar")
        for i in chosen.tolist()
    ]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--scale", type=float, default=1.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, scale: float, seed: int, as_json: bool) -> None:
    """Print a table."""
    torch.set_num_threads(1)
    stream = load(data, STREAM, seed=seed, scale=scale)
    lies = lies_of(stream, seed)
    found = {"honest": run(stream, [], seed), f"{len(lies):,} lies": run(stream, lies, seed)}
    if as_json:
        click.echo(json.dumps({name: outcome._asdict() for name, outcome in found.items()}))
        return
    click.echo("| stream | " + " | ".join(Outcome._fields).replace("_", " ") + " |")
    click.echo("|---" * (len(Outcome._fields) + 1) + "|")
    for name, outcome in found.items():
        cells = [f"{x:.4f}" if isinstance(x, float) else str(x) for x in outcome]
        click.echo(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
