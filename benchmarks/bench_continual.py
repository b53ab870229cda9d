"""Streams that drift: who predicts their severities best, and what is forgotten on the way.

Example: python -m benchmarks.bench_continual --data DIR --write-docs

DIR holds `severity_dev.parquet` and, in `logs/`, loghub samples; benchmarks/drifting_streams.py
says what the streams are, continual_rivals.py who predicts, continual_measures.py what each
figure is. All see the same lines in batches of 16: predict, then learn. Minutes a stream on one
core; `--quick` takes a fifth of the lines.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from benchmarks.continual_measures import (
    Row,
    Run,
    by_phase,
    figures,
    follow,
    running,
    severities,
)
from benchmarks.continual_rivals import Rival, rivals
from benchmarks.docs import FOLDER, write_section
from benchmarks.drifting_streams import NAMES, Stream, load
from models.errors import CheckpointError, CorpusError

OURS = ("ours", "no replay")
RIVALS = (*OURS, "frozen", "SGD", "lookup", "river", "majority")
QUICK = 0.2
"""Share of the lines that a quick run takes."""
WINDOW = 500
"""Lines of the running accuracy that is drawn; a quick run's are as many times fewer."""
PAGE = "continual.md"
PLOTS = FOLDER / "continual"


def contenders(names: Sequence[str], seed: int) -> list[Rival]:
    """New ones of these names, for one stream."""
    found: list[Rival] = []
    if ours := [name for name in names if name in OURS]:
        from benchmarks.continual_ours import own_rivals

        found += own_rivals(ours, seed)
    return found + rivals(names, seed)


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(header).replace("_", " ") + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(streams: Sequence[Stream], runs: Sequence[Sequence[Run]]) -> str:
    """What the streams are, the figures, and the accuracy in each phase."""
    each = [(stream, run) for stream, of in zip(streams, runs, strict=True) for run in of]
    contents = [
        (s.name, len(s.lines), int(s.unseen.sum()), " → ".join(phase_names(s))) for s in streams
    ]
    phases = [
        (stream.name, run.rival, *(" → ".join(f"{x:.3f}" for x in column) for column in columns))
        for stream, run in each
        for columns in [zip(*by_phase(stream, run), strict=True)]
    ]
    return "\n\n".join(
        (
            markdown(("stream", "lines", "unseen", "phases"), contents),
            markdown(Row._fields, [figures(stream, run) for stream, run in each]),
            markdown(("stream", "rival", "accuracy by phase", "unseen by phase"), phases),
        )
    )


def as_data(streams: Sequence[Stream], runs: Sequence[Sequence[Run]]) -> list[dict[str, Any]]:
    """The rows with R, phases by domains, and prequential accuracy by phase, all and unseen."""
    return [
        figures(stream, run)._asdict()
        | {
            "lines": len(stream.lines),
            "unseen": int(stream.unseen.sum()),
            "phases": phase_names(stream),
            "domains": stream.domains,
            "r_known": run.known.tolist(),
            "r_new": run.new.tolist(),
            "by_phase": by_phase(stream, run),
        }
        for stream, of_stream in zip(streams, runs, strict=True)
        for run in of_stream
    ]


def phase_names(stream: Stream) -> list[str]:
    return [stream.domains[phase.domain] for phase in stream.phases]


def draw(path: Path, stream: Stream, runs: Sequence[Run], window: int) -> None:
    """Running accuracy over the lines of a stream. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.4), layout="constrained")
    axes = figure.subplots()
    truth = severities(stream)
    for run in runs:
        axes.plot(running(run.guess == truth, window), label=run.rival, linewidth=1)
    begin = 0
    for phase in stream.phases:
        axes.axvline(phase.end, color="grey", linestyle=":", linewidth=0.8)
        name = stream.domains[phase.domain]
        axes.text((begin + phase.end) / 2, 1.01, name, ha="center", va="bottom", fontsize=9)
        begin = phase.end
    axes.set(xlim=(0, begin), ylim=(None, 1), xlabel="line", ylabel=f"accuracy, last {window}")
    axes.legend(loc="lower right", ncols=2, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=100)


def plot_name(stream: Stream) -> str:
    return stream.name.replace(" ", "-") + ".png"


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--streams", "names", type=click.Choice(NAMES), multiple=True, default=NAMES)
@click.option("--rivals", "wanted", type=click.Choice(RIVALS), multiple=True, default=RIVALS)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--quick", is_flag=True, help="A fifth of the lines.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path),
    help="Draw here; a whole run draws to docs without it.",
)
@click.option("--json", "as_json", is_flag=True, help="With R and the accuracy of each phase.")
@click.option("--write-docs", is_flag=True, help="Update docs/continual.md.")
def main(
    data: Path,
    names: tuple[str, ...],
    wanted: tuple[str, ...],
    seed: int,
    quick: bool,
    plots: Path | None,
    as_json: bool,
    write_docs: bool,
) -> None:
    """Print tables, or JSON."""
    began_s = time.monotonic()
    if any(find_spec(module) is None for module in ("drain3", "sklearn")):
        raise click.ClickException("pip install 'ltt-stream[bench]'")
    whole = not quick and set(names) == set(NAMES) and set(wanted) == set(RIVALS)
    can_draw = find_spec("matplotlib") is not None
    if write_docs and (not whole or not can_draw or plots or as_json):
        raise click.UsageError("--write-docs wants all streams and rivals, whole, and matplotlib")
    if write_docs and not (FOLDER / PAGE).exists():
        raise click.ClickException(f"{FOLDER / PAGE}: not there to be updated")
    folder = plots or (PLOTS if whole else None)
    scale = QUICK if quick else 1.0
    if "river" in wanted and find_spec("river") is None:
        click.echo("river is left out: pip install river", err=True)
    streams: list[Stream] = []
    runs: list[list[Run]] = []
    try:
        for name in names:
            stream = load(data, name, seed=seed, scale=scale)
            streams.append(stream)
            runs.append([])
            for rival in contenders(wanted, seed):
                run = follow(stream, rival)
                runs[-1].append(run)
                click.echo(markdown((), [figures(stream, run)]).splitlines()[-1], err=True)
            if folder is not None and can_draw:
                draw(folder / plot_name(stream), stream, runs[-1], round(scale * WINDOW))
    except (CheckpointError, CorpusError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(as_data(streams, runs)))
        return
    text = tables(streams, runs)
    click.echo(f"{text}\n\n{time.monotonic() - began_s:.0f} s")
    if write_docs:
        pictures = [f"![{s.name}](continual/{plot_name(s)})" for s in streams]
        command = "python -m benchmarks.bench_continual --data DIR --write-docs"
        write_section(PAGE, "bench_continual", command, "\n\n".join([text, *pictures]))


if __name__ == "__main__":
    main()
