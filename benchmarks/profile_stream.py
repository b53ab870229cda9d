"""Where the time of a line goes, stage by stage, in the order of its way.

cProfile charges each call a microsecond, which is what a whole stage costs a line. Here a clock is
read where a stage begins and where it ends, a few dozen times a batch: the CPU time of the thread,
so that what other programs do does not count. What a stage calls is charged to itself where it is
a stage of its own. The corpus is that of benchmarks.corpus; the caches are warm.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench_stream import Run, summary
from benchmarks.corpus import draw, pool
from benchmarks.docs import write_section
from benchmarks.program import cpu_name, one_thread
from benchmarks.stages import STAGES, watched
from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.receivers.stdin import READ_BYTES, LineSplitter
from pipeline.scorer import Scorer
from pipeline.sinks.arrow import ArrowSink

BATCH = 4096
LINES = 200_000
ROUNDS = 5


def batches(data: bytes, splitter: LineSplitter, size: int) -> Iterator[list[bytes]]:
    """The lines of what is read from stdin, READ_BYTES at a time, in batches of `size`."""
    waiting: list[bytes] = []
    for start in range(0, len(data), READ_BYTES):
        waiting += splitter.feed(data[start : start + READ_BYTES])
        whole = len(waiting) - len(waiting) % size
        for i in range(0, whole, size):
            yield waiting[i : i + size]
        del waiting[:whole]
    if waiting:
        yield waiting


def through(processor: Processor, lines: Sequence[bytes], size: int, scratch: str | None) -> Run:
    """µs a line of each stage, and of all of it; the files are finished."""
    data = b"\n".join([*lines, b""])
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        sink, splitter = ArrowSink(Path(directory), processor.schema), LineSplitter()
        with watched(processor, sink, splitter) as clock:
            began_s = time.process_time()
            for batch in batches(data, splitter, size):
                frames = Frames("stdin", time.time_ns() // 1000, batch)
                sink.write(processor.process([frames]))
            sink.close()
            all_s = time.process_time() - began_s
    stages = {name: clock.seconds[name] / len(lines) * 1e6 for name in STAGES}
    return {**stages, "all": all_s / len(lines) * 1e6}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rounds, each of other lines of the same stream, after one that is not counted."""
    processor = Processor(Scorer.load())
    gc.freeze()  # as the program does
    gc.set_threshold(100_000, 20, 100)
    source, runs = pool(args.logs), []
    for number in range(args.rounds + 1):
        lines = list(draw(source, args.lines, seed=number))
        runs.append(through(processor, lines, args.batch_lines, args.scratch))
    return {
        "processor": cpu_name(),
        "rounds": args.rounds,
        "lines": args.lines,
        "batch_lines": args.batch_lines,
        "logs": args.logs is not None,
        "stages": summary(runs[1:]),
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    figures = result["stages"]
    rows = ["| stage | CPU µs/line | % | what it does, and why it stays |", "|---|---|---|---|"]
    whole = figures["all"]["median"]
    for name, why in STAGES.items():
        one = figures[name]
        cells = [f"{one['median']:.3f} ± {one['mad']:.3f}", f"{one['median'] / whole:.0%}"[:-1]]
        rows.append(f"| {name} | {' | '.join(cells)} | {why} |")
    rows += [
        f"| all | {whole:.3f} ± {figures['all']['mad']:.3f} | 100 | the clocks and the loop too |",
        "",
        f"Median ± MAD of {result['rounds']} rounds of {result['lines']:,} lines in batches of "
        f"{result['batch_lines']:,}; CPU time on one core of {result['processor']}. Not in it: "
        "reading the pipe, the queue between the threads, and the metrics, which are paid by the "
        "batch.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES, help=f"a round [{LINES}]")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"[{ROUNDS}]")
    parser.add_argument("--batch-lines", type=int, default=BATCH, help=f"[{BATCH}]")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="*.log files to mix in")
    parser.add_argument("--scratch", metavar="DIR", help="where Arrow files go")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    args = parser.parse_args()
    if min(args.lines, args.rounds, args.batch_lines) < 1:
        parser.error("--lines, --rounds and --batch-lines are 1 at least")
    one_thread()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        result = measure(args)
    except ValueError as error:
        sys.exit(f"profile_stream: {error}")
    print(json.dumps(result, indent=2) if args.json else table(result))
    if args.write_docs:
        options = " --logs DIR" if args.logs else ""
        for name, default in (("lines", LINES), ("rounds", ROUNDS), ("batch_lines", BATCH)):
            if (value := getattr(args, name)) != default:
                options += f" --{name.replace('_', '-')} {value}"
        command = f".venv/bin/python -m benchmarks.profile_stream{options} --write-docs"
        write_section("performance.md", "profile", command, table(result))


if __name__ == "__main__":
    main()
