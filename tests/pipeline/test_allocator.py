"""What was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from pipeline.allocator import Allocator

def rss_kb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

allocator = Allocator()
pieces = [bytearray(20_000) for _ in range(5_000)]  # 100 MB in the heap, below the mmap threshold
full = rss_kb()
kept = pieces[-1]  # the top of the heap stays in use, so that free() alone gives nothing back
pieces.clear()
before = rss_kb()
allocator.tick()
print(full, before, rss_kb())
allocator.tick()  # not due yet: nothing happens
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only, as the program is")
def test_freed_memory_goes_back_to_the_system() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    full, before, after = map(int, said.stdout.split())
    assert before > full - 20_000
    assert after < full - 80_000
