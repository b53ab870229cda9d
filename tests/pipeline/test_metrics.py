"""The metrics as a scrape shows them."""

from __future__ import annotations

import math
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as ReferenceHistogram
from prometheus_client.parser import text_string_to_metric_families

from models.replay import Replay
from pipeline.metrics import LATENCY_BUCKETS_S, OTHER, SEVERITIES, Histogram, Metrics
from tests.support import tool

CONTRACT = {
    "received_messages_total": {"source"},
    "received_bytes_total": {"source"},
    "dropped_messages_total": {"source", "reason"},
    "kernel_dropped_datagrams_total": {"source"},
    "malformed_messages_total": {"source"},
    "written_messages_total": {"sink"},
    "scored_messages_total": {"path"},
    "predicted_severity_total": {"severity"},
    "anomalies_total": {"reason"},
    "latency_seconds": set(),
    "stage_duration_seconds": {"stage"},
    "batch_messages": set(),
    "queue_messages": set(),
    "templates": set(),
    "replay_buffer_entries": set(),
    "learner_updates_total": set(),
    "learner_holdout_accuracy": set(),
    "drift_events_total": set(),
    "model_info": {"version", "dtype"},
    "last_snapshot_timestamp_seconds": set(),
}


def used() -> Metrics:
    """Metrics of which every one has a series."""
    metrics = Metrics()
    metrics.open_source("stdin", ["queue_full"])
    metrics.add(metrics.written_messages_total, 3, "arrow")
    metrics.add(metrics.anomalies_total, 1, "surprise")
    metrics.latency_seconds.observe_many([0.001, 0.02, 99.0])
    metrics.stage_duration_seconds.labels("parse").observe(0.004)
    metrics.batch_messages.observe(3)
    metrics.set_model("abc123", "bf16")
    return metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[f"ltt_stream_{name}", frozenset(labels.items())]


@pytest.mark.parametrize("name", CONTRACT)
def test_each_metric_is_exposed_under_its_name_with_its_labels(name: str) -> None:
    metrics = used()
    assert hasattr(metrics, name)
    shown = [
        {key for key, _ in labels} - {"le"}
        for (sample, labels) in samples(metrics)
        if sample.removesuffix("_bucket") == f"ltt_stream_{name}"
    ]
    assert shown
    assert all(labels == CONTRACT[name] for labels in shown)


def test_the_process_and_the_interpreter_are_exposed() -> None:
    names = {name for name, _ in samples(used())}
    assert {"process_resident_memory_bytes", "process_start_time_seconds"} <= names
    assert {"python_info", "python_gc_collections_total"} <= names
    assert not [name for name in names if name.endswith("_created")]


@pytest.mark.system
@pytest.mark.parametrize("metrics", [Metrics(), used()], ids=["fresh", "used"])
def test_promtool_finds_nothing_to_say(metrics: Metrics) -> None:
    promtool = tool("promtool")
    result = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(metrics.registry),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_fresh_program_shows_zeros_and_what_it_does_not_know_as_nan() -> None:
    metrics = Metrics()
    assert math.isnan(value(metrics, "learner_holdout_accuracy"))
    assert value(metrics, "last_snapshot_timestamp_seconds") == 0
    assert value(metrics, "scored_messages_total", path="shed") == 0
    assert value(metrics, "model_info", version="none", dtype="none") == 1
    for severity in SEVERITIES:
        assert value(metrics, "predicted_severity_total", severity=severity) == 0
    for reason in Replay().dropped:
        assert value(metrics, "replay_dropped_entries_total", reason=reason) == 0


def test_an_opened_source_counts_from_zero() -> None:
    metrics = Metrics()
    metrics.open_source("udp://0.0.0.0:514", ["queue_full"])
    assert value(metrics, "received_messages_total", source="udp://0.0.0.0:514") == 0
    dropped = {"source": "udp://0.0.0.0:514", "reason": "queue_full"}
    assert value(metrics, "dropped_messages_total", **dropped) == 0


@given(st.lists(st.floats(min_value=0, max_value=1e6) | st.sampled_from(LATENCY_BUCKETS_S)))
def test_a_vector_counts_as_its_values_one_by_one(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    Histogram("h", "text", LATENCY_BUCKETS_S, ours).observe_many(values)
    reference = ReferenceHistogram("h", "text", registry=theirs, buckets=LATENCY_BUCKETS_S)
    for one in values:
        reference.observe(one)
    for name, labels in [
        ("h_count", {}),
        *(("h_bucket", {"le": le}) for le in [*map(str, LATENCY_BUCKETS_S), "+Inf"]),
    ]:
        assert ours.get_sample_value(name, labels) == theirs.get_sample_value(name, labels)
    assert ours.get_sample_value("h_sum") == pytest.approx(theirs.get_sample_value("h_sum"))


def test_a_clock_set_back_cannot_lower_the_sum() -> None:
    metrics = Metrics()
    metrics.latency_seconds.observe_many(np.array([[0.5, -3.0], [math.nan, 0.25]]))
    assert value(metrics, "latency_seconds_count") == 4
    assert value(metrics, "latency_seconds_sum") == 0.75
    assert value(metrics, "latency_seconds_bucket", le="0.001") == 2


def test_a_running_total_advances_a_counter_by_the_difference() -> None:
    metrics = Metrics()
    shown = []
    for total in (5, 5, 12, 3):  # 3: the owner started afresh
        metrics.advance(metrics.received_messages_total, total, "stdin")
        shown.append(value(metrics, "received_messages_total", source="stdin"))
    assert shown == [5, 5, 12, 15]


def test_counts_of_a_batch_add_up() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.add_counts(metrics.anomalies_total, {"surprise": 2, "severity": 1})
    assert value(metrics, "anomalies_total", reason="surprise") == 6
    assert value(metrics, "anomalies_total", reason="severity") == 3


def test_a_counter_has_a_bounded_number_of_series_and_loses_no_count() -> None:
    metrics = Metrics()
    for i in range(5000):
        metrics.advance(metrics.malformed_messages_total, 2, f"tcp://192.0.2.1:{i}")
    counts = {
        labels: count
        for (name, labels), count in samples(metrics).items()
        if name == "ltt_stream_malformed_messages_total"
    }
    assert len(counts) <= 150
    assert sum(counts.values()) == 10_000
    assert counts[frozenset({("source", OTHER)})] > 0


def test_a_new_model_replaces_the_one_before() -> None:
    metrics = Metrics()
    metrics.set_model("a", "bf16")
    metrics.set_model("b", "fp32")
    infos = [dict(labels) for name, labels in samples(metrics) if name == "ltt_stream_model_info"]
    assert infos == [{"version": "b", "dtype": "fp32"}]
