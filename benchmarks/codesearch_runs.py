"""A command from exec to its end: seconds, CPU time and peak memory, on one core."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.program import pinned

_LAUNCHER: Final = """
import json, os, subprocess, sys, time
with open(sys.argv[1], "w") as said:
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=said)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
cpu_s = used.ru_utime + used.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, cpu_s, used.ru_maxrss * 1024]))
"""
"""A small process in between: Linux counts what a process was before exec to its peak."""


class Ended(NamedTuple):
    """A command that has."""

    seconds: float
    cpu_s: float
    peak_mb: float
    """Of 10⁶ bytes."""
    said: str


def run(command: Sequence[str | Path], core: int) -> Ended:
    """Raises RuntimeError where it fails."""
    with tempfile.TemporaryDirectory() as scratch, pinned({core}):
        said = Path(scratch) / "said"
        launched = subprocess.run(
            [sys.executable, "-S", "-c", _LAUNCHER, said, *command],
            stdout=subprocess.PIPE,
            check=True,
        )
        code, seconds, cpu_s, peak = json.loads(launched.stdout)
        if code:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {code}, see above")
        return Ended(seconds, cpu_s, peak / 1e6, said.read_text())
