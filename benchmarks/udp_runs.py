"""One run: a receiver started and pinned, messages sent to it, its resources and its books.

CPU is user and system time of the process and its children from just before the first message
until the process has ended, after SIGTERM: what finishes its files counts, its start-up does not.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import NamedTuple

from benchmarks.process_tree import stop, tree_cpu_s
from benchmarks.program import pinned, start
from benchmarks.soak import drained, free_port
from benchmarks.syslog_peers import OUTPUT, Peer, Program
from benchmarks.udp_sender import Sent

Run = dict[str, float]
QUIET_S = 1.2
"""Nothing read or written for so long: all is done. ltt-stream counts the kernel's last drops
after a second of silence."""
LONG_S = 120.0

COUNT_ROWS = """
import pathlib, sys
import pyarrow.dataset as ds
rows = ds.dataset(sorted(pathlib.Path(sys.argv[1]).glob("date=*/*.arrow")), format="ipc")
print(rows.count_rows(), rows.count_rows(filter=ds.field("scored")))
"""


class Load(NamedTuple):
    """What is sent."""

    messages: Path
    total: int
    rate: float | None
    """Messages a second; None: as fast as it goes."""


class Cores(NamedTuple):
    receiver: int
    sender: int


class Socket(NamedTuple):
    """What /proc/net/udp says of a bound socket."""

    waiting_bytes: int
    drops: int


def run_ours(load: Load, cores: Cores, scratch: Path, options: list[str]) -> Run:
    """Raises RuntimeError when ltt-stream fails, or when a message is neither row nor counted."""
    port, metrics_port = free_port(SOCK_DGRAM), free_port(SOCK_STREAM)
    command = ["run", "--listen", f"udp://127.0.0.1:{port}", "--metrics"]
    command += [f"127.0.0.1:{metrics_port}", "--out", str(scratch), "--format", "none"]
    counters: dict[str, float] = {}
    with pinned({cores.receiver}):
        process, _ = start([*command, "--threads", "1", *options], subprocess.DEVNULL)
    run = _measure(
        process,
        port,
        load,
        cores,
        scratch,
        lambda sent: counters.update(drained(metrics_port, sent)),
    )
    count = [sys.executable, "-c", COUNT_ROWS, str(scratch)]
    rows, scored = map(int, subprocess.run(count, check=True, capture_output=True).stdout.split())
    kernel = counters.get("kernel_dropped_datagrams_total", 0.0)
    dropped = counters.get("dropped_messages_total", 0.0)
    check_law(run, rows=rows, dropped=dropped, kernel_dropped=kernel)
    return _judged(run | {"dropped": dropped}, rows) | {"scored": scored / max(rows, 1) * 100}


def check_law(run: Run, *, rows: float, dropped: float, kernel_dropped: float) -> None:
    """sent = rows + counted as dropped + counted as dropped by the kernel, to the message.

    Raises RuntimeError, also when the kernel's own count is another one.
    """
    if rows + dropped + kernel_dropped != run["sent"] or kernel_dropped != run["kernel_dropped"]:
        raise RuntimeError(
            f"ltt-stream: {run['sent']:.0f} sent, but {rows:.0f} rows, {dropped:.0f} counted as "
            f"dropped and {kernel_dropped:.0f} as dropped by the kernel, which says "
            f"{run['kernel_dropped']:.0f}"
        )


def run_peer(peer: Peer, program: Program, load: Load, cores: Cores, scratch: Path) -> Run:
    """Raises RuntimeError when the program fails or has written more than it was sent."""
    port = free_port(SOCK_DGRAM)
    with (scratch / "stderr").open("wb") as stderr, pinned({cores.receiver}):
        process = subprocess.Popen(
            peer.arguments(program, scratch, port),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env=program.env,
        )
    end_s = time.monotonic() + LONG_S
    while socket_of(port) is None:
        if process.poll() is not None or time.monotonic() > end_s:
            process.kill()
            said = (scratch / "stderr").read_text(errors="replace").strip().splitlines()
            raise RuntimeError(f"{peer.command}: not ready: {said[-1] if said else 'no word'}")
        time.sleep(0.05)
    time.sleep(0.5)  # what it does after it has bound its port is start-up as well
    run = _measure(process, port, load, cores, scratch, lambda _: None)
    with (scratch / OUTPUT).open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    if lines > run["sent"]:
        raise RuntimeError(f"{peer.command}: {lines} lines written of {run['sent']:.0f} messages")
    return _judged(run, lines)


def socket_of(port: int) -> Socket | None:
    """The UDP socket that is bound to the port; proc(5). None while there is none."""
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        with suppress(FileNotFoundError):  # no IPv6
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if int(columns[1].rpartition(":")[2], 16) == port:
                    return Socket(int(columns[4].partition(":")[2], 16), int(columns[-1]))
    return None


def _measure(
    process: subprocess.Popen[bytes],
    port: int,
    load: Load,
    cores: Cores,
    scratch: Path,
    settle: Callable[[int], None],
) -> Run:
    """Send, wait until all is written and `settle` has returned, stop the process and reap it."""
    try:
        with _sender(port, load, cores.sender) as send:
            buffer_bytes = _receive_buffer_bytes(port)
            before_s = tree_cpu_s(process.pid)
            sent = send()
        _wait_until_quiet(port, scratch)
        settle(sent.messages)
        socket = socket_of(port)
        if socket is None:
            raise RuntimeError(f"{process.args!r} has closed its socket")
        running_s = tree_cpu_s(process.pid)
        ended_s, peak_mb = stop(process)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
    return {
        "sent": sent.messages,
        "rate": sent.messages / sent.seconds,
        "cpu_s": ended_s - before_s,
        "stop_cpu_s": ended_s - running_s,
        "peak_rss_mb": peak_mb,
        "kernel_dropped": socket.drops,
        "receive_buffer_bytes": buffer_bytes,
    }


@contextmanager
def _sender(port: int, load: Load, core: int) -> Iterator[Callable[[], Sent]]:
    """A sender that is ready, as a function that lets it go and waits for its report."""
    command = [sys.executable, "-m", "benchmarks.udp_sender", str(load.messages)]
    command += ["--port", str(port), "--count", str(load.total)]
    command += ["--rate", str(load.rate)] if load.rate is not None else []
    with (
        pinned({core}),
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as sender,
    ):
        assert sender.stdout is not None
        sender.stdout.readline()

        def go() -> Sent:
            report, _ = sender.communicate("go\n")
            if sender.returncode != 0:
                raise RuntimeError("the sender failed")
            return Sent(**json.loads(report))

        try:
            yield go
        finally:
            sender.kill()


def _receive_buffer_bytes(port: int) -> float:
    """As granted, by ss(8): the kernel's doubled figure halved; 0 where it can't be known."""
    if shutil.which("ss") is None:
        return 0.0
    command = ["ss", "-Hlunm", f"sport = :{port}"]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    found = re.search(r"\brb(\d+)", said)
    return int(found[1]) / 2 if found else 0.0


def _wait_until_quiet(port: int, scratch: Path) -> None:
    """Raises RuntimeError when there is no end of it in LONG_S."""
    end_s = time.monotonic() + LONG_S
    before: tuple[Socket | None, int] | None = None
    since_s = time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        time.sleep(0.1)
        now = (socket_of(port), _bytes_in(scratch))
        if now != before or (now[0] and now[0].waiting_bytes):
            before, since_s = now, time.monotonic()
        if time.monotonic() > end_s:
            raise RuntimeError(f"port {port}: still at work after {LONG_S:.0f} s")


def _bytes_in(directory: Path) -> int:
    total = 0
    for file in directory.rglob("*"):
        with suppress(FileNotFoundError):  # renamed meanwhile
            total += file.stat().st_size
    return total


def _judged(run: Run, written: int) -> Run:
    """With what the figures are for: per message written, and the share that was not."""
    return run | {
        "written": written,
        "cpu_us_per_message": run["cpu_s"] / max(written, 1) * 1e6,
        "loss": (run["sent"] - written) / run["sent"] * 100,
    }
