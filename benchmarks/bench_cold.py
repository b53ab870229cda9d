"""Lines a second when each line is a new template, so that the model is asked for every one.

Example: python -m benchmarks.bench_cold --data DIR --write-docs

DIR holds `severity_dev.parquet`; without it the shipped sample's words are shuffled. One core, one
thread, splitting into words included. "Plain" are the same weights as plain modules over padded
batches (benchmarks/cold_rivals.py); the engine is the one that ships, and begins each round with
no word known. All ways take turns in each round, so that a slow minute of the machine hits all;
seconds are of CPU time, so that waiting for the core does not count.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt
import torch

from benchmarks import bench_memory
from benchmarks.bench_stream import middle
from benchmarks.cold_lines import Line, random_letters, shuffled_sample, statements, thirds
from benchmarks.cold_rivals import rivals
from benchmarks.docs import write_section
from benchmarks.program import cpu_name
from models.checkpoint import Checkpoint, load_checkpoint, pretrained_path
from models.inference import Engine, Scores
from models.precision import DType
from pipeline.scorer import Scorer

CALL = 256
"""Lines a call, where nothing else is said: as many as the pipeline gives."""
BATCHES = (64, 256, 1024)
RESOLVED = 1024
"""Lines of a batch that the pipeline resolves at once."""

Run = Callable[[Sequence[Line], int], Scores | None]


class Workload(NamedTuple):
    name: str
    lines: list[Line]
    call: int


class Way(NamedTuple):
    name: str
    begin: Callable[[], Run]
    """What a round begins with; not timed."""


class Cost(NamedTuple):
    """Of a line."""

    wall_us: float
    cpu_us: float


def engine_way(checkpoint: Checkpoint, dtype: DType) -> Way:
    """Engine.encode with an empty lexicon."""

    def begin() -> Run:
        return encoding(Engine(checkpoint, dtype=dtype).encode)

    return Way(f"engine {dtype}", begin)


def scorer_way(checkpoint: Checkpoint, dtype: DType) -> Way:
    """Scorer.resolve: keys, masking, the table of templates."""

    def begin() -> Run:
        scorer = Scorer(Engine(checkpoint, dtype=dtype))

        def run(lines: Sequence[Line], call: int) -> None:
            asked = 0
            for start in range(0, len(lines), call):
                part = lines[start : start + call]
                apps = [line.app.encode() or None for line in part]
                asked += len(scorer.resolve(apps, [x.message.encode() for x in part]).new)
            if asked < 0.99 * len(lines):  # keys are bytes: a few messages are cut to the same
                raise RuntimeError(f"{asked} templates of {len(lines)} lines")

        return run

    return Way(f"Scorer.resolve, engine {dtype}", begin)


def encoding(encode: Callable[[Sequence[str], Sequence[str]], Scores]) -> Run:
    """Calls of so many lines each, and what they found together."""

    def run(lines: Sequence[Line], call: int) -> Scores:
        parts = [lines[start : start + call] for start in range(0, len(lines), call)]
        found = [encode([x.app for x in part], [x.text for x in part]) for part in parts]
        return Scores(*map(np.concatenate, zip(*found, strict=True)))

    return run


def measure(
    lines: list[Line], count: int, rounds: int, model: Path, *, compiled: bool, memory: bool
) -> dict[str, Any]:
    """All rounds; each workload takes `count` lines.

    Raises RuntimeError where lines were no new templates.
    """
    of_dtype: dict[DType, Checkpoint] = {x: load_checkpoint(model) for x in ("fp32", "bf16")}
    padded, missing = rivals(load_checkpoint(model), compiled=compiled)
    engines = [engine_way(checkpoint, dtype) for dtype, checkpoint in of_dtype.items()]
    encoders = [Way(x.name, partial(encoding, x.encode)) for x in padded] + engines
    scorers = [scorer_way(checkpoint, dtype) for dtype, checkpoint in of_dtype.items()]
    workloads = [Workload(f"calls of {n}", lines[:count], n) for n in BATCHES]
    for name, part in zip(("short", "medium", "long"), thirds(lines), strict=True):
        workloads.append(Workload(name, part[:count], CALL))
    workloads.append(Workload("random letters", random_letters(lines[:count], 0), CALL))
    resolved = Workload("resolve", lines[:count], RESOLVED)
    pairs = [(way, workload) for workload in workloads for way in encoders]
    pairs += [(way, resolved) for way in scorers]
    costs: dict[tuple[str, str], list[Cost]] = {}
    found: dict[str, list[Scores]] = {}
    for number in range(rounds + 1):  # the first one warms up and is not counted
        for way, workload in pairs:
            run = way.begin()
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            scores = run(workload.lines, workload.call)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            n = len(workload.lines)
            if number:
                cost = Cost(wall_s / n * 1e6, cpu_s / n * 1e6)
                costs.setdefault((way.name, workload.name), []).append(cost)
            elif scores is not None and workload.call == CALL:
                found.setdefault(way.name, []).append(scores)
        click.echo(f"round {number} of {rounds}", err=True)
    engine = Engine(of_dtype["fp32"], dtype="fp32")
    return {
        "processor": cpu_name(),
        "torch": torch.__version__,
        "lines": count,
        "rounds": rounds,
        "words_a_line": {
            w.name: statistics.mean(len(x.text.split()) for x in w.lines) for w in workloads
        },
        "missing": missing,
        "ways": {way.name: summary(way.name, padded[0].name, costs) for way in encoders + scorers},
        "memory": bench_memory.measure() if memory else [],
        "agreement": {
            name: agreement(scores, found[padded[0].name], engine)
            for name, scores in found.items()
        },
    }


def summary(
    name: str, reference: str, costs: dict[tuple[str, str], list[Cost]]
) -> dict[str, dict[str, float]]:
    """Of each workload: lines a second of CPU time, µs a line, and the ratio to the reference."""
    result = {}
    for (way, workload), runs in costs.items():
        if way != name:
            continue
        base = costs.get((reference, workload), costs[reference, f"calls of {CALL}"])
        pairs = [b.cpu_us / a.cpu_us for a, b in zip(runs, base, strict=True)]
        for_people = {
            "lines_per_s": [1e6 / x.cpu_us for x in runs],
            "cpu_us": [x.cpu_us for x in runs],
            "wall_us": [x.wall_us for x in runs],
            "times_plain": pairs,
        }
        result[workload] = {
            f"{key}{end}": value
            for key, values in for_people.items()
            for end, value in zip(("", "_mad"), middle(values), strict=True)
        }
    return result


def agreement(
    found: Sequence[Scores], expected: Sequence[Scores], engine: Engine
) -> dict[str, float]:
    """Share of lines whose predicted severity changed, and the largest move of a latent."""
    log_prior = engine.prior_strength * np.log(engine.emission_prior)

    def classes(scores: Sequence[Scores]) -> npt.NDArray[np.intp]:
        likelihoods = np.concatenate([x.log_likelihood for x in scores])
        found: npt.NDArray[np.intp] = (likelihoods + log_prior).argmax(1)
        return found

    moved = [np.abs(a.latent - b.latent).max() for a, b in zip(found, expected, strict=True)]
    return {
        "changed": float((classes(found) != classes(expected)).mean()),
        "latent": float(max(moved)),
    }


def table(result: dict[str, Any]) -> str:
    """The result in Markdown."""
    calls = [f"calls of {n}" for n in BATCHES]
    main, lengths = f"calls of {CALL}", ("short", "medium", "long", "random letters")

    def cell(runs: dict[str, dict[str, float]], workload: str, key: str, digits: int = 0) -> str:
        one = runs[workload]
        return f"{one[key]:,.{digits}f} ± {one[f'{key}_mad']:,.{digits}f}"

    rows = [
        "| | "
        + " | ".join(f"lines/s, {call}" for call in calls)
        + " | CPU µs/line | times plain fp32 | class changed | max Δ latent |",
        "|" + "---|" * (len(calls) + 5),
    ]
    for name, runs in result["ways"].items():
        agreed = result["agreement"].get(name)
        if agreed is None:
            continue
        cells = [cell(runs, call, "lines_per_s") for call in calls]
        cells += [cell(runs, main, "cpu_us", 1), cell(runs, main, "times_plain", 2)]
        cells += [f"{agreed['changed']:.2%}", f"{agreed['latent']:.1g}"]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    rows += ["", "| lines/s | " + " | ".join(lengths) + " |", "|" + "---|" * (len(lengths) + 1)]
    for name, runs in result["ways"].items():
        if main in runs:
            cells = [cell(runs, workload, "lines_per_s") for workload in lengths]
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    rows.append("")
    for name, runs in result["ways"].items():
        if "resolve" in runs:
            rows.append(
                f"{name}: {cell(runs, 'resolve', 'lines_per_s')} lines/s, "
                f"{cell(runs, 'resolve', 'cpu_us', 1)} µs of CPU a line.  "
            )
    rows += [f"Not run here: {reason}.  " for reason in result["missing"]]
    rows.append(
        f"Median ± MAD of {result['rounds']} rounds in turn, {result['lines']:,} lines each; one "
        f"core of {result['processor']}, PyTorch {result['torch']}. Seconds are of CPU time, "
        f"which are the clock's where nothing else runs on the core."
    )
    if result["memory"]:
        rows += [
            "",
            "What `ltt-stream train --checkpoint-blocks` saves, over what the weights take:",
        ]
        rows += ["", bench_memory.table(result["memory"])]
    return "\n".join(rows)


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="For real lines.")
@click.option("--lines", "count", type=click.IntRange(CALL), default=4096, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--model", type=click.Path(path_type=Path), help="Else the one that ships.")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True)
@click.option("--memory/--no-memory", default=True, show_default=True, help="Of training too.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option("--write-docs", is_flag=True, help="Update docs/performance.md.")
def main(
    data: Path | None,
    count: int,
    rounds: int,
    model: Path | None,
    compiled: bool,
    memory: bool,
    as_json: bool,
    write_docs: bool,
) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    lines = statements(data / "severity_dev.parquet", 0) if data else shuffled_sample(3 * count, 0)
    result = measure(
        lines, count, rounds, model or pretrained_path(), compiled=compiled, memory=memory
    )
    click.echo(json.dumps(result, indent=2) if as_json else table(result))
    if write_docs:
        options = " --data DIR" if data else ""
        options += f" --lines {count} --rounds {rounds}"
        command = f".venv/bin/python -m benchmarks.bench_cold{options} --write-docs"
        write_section("performance.md", "bench_cold", command, table(result))


if __name__ == "__main__":
    main()
