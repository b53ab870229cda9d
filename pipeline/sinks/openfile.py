"""The file being written: locked while its writer lives; a fault leaves no half batch in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.sinks import explained
from pipeline.sinks.stream import unwritten

OPEN_SUFFIX = ".arrows.open"
IOV_MAX = 1024
"""Pieces that Linux takes in one call (writev(2))."""
HIDDEN = "_"
"""pyarrow.dataset passes over names that begin so: the folder can be scanned while it grows."""


class OpenFile:
    """`DIR/_<stamp>-<random>.arrows.open` with an exclusive flock.

    The lock ends with the process, however it ends, and so tells a live writer's file from one
    that wants recovery. Python opens files close-on-exec; a child that is forked without exec
    would inherit the lock.
    """

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self.size = size
        """Bytes up to the end of the last complete append."""
        self._fd = fd

    @classmethod
    def create(cls, directory: Path, first_us: int) -> OpenFile:
        """A new empty file, named after the UTC microseconds of its first row.

        Raises OSError (SinkFull where there is no room for a name).
        """
        first = datetime.fromtimestamp(first_us // 1_000_000, UTC)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # FileExistsError too: a file, or a link to nothing, is there
            raise explained(error, directory) from error
        stamp = f"{first:%Y%m%dT%H%M%S}.{first_us % 1_000_000:06d}Z"
        while True:
            # Random, because process numbers repeat where containers share a folder.
            name = f"{HIDDEN}{stamp}-{secrets.token_hex(4)}{OPEN_SUFFIX}"
            path = directory / name
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                continue
            except OSError as error:
                raise explained(error, path) from error
            # Between the two calls another process's recovery may have taken the empty file.
            if _locked(fd, path):
                return cls(path, fd, 0)
            os.close(fd)

    @classmethod
    def claim(cls, path: Path) -> OpenFile | None:
        """The file that a dead process left, or None where its writer lives or it is gone."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if _locked(fd, path):
            return cls(path, fd, os.fstat(fd).st_size)
        os.close(fd)
        return None

    def append(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Write all of it, or nothing and raise OSError (SinkFull where there is no room)."""
        offset = self.size
        try:
            while pieces:
                # One call for all costs a third less than one for each.
                written = os.pwritev(self._fd, pieces[:IOV_MAX], offset)
                offset += written
                pieces = unwritten(pieces, written)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.size)
            raise explained(error, self.path) from error
        self.size = offset

    def remove(self) -> None:
        """Delete the file, then let go of the lock."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the lock: from here on the file is recovery's."""
        os.close(self._fd)


def _locked(fd: int, path: Path) -> bool:
    """Whether the lock is ours and the name still means this very file."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
