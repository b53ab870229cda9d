"""UDP to a file on one core: CPU a message and loss against rate, beside rsyslog and syslog-ng.

All are pinned to one core and get the same messages from another, in turn: A B C A B C …, each
run a process of its own. ltt-stream scores every message and writes Arrow files; the peers write a
line of text. Every run of ltt-stream asserts that each message sent is a row or was counted as
dropped. A peer that is not installed is downloaded and unpacked aside; where it can't be had, its
rows say why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench_stream import middle, summary
from benchmarks.docs import write_section
from benchmarks.program import cpu_name
from benchmarks.syslog_peers import CACHE, PEERS, PeerError, find
from benchmarks.udp_runs import Cores, Load, Run, run_ours, run_peer
from benchmarks.udp_sender import write_messages
from pipeline import __version__

OURS = "ltt-stream"
SYSTEMS = (OURS, *PEERS)
RATES = "9000,27000,50000,100000,150000,250000"
DISTINCT = 200_000
"""Messages that are sent round and round."""

Runner = Callable[[Load, Cores, Path], Run]


class Bench:
    """The systems that are there, those that are not and why, and what was measured so far."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.versions = {OURS: __version__}
        self.missing: dict[str, str] = {}
        self._quiet = args.json
        self._runners: dict[str, Runner] = {OURS: partial(run_ours, options=args.program_args)}
        for name in args.systems:
            if name == OURS:
                continue
            try:
                program = find(PEERS[name], args.cache)
            except PeerError as error:
                self.missing[name] = str(error)
            else:
                self.versions[name] = program.version
                self._runners[name] = partial(run_peer, PEERS[name], program)
        if OURS not in args.systems:
            del self._runners[OURS], self.versions[OURS]

    def round(self, load: Load, cores: Cores, scratch: Path, found: dict[str, list[Run]]) -> None:
        """A run of each. Raises RuntimeError where ours fails; a peer that fails is left out."""
        for name, run in list(self._runners.items()):
            with tempfile.TemporaryDirectory(dir=scratch) as directory:
                try:
                    result = run(load, cores, Path(directory).absolute())
                except RuntimeError as error:
                    if name == OURS:
                        raise
                    self.missing[name] = str(error)
                    del self._runners[name]
                    continue
            found.setdefault(name, []).append(result)
            if not self._quiet:
                print(
                    f"{rate_text(load.rate)}: {name}: {result['cpu_us_per_message']:.2f} µs a "
                    f"message, {result['loss']:.2f} % lost",
                    file=sys.stderr,
                )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All runs; raises RuntimeError when ours fails or the law does not hold."""
    available = sorted(os.sched_getaffinity(0))
    cores = Cores(available[0], available[-1])
    os.sched_setaffinity(0, {cores.sender})
    bench = Bench(args)
    with tempfile.TemporaryDirectory(dir=args.scratch) as directory:
        scratch = Path(directory)
        messages = scratch / "messages"
        loads = [Load(messages, int(rate * args.seconds), rate) for rate in args.rates]
        loads += [Load(messages, args.burst, None)] if args.burst else []
        write_messages(messages, min(DISTINCT, max(load.total for load in loads)))
        runs: list[dict[str, list[Run]]] = [{} for _ in loads]
        for _ in range(args.rounds):
            for load, found in zip(loads, runs, strict=True):
                bench.round(load, cores, scratch, found)
    points = []
    for load, found in zip(loads, runs, strict=True):
        whole = {name: one for name, one in found.items() if name not in bench.missing}
        points.append({"rate": load.rate, "messages": load.total, **figures(whole)})
    return {
        "processor": cpu_name(),
        "rounds": args.rounds,
        "seconds": args.seconds,
        "sender_on_own_core": len(available) > 1,
        "versions": {n: v for n, v in bench.versions.items() if n not in bench.missing},
        "missing": bench.missing,
        "points": points,
    }


def figures(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Of one rate: each system's medians, and ours to theirs as medians of each round's ratio."""
    ratios = {}
    for name, theirs in runs.items():
        if name != OURS and OURS in runs:
            pairs = zip(runs[OURS], theirs, strict=True)
            each = [a["cpu_us_per_message"] / b["cpu_us_per_message"] for a, b in pairs]
            ratio, mad = middle(each)
            ratios[name] = {"median": ratio, "mad": mad}
    return {"systems": {name: summary(one) for name, one in runs.items()}, "ratios": ratios}


