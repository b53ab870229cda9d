"""A flood in which every line is new: nothing is lost, memory stays, and over is over.

Lines that were never seen come at a rate that no model keeps up with, then usual ones go on. What
the model has no time for is written with `scored` false. Prints how many were lost (sent and not
written), how far memory grew, how much was scored, and how long after the flood's last line usual
lines were scored again, all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.docs import write_section
from benchmarks.process_tree import stop
from benchmarks.program import cpu_name, pinned, rss_mb, start
from benchmarks.soak import free_port
from benchmarks.tailed import tail

USUAL = b"<38>Nov 22 10:00:00 web1 sshd[%d]: Accepted publickey for deploy from 192.0.2.7"
USUAL_RATE = 200
WORDS = 20_000
AFTER_S = 12.0
QUIET_S = 1.0
"""A second in which every usual line was scored ends the search."""


def write_flood(path: Path, count: int, seed: int = 1) -> None:
    """`count` lines of eight words that hardly ever come together again, one message a line."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(3, 10))) for _ in range(WORDS)]
    with path.open("w") as file:
        for i in range(count):
            text = " ".join(rng.choices(words, k=8))
            file.write(f"<{24 + i % 8}>Nov 22 10:00:00 h{i % 9} app{i % 50}[{i}]: {text}\n")


def run(rate: float, seconds: float, core: int) -> dict[str, float]:
    """One flood. Raises RuntimeError when the program fails."""
    with tempfile.TemporaryDirectory() as directory:
        out, flood = Path(directory) / "out", Path(directory) / "flood"
        count = round(rate * seconds)
        write_flood(flood, count)
        port = free_port(socket.SOCK_DGRAM)
        args = ["run", "--listen", f"udp://127.0.0.1:{port}", "--out", str(out)]
        with pinned({core}):
            process, _ = start([*args, "--format", "none", "--threads", "1"], subprocess.DEVNULL)
        usual: list[tuple[int, bool]] = []
        rows = scored = 0
        over = threading.Event()

        def read() -> None:
            nonlocal rows, scored
            for _, batch in tail(out, over):
                rows += batch.num_rows
                mine = batch.filter(
                    batch.column("hostname").dictionary_decode().to_numpy(False) == "web1"
                )
                usual.extend(
                    zip(
                        mine.column("received_at").cast("int64").to_pylist(),
                        mine.column("scored").to_pylist(),
                        strict=True,
                    )
                )
                scored += sum(batch.column("scored").to_pylist())

        reader = threading.Thread(target=read)
        reader.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            sent = 0

            def usual_for(until_s: float) -> None:
                nonlocal sent
                while time.monotonic() < until_s:
                    sock.send(USUAL % sent)
                    sent += 1
                    time.sleep(1 / USUAL_RATE)

            usual_for(time.monotonic() + 2.0)
            before_mb = rss_mb(process.pid)
            peak = before_mb
            sender = subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.udp_sender", str(flood)),
                    *("--port", str(port), "--count", str(count), "--rate", str(rate)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            while sender.poll() is None:
                usual_for(time.monotonic() + 0.5)
                peak = max(peak, rss_mb(process.pid))
            over_us = time.time_ns() // 1000
            usual_for(time.monotonic() + AFTER_S)
        after_mb = rss_mb(process.pid)
        peak = max(peak, after_mb)
        time.sleep(0.5)
        stop(process)
        over.set()
        reader.join()
    late = [at for at, was_scored in usual if at > over_us and not was_scored]
    return {
        "sent": sent + count,
        "lost": sent + count - rows,
        "scored_percent": 100 * scored / rows,
        "rss_before_mb": before_mb,
        "rss_peak_mb": peak,
        "rss_after_mb": after_mb,
        "unscored_after_s": (max(late) - over_us) / 1e6 if late else 0.0,
    }


def table(found: dict[str, float], rate: float, seconds: float) -> str:
    rows = ["| | |", "|---|---|"]
    rows += [
        f"| sent | {found['sent']:,.0f} |",
        f"| lost | {found['lost']:,.0f} |",
        f"| scored at once, the rest by `rescore` | {found['scored_percent']:.1f} % |",
        f"| RSS before, at most, after | {found['rss_before_mb']:.0f}, {found['rss_peak_mb']:.0f},"
        f" {found['rss_after_mb']:.0f} MB |",
        f"| usual lines all scored again after | {found['unscored_after_s']:.1f} s |",
        "",
        f"{seconds:.0f} s at {rate:,.0f} msg/s, each line of a new template; one core of "
        f"{cpu_name()}, sent from another.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50_000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or set(cores))
    try:
        found = run(args.rate, args.seconds, cores[0])
    except RuntimeError as error:
        sys.exit(f"bench_flood: {error}")
    text = table(found, args.rate, args.seconds)
    print(json.dumps(found) if args.json else text)
    if args.write_docs:
        command = ".venv/bin/python -m benchmarks.bench_flood --write-docs"
        write_section("performance.md", "bench_flood", command, text)


if __name__ == "__main__":
    main()
