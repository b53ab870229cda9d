"""Which lines are flagged."""

from __future__ import annotations

import numpy as np

from pipeline import anomaly
from pipeline.anomaly import RARE, WARM_LINES, judge, names, occurrences

INFO = np.eye(8, dtype=np.float32)[6]
ERR = np.eye(8, dtype=np.float32)[3]
CRIT = np.eye(8, dtype=np.float32)[2]


def one(
    *,
    position: int = WARM_LINES,
    before: int = 0,
    p: float = 0.5,
    probability: np.ndarray[tuple[int], np.dtype[np.float32]] = INFO,
    declared: int = -1,
) -> list[str] | None:
    """The reasons of a single line, None where it is not flagged."""
    verdict = judge(
        position=np.array([position], np.int64),
        before=np.array([before], np.int64),
        p_value=np.array([p], np.float32),
        probability=probability[None],
        declared=np.array([declared], np.int16),
    )
    return names(verdict.fired[0].tolist()) if verdict.anomaly[0] else None


def test_rare_trouble_is_flagged_and_says_why() -> None:
    assert one(probability=ERR) == ["new template", "severity"]
    assert one(p=0.001) == ["surprise", "new template"]
    assert one(p=0.001, probability=ERR) == ["surprise", "new template", "severity"]


def test_neither_rarity_nor_trouble_alone_is_an_anomaly() -> None:
    assert one() is None, "a new template of no consequence"
    assert one(before=RARE, probability=ERR) is None, "a scanner's failed logins"
    assert one(before=RARE, p=0.0001) is None


def test_a_cold_stream_flags_what_is_critical_only() -> None:
    assert one(position=0, probability=ERR) is None
    assert one(position=0, p=0.0001) is None
    assert one(position=0, probability=CRIT) == ["severity"]
    assert one(position=0, declared=2) == ["severity"]
    assert one(position=0, declared=0, before=RARE) is None


def test_reasons_are_empty_where_nothing_is_flagged() -> None:
    verdict = judge(
        position=np.full(4, 10 * WARM_LINES),
        before=np.full(4, RARE),
        p_value=np.full(4, 1e-5, np.float32),
        probability=np.tile(CRIT, (4, 1)),
        declared=np.full(4, 0, np.int16),
    )
    assert not verdict.anomaly.any()
    assert not verdict.fired.any()
    assert verdict.fired.shape == (4, len(anomaly.REASONS))


def test_occurrences_count_before_and_inside_the_batch() -> None:
    seen = np.array([0, 2, 100], np.int64)
    rows = np.array([0, 1, 0, 2, 1, 0, 0], np.int32)
    counted = occurrences(rows, seen).tolist()
    assert counted[:3] == [0, 2, 1]
    assert counted[3] >= RARE
    assert counted[4:] == [3, 2, 3]
