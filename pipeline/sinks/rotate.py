"""Finishing rotated files beside the stream loop, so that an fsync never delays a line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pipeline.heap import give_back
from pipeline.sinks import explained
from pipeline.sinks.finished import FileFormat, finish
from pipeline.sinks.openfile import OpenFile
from pipeline.sinks.recovery import recover
from pipeline.sinks.salvage import scan

RETRY_S = 10.0
log = logging.getLogger(__name__)


class Finisher:
    """One rotated file at a time, in a thread of its own.

    What cannot be finished (no room, a broken disk) is let go of as it is: a stream file without
    a living writer, which `recover` takes up at the next attempt or the next start.
    """

    def __init__(self, directory: Path, file_format: FileFormat) -> None:
        self.problem: str | None = None
        """Why files wait to be finished, in one line; None when none does."""
        self._directory = directory
        self._format = file_format
        self._thread: threading.Thread | None = None
        # At the first tick too: what had no room when the process started may have it by now.
        self._waiting = True
        self._tried_us = 0

    def finish(self, file: OpenFile) -> None:
        """Hand a file over; waits while the one before is being finished."""
        self._start(lambda: self._finish(file))

    def tick(self, now_us: int) -> None:
        """Try again what waits, at most every RETRY_S seconds."""
        if not self._waiting or (self._thread is not None and self._thread.is_alive()):
            return
        if abs(now_us - self._tried_us) >= RETRY_S * 1e6:
            self._tried_us = now_us
            self._start(self._recover)

    def wait(self) -> None:
        """Return when nothing is being finished any more."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _start(self, work: Callable[[], None]) -> None:
        self.wait()
        # A daemon, because a stream loop that failed must not wait for a disk to exit.
        self._thread = threading.Thread(
            target=self._work, args=(work,), name="finish", daemon=True
        )
        self._thread.start()

    def _work(self, work: Callable[[], None]) -> None:
        give_back()  # what the loop has freed makes room for what this takes
        work()
        give_back()

    def _finish(self, file: OpenFile) -> None:
        try:
            try:
                contents = scan(file.path, check=False)
                if contents.damaged:  # not what was written: recovery keeps the original
                    raise OSError(f"unreadable after byte {contents.end}")
                finish(file.path, contents, self._format)
                file.path.unlink()
            finally:
                file.close()
        except (OSError, pa.ArrowException) as error:
            reason = explained(error, file.path) if isinstance(error, OSError) else error
            self._say(f"cannot finish {file.path.name}: {reason}")
        else:
            if self._waiting:
                self._recover()

    def _recover(self) -> None:
        try:
            done = recover(self._directory, self._format)
            for path in done.damaged:
                log.warning("%s: partly unreadable, set aside", path)
            self._say(done.problem)
        except OSError as error:
            self._say(f"cannot recover: {explained(error, self._directory)}")

    def _say(self, problem: str | None) -> None:
        if problem is not None and self.problem is None:
            log.warning("%s; kept as it is, tried again later", problem)
        self.problem = problem
        self._waiting = problem is not None
