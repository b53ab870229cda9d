"""Scored lines into Arrow files: a stream while open, a finished file at rotation."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.sinks.copied import COPIED_ROWS
from pipeline.sinks.finished import FileFormat
from pipeline.sinks.openfile import OpenFile
from pipeline.sinks.rotate import Finisher
from pipeline.sinks.stream import StreamEncoder

ROTATE_BYTES = 96 << 20
"""Of a compressed stream: about 800,000 lines; the finished file is as large."""
UNCOMPRESSED = 8 / 3
"""How much larger a stream of the same lines is without compression."""
ROTATE_AGE_S = 3600.0
DAY_US = 86_400_000_000


class ArrowSink:
    """Appends batches to `DIR/_<stamp>-<random>.arrows.open`, an IPC stream.

    Every batch is in the file when `write` returns, and a file cut short keeps every complete
    batch. At rotation (size, age, SIGHUP, a new UTC day) it is made
    `DIR/date=YYYY-MM-DD/<stamp>-<random>.arrow`, or `.parquet`, and removed.

    A stream that begins with a batch large enough for readers is LZ4-compressed at once, and its
    finished Arrow file is a copy: 0.5 µs a line in all. Any other is written plainly, then
    regrouped and compressed, which costs 0.7 µs a line for batches of 4,096; with LZ4 at both
    ends it would cost 1.1.

    Several processes may write into one directory; `recover` takes up what a dead one left.
    """

    name = "arrow"

    def __init__(
        self,
        directory: Path,
        schema: pa.Schema,
        *,
        file_format: FileFormat = "arrow",
        rotate_bytes: int = ROTATE_BYTES,
        rotate_age_s: float = ROTATE_AGE_S,
    ) -> None:
        """Raises OSError where the directory cannot be made."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._schema = schema
        self._rotate_bytes = rotate_bytes
        self._rotate_age_us = rotate_age_s * 1e6
        self._finisher = Finisher(directory, file_format)
        self._file_format = file_format
        self._file: OpenFile | None = None
        self._encoder = StreamEncoder(schema, deltas=True)
        self._full_bytes = rotate_bytes
        self._first_us = 0
        self._refused: pa.RecordBatch | None = None
        self._pieces: Sequence[bytes] = ()
        """The refused batch, serialised."""

    @property
    def problem(self) -> str | None:
        """Why rotated files wait to be finished, in one line; their rows are safe meanwhile."""
        return self._finisher.problem

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; it is in the file when this returns, and not at all when it raises.

        Raises SinkFull where there is no room and OSError where the system refuses: give the same
        batch again to retry, or another one, which gives the first up.
        """
        if batch.num_rows == 0:
            return
        if self._refused is None or self._refused is not batch:
            self._give_up()
            first_us = batch.column("received_at")[0].value
            if self._file is not None and first_us // DAY_US > self._first_us // DAY_US:
                self.rotate()
            if self._file is None:
                self._file = OpenFile.create(self._directory, first_us)
                self._first_us = first_us
                self._begin(compressed=batch.num_rows >= COPIED_ROWS)
            self._refused, self._pieces = batch, self._encoder.encode(batch)
        assert self._file is not None
        self._file.append(self._pieces)
        self._refused, self._pieces = None, ()
        if self._file.size >= self._full_bytes:
            self.rotate()

    def tick(self, now_us: int) -> None:
        """Rotate by age; try again to finish what had no room."""
        if self._file is not None and abs(now_us - self._first_us) >= self._rotate_age_us:
            self.rotate()
        self._finisher.tick(now_us)

    def rotate(self) -> None:
        """Hand the open file over to be finished; waits while the one before still is."""
        file, self._file = self._file, None
        self._refused, self._pieces = None, ()
        if file is None:
            return
        if file.size == 0:
            file.remove()
            return
        with contextlib.suppress(OSError):  # readers do without the end marker
            file.append(self._encoder.finish())
        self._finisher.finish(file)

    def close(self) -> None:
        """Finish the open file and wait for it; what has no room is left for recovery."""
        self.rotate()
        self._finisher.wait()

    def _begin(self, *, compressed: bool) -> None:
        compressed = compressed and self._file_format == "arrow"
        self._encoder = StreamEncoder(
            self._schema, deltas=True, compression="lz4" if compressed else None
        )
        self._full_bytes = int(self._rotate_bytes * (1 if compressed else UNCOMPRESSED))

    def _give_up(self) -> None:
        # The writer takes the refused batch's labels for written: what follows needs a new stream.
        if self._refused is not None:
            self.rotate()
