"""Arrow files that are being written, read batch by batch as the bytes come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

POLL_S = 0.001


class _Growing:
    """What the Arrow reader takes for a file: a read waits for its bytes."""

    closed = False

    def __init__(self, path: Path, over: threading.Event) -> None:
        self._file = path.open("rb")
        self._over = over
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing > 0:
            over = self._over.is_set()
            part = self._file.read(missing)
            if part:
                parts.append(part)
                missing -= len(part)
            elif over:
                break
            else:
                time.sleep(POLL_S)
        self._read += size - missing
        return b"".join(parts)

    def tell(self) -> int:
        return self._read

    def close(self) -> None:
        self._file.close()


def tail(directory: Path, over: threading.Event) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of the folder's open files as they come, each with the Unix µs when it was read.

    over: set once nothing more is written.
    """
    last = ""
    while True:
        was_over = over.is_set()
        files = sorted(path for path in directory.glob("_*.arrows.open") if path.name > last)
        if not files:
            if was_over:
                return
            time.sleep(POLL_S)
            continue
        last = files[0].name
        reader = pa.ipc.open_stream(pa.PythonFile(_Growing(files[0], over), mode="r"))
        while True:
            try:
                batch = reader.read_next_batch()
            except (StopIteration, pa.ArrowInvalid, OSError):  # its end, or cut short by ours
                break
            yield time.time_ns() // 1000, batch
