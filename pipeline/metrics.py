"""Every metric of the program, in one place, under the prefix `ltt_stream_`.

The stream loop observes whole batches: counters advance by a batch's sums and histograms take a
batch's vector, so that nothing here costs per line. Counters may also be advanced to a running
total that something else keeps (the queue's counts), by the difference.

A quantity that is unknown so far is NaN (`learner_holdout_accuracy` before the first evaluation):
a comparison with NaN is false, so that an alert on it stays quiet, where 0 would fire it.
`last_snapshot_timestamp_seconds` is 0 until the learner has published; alerts test for that.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import Histogram as LabelledHistogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from parsers.message import KEYWORDS

_PREFIX = "ltt_stream"
LATENCY_BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0),
)
STAGE_BUCKETS_S = (0.0001, 0.00025, 0.0005, *LATENCY_BUCKETS_S)
BATCH_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
SEVERITIES = KEYWORDS
"""Severity keywords by code, RFC 5424 Table 2 (as syslog.conf writes them)."""
PATHS = ("cache", "model", "shed")
REPLAY_DROPS = ("evicted", "refused", "disputed", "spoilt")
"""As `models.replay.Replay.dropped` names them."""
OTHER = "other"
_MOST_SERIES = 128


class Histogram(Collector):
    """A classic histogram that takes a vector at a time (prometheus_client's takes one value)."""

    def __init__(
        self, name: str, documentation: str, bounds: Iterable[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = np.array(sorted(bounds), np.float64)
        self._labels = [*map(repr, self._bounds.tolist()), "+Inf"]
        self._counts = np.zeros(len(self._labels), np.int64)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe_many(self, values: npt.ArrayLike) -> None:
        """Count every value, any shape; what is below 0 (a clock set back) or NaN counts as 0."""
        flat = np.fmax(np.asarray(values, np.float64).ravel(), 0.0)
        # side="left" puts a value that equals a bound under it: le means "less or equal"
        buckets = np.searchsorted(self._bounds, flat, side="left")
        counts = np.bincount(buckets, minlength=len(self._labels))
        with self._lock:
            self._counts += counts
            self._sum += float(flat.sum())

    def observe(self, value: float) -> None:
        """Count one value."""
        self.observe_many([value])

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """The name alone: what the registry checks for duplicates."""
        return [HistogramMetricFamily(self._name, self._documentation)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The cumulative buckets, in agreement with the count and the sum."""
        with self._lock:
            cumulative, total = self._counts.cumsum().tolist(), self._sum
        buckets = list(zip(self._labels, cumulative, strict=True))
        return [HistogramMetricFamily(self._name, self._documentation, buckets, total)]


class Metrics:
    """The metrics on a registry of their own, each an attribute named as it is without the prefix.

    Use `add`, `add_counts` and `advance` for labelled counters: they bound the number of series,
    whatever the label values come from.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = registry = CollectorRegistry()
        self._children: dict[Counter, dict[tuple[str, ...], Counter]] = defaultdict(dict)
        self._totals: dict[tuple[Counter, tuple[str, ...]], float] = {}

        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", documentation, labels, registry=registry)

        def gauge(name: str, documentation: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", documentation, registry=registry)

        self.received_messages_total = counter(
            "received_messages_total", "Messages taken from a source.", "source"
        )
        self.received_bytes_total = counter(
            "received_bytes_total", "Bytes of the messages taken from a source.", "source"
        )
        self.dropped_messages_total = counter(
            "dropped_messages_total",
            "Messages received and not written, by reason.",
            *("source", "reason"),
        )
        self.kernel_dropped_datagrams_total = counter(
            "kernel_dropped_datagrams_total",
            "Datagrams the kernel dropped because the socket's buffer was full (SO_RXQ_OVFL).",
            "source",
        )
        self.malformed_messages_total = counter(
            "malformed_messages_total", "Messages with parse errors; they are kept.", "source"
        )
        self.written_messages_total = counter(
            "written_messages_total", "Messages a sink has taken.", "sink"
        )
        self.sink_dropped_messages_total = counter(
            "sink_dropped_messages_total",
            "Messages that a sink did not take, whether or not another one did.",
            *("sink", "reason"),
        )
        self.scored_messages_total = counter(
            "scored_messages_total",
            "Messages by what gave the score: template cache, model, or shed (none).",
            "path",
        )
        self.predicted_severity_total = counter(
            "predicted_severity_total", "Scored messages by predicted severity.", "severity"
        )
        self.anomalies_total = counter(
            "anomalies_total", "Flagged messages by reason; one may have several.", "reason"
        )
        self.latency_seconds = Histogram(
            f"{_PREFIX}_latency_seconds",
            "From received to written, each message.",
            LATENCY_BUCKETS_S,
            registry,
        )
        self.stage_duration_seconds = LabelledHistogram(
            f"{_PREFIX}_stage_duration_seconds",
            "Time that one batch spent in a stage.",
            ["stage"],
            registry=registry,
            buckets=STAGE_BUCKETS_S,
        )
        self.batch_messages = Histogram(
            f"{_PREFIX}_batch_messages", "Messages in a batch.", BATCH_BUCKETS, registry
        )
        self.queue_messages = gauge("queue_messages", "Messages that wait in the queue.")
        self.queue_capacity_messages = gauge(
            "queue_capacity_messages", "Messages the queue holds before it drops."
        )
        self.ready = gauge("ready", "1 when /readyz answers 200, else 0.")
        self.templates = gauge("templates", "Templates in the scorer's cache.")
        self.replay_buffer_entries = gauge(
            "replay_buffer_entries", "Templates in the learner's replay buffer."
        )
        self.replay_dropped_entries_total = counter(
            "replay_dropped_entries_total",
            "What the replay buffer let go or left out: `evicted` made room, `refused` found "
            "none, `disputed` contradicts the template's source, `spoilt` has no finite logits.",
            "reason",
        )
        self.learner_updates_total = counter("learner_updates_total", "Updates the learner made.")
        self.learner_starts_total = counter(
            "learner_starts_total", "Learner processes started: the first, and one for each death."
        )
        self.lessons_total = counter("lessons_total", "Labelled templates told to the learner.")
        self.dropped_lessons_total = counter(
            "dropped_lessons_total",
            "Labelled templates that there was no room for: on the way to the learner, or there.",
            "where",
        )
        self.withheld_labels_total = counter(
            "withheld_labels_total", "Labelled lines that were kept from teaching.", "reason"
        )
        self.gate_rejections_total = counter(
            "gate_rejections_total", "Candidates that did worse on the held-out slice."
        )
        self.snapshot_failures_total = counter(
            "snapshot_failures_total", "Snapshots that could not be written."
        )
        self.model_swaps_total = counter(
            "model_swaps_total", "Times that the stream took over another model."
        )
        self.quarantined_templates = gauge(
            "quarantined_templates", "Anomalous templates kept from learning."
        )
        self.quarantine_crowded_out_templates_total = counter(
            "quarantine_crowded_out_templates_total",
            "Templates that may teach again early, for want of room in the quarantine.",
        )
        self.feedback_templates = gauge(
            "feedback_templates", "Templates that a person has said something of."
        )
        self.learner_holdout_accuracy = gauge(
            "learner_holdout_accuracy",
            "Accuracy of the model in use on the held-out slice of the replay buffer, 0 to 1; "
            "NaN until it was measured.",
        )
        self.learner_holdout_accuracy.set(math.nan)
        self.drift_events_total = counter(
            "drift_events_total", "Times that a drift of the input was detected."
        )
        self.model_info = Info(f"{_PREFIX}_model", "The model in use.", registry=registry)
        self.set_model("none", "none")
        self.last_snapshot_timestamp_seconds = gauge(
            "last_snapshot_timestamp_seconds",
            "Unix time at which the newest snapshot was published; 0 before the first.",
        )
        for path in PATHS:
            self.add(self.scored_messages_total, 0, path)
        self.add_counts(self.replay_dropped_entries_total, dict.fromkeys(REPLAY_DROPS, 0))
        self.add_counts(self.predicted_severity_total, dict.fromkeys(SEVERITIES, 0))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def open_source(self, source: str, drop_reasons: Iterable[str] = ()) -> None:
        """Start the source's counters at 0, so that `increase()` sees the first drop."""
        for counter in (
            self.received_messages_total,
            self.received_bytes_total,
            self.kernel_dropped_datagrams_total,
            self.malformed_messages_total,
        ):
            self.add(counter, 0, source)
        for reason in drop_reasons:
            self.add(self.dropped_messages_total, 0, source, reason)

    def set_model(self, version: str, dtype: str) -> None:
        """The model in use from now on; replaces the series of the one before."""
        self.model_info.info({"version": version, "dtype": dtype})

    def add(self, counter: Counter, amount: float, *labels: str) -> None:
        """Add `amount` (≥ 0) to the series with these label values, in the counter's order."""
        self._child(counter, labels).inc(amount)

    def add_counts(self, counter: Counter, counts: Mapping[str, float]) -> None:
        """Add a batch's sums to a counter that has one label."""
        for label, amount in counts.items():
            self.add(counter, amount, label)

    def advance(self, counter: Counter, total: float, *labels: str) -> None:
        """Bring the series up to a running `total` that its owner keeps, by the difference.

        A total that went back means that its owner started afresh: it then counts from 0.
        """
        before = self._totals.get((counter, labels), 0.0)
        self._totals[counter, labels] = total
        self.add(counter, total - before if total >= before else total, *labels)

    def _child(self, counter: Counter, labels: tuple[str, ...]) -> Counter:
        if not labels:
            return counter
        children = self._children[counter]
        child = children.get(labels)
        if child is None:
            if len(children) >= _MOST_SERIES:
                labels = (OTHER,) * len(labels)
            child = children[labels] = counter.labels(*labels)
        return child
