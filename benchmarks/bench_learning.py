"""What learning costs the stream: lines a second on one core that the learner shares.

Runs in turn, A B A B …, both pinned to one core: `--no-learn` and `--learn`, on real logs whose
lines carry their severities as PRIs.

Example: python -m benchmarks.bench_learning --data DIR
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path

import click

from benchmarks.bench_severity import SYSTEMS
from benchmarks.bench_stream import stream_once
from pipeline.labelled_lines import read_labelled

LOCAL0 = 16


def write_lines(data: Path, path: Path, count: int) -> None:
    """Messages of the logs with their severities, over and over, up to so many lines."""
    lines = []
    for name in SYSTEMS:
        log = read_labelled(data / "logs" / f"loghub_{name}.structured.csv")
        for app, text, severity in zip(log.apps, log.texts, log.severity, strict=True):
            tag = app.replace(" ", "") or name
            lines.append(f"<{8 * LOCAL0 + severity}>1 - {name} {tag} - - - {text}\n".encode())
    with path.open("wb") as file:
        for i in range(count):
            file.write(lines[(i * 7919) % len(lines)])


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--lines", type=click.IntRange(1000), default=3_000_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--core", type=int, default=min(os.sched_getaffinity(0)), show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, lines: int, rounds: int, core: int, as_json: bool) -> None:
    """Print a table."""
    rates: dict[str, list[float]] = {"--no-learn": [], "--learn": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "lines"
        write_lines(data, log, lines)
        for number in range(rounds):
            for option, found in rates.items():
                scratch = folder / f"{number}{option}"
                scratch.mkdir()
                state = ["--state-dir", str(scratch / "state")]
                run = stream_once(log, lines, core, scratch, [option, *state])
                found.append(run["lines_per_s"])
    medians = {option: statistics.median(found) for option, found in rates.items()}
    ratio = medians["--learn"] / medians["--no-learn"]
    if as_json:
        click.echo(json.dumps({"lines_s": rates, "ratio": ratio}))
        return
    click.echo("| run | lines/s, median | all |\n|---|---|---|")
    for option, found in rates.items():
        shown = ", ".join(f"{rate:,.0f}" for rate in found)
        click.echo(f"| {option} | {medians[option]:,.0f} | {shown} |")
    click.echo(f"\nWith the learner: {100 * ratio:.0f} % of the rate without it")


if __name__ == "__main__":
    main()
