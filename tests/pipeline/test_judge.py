"""What a person has said of a template holds for what is shown of it."""

from __future__ import annotations

import pytest

from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.sample import sample_log
from pipeline.scorer import Scorer

NOW_US = 1_795_255_200_000_000
HOUR_US = 3_600_000_000
TROUBLE = b"<27>Nov 21 10:00:00 gw raid[7]: array degraded, disk failure, read error on sector 8"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def reasons(processor: Processor, hours: int, line: bytes) -> list[str]:
    batch = processor.process([Frames("stdin", NOW_US + hours * HOUR_US, [line])])
    (row,) = batch.to_pylist()
    return list(row["reasons"])


@pytest.fixture
def processor(scorer: Scorer) -> Processor:
    """Warm, as a line is news and trouble only where others came before it."""
    found = Processor(Scorer(scorer.engine))
    lines = [line for line in sample_log().split(b"\n") if line]
    found.process([Frames("stdin", NOW_US, lines)])
    return found


def template(scorer: Scorer, line: bytes) -> int:
    """Its id, seen by another stream."""
    other = Processor(Scorer(scorer.engine))
    (row,) = other.process([Frames("stdin", NOW_US, [line])]).to_pylist()
    return int(row["template_id"])


@pytest.mark.parametrize("severity", [5, 6, 7])
def test_what_a_person_calls_mild_is_alerted_no_more_for_what_it_reads_like(
    processor: Processor, scorer: Scorer, severity: int
) -> None:
    assert "severity" in reasons(processor, 0, TROUBLE)
    assert reasons(processor, 1, TROUBLE) == ["severity"]
    assert processor.scorer is not None
    processor.scorer.take_feedback({template(scorer, TROUBLE): (severity, 0)})
    for hour in (2, 3, 4):
        assert reasons(processor, hour, TROUBLE) == []
    processor.scorer.take_feedback({})  # taken back
    assert reasons(processor, 5, TROUBLE) == ["severity"]


def test_what_a_person_calls_mild_beforehand_is_never_alerted_for_it(
    processor: Processor, scorer: Scorer
) -> None:
    assert processor.scorer is not None
    processor.scorer.take_feedback({template(scorer, TROUBLE): (6, 0)})
    assert [reasons(processor, hour, TROUBLE) for hour in range(3)] == [[], [], []]


@pytest.mark.parametrize("severity", [2, 3, 4])
def test_what_a_person_calls_worse_goes_on_as_before(
    processor: Processor, scorer: Scorer, severity: int
) -> None:
    assert "severity" in reasons(processor, 0, TROUBLE)
    assert processor.scorer is not None
    processor.scorer.take_feedback({template(scorer, TROUBLE): (severity, 0)})
    assert reasons(processor, 1, TROUBLE) == ["severity"]
