"""The books of a running stream: what came in, what went out, what was dropped and why.

The law, per source, once the queue is empty: received = written + dropped. A line is dropped when
no sink took it; what one sink of several did not take is counted for that sink beside it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.anomaly import REASONS
from pipeline.batcher import FrameQueue
from pipeline.frames import Frames
from pipeline.metrics import SEVERITIES, Metrics
from pipeline.process import Processor
from pipeline.receivers import Receiver
from pipeline.sinks import Sink

DROP_REASONS = (
    *("queue_full", "disk_full", "shutdown", "stdout_closed", "stdout_stalled", "failed"),
)


class Accounting:
    """Carries the counts of the queue, the receivers and the Processor into the metrics."""

    def __init__(self, metrics: Metrics, queue: FrameQueue) -> None:
        self.flagged = 0
        self._metrics = metrics
        self._queue = queue
        self._dropped_here = 0
        metrics.queue_capacity_messages.set(queue.max_lines)

    def open_source(self, source: str) -> None:
        """Start a source's series at 0."""
        self._metrics.open_source(source, DROP_REASONS)

    def open_sinks(self, sinks: Sequence[Sink]) -> None:
        """Start the series of the sinks and of the anomalies at 0."""
        for sink in sinks:
            self.written(sink, 0)
        self._metrics.add_counts(self._metrics.anomalies_total, dict.fromkeys(REASONS, 0))

    def processed(self, processor: Processor, lines: int, seconds: float) -> None:
        """A batch has been scored."""
        metrics, stats = self._metrics, processor.stats
        metrics.stage_duration_seconds.labels("process").observe(seconds)
        metrics.batch_messages.observe(lines)
        metrics.add_counts(metrics.malformed_messages_total, stats.malformed)
        metrics.add_counts(
            metrics.scored_messages_total,
            {"cache": stats.cache, "model": stats.model, "shed": stats.shed},
        )
        metrics.add_counts(
            metrics.predicted_severity_total,
            dict(zip(SEVERITIES, stats.severities.tolist(), strict=True)),
        )
        metrics.add_counts(metrics.anomalies_total, stats.anomalies)
        if processor.scorer is not None:
            metrics.templates.set(processor.scorer.table.size)
        self.flagged += stats.flagged

    def written(self, sink: Sink, lines: int) -> None:
        """A sink has taken a batch."""
        self._metrics.add(self._metrics.written_messages_total, lines, sink.name)

    def refused(self, sink: Sink, lines: int, reason: str) -> None:
        """A sink has not taken a batch, and is not asked again."""
        self._metrics.add(self._metrics.sink_dropped_messages_total, lines, sink.name, reason)

    def finished(self, frames: Sequence[Frames], seconds: float) -> None:
        """A batch has been to every sink, which took `seconds`."""
        metrics = self._metrics
        metrics.stage_duration_seconds.labels("write").observe(seconds)
        received_us = np.repeat([f.received_us for f in frames], [len(f.data) for f in frames])
        metrics.latency_seconds.observe_many((time.time_ns() // 1000 - received_us) / 1e6)

    def dropped(self, frames: Sequence[Frames], reason: str) -> None:
        """Lines that were taken from the queue and are given up."""
        for f in frames:
            self._dropped_here += len(f.data)
            self._metrics.add(self._metrics.dropped_messages_total, len(f.data), f.source, reason)

    def update(self, receivers: Sequence[Receiver], *, ready: bool) -> None:
        """Bring the counters that others keep up to date."""
        metrics, queue = self._metrics, self._queue
        for source, lines in list(queue.received.items()):
            metrics.advance(metrics.received_messages_total, lines, source)
            metrics.advance(metrics.received_bytes_total, queue.received_bytes[source], source)
        for (source, reason), lines in list(queue.dropped.items()):
            metrics.advance(metrics.dropped_messages_total, lines, source, reason)
        kernel: Counter[str] = Counter()
        for receiver in receivers:  # several sockets may share one address
            kernel[receiver.source] += receiver.kernel_dropped
        for source, datagrams in kernel.items():
            metrics.advance(metrics.kernel_dropped_datagrams_total, datagrams, source)
        metrics.queue_messages.set(queue.lines)
        metrics.ready.set(ready)

    def summary(self) -> str:
        """The books in one line."""
        received = sum(self._queue.received.values())
        dropped = sum(self._queue.dropped.values()) + self._dropped_here
        return (
            f"{received:,} lines in, {received - dropped:,} out, {dropped:,} dropped, "
            f"{self.flagged:,} flagged"
        )
