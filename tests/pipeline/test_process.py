"""From frames to columns: the heart, without sockets, files or clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsers import parse
from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.sample import sample_log
from pipeline.scorer import Scorer

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
