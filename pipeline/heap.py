"""Memory that was freed, back to the system; and what lives as long as we do, left alone.

The C library keeps what a burst of work has freed, for the next one. After a flood, or after a
file was finished, there is no next one for long.
"""

from __future__ import annotations

import ctypes
import gc

_libc = ctypes.CDLL(None)


def give_back() -> None:
    """Let the system have the free pages; some milliseconds. Nothing happens without glibc."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def settle() -> None:
    """To be called when all is loaded: no collection needs to look at the model's objects."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
