"""Which lines are flagged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.anomaly import (
    ANOMALY,
    NORMAL,
    RARE,
    REASONS,
    WARM_LINES,
    judge,
    names,
    occurrences,
)
from pipeline.novelty import GUESS_LINES, MAX_APPS, Novelty


def sure(severity: int, probability: float = 0.9) -> npt.NDArray[np.float32]:
    rest = (1 - probability) / 7
    return np.where(np.arange(8) == severity, probability, rest).astype(np.float32)


INFO, ERR, CRIT = sure(6), sure(3), sure(2)


def one(
    *,
    position: int = WARM_LINES,
    before: int = 0,
    novelty: float = 3.0,
    surprising: bool = False,
    likelihood: npt.NDArray[np.float32] = INFO,
    declared: int = -1,
    mismatch: bool = False,
    burst: bool = False,
    verdict: int = 0,
    told: int = -1,
) -> list[str] | None:
    """The reasons of a single line, None where it is not flagged."""
    found = judge(
        position=np.array([position], np.int64),
        before=np.array([before], np.int64),
        novelty=np.array([novelty]),
        surprising=np.array([surprising]),
        likelihood=likelihood[None],
        declared=np.array([declared], np.int16),
        mismatch=np.array([mismatch]),
        burst=np.array([burst]),
        verdict=np.array([verdict], np.int8),
        told=np.array([told], np.int8),
    )
    return names(found.fired[0].tolist()) if found.anomaly[0] else None


def test_rare_trouble_is_flagged_and_says_why() -> None:
    assert one(likelihood=ERR) == ["new template", "severity"]
    assert one(surprising=True) == ["surprise", "new template"]
    assert one(surprising=True, likelihood=ERR) == ["surprise", "new template", "severity"]


def test_neither_rarity_nor_trouble_alone_is_an_anomaly() -> None:
    assert one() is None, "a new template of no consequence"
    assert one(before=RARE, likelihood=ERR) is None, "a scanner's failed logins"
    assert one(before=RARE, surprising=True) is None


def test_what_a_program_never_says_weighs_more_than_what_it_might() -> None:
    doubtful = sure(3, 0.2)
    assert one(novelty=4.0, likelihood=doubtful) is not None
    assert one(novelty=0.2, likelihood=doubtful) is None
    assert one(novelty=0.2, surprising=True) is None, "it says something new all the time"


def test_bursts_and_mismatches_are_flagged_whatever_the_template_is() -> None:
    assert one(before=1000, burst=True) == ["rate burst"]
    assert one(before=1000, burst=True, likelihood=ERR) == ["severity", "rate burst"]
    assert one(before=1000, mismatch=True, declared=6) == ["severity mismatch"]


def test_a_person_has_the_last_word() -> None:
    assert one(before=1000, verdict=ANOMALY) == ["feedback"]
    assert one(position=0, verdict=ANOMALY) == ["feedback"]
    worst = one(likelihood=CRIT, surprising=True, declared=0, mismatch=True, burst=True)
    assert worst == [reason for reason in REASONS if reason not in ("feedback", "trajectory")]
    assert (
        one(
            likelihood=CRIT,
            surprising=True,
            declared=0,
            mismatch=True,
            burst=True,
            verdict=NORMAL,
        )
        is None
    )


@pytest.mark.parametrize("told", [5, 6, 7])
def test_what_a_person_calls_mild_is_no_trouble_whatever_it_reads_like(told: int) -> None:
    assert one(likelihood=ERR, told=told) is None
    assert one(likelihood=CRIT, declared=0, told=told) is None
    assert one(position=0, declared=2, told=told) is None
    assert one(before=1000, burst=True, likelihood=ERR, told=told) == ["rate burst"]
    assert one(likelihood=ERR, surprising=True, told=told) == ["surprise", "new template"]
    assert one(before=1000, likelihood=ERR, verdict=ANOMALY, told=told) == ["feedback"]


@pytest.mark.parametrize("told", [-1, 0, 3, 4])
def test_what_a_person_calls_worse_is_judged_by_what_it_reads_like(told: int) -> None:
    assert one(likelihood=ERR, told=told) == ["new template", "severity"]
    assert one(likelihood=INFO, told=told) is None
    assert one(position=0, declared=2, told=told) == ["severity"]


def test_a_cold_stream_flags_what_is_declared_critical_only() -> None:
    assert one(position=0, likelihood=CRIT) is None
    assert one(position=0, surprising=True) is None
    assert one(position=0, declared=2) == ["severity"]
    assert one(position=0, declared=0, before=RARE) is None


def test_reasons_are_empty_where_nothing_is_flagged() -> None:
    found = judge(
        position=np.full(4, 10 * WARM_LINES),
        before=np.full(4, RARE),
        novelty=np.full(4, 9.0),
        surprising=np.ones(4, np.bool_),
        likelihood=np.tile(CRIT, (4, 1)),
        declared=np.full(4, 0, np.int16),
        mismatch=np.zeros(4, np.bool_),
        burst=np.zeros(4, np.bool_),
        verdict=np.zeros(4, np.int8),
    )
    assert not found.anomaly.any()
    assert not found.fired.any()
    assert found.fired.shape == (4, len(REASONS))


def test_occurrences_count_before_and_inside_the_batch() -> None:
    seen = np.array([0, 1, 100], np.int64)
    rows = np.array([0, 1, 0, 2, 1, 0, 0], np.int32)
    counted = occurrences(rows, seen).tolist()
    assert counted[:3] == [0, 1, 1], "exact for the first and the second time"
    assert min(counted[3:]) > 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=80), st.integers(1, 20))
def test_novelty_is_good_turing_line_by_line(lines: list[tuple[int, int]], batch: int) -> None:
    """In batches of any size it says what counting one line after the other says."""
    novelty = Novelty()
    seen: dict[tuple[int, int], int] = {}
    for start in range(0, len(lines), batch):
        part = lines[start : start + batch]
        before, expected = [], []
        for app, template in part:
            of_app = [count for (a, _), count in seen.items() if a == app]
            guess = (list(seen.values()).count(1) + 1) / (sum(seen.values()) + 2)
            once = of_app.count(1) + GUESS_LINES * guess
            expected.append(np.log((sum(of_app) + GUESS_LINES) / once))
            before.append(seen.get((app, template), 0))
            seen[app, template] = before[-1] + 1
        found = novelty.observe(
            np.array([app for app, _ in part], np.int32), np.array(before, np.int64)
        )
        for nats, wanted, times in zip(found, expected, before, strict=True):
            assert times > 1 or nats == pytest.approx(wanted)


def test_any_number_of_programs_fits() -> None:
    novelty = Novelty()
    codes = {novelty.code(f"app-{n}") for n in range(2 * MAX_APPS)}
    assert max(codes) < MAX_APPS
    assert novelty.code("app-7") == 7
