"""Memory that was freed, back to the system.

The C library keeps what a burst of work has freed, for the next one. After a flood, or after a
file was finished, there is no next one for long.
"""

from __future__ import annotations

import ctypes

_libc = ctypes.CDLL(None)


def give_back() -> None:
    """Let the system have the free pages; some milliseconds. Nothing happens without glibc."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
