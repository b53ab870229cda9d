"""Scored lines on stdout: text for people, JSON lines or an Arrow IPC stream for programs."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence
from typing import Literal

import pyarrow as pa

from pipeline.sinks import SinkClosed, SinkFull, SinkStalled, explained
from pipeline.sinks.jsonl import jsonl
from pipeline.sinks.stream import StreamEncoder
from pipeline.sinks.text import text

STALL_S = 0.25
"""After so long without a taker `write` gives back, so that the caller can see to other things."""
StdoutFormat = Literal["text", "jsonl", "arrow"]


class StdoutSink:
    """Writes each batch at once; a reader that is slow is waited for, a while at a time.

    The Arrow stream sends a dictionary that grew whole, because Polars refuses deltas.
    """

    name = "stdout"

    def __init__(
        self,
        output: StdoutFormat,
        schema: pa.Schema,
        *,
        anomalies_only: bool = False,
        fd: int = 1,
    ) -> None:
        """Colours text on a terminal, unless NO_COLOR is set (no-color.org) or TERM is dumb."""
        self._fd = fd
        self._waiting = select.poll()
        self._waiting.register(fd, select.POLLOUT)
        self._anomalies_only = anomalies_only
        self._encoder = StreamEncoder(schema, deltas=False) if output == "arrow" else None
        self._output = output
        self._colour = _wants_colour(fd)
        self._refused: pa.RecordBatch | None = None
        self._rest: list[memoryview[int]] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch, or those of its rows that are flagged.

        Raises SinkClosed when the reader is gone (`| head`), and SinkFull when stdout is a file
        on a full disk. What a pipe has taken it keeps, so the rest of a refused batch goes out
        first at the next call, whichever batch that brings: no line is cut or doubled.
        """
        if self._refused is None or self._refused is not batch:
            self._flush()
            self._refused = batch
            if self._anomalies_only:
                batch = batch.filter(batch.column("anomaly"))
            if batch.num_rows:
                self._rest = [memoryview(piece) for piece in self._render(batch)]
        self._flush()
        self._refused = None

    def tick(self, now_us: int) -> None:
        """Nothing: stdout does not rotate."""

    def rotate(self) -> None:
        """Nothing: stdout does not rotate."""

    def close(self) -> None:
        """End the Arrow stream, unless a batch is stuck in it; stdout itself stays open."""
        if self._encoder is not None and self._refused is None:
            self._rest = [memoryview(piece) for piece in self._encoder.finish()]
            with contextlib.suppress(SinkClosed, SinkFull):  # readers do without the end marker
                self._flush()

    def _render(self, batch: pa.RecordBatch) -> Sequence[bytes]:
        if self._encoder is not None:
            return self._encoder.encode(batch)
        return [jsonl(batch) if self._output == "jsonl" else text(batch, colour=self._colour)]

    def _flush(self) -> None:
        while self._rest:
            # A write of at most PIPE_BUF does not block where poll() has said that there is room.
            if not self._waiting.poll(STALL_S * 1000):
                raise SinkStalled("stdout is not read")
            try:
                written = os.write(self._fd, self._rest[0][: select.PIPE_BUF])
            except BlockingIOError:  # somebody who shares the pipe made it non-blocking
                continue
            except OSError as error:
                raise explained(error, "stdout") from error
            self._rest[0] = self._rest[0][written:]
            if not self._rest[0]:
                del self._rest[0]


def _wants_colour(fd: int) -> bool:
    return os.isatty(fd) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
