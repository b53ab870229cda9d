"""The rows of feedback.jsonl and how they get there: whole and synced, whoever else writes."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

MAX_BYTES = 32 << 20
"""Of the file, some 100,000 rows: what a script says in error does not fill the memory."""
LOCK_S = 5.0
"""How long a writer waits for another one."""

Verdict = Literal["normal", "anomaly"]


class FeedbackError(OSError):
    """The file cannot be read or written; one line that names it and the mend."""


class Said(msgspec.Struct, frozen=True):
    """What a person has said of a template."""

    id: str
    at: str
    """UTC, ISO 8601."""
    by: str
    template_id: int
    app: str | None
    """Program and canonical text; None where only the template's id was given."""
    text: str | None
    facility: int | None
    severity: int | None
    verdict: Verdict | None


class Undone(msgspec.Struct, frozen=True):
    """What was said under that id is taken back."""

    undo: str
    at: str = ""
    by: str = ""


Row = Said | Undone

_said = msgspec.json.Decoder(Said)
_undone = msgspec.json.Decoder(Undone)


def decode(line: bytes) -> Row | None:
    """The row of a line; None where it is damaged."""
    damaged = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
    with suppress(*damaged):
        return _undone.decode(line)
    with suppress(*damaged):
        row = _said.decode(line)
        if 0 < row.template_id < 1 << 64 and (row.severity is None or 0 <= row.severity < 8):
            return row
    return None


class Writer:
    """The file, open for adding to and locked against other writers, in a `with`.

    Raises FeedbackError where it cannot be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Writer:
        try:
            self._fd = self._open()
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._claim()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def add(self, row: Row) -> None:
        """Write a row, whole or not at all, and sync it."""
        data = msgspec.json.encode(row) + b"\n"
        try:
            size = os.fstat(self._fd).st_size
            if size and os.pread(self._fd, 1, size - 1) != b"\n":
                data = b"\n" + data  # the row before was cut short: it must not spoil this one
            if size + len(data) > MAX_BYTES:
                raise OSError(errno.EFBIG, f"it holds {MAX_BYTES >> 20} MiB, all that it may")
            self._write(data, size)
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, data: bytes, size: int) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        with suppress(FileNotFoundError):
            return os.open(self._path, flags)
        fd = os.open(self._path, flags | os.O_CREAT, 0o644)
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if os.geteuid() == 0:  # the stream, another user's perhaps, writes here as well
                    owner = os.fstat(folder)
                    os.fchown(fd, owner.st_uid, owner.st_gid)
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _claim(self) -> None:
        give_up = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    raise FeedbackError(
                        f"{self._path}: another program has been writing to it for "
                        f"{LOCK_S:.0f} s; try again"
                    ) from None
                time.sleep(0.01)

    def _failed(self, error: OSError) -> FeedbackError:
        mend = {
            errno.ENOENT: "name the state directory that the stream runs with",
            errno.EACCES: "do it as the user that the stream runs as",
            errno.EFBIG: "move it away to begin afresh",
        }
        after = mend.get(error.errno or 0, "nothing was kept")
        return FeedbackError(f"{self._path}: cannot be written: {error.strerror}; {after}")
