"""Memory that was freed is the system's again, as a process of its own sees it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import ROOT

HOLES = """
from mmap import PAGESIZE
from pathlib import Path
from pipeline.heap import give_back

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGESIZE / 1e6

blocks = [bytearray(64 << 10) for _ in range(1600)]
last = bytearray(64 << 10)  # lies above them: what is free below it stays with the process
held = resident_mb()
del blocks[:]
freed = resident_mb()
give_back()
print(held - freed, held - resident_mb())
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_what_is_free_between_blocks_in_use_is_given_back() -> None:
    if "glibc" not in python("import os; print(os.confstr('CS_GNU_LIBC_VERSION'))"):
        pytest.skip("needs glibc")
    before, after = (float(mb) for mb in python(HOLES).split())
    assert after > 90
    assert before < 90 < after, "or this shows nothing"
