"""Ten minutes of UDP at a fixed rate into the real program: nothing lost, memory flat.

Asserts at the end that
- every datagram sent is a row, or was counted as dropped (by the queue or by the kernel),
- nothing was dropped at all, unless --allow-drops,
- the resident memory of the last quarter is at most --growth-mb above that of the second quarter
  (the first is for caches to fill).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks.corpus import draw, pool
from benchmarks.program import count_rows, cpu_s, pinned, rss_mb, start

TICK_S = 0.02
SAMPLE = re.compile(r"^ltt_stream_(\w+)(?:\{.*\})? (\S+)$", re.MULTILINE)


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def totals(metrics_port: int) -> dict[str, float]:
    """The program's counters, summed over their labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    found: dict[str, float] = {}
    for name, value in SAMPLE.findall(text):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def send(lines: Sequence[bytes], port: int, rate: float, seconds: float, pid: int) -> list[float]:
    """Send at `rate` lines a second; the program's memory in MB, once a second."""
    memory: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        began = time.monotonic()
        sent = 0
        while (elapsed := time.monotonic() - began) < seconds:
            due = int(min(elapsed + TICK_S, seconds) * rate)
            for i in range(sent, due):
                s.send(lines[i % len(lines)])
            sent = due
            if elapsed >= len(memory):
                memory.append(rss_mb(pid))
            time.sleep(max(0.0, began + due / rate - time.monotonic()))
        for i in range(sent, int(rate * seconds)):
            s.send(lines[i % len(lines)])
    return memory


def drained(metrics_port: int, sent: int, timeout_s: float = 60.0) -> dict[str, float]:
    """The counters once every datagram is accounted for, or as they stand after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        m = totals(metrics_port)
        arrived = m["received_messages_total"] + m.get("kernel_dropped_datagrams_total", 0)
        settled = m["written_messages_total"] + m.get("dropped_messages_total", 0)
        if (arrived >= sent and settled >= m["received_messages_total"]) or time.monotonic() > end:
            return m
        time.sleep(0.2)


def soak(args: argparse.Namespace) -> dict[str, float]:
    """One run; the figures. Raises RuntimeError when the program can't start or fails."""
    lines = list(draw(pool(Path(args.logs) if args.logs else None), 200_000))
    cores = sorted(os.sched_getaffinity(0))
    port, metrics_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(dir=args.scratch) as directory:
        out = Path(directory) / "out"
        options = ["--listen", f"udp://127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics_port}"]
        options += ["--out", str(out), "--format", "none", "--rotate-s", "60"]
        with pinned({cores[0]}):
            process, _ = start(["run", *options], subprocess.DEVNULL)
        os.sched_setaffinity(0, set(cores[1:]) or set(cores))
        sent = int(args.rate * args.seconds)
        cpu_before = cpu_s(process.pid)
        memory = send(lines, port, args.rate, args.seconds, process.pid)
        m = drained(metrics_port, sent)
        cpu = cpu_s(process.pid) - cpu_before
        process.send_signal(signal.SIGTERM)
        if process.wait(120) != 0:
            raise RuntimeError(f"ltt-stream ended with {process.returncode}")
        rows = count_rows(out)
    quarter = max(len(memory) // 4, 1)
    return {
        "sent": sent,
        "received": m["received_messages_total"],
        "dropped": m.get("dropped_messages_total", 0.0),
        "kernel_dropped": m.get("kernel_dropped_datagrams_total", 0.0),
        "rows": rows,
        "cpu_us_per_line": cpu / sent * 1e6,
        "rss_second_quarter_mb": statistics.median(memory[quarter : 2 * quarter] or memory),
        "rss_last_quarter_mb": statistics.median(memory[-quarter:]),
        "rss_peak_mb": max(memory),
    }


def verdict(r: dict[str, float], *, allow_drops: bool, growth_mb: float) -> list[str]:
    """What is wrong, one line each."""
    wrong = []
    if r["received"] + r["kernel_dropped"] != r["sent"]:
        wrong.append("sent datagrams are neither received nor counted as dropped by the kernel")
    if r["rows"] + r["dropped"] != r["received"]:
        wrong.append("received lines are neither rows nor counted as dropped")
    if not allow_drops and r["dropped"] + r["kernel_dropped"] > 0:
        wrong.append("lines were dropped")
    if r["rss_last_quarter_mb"] > r["rss_second_quarter_mb"] + growth_mb:
        wrong.append(f"memory grew by more than {growth_mb:g} MB")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=5_000.0, help="lines a second [5000]")
    parser.add_argument("--logs", metavar="DIR", help="a folder of *.log files to mix in")
    parser.add_argument("--scratch", metavar="DIR", help="where the Arrow files go")
    parser.add_argument("--allow-drops", action="store_true", help="drops may happen, if counted")
    parser.add_argument("--growth-mb", type=float, default=32.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        result = soak(args)
    except (RuntimeError, OSError) as error:
        sys.exit(f"soak: {error}")
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):24} {value:,.1f}".removesuffix(".0"))
    wrong = verdict(result, allow_drops=args.allow_drops, growth_mb=args.growth_mb)
    if wrong:
        sys.exit("soak: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
