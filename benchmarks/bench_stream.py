"""Lines a second from stdin to Arrow files on one core, beside Drain3 alone on the same messages.

Both are pinned to one core and run in turn, A B A B …, so that a slow minute of the machine hits
both. ltt-stream is timed from the first byte, when it has said that it is ready, until it has
written its last file and ended; its start-up is reported apart. Another core feeds it. Every run
asserts that it wrote as many rows as it was given lines.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.docs import write_section
from benchmarks.program import count_rows, cpu_name, cpu_s, pinned, rss_mb, start

Run = dict[str, float]


def stream_once(lines: Path, count: int, core: int, scratch: Path, extra: list[str]) -> Run:
    """One timed run of ltt-stream; raises RuntimeError when rows are missing or it failed."""
    out = scratch / "out"
    read_end, write_end = os.pipe()
    args = ["run", "--out", str(out), "--format", "none", "--threads", "1", *extra]
    with pinned({core}):
        process, startup_s = start(args, read_end)
    os.close(read_end)
    pid = process.pid
    cpu_before = cpu_s(pid)
    peak_mb, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak_mb
        while not ended.wait(0.02):
            peak_mb = max(peak_mb, rss_mb(pid, "VmHWM"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    # A program that ends early breaks the pipe; its exit code and rows are judged below.
    with suppress(BrokenPipeError), lines.open("rb") as source, os.fdopen(write_end, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 18)
    # Not process.wait(): wait4 gives the resources of this child alone.
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    watcher.join()
    rows = count_rows(out)
    written_mb = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e6
    shutil.rmtree(out)
    if process.returncode != 0 or rows != count:
        raise RuntimeError(f"exit {process.returncode}: {rows} rows written of {count} lines")
    return {
        "lines_per_s": count / seconds,
        "cpu_us_per_line": (usage.ru_utime + usage.ru_stime - cpu_before) / count * 1e6,
        "peak_rss_mb": peak_mb,
        "startup_s": startup_s,
        "written_mb": written_mb,
    }


def drain3_once(messages: Path, core: int) -> Run:
    """One timed run of Drain3's add_log_message."""
    with pinned({core}):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.drain3_alone", str(messages)],
            check=True,
            capture_output=True,
        )
    result = json.loads(done.stdout)
    return {
        "lines_per_s": result["lines"] / result["seconds"],
        "cpu_us_per_line": result["cpu_s"] / result["lines"] * 1e6,
        "clusters": result["clusters"],
    }


def grep_once(lines: Path, core: int) -> Run:
    """`grep -c ''` for scale: what it costs to look for the newlines, start-up and all."""
    with pinned({core}):
        began = time.perf_counter()
        done = subprocess.run(["grep", "-c", "", str(lines)], check=True, capture_output=True)
        seconds = time.perf_counter() - began
    return {"lines_per_s": int(done.stdout) / seconds}


def middle(values: list[float]) -> tuple[float, float]:
    """Median and median absolute deviation."""
    median = statistics.median(values)
    return median, statistics.median(abs(v - median) for v in values)


def summary(runs: list[Run]) -> dict[str, dict[str, float]]:
    table = {}
    for key in runs[0]:
        median, mad = middle([run[key] for run in runs])
        table[key] = {"median": median, "mad": mad}
    return table


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All runs; raises RuntimeError when a run loses lines."""
    cores = sorted(os.sched_getaffinity(0))
    core, feeder = cores[0], set(cores[1:]) or set(cores)
    with tempfile.TemporaryDirectory(dir=args.scratch) as directory:
        scratch = Path(directory)
        lines, messages = scratch / "corpus.log", scratch / "messages.txt"
        command = [sys.executable, "-m", "benchmarks.corpus", str(lines), str(messages)]
        command += ["--lines", str(args.lines)] + (["--logs", args.logs] if args.logs else [])
        subprocess.run(command, check=True)  # its own process, so that this one stays small
        os.sched_setaffinity(0, feeder)
        ours: list[Run] = []
        drain3: list[Run] = []
        for pair in range(args.runs):
            ours.append(stream_once(lines, args.lines, core, scratch, args.program_args))
            drain3.append(drain3_once(messages, core))
            if not args.json:
                a, b = ours[-1]["lines_per_s"], drain3[-1]["lines_per_s"]
                print(
                    f"pair {pair + 1}: {a:,.0f} / {b:,.0f} lines/s = {a / b:.2f}", file=sys.stderr
                )
        ratios = [a["lines_per_s"] / b["lines_per_s"] for a, b in zip(ours, drain3, strict=True)]
        ratio, ratio_mad = middle(ratios)
        return {
            "processor": cpu_name(),
            "lines": args.lines,
            "corpus_mb": lines.stat().st_size / 1e6,
            "logs": bool(args.logs),
            "runs": args.runs,
            "feeder_on_own_core": len(cores) > 1,
            "ltt_stream": summary(ours),
            "drain3": summary(drain3),
            "grep": summary([grep_once(lines, core) for _ in range(args.runs)]),
            "ratio": {"median": ratio, "mad": ratio_mad},
        }


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table and the lines that say how it was made."""

    def cell(program: str, key: str, digits: int = 0) -> str:
        value = result[program].get(key)
        return f"{value['median']:,.{digits}f} ± {value['mad']:,.{digits}f}" if value else "–"

    rows = [
        "| | lines/s | CPU µs/line | peak RSS, MB | start-up, s |",
        "|---|---|---|---|---|",
    ]
    for program, name in (
        ("ltt_stream", "ltt-stream, stdin → Arrow files"),
        ("drain3", "Drain3, `add_log_message` alone"),
        ("grep", "`grep -c ''`, for scale"),
    ):
        rows.append(
            f"| {name} | {cell(program, 'lines_per_s')} | {cell(program, 'cpu_us_per_line', 2)} "
            f"| {cell(program, 'peak_rss_mb')} | {cell(program, 'startup_s', 1)} |"
        )
    feeder = "another core" if result["feeder_on_own_core"] else "the same core"
    rows += [
        "",
        f"ltt-stream / Drain3: {result['ratio']['median']:.2f} ± {result['ratio']['mad']:.2f}. "
        f"Median ± MAD of {result['runs']} alternating pairs; {result['lines']:,} lines, "
        f"{result['corpus_mb']:,.0f} MB; one core of {result['processor']}, fed from {feeder}. "
        f"Every line was found again as a row.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--logs", metavar="DIR", help="a folder of *.log files to mix in")
    parser.add_argument("--runs", type=int, default=3, help="alternating pairs [3]")
    parser.add_argument("--scratch", metavar="DIR", help="where corpus and Arrow files go")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    parser.add_argument(
        "program_args", nargs="*", metavar="-- ARG", help="more for ltt-stream run"
    )
    args = parser.parse_args()
    try:
        result = measure(args)
        text = table(result)
        print(json.dumps(result, indent=2) if args.json else text)
        if args.write_docs:
            logs = " --logs DIR" if args.logs else ""
            lines = f" --lines {args.lines}" if args.lines != parser.get_default("lines") else ""
            options = f"{lines}{logs} --runs {args.runs}"
            command = f".venv/bin/python -m benchmarks.bench_stream{options} --write-docs"
            write_section("performance.md", "bench_stream", command, text)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench_stream: {error}")


if __name__ == "__main__":
    main()
