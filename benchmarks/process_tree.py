"""The resources of a process and its descendants, and the end of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.program import rss_mb

LONG_S = 120.0
"""Time to end after SIGTERM."""


def tree_cpu_s(pid: int) -> float:
    """User and system time of a process and its descendants so far, and of those they waited for.

    A process's clock (clock_getcpuclockid(3)) rather than the ticks of /proc/PID/stat: 10 ms are
    a microsecond a message where there are 10,000 of them.
    """
    total = 0.0
    for process in _tree(pid):
        with suppress(OSError):  # ended meanwhile; where it was waited for, its parent has it
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            total += time.clock_gettime((~process << 3) | 2)
    return total


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _peak_mb(pid: int) -> float:
    total = 0.0
    for process in _tree(pid):
        with suppress(OSError):
            total += rss_mb(process, "VmHWM")
    return total


def stop(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """SIGTERM, and wait: CPU in its life, in seconds, and peak memory, in MB.

    Raises RuntimeError when it fails or does not end in LONG_S.
    """
    pid = process.pid
    peak_mb, seen_s = _peak_mb(pid), tree_cpu_s(pid)
    process.send_signal(signal.SIGTERM)
    end_s = time.monotonic() + LONG_S
    # Not process.wait(): wait4 gives the resources of this child, and of those it waited for.
    while not (ended := os.wait4(pid, os.WNOHANG))[0]:
        peak_mb, seen_s = max(peak_mb, _peak_mb(pid)), max(seen_s, tree_cpu_s(pid))
        if time.monotonic() > end_s:
            raise RuntimeError(f"{process.args!r}: still there {LONG_S:.0f} s after SIGTERM")
        time.sleep(0.01)
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    # A child that nobody waited for is not in its parent's usage, but was seen.
    return max(usage.ru_utime + usage.ru_stime, seen_s), peak_mb
