"""An Arrow file that is being written, read batch by batch as the bytes come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

POLL_S = 0.001


class _Growing:
    """What the Arrow reader takes for a file: a read waits for its bytes."""

    closed = False

    def __init__(self, path: Path, end_s: float) -> None:
        self._file = path.open("rb")
        self._end_s = end_s
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing > 0:
            part = self._file.read(missing)
            if part:
                parts.append(part)
                missing -= len(part)
            elif time.monotonic() > self._end_s:
                break
            else:
                time.sleep(POLL_S)
        self._read += size - missing
        return b"".join(parts)

    def tell(self) -> int:
        return self._read

    def close(self) -> None:
        self._file.close()


def tail(directory: Path, seconds: float) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of the folder's open file as they come, each with the Unix µs when it was read.

    Ends with the file, or after so many seconds.
    """
    end_s = time.monotonic() + seconds
    while not (found := sorted(directory.glob("_*.arrows.open"))):
        if time.monotonic() > end_s:
            return
        time.sleep(POLL_S)
    reader = pa.ipc.open_stream(pa.PythonFile(_Growing(found[0], end_s), mode="r"))
    while True:
        try:
            batch = reader.read_next_batch()
        except (StopIteration, pa.ArrowInvalid, OSError):  # the end, or cut short by it
            return
        yield time.time_ns() // 1000, batch
