"""`ltt-stream run` as a subprocess that is ready, pinned to a core, and measured."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LTT_STREAM = Path(sys.executable).with_name("ltt-stream")
START_S = 120.0
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Instructions that the matrix products of the model run on: fp32 on the first two, bf16 on the
others."""

COUNT_ROWS = """
import pathlib, sys
import pyarrow.dataset
files = sorted(pathlib.Path(sys.argv[1]).glob("date=*/*.arrow"))
print(pyarrow.dataset.dataset(files, format="ipc").count_rows())
"""


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes started inside run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(args: list[str], stdin: int | IO[bytes]) -> tuple[subprocess.Popen[bytes], float]:
    """Start `ltt-stream ARGS` and wait until it says READY (sd_notify): process, seconds it took.

    Raises RuntimeError when it ends or says nothing in START_S.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
    ):
        address = f"{directory}/notify"
        notify.bind(address)
        notify.settimeout(0.1)
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(LTT_STREAM), *args],
            stdin=stdin,
            env={**os.environ, "NOTIFY_SOCKET": address},
        )
        while True:
            try:
                said = notify.recv(4096)
            except TimeoutError:
                said = b""
            took = time.perf_counter() - began
            if b"READY=1" in said.split(b"\n"):
                return process, took
            if process.poll() is not None or took > START_S:
                process.kill()
                raise RuntimeError(f"ltt-stream {' '.join(args)}: not ready after {took:.0f} s")


def one_thread() -> None:
    """Begin this program anew where NumPy's products would take more threads than one.

    OpenBLAS asks for their number when it is loaded. On one core they then wait for each other,
    spinning: such a product costs thirty times as much.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, sys.orig_argv)


def cpu_s(pid: int) -> float:
    """User and system time so far; proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int, key: str = "VmRSS") -> float:
    """Resident memory now (VmRSS) or at its peak (VmHWM), in MB of 10⁶ bytes; 0 once it ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def count_rows(directory: Path) -> int:
    """Rows of the finished Arrow files, read in a process of its own to leave this one small."""
    command = [sys.executable, "-c", COUNT_ROWS, str(directory)]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


def cpu_name() -> str:
    """The machine's processor, and which of the instructions that matter here it has.

    As /proc/cpuinfo says it: "AMD EPYC (avx2, avx512f, avx512_bf16, no amx_bf16)".
    """
    name, flags = "unknown processor", set[str]()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):  # x86, ARM
            flags = set(value.split())
    if not flags & set(FLAGS):
        return name
    return f"{name} ({', '.join(f if f in flags else f'no {f}' for f in FLAGS)})"