def rate_text(rate: float | None) -> str:
    return "burst" if rate is None else f"{rate:,.0f}"


def table(result: dict[str, Any]) -> str:
    """The result as two Markdown tables and the lines that say how it was made."""

    def cell(figures: dict[str, dict[str, float]], key: str, digits: int) -> str:
        value = figures.get(key)
        return f"{value['median']:,.{digits}f} ± {value['mad']:,.{digits}f}" if value else "–"

    versions, missing, points = result["versions"], result["missing"], result["points"]
    rows = [
        "| messages/s | | reached | CPU µs/message | loss, % | scored, % | peak RSS, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in points:
        for name, one in point["systems"].items():
            rows.append(
                f"| {rate_text(point['rate'])} | {name} | {one['rate']['median']:,.0f} "
                f"| {cell(one, 'cpu_us_per_message', 2)} | {cell(one, 'loss', 2)} "
                f"| {cell(one, 'scored', 1)} | {cell(one, 'peak_rss_mb', 0)} |"
            )
        for name, why in missing.items():
            rows.append(f"| {rate_text(point['rate'])} | {name} | not measured: {why} |||||")
    peers = [name for name in versions if name != OURS]
    if OURS in versions and peers:
        rows += ["", "| messages/s | " + " | ".join(f"{OURS} / {name}" for name in peers) + " |"]
        rows += ["|---" * (1 + len(peers)) + "|"]
        for point in points:
            cells = [cell(point["ratios"], name, 2) for name in peers]
            rows.append(f"| {rate_text(point['rate'])} | " + " | ".join(cells) + " |")
    buffers = ", ".join(
        f"{name} {one['receive_buffer_bytes']['median'] / 2**20:.1f} MiB"
        for name, one in points[0]["systems"].items()
        if one["receive_buffer_bytes"]["median"]
    )
    sender = "another core" if result["sender_on_own_core"] else "the same core"
    rows += [
        "",
        f"Median ± MAD of {result['rounds']} interleaved rounds, {result['seconds']:g} s at each "
        f"rate; one core of {result['processor']}, sent from {sender}. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
        + (f" Receive buffers granted: {buffers}." if buffers else "")
        + (f" Every message sent to {OURS} was a row or was counted." if OURS in versions else ""),
    ]
    return "\n".join(rows)


def command(args: argparse.Namespace) -> str:
    """What measures the same again, but for folders."""
    words = [".venv/bin/python -m benchmarks.bench_udp --rounds", f"{args.rounds}"]
    words += ["--seconds", f"{args.seconds:g}"]
    words += ["--rates", ",".join(f"{rate:g}" for rate in args.rates)]
    words += ["--burst", f"{args.burst}", "--systems", ",".join(args.systems), "--write-docs"]
    return " ".join([*words, *(["--", *args.program_args] if args.program_args else [])])


def _rates(text: str) -> list[float]:
    rates = [float(rate) for rate in text.split(",") if rate]
    if any(rate <= 0 for rate in rates):
        raise ValueError
    return rates


def _systems(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(SYSTEMS):
        raise ValueError
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="at each rate [20]")
    parser.add_argument("--rates", type=_rates, default=RATES, help=f"messages a second [{RATES}]")
    parser.add_argument(
        "--burst", type=int, default=1_000_000, help="as fast as it goes; 0: none [1000000]"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each system at each rate [3]")
    parser.add_argument(
        "--systems", type=_systems, default=",".join(SYSTEMS), help=f"[{','.join(SYSTEMS)}]"
    )
    parser.add_argument("--scratch", metavar="DIR", help="where the messages and files go")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where peers are unpacked")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    parser.add_argument(
        "program_args", nargs="*", metavar="-- ARG", help="more for ltt-stream run"
    )
    args = parser.parse_args()
    if args.rounds < 1 or not (args.rates or args.burst):
        parser.error("nothing to measure: --rounds and --rates or --burst")
    try:
        result = measure(args)
        text = table(result)
        print(json.dumps(result, indent=2) if args.json else text)
        if args.write_docs:
            write_section("performance.md", "bench_udp", command(args), text)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench_udp: {error}")


if __name__ == "__main__":
    main()
