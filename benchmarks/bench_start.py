"""How long it takes to be of use: seconds from exec to the first answer, and to READY.

Each start is a new process, on one core. The line that is to be answered lies in the pipe before
the program begins, and the pipe stays open. The ways take turns, so that a slow minute of the
machine hits all; a first round, which brings the files into the page cache, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.bench_stream import Run, summary
from benchmarks.docs import write_section
from benchmarks.program import LTT_STREAM, START_S, cpu_name, pinned, rss_mb, start

LINE = b"<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed for lonvick on /dev/pts/8\n"
RUNS = 5


def until_end(command: list[str]) -> Run:
    """Seconds until the command has ended. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}")
    return {"seconds": seconds}


def until_answer(args: list[str], *, scored: bool) -> Run:
    """Seconds until `ltt-stream ARGS` has put out a JSON line for the line that it was given.

    Raises RuntimeError where it ends without, or the line has no score though it should.
    """
    read_end, write_end = os.pipe()
    os.write(write_end, LINE)
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(LTT_STREAM), *args],
        stdin=read_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    answer = process.stdout.readline()
    seconds = time.perf_counter() - began
    os.close(read_end)
    os.close(write_end)
    process.communicate(timeout=START_S)
    said = msgspec.json.decode(answer) if answer else {}
    if process.returncode != 0 or not said or (scored and not said["scored"]):
        raise RuntimeError(f"{' '.join(args)}: exit {process.returncode}, answered {answer!r}")
    return {"seconds": seconds}


def until_ready() -> Run:
    """Seconds until `ltt-stream run` says READY=1, and its resident memory then."""
    read_end, write_end = os.pipe()
    process, seconds = start(["run", "--format", "none", "--threads", "1"], read_end)
    resident_mb = rss_mb(process.pid)
    os.close(read_end)
    os.close(write_end)
    process.communicate(timeout=START_S)
    return {"seconds": seconds, "rss_mb": resident_mb}


WAYS: dict[str, Callable[[], Run]] = {
    "`ltt-stream --help`: has ended": lambda: until_end([str(LTT_STREAM), "--help"]),
    "`ltt-stream parse`: first line out": lambda: until_answer(["parse"], scored=False),
    "`ltt-stream run --format jsonl`: first scored line out": lambda: until_answer(
        ["run", "--format", "jsonl", "--threads", "1"], scored=True
    ),
    "`ltt-stream run`: says READY": until_ready,
    "`python -c 'import torch'`, for scale": lambda: until_end(
        [sys.executable, "-c", "import torch"]
    ),
}


def measure(runs: int, *, warm: bool = True) -> dict[str, Any]:
    """All rounds, after one that is not counted. Raises RuntimeError when a start fails."""
    core = min(os.sched_getaffinity(0))
    found: dict[str, list[Run]] = {name: [] for name in WAYS}
    for number in range(0 if warm else 1, runs + 1):
        for name, way in WAYS.items():
            with pinned({core}):
                run = way()
            if number:
                found[name].append(run)
    return {
        "processor": cpu_name(),
        "runs": runs,
        "ways": {name: summary(of_way) for name, of_way in found.items()},
    }


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table and the lines that say how it was made."""
    rows = ["| | seconds from exec | RSS then, MB |", "|---|---|---|"]
    for name, figures in result["ways"].items():
        cells = [
            f"{value['median']:,.{digits}f} ± {value['mad']:,.{digits}f}" if value else "–"
            for value, digits in ((figures["seconds"], 3), (figures.get("rss_mb"), 0))
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    rows += [
        "",
        f"Median ± MAD of {result['runs']} runs in turn, one core of {result['processor']}, files "
        "in the page cache. The line lay in the pipe before the program began.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each [{RUNS}]")
    parser.add_argument("--quick", action="store_true", help="one run, and no round before it")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    args = parser.parse_args()
    if args.runs < 1 or (args.quick and args.write_docs):
        parser.error("--runs is 1 at least, and a --quick run is nothing for the docs")
    try:
        result = measure(1 if args.quick else args.runs, warm=not args.quick)
        print(json.dumps(result, indent=2) if args.json else table(result))
        if args.write_docs:
            command = f".venv/bin/python -m benchmarks.bench_start --runs {args.runs} --write-docs"
            write_section("performance.md", "bench_start", command, table(result))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        sys.exit(f"bench_start: {error}")


if __name__ == "__main__":
    main()
