"""Memory told to be frugal: what a flood once needed goes back to the system.

glibc keeps freed memory for its thread, and each thread's arena keeps its own: a program that runs
for months would hold the peak of all of them. Where there is no glibc these calls do nothing.
"""

from __future__ import annotations

import ctypes
import gc
import time

import pyarrow as pa

_M_ARENA_MAX = -8
"""mallopt(3)."""
TRIM_EVERY_S = 10.0
"""A trim takes some milliseconds, and what is needed again has to be fetched again."""


class Allocator:
    """Of this process: malloc(3), Arrow's and the interpreter's."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        self._trim = getattr(libc, "malloc_trim", None)
        self._due_s = 0.0
        mallopt = getattr(libc, "mallopt", None)
        if mallopt is not None:
            # Threads that take turns at one interpreter gain nothing from an arena each.
            mallopt(_M_ARENA_MAX, 1)

    def settle(self) -> None:
        """To be called when all is loaded."""
        # Arrow's own allocator keeps what a flood once needed; the system's gives it back.
        pa.set_memory_pool(pa.system_memory_pool())
        # The model's objects live as long as we do: no collection needs to look at them.
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)

    def tick(self) -> None:
        """Give back what is free, every TRIM_EVERY_S at most."""
        now_s = time.monotonic()
        if self._trim is not None and now_s >= self._due_s:
            self._due_s = now_s + TRIM_EVERY_S
            self._trim(ctypes.c_size_t(0))
