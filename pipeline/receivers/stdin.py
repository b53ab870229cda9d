"""Lines from a pipe, a file or a terminal."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import time
from typing import ClassVar

from pipeline.batcher import FrameQueue
from pipeline.frames import Frames
from pipeline.receivers.base import Receiver, ReceiverError

MAX_LINE_BYTES = 64 * 1024
"""A longer line is cut one byte after this, so that the parser sees that it is over-long."""
READ_BYTES = 1024 * 1024
_KEPT_BYTES = MAX_LINE_BYTES + 1


class LineSplitter:
    """Cuts a byte stream into lines, in memory that no input can make grow.

    A line ends with LF or CR LF; NUL and any other byte is kept. Of an over-long line the first
    65,537 bytes are given out as soon as they are there, the rest is skipped to its LF. An empty
    line is no message: counted in `blank`.
    """

    def __init__(self) -> None:
        self.blank = 0
        self._tail = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                return []
            self._skipping = False
            data = data[end + 1 :]
        if self._tail:
            data = self._tail + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        lines = data.split(b"\n")
        self._tail = lines.pop()
        if len(data) > _KEPT_BYTES:
            lines = [line if len(line) <= _KEPT_BYTES else line[:_KEPT_BYTES] for line in lines]
        if len(self._tail) > _KEPT_BYTES:
            lines.append(self._tail[:_KEPT_BYTES])
            self._tail = b""
            self._skipping = True
        return self._without_blank(lines)

    def end(self) -> list[bytes]:
        """The last line, where it had no terminator."""
        tail, self._tail = self._tail, b""
        return [tail] if tail else []

    def _without_blank(self, lines: list[bytes]) -> list[bytes]:
        kept = list(filter(None, lines))
        self.blank += len(lines) - len(kept)
        return kept


class StdinReceiver(Receiver):
    """Reads a descriptor to its end, each read given on at once, waiting when the queue is full.

    After stop() the line begun but not ended is given out as it is; what the pipe still holds is
    left to it.
    """

    can_wait: ClassVar[bool] = True

    def __init__(self, fd: int = 0, *, source: str = "stdin") -> None:
        """Raises ReceiverError where `fd` is closed or a directory. Does not own `fd`."""
        mode = _mode(fd)
        if mode is None:
            raise ReceiverError(
                f"{source} is closed: pipe lines into it or name a --listen address"
            )
        if stat.S_ISDIR(mode):
            raise ReceiverError(f"{source} is a directory: give it a file or a pipe")
        if stat.S_ISFIFO(mode):
            _enlarge_pipe(fd)
        super().__init__(source)
        self._fd = fd
        self._splitter = LineSplitter()

    @property
    def blank(self) -> int:
        """Empty lines met: no messages, and in no other count."""
        return self._splitter.blank

    def _read(self, queue: FrameQueue) -> None:
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        poller.register(self._stop.fileno(), select.POLLIN)
        try:
            while True:
                poller.poll()
                if self._stop.is_set():
                    break
                try:
                    data = os.read(self._fd, READ_BYTES)
                except BlockingIOError:  # a parent's O_NONBLOCK, and another reader was faster
                    continue
                if not data:
                    break
                if not self._put(queue, self._splitter.feed(data)):
                    return
        finally:
            self._put(queue, self._splitter.end())

    def _put(self, queue: FrameQueue, lines: list[bytes]) -> bool:
        if not lines:
            return True
        return queue.put_waiting(Frames(self.source, time.time_ns() // 1000, lines))

    def _close(self) -> None:
        pass


def _mode(fd: int) -> int | None:
    """The file mode of an open descriptor, None for a closed one."""
    if fd == 0 and sys.__stdin__ is None:  # closed at our start: whatever has number 0 is ours
        return None
    try:
        return os.fstat(fd).st_mode
    except OSError:
        return None


def _enlarge_pipe(fd: int) -> None:
    """Room for 1 MiB instead of 64 KiB: fewer turns between the writer and us."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, READ_BYTES)
    except OSError:  # above the user's quota or the system's limit: the size it has will do
        return
