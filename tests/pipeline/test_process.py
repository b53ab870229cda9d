"""From frames to columns: the heart, without sockets, files or clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.checkpoint import load_checkpoint, pretrained_path
from models.inference import Engine
from parsers import parse
from pipeline.bursts import LEAST_LINES
from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.sample import sample_log
from pipeline.scorer import Scorer, softmax

RECEIVED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
RECEIVED_US = int(RECEIVED.timestamp() * 1e6)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


@pytest.fixture
def processor(scorer: Scorer) -> Processor:
    return Processor(Scorer(scorer.engine))


def frames(*lines: bytes, source: str = "stdin", peers: list[str] | None = None) -> Frames:
    return Frames(source, RECEIVED_US, list(lines), peers)


def test_one_line_becomes_one_row_with_every_column(processor: Processor) -> None:
    line = (
        b"<4>1 2026-11-21T09:59:59.000001Z gw kernel 7 ID1 "
        b'[x@1 a="1" b="\\"2\\""] [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=60 '
        b"PROTO=TCP SPT=4000 DPT=22 SYN"
    )
    batch = processor.process([frames(line, source="udp://[::]:514", peers=["192.0.2.9"])])
    batch.validate(full=True)
    (row,) = batch.to_pylist()
    assert row["received_at"] == RECEIVED
    assert row["timestamp"] == datetime(2026, 11, 21, 9, 59, 59, 1, tzinfo=UTC)
    assert (row["source"], row["peer"], row["hostname"]) == ("udp://[::]:514", "192.0.2.9", "gw")
    assert (row["app_name"], row["procid"], row["msgid"]) == ("kernel", "7", "ID1")
    assert (row["facility"], row["severity"]) == (0, 4)
    assert dict(dict(row["structured_data"])["x@1"]) == {"a": "1", "b": '"2"'}
    packet = row["packet"]
    assert (packet["action"], packet["protocol"]) == ("block", "tcp")
    assert (packet["src_ip"], packet["src_port"]) == ("192.0.2.1", 4000)
    assert (packet["dst_ip"], packet["dst_port"]) == ("192.0.2.2", 22)
    assert row["scored"]
    assert row["template_id"]
    assert len(row["latent"]) == 32
    assert 0 <= row["predicted_severity"] <= 7
    assert 0 < row["severity_probability"] <= 1
    assert row["prior"] == "emission"
    assert 0 < row["p_value"] <= 1
    assert row["errors"] == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.sampled_from(sample_log().split(b"\n")),
            st.tuples(st.sampled_from(sample_log().split(b"\n")), st.binary(max_size=8)).map(
                lambda t: t[0][: len(t[1]) * 9] + t[1]
            ),
        ),
        max_size=30,
    )
)
def test_any_bytes_become_valid_rows_that_agree_with_parse(lines: list[bytes]) -> None:
    processor = _shared()
    batch = processor.process([frames(*lines)])
    batch.validate(full=True)
    assert batch.num_rows == len(lines)
    assert batch.schema.equals(processor.schema, check_metadata=True)
    for row, line in zip(batch.to_pylist(), lines, strict=True):
        message = parse(line, received=RECEIVED)
        for name in ("message", "hostname", "app_name", "procid", "msgid", "timestamp"):
            assert row[name] == getattr(message, name), name
        assert row["severity"] == message.severity
        assert row["facility"] == message.facility
        assert row["errors"] == list(message.errors)


_kept: list[Processor] = []


def _shared() -> Processor:
    if not _kept:
        _kept.append(Processor(Scorer.load(dtype="fp32")))
    return _kept[0]


def test_batching_does_not_change_what_is_said_of_a_line(scorer: Scorer) -> None:
    """Whole, in pieces, in one frame or many: the same columns but for what counts the past."""
    lines = [line for line in sample_log().split(b"\n") if line][:1200]
    whole, pieces = Processor(Scorer(scorer.engine)), Processor(Scorer(scorer.engine))
    one = whole.process([frames(*lines)])
    many = pa.Table.from_batches(
        [pieces.process([frames(*lines[i : i + 37])]) for i in range(0, 1200, 37)]
    ).unify_dictionaries()
    for name in ("message", "app_name", "template_id", "predicted_severity", "prior", "packet"):
        assert one.column(name).to_pylist() == many.column(name).to_pylist(), name
    np.testing.assert_allclose(
        np.array(one.column("surprise").to_pylist()),
        np.array(many.column("surprise").to_pylist()),
        atol=1e-2,
    )


def test_a_source_that_labels_its_lines_is_believed(scorer: Scorer) -> None:
    """All it says is debug: 200 labelled lines beat the emission prior on those that follow."""
    lines = [line for line in sample_log().split(b"\n") if line and not line.startswith(b"<")]
    told, rest = lines[:200], lines[200:1800]
    cold, warm = Processor(Scorer(scorer.engine)), Processor(Scorer(scorer.engine))
    assert warm.scorer is not None
    labelled = warm.process([frames(*(b"<31>" + line for line in told))])
    assert set(labelled.column("prior").to_pylist()) == {"emission", "labelled"}
    share, used = {}, {}
    for name, processor in (("cold", cold), ("warm", warm)):
        # Short of the number of lines from which the cold one would estimate.
        batch = processor.process([frames(*rest[:100])])
        share[name] = batch.column("predicted_severity").to_pylist().count(7) / 100
        used[name] = set(batch.column("prior").to_pylist())
    assert used == {"cold": {"emission"}, "warm": {"labelled"}}
    assert share["warm"] > share["cold"] + 0.5
    later = warm.process([frames(*rest[100:])])
    assert later.column("predicted_severity").to_pylist().count(7) > 0.5 * later.num_rows
    elsewhere = warm.process([frames(*rest[:100], source="udp://127.0.0.1:1")])
    assert elsewhere.column("predicted_severity").to_pylist().count(7) == 100 * share["cold"]


def test_a_source_without_labels_is_estimated(processor: Processor) -> None:
    lines = [line for line in sample_log().split(b"\n") if line and not line.startswith(b"<")]
    batch = processor.process([frames(*lines[:1000])])
    said = batch.column("prior").to_pylist()
    assert said == sorted(said), "first emission, then estimated"
    assert said.count("estimated") > 800
    probability = np.array(batch.column("severity_probability"))
    assert ((probability > 1 / 8) & (probability <= 1)).all()


def test_shed_lines_are_kept_whole_but_unscored(processor: Processor) -> None:
    known = b"Nov 21 10:00:00 h app[1]: a line that is known"
    processor.process([frames(known)])
    flood = [
        b"Nov 21 10:00:00 h app[1]: IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 PROTO=UDP",
        known,
    ]
    batch = processor.process([frames(*flood)], overloaded=lambda: True)
    batch.validate(full=True)
    shed, scored = batch.to_pylist()
    assert shed["scored"] is False
    assert shed["message"].startswith("IN=eth0")
    assert shed["packet"]["src_ip"] == "192.0.2.1", "the firewall parser is not the model"
    for name in (
        "latent",
        "predicted_severity",
        "severity_probability",
        "prior",
        "surprise",
        "p_value",
        "alert_count",
    ):
        assert shed[name] is None
    assert shed["template_id"] == 0
    assert shed["model_version"] == ""
    assert not shed["anomaly"]
    assert scored["scored"]
    assert (processor.stats.shed, processor.stats.cache) == (1, 1)


def test_a_packet_in_the_structured_data_is_found(processor: Processor) -> None:
    line = (
        b"<14>1 2026-11-21T10:00:00Z srx RT_FLOW - RT_FLOW_SESSION_DENY "
        b'[junos@2636.1.1.1.2.40 source-address="192.0.2.1" source-port="4000" '
        b'destination-address="198.51.100.2" destination-port="22" protocol-id="6"]'
    )
    (row,) = processor.process([frames(line)]).to_pylist()
    packet = row["packet"]
    assert (packet["src_ip"], packet["dst_ip"], packet["dst_port"]) == (
        "192.0.2.1",
        "198.51.100.2",
        22,
    )
    assert packet["protocol"] == "tcp"


def test_without_a_model_everything_is_parsed(processor: Processor) -> None:
    bare = Processor(None).process([frames(b"<13>Nov 21 10:00:00 h app: x", b"\xff")])
    bare.validate(full=True)
    assert bare.column("scored").to_pylist() == [False, False]
    assert bare.column("message").to_pylist() == ["x", r"\xff"]


def test_stats_account_for_every_line(processor: Processor) -> None:
    lines = [b"<4444>bad", b"fine", b"fine", b"<13>Nov 21 10:00:00 h app: ok"]
    processor.process([frames(*lines), frames(*lines, source="udp://127.0.0.1:1")])
    stats = processor.stats
    assert stats.shed + stats.model + stats.cache == 8
    assert stats.severities.sum() == 8
    assert stats.malformed == {"stdin": 1, "udp://127.0.0.1:1": 1}


def test_dictionaries_extend_from_batch_to_batch(processor: Processor) -> None:
    first = processor.process([frames(b"Nov 21 10:00:00 a app: x")])
    second = processor.process([frames(b"Nov 21 10:00:00 b app: x", b"Nov 21 10:00:00 a app: x")])
    before = first.column("hostname").dictionary.to_pylist()
    after = second.column("hostname").dictionary.to_pylist()
    assert after[: len(before)] == before
    assert second.column("hostname").to_pylist() == ["b", "a"]


def at(minutes: float, *lines: bytes, source: str = "stdin") -> Frames:
    """Lines that were received so long after the others."""
    return Frames(source, RECEIVED_US + round(minutes * 60e6), list(lines))


ORDINARY = [line for line in sample_log().split(b"\n") if line][:900]
TROUBLE = b"Nov 21 10:00:00 h backup[7]: fatal error: cannot write archive, data is lost"


def warm(scorer: Scorer, *sources: str) -> Processor:
    """A Processor that has seen an ordinary stretch from each of the sources."""
    processor = Processor(Scorer(scorer.engine))
    for source in sources or ("stdin",):
        processor.process([frames(*ORDINARY, source=source)])
    return processor


def told(batch: pa.RecordBatch) -> list[tuple[int, list[str], int]]:
    """(line, reasons, alert_count) of the flagged ones; nobody counts the others."""
    rows = batch.select(["anomaly", "reasons", "alert_count"]).to_pylist()
    for row in rows:
        assert row["anomaly"] == bool(row["reasons"]) == (row["alert_count"] is not None)
    return [(i, r["reasons"], r["alert_count"]) for i, r in enumerate(rows) if r["anomaly"]]


def test_trouble_that_goes_on_alerts_once_an_hour_with_a_count(scorer: Scorer) -> None:
    processor = warm(scorer)
    first = processor.process([at(1, TROUBLE, TROUBLE)])
    assert told(first) == [(0, ["new template", "severity"], 1)]
    assert told(processor.process([at(30, TROUBLE), at(59, TROUBLE)])) == []
    assert told(processor.process([at(62, TROUBLE, TROUBLE)])) == [(0, ["severity"], 4)]
    assert told(processor.process([at(130, TROUBLE)])) == [(0, ["severity"], 2)]


def test_sources_alert_apart(scorer: Scorer) -> None:
    processor = warm(scorer, "stdin", "udp://127.0.0.1:1")
    assert processor.scorer is not None
    template = processor.process([at(1, TROUBLE)]).column("template_id")[0].as_py()
    processor.scorer.take_feedback({template: (-1, 2)})
    lines = [at(2, TROUBLE), at(2, TROUBLE, source="udp://127.0.0.1:1"), at(2, TROUBLE)]
    assert told(processor.process(lines)) == [(1, ["severity", "feedback"], 1)]


def test_a_person_has_the_last_word(scorer: Scorer) -> None:
    processor = warm(scorer)
    assert processor.scorer is not None
    common = ORDINARY[5]
    batch = processor.process([at(1, TROUBLE, common)])
    trouble, usual = batch.column("template_id").to_pylist()
    processor.scorer.take_feedback({trouble: (-1, 1), usual: (-1, 2)})
    batch = processor.process([at(100, TROUBLE, common, common, TROUBLE)])
    assert told(batch) == [(1, ["feedback"], 1)]
    processor.scorer.take_feedback({})
    assert told(processor.process([at(200, common, TROUBLE)])) == [(1, ["severity"], 3)]


def test_a_line_that_is_declared_another_thing_than_it_says(scorer: Scorer) -> None:
    """Of a sender whose labels are otherwise as one would think."""
    processor = Processor(Scorer(scorer.engine))
    for _ in range(2):
        processor.process([frames(*(b"<30>" + line for line in ORDINARY))])
    found = told(processor.process([at(1, b"<30>" + TROUBLE)]))
    assert [(line, count) for line, _, count in found] == [(0, 1)]
    assert "severity mismatch" in found[0][1]

    careless = Processor(Scorer(scorer.engine))
    shouts = [
        b"<30>Nov 21 10:00:00 h app%d: fatal error: disk %d is lost" % (i, i) for i in range(9)
    ]
    careless.process([frames(*(b"<30>" + line for line in ORDINARY), *shouts * 20)])
    found = told(careless.process([at(1, b"<30>" + TROUBLE)]))
    assert all("severity mismatch" not in reasons for _, reasons, _ in found)


def test_a_template_that_comes_far_more_often_than_it_did(scorer: Scorer) -> None:
    """However the lines are batched, the burst begins with the same line."""
    usual = ORDINARY[30]
    stream = [at(m, *ORDINARY[:20], usual, usual) for m in range(30)]
    stream += [at(30 + i / 200, usual) for i in range(100)]
    found = []
    for size in (1, 7, 200):
        processor = warm(scorer)
        assert processor.scorer is not None
        batches = [processor.process(stream[i : i + size]) for i in range(0, len(stream), size)]
        table = pa.Table.from_batches(batches).unify_dictionaries()
        found.append(told(table.combine_chunks().to_batches()[0]))
        assert processor.scorer.surprise.sources.keys() == {"stdin"}
    assert found[0] == found[1] == found[2]
    bursts = [line for line, reasons, _ in found[0] if reasons == ["rate burst"]]
    assert len(bursts) == 1
    assert 30 * 22 + LEAST_LINES - 1 <= bursts[0] < len(table) - 1


def test_what_learning_needs_is_kept_of_the_last_batch(scorer: Scorer) -> None:
    processor = warm(scorer)
    processor.process([frames(b"<11>" + TROUBLE, b"<11>" + TROUBLE, ORDINARY[0])])
    found = processor.assessment
    assert found is not None
    assert found.declared.tolist() == [3, 3, -1]
    assert found.first.tolist() == [True, False, False]
    assert found.alert_count.tolist() == [1, 0, 0]
    processor.process([frames(b"something that is new", TROUBLE)], overloaded=lambda: True)
    assert processor.assessment is not None
    assert processor.assessment.first.tolist() == [False, False], "it was not scored"


def other_engine(scorer: Scorer) -> Engine:
    """The model that ships, somewhat off."""
    checkpoint = load_checkpoint(pretrained_path())
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in checkpoint.model.parameters():
            if weight.numel() > 1:
                weight += 0.3 * weight.std() * torch.randn_like(weight)
    return Engine(replace(checkpoint, version="other"), dtype="fp32")


def test_p_values_keep_their_level_before_and_after_a_swap(scorer: Scorer) -> None:
    """The share with p ≤ 0.01 of held-out lines of a stream that stays as it is."""
    processor = Processor(Scorer(scorer.engine))
    assert processor.scorer is not None
    table = processor.scorer.table
    draw = np.random.default_rng(0)
    lines = [line for line in sample_log().split(b"\n") if line]
    p = []
    for batch in range(24):
        if batch == 14:
            engine = other_engine(scorer)
            apps, texts = zip(*table.texts, strict=True)
            scores = engine.encode(apps, texts, table.facility[: table.size].tolist())
            used = slice(0, table.size)
            before = table.latent[used].copy()
            table.next_latent[used], table.next_surprise[used] = scores.latent, scores.surprise
            table.next_likelihood[used] = softmax(scores.log_likelihood)
            table.ready[used] = True
            processor.scorer.adopt(engine)
            assert np.abs(table.latent[used] - before).mean() > 0.05
        some = [lines[i] for i in draw.integers(0, len(lines), 1000)]
        p.append(np.array(processor.process([frames(*some)]).column("p_value")))
    for held_out in (np.concatenate(p[4:14]), np.concatenate(p[14:])):
        assert 0.005 <= (held_out <= 0.01).mean() <= 0.02
        assert 0.04 <= (held_out <= 0.05).mean() <= 0.06
