"""What happened while the program ran: DIR/events.jsonl, one JSON object a line, oldest first.

    {"at":"2026-03-01T12:00:00.250+00:00","event":"drift","kind":"error","before":0.1,"after":0.3}

For people and scripts, not for the program: it goes on where the file cannot be written.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

FILE = "events.jsonl"
OLD = ".1"
"""What the name of the file before the current one ends in."""
MAX_BYTES = 8 * 1024 * 1024
"""Of either file."""


class Events:
    """Appends to one file; threads may share it, processes may not."""

    def __init__(
        self,
        path: Path | None,
        *,
        say: Callable[[str], None] = lambda text: None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """path: None keeps nothing. say: is told once when events begin to be lost."""
        self.failed = 0
        """Events that could not be written."""
        self._path = path
        self._say = say
        self._max_bytes = max_bytes
        self._failing = False
        self._lock = threading.Lock()

    def write(self, event: str, *, at_s: float | None = None, **facts: object) -> None:
        """Add a row: what happened and what there is to know about it. Never raises.

        at_s: Unix time; now, without it.
        """
        if self._path is None:
            return
        with self._lock:
            try:
                self._append(self._path, _row(event, at_s, facts))
                self._failing = False
            except Exception as error:
                # Facts may hold anything, disks may do anything: an event is worth no line.
                self.failed += 1
                told, self._failing = self._failing, True
                if not told:
                    why = error.strerror if isinstance(error, OSError) else error
                    self._say(f"{self._path}: event not kept: {why}; going on without")

    def _append(self, path: Path, row: bytes) -> None:
        if len(row) > self._max_bytes:
            raise ValueError(f"{len(row)} bytes are too many")
        size = path.stat().st_size if path.exists() else 0
        if size and size + len(row) + 1 > self._max_bytes:
            path.replace(path.with_name(path.name + OLD))
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                row = b"\n" + row  # the one before was cut short: it is not to spoil this one
            if os.write(fd, row) < len(row):
                raise OSError(0, "only a part of it was written")
        finally:
            os.close(fd)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The rows of the file and of the one before it, oldest first; what is no row is passed over.

    Raises OSError where a file is there and cannot be read.
    """
    rows = []
    for part in (path.with_name(path.name + OLD), path):
        if not part.exists():
            continue
        with part.open("rb") as file:
            for line in file:
                try:
                    row = msgspec.json.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if isinstance(row, dict) and {"at", "event"} <= row.keys():
                    rows.append(row)
    return rows


def _row(event: str, at_s: float | None, facts: dict[str, object]) -> bytes:
    at = datetime.fromtimestamp(time.time() if at_s is None else at_s, UTC)
    row = {"at": at.isoformat(timespec="milliseconds"), "event": event, **facts}
    return msgspec.json.encode(row, enc_hook=_plain) + b"\n"


def _plain(value: object) -> object:
    """What JSON has no word for: numpy's numbers, paths, whatever."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
