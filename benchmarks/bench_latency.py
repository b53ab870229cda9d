"""From the sender's clock to a row that can be read: how late a line is, at several rates.

Each datagram says when it was sent. Another process reads the open Arrow file as it grows and
takes the time when a batch is there: sending, receiving, waiting for the batch, scoring and
writing are all in it. The program has one core, with its learner; the others have another.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.docs import write_section
from benchmarks.process_tree import stop
from benchmarks.program import cpu_name, pinned, start
from benchmarks.soak import free_port
from benchmarks.tailed import tail

RATES = (100, 1_000, 20_000)
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
STEP_S = 0.002
WARM_S = 2.0
"""What is sent first is sent, but not counted: its templates are new to the model."""
DELAY_S = 0.1
"""The default of --batch-delay-s."""
PROGRAMS = (
    b"<38>%s web1 sshd[%d]: Accepted publickey for deploy from 192.0.2.7 port %d ssh2 sent=%d.",
    b"<30>%s web1 systemd[1]: Started Session %d of user deploy, %d units sent=%d.",
    b"<78>%s web1 CRON[%d]: (root) CMD (run-parts --report /etc/cron.hourly %d) sent=%d.",
    b"<22>%s web1 postfix/smtp[%d]: connect to mx.example.net[192.0.2.9]:%d: sent=%d.",
    b"<27>%s web1 app[%d]: request %d failed: upstream timed out sent=%d.",
)


def send(port: int, rate: float, seconds: float) -> int:
    """Datagrams at `rate`, each with the Unix µs of its sending; how many."""
    began = time.perf_counter()
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        while (elapsed := time.perf_counter() - began) < seconds:
            stamp = time.strftime("%b %e %H:%M:%S", time.gmtime()).encode()
            while sent < elapsed * rate:
                line = PROGRAMS[sent % len(PROGRAMS)]
                sock.send(line % (stamp, sent % 30_000, sent, time.time_ns() // 1000))
                sent += 1
            time.sleep(STEP_S)
    return sent


def once(rate: float, seconds: float, core: int, extra: list[str]) -> npt.NDArray[np.float64]:
    """(N,) seconds from sending to the row, of all lines but those of the first WARM_S.

    Raises RuntimeError when a line is missing.
    """
    with tempfile.TemporaryDirectory() as directory:
        out, state = Path(directory) / "out", Path(directory) / "state"
        port = free_port(socket.SOCK_DGRAM)
        args = ["run", "--listen", f"udp://127.0.0.1:{port}", "--out", str(out)]
        args += ["--format", "none", "--threads", "1", "--learn", "--state-dir", str(state)]
        with pinned({core}):
            process, _ = start([*args, *extra], subprocess.DEVNULL)
        late: list[npt.NDArray[np.float64]] = []
        first_us = time.time_ns() // 1000 + round(WARM_S * 1e6)
        rows = 0
        over = threading.Event()

        def read() -> None:
            nonlocal rows
            for at_us, batch in tail(out, over):
                rows += batch.num_rows
                texts = batch.column("message").to_pylist()
                sent_us = np.array([int(t[t.rindex("=") + 1 : -1]) for t in texts], np.int64)
                late.append((at_us - sent_us[sent_us >= first_us]) / 1e6)

        reader = threading.Thread(target=read)
        reader.start()
        sent = send(port, rate, seconds + WARM_S)
        time.sleep(1.0)
        stop(process)
        over.set()
        reader.join()
        shutil.rmtree(out)
    if rows != sent:
        raise RuntimeError(f"{sent:,} lines sent, {rows:,} rows read")
    return np.concatenate(late)


def table(found: dict[float, list[list[float]]], delay_s: float) -> str:
    """Median ± MAD of the rounds' percentiles, in ms."""
    rows = ["| msg/s | p50, ms | p90, ms | p99, ms | p99.9, ms |", "|---|---|---|---|---|"]
    for rate, rounds in found.items():
        values = np.array(rounds) * 1e3  # (rounds, percentiles)
        median = np.median(values, axis=0)
        mad = np.median(abs(values - median), axis=0)
        cells = [f"{m:.1f} ± {d:.1f}" for m, d in zip(median, mad, strict=True)]
        rows.append(f"| {rate:,.0f} | " + " | ".join(cells) + " |")
    rounds_n = len(next(iter(found.values())))
    rows += [
        "",
        f"Sent → readable in the file, batch delay {delay_s * 1e3:.0f} ms, learner running; median"
        f" ± MAD of {rounds_n} rounds; one core of {cpu_name()}, sender and reader on another.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--batch-delay-s", type=float, default=DELAY_S)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or set(cores))
    extra = ["--batch-delay-s", str(args.batch_delay_s)]
    found: dict[float, list[list[float]]] = {rate: [] for rate in args.rates}
    try:
        for _ in range(args.rounds):
            for rate in args.rates:
                late = once(rate, args.seconds, cores[0], extra)
                found[rate].append(np.percentile(late, PERCENTILES).tolist())
    except RuntimeError as error:
        sys.exit(f"bench_latency: {error}")
    text = table(found, args.batch_delay_s)
    print(json.dumps({str(k): v for k, v in found.items()}) if args.json else text)
    if args.write_docs:
        command = (
            f".venv/bin/python -m benchmarks.bench_latency --rounds {args.rounds} --write-docs"
        )
        write_section("performance.md", "bench_latency", command, text)


if __name__ == "__main__":
    main()
