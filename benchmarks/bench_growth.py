"""What a line costs, and what that hangs on: new templates, batches, templates, width, time.

Each point of the curves is a process of its own on one core: lines go through Processor and
ArrowSink, and CPU time is counted until the files are finished. From the first two curves follows
what a line costs in general. Then a long stream goes through the real program on stdin, and its
memory is looked at. Rounds are interleaved: a slow minute of the machine hits all points.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.bench_stream import Run, summary
from benchmarks.corpus import draw, pool
from benchmarks.docs import write_section
from benchmarks.growth_lines import Templates, mixed, new_ones
from benchmarks.growth_memory import STEPS, stream
from benchmarks.growth_points import apart, cost, untrained
from benchmarks.growth_report import report
from benchmarks.program import cpu_name, one_thread
from models.checkpoint import load_checkpoint, pretrained_path
from models.inference import Engine
from pipeline.config import Config

BATCH = Config().batch_lines
TABLE_LINES = 100_000
"""So many templates fill the table, which then forgets half of them, before a point is counted."""


class Size(NamedTuple):
    lines: int
    """Of each point."""
    warm: int
    """And before it."""
    novelty: tuple[float, ...]
    batches: tuple[int, ...]
    templates: tuple[int, ...]
    widths: tuple[int, ...]
    rounds: int
    stream: int
    """Lines through the real program."""


FULL = Size(
    lines=100_000,
    warm=100_000,
    novelty=(0.0, 0.001, 0.01, 0.1, 1.0),
    batches=(256, 512, 1024, 2048, 4096, 8192, 16384),
    templates=(10, 100, 1_000, 10_000, 50_000, 100_000, 1_000_000),
    widths=(8, 16, 32, 64),
    rounds=3,
    stream=10_000_000,
)
QUICK = Size(2_000, 2_000, (0.0, 0.1, 1.0), (256, 1024), (10, 300), (8, 32), 1, 20_000)

Point = Callable[[], Run]
Curves = dict[str, dict[float, list[Run]]]


def points(size: Size, source: list[bytes], scratch: str | None) -> dict[str, dict[float, Point]]:
    """What is to be measured, by curve and place on it."""
    engine = Engine(load_checkpoint(pretrained_path()))
    drawn = list(draw(source, size.warm + size.lines))
    warm, lines = drawn[: size.warm], drawn[size.warm :]
    new, templates = new_ones(size.lines), Templates()
    at = partial(cost, scratch=scratch)

    def novelty(share: float) -> Run:
        return at(engine, warm, mixed(lines, new, share), batch_lines=BATCH)

    def batch(batch_lines: int) -> Run:
        return at(engine, warm, lines, batch_lines=batch_lines)

    def template(count: int) -> Run:
        known = templates.first_of_each(min(count, TABLE_LINES))
        return at(engine, known, templates.drawn(count, size.lines), batch_lines=BATCH)

    def width(latent: int) -> Run:
        return at(untrained(latent), warm, lines, batch_lines=BATCH)

    return {
        "novelty": {x: partial(novelty, x) for x in size.novelty},
        "batch": {x: partial(batch, x) for x in size.batches},
        "templates": {x: partial(template, x) for x in size.templates},
        "width": {x: partial(width, x) for x in size.widths},
    }


def measure(size: Size, logs: Path | None, scratch: str | None) -> dict[str, Any]:
    """All points, then the stream. Raises RuntimeError where one fails."""
    cores = sorted(os.sched_getaffinity(0))
    torch.set_num_threads(1)  # before anything is computed: the forks must find no other thread
    source = pool(logs)
    os.sched_setaffinity(0, cores[:1])
    wanted = points(size, source, scratch)
    found: Curves = {curve: {x: [] for x in places} for curve, places in wanted.items()}
    for number in range(size.rounds):
        for curve, places in wanted.items():
            for x, point in places.items():
                run = apart(point)
                found[curve][x].append(run)
                where = f"round {number + 1} of {size.rounds}: {curve} {x:,}"
                print(f"{where}: {run['us_per_line']:.2f} µs", file=sys.stderr)
    os.sched_setaffinity(0, cores[1:] or cores)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        grown = stream(source, size.stream, cores[0], Path(directory))
    curves = {c: {x: summary(runs) for x, runs in p.items()} for c, p in found.items()}
    return {
        "processor": cpu_name(),
        "rounds": size.rounds,
        "lines": size.lines,
        "batch_lines": BATCH,
        "curves": curves,
        "fit": fit(curves),
        "stream": {**grown._asdict(), "second_half_mb": grown.second_half_mb},
    }


def fit(curves: dict[str, dict[float, dict[str, dict[str, float]]]]) -> dict[str, float]:
    """a + b / batch + c · novelty, in µs a line, and the largest error of it, relative.

    Least squares of relative errors: else the dearest point alone would settle it.
    """
    places = [one for curve in ("novelty", "batch") for one in curves[curve].values()]
    us, batch, new = (
        np.array([one[key]["median"] for one in places]) for key in ("us_per_line", "batch", "new")
    )
    terms = np.stack([np.ones(len(us)), 1 / batch, new], axis=1)  # (places, 3)
    found = np.linalg.lstsq(terms / us[:, None], np.ones(len(us)), rcond=None)[0]
    error = abs(terms @ found / us - 1).max()
    line_us, batch_us, new_us = found.tolist()
    return {"line_us": line_us, "batch_us": batch_us, "new_us": new_us, "error": float(error)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help=f"[{FULL.rounds}]")
    parser.add_argument(
        "--lines", type=int, default=FULL.stream, help=f"on stdin, at the end [{FULL.stream}]"
    )
    parser.add_argument("--logs", type=Path, metavar="DIR", help="*.log files to draw from, too")
    parser.add_argument("--scratch", metavar="DIR", help="where Arrow files go")
    parser.add_argument("--quick", action="store_true", help="few points, few lines: a trial")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    args = parser.parse_args()
    if args.rounds < 1 or args.lines < STEPS or (args.quick and args.write_docs):
        parser.error(f"--rounds 1 and --lines {STEPS} at least; a --quick run is nothing for docs")
    size = QUICK if args.quick else FULL._replace(rounds=args.rounds, stream=args.lines)
    one_thread()
    try:
        result = measure(size, args.logs, args.scratch)
        text = report(result)
        print(json.dumps(result, indent=2) if args.json else text)
        if args.write_docs:
            options = f" --rounds {args.rounds}" + (" --logs DIR" if args.logs else "")
            options += f" --lines {args.lines}" if args.lines != FULL.stream else ""
            command = f".venv/bin/python -m benchmarks.bench_growth{options} --write-docs"
            write_section("performance.md", "bench_growth", command, text)
    except (RuntimeError, ValueError) as error:
        sys.exit(f"bench_growth: {error}")


if __name__ == "__main__":
    main()
