"""One writer at a time: a lock that ends with the process which holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pipeline.codesearch.parts import BusyIndexError

LOCK = "writer.lock"
WAITING = "waiting.lock"
"""Held by an update that waits for the writer and will see all that changed until it writes."""


class Lock:
    """The right to write in a folder, until `release` or the end of the process.

    Raises BusyIndexError, with the holder's process number, where another has it.
    """

    def __init__(self, folder: Path, name: str = LOCK) -> None:
        self._fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            self.release()
            raise BusyIndexError(
                f"{folder}: process {holder or 'unknown'} is writing to this index; "
                "wait until it has ended"
            ) from error
        except BaseException:
            self.release()
            raise
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let the next one write; again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
