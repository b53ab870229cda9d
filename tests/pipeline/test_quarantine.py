"""Templates that may not teach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.feedback import FILE, Feedback, Template
from pipeline.feedback_file import Verdict
from pipeline.quarantine import QUARANTINE_S, Ids, Quarantine

NOW_S = 1_700_000_000.0


def ids(*numbers: int) -> Ids:
    return np.array(numbers, np.uint64)


def held(quarantine: Quarantine, among: Sequence[int]) -> set[int]:
    return {n for n, yes in zip(among, quarantine.contains(ids(*among)), strict=True) if yes}


def test_flagged_templates_are_held_for_a_day() -> None:
    quarantine = Quarantine()
    assert quarantine.add(ids(5, 2**64 - 1, 5, 0), NOW_S).tolist() == [5, 2**64 - 1]
    asked = ids(0, 5, 6, 2**64 - 1, 5)
    assert quarantine.contains(asked).tolist() == [False, True, False, True, True]
    assert quarantine.expire(NOW_S + QUARANTINE_S - 1) == 0
    assert quarantine.contains(asked).any()
    assert quarantine.expire(NOW_S + QUARANTINE_S) == 2
    assert not quarantine.contains(asked).any()
    assert len(quarantine) == 0


def test_a_template_flagged_again_stays_for_longer() -> None:
    quarantine = Quarantine(hold_s=100)
    quarantine.add(ids(1, 2), NOW_S)
    assert quarantine.add(ids(1), NOW_S + 60).tolist() == []
    quarantine.expire(NOW_S + 120)
    assert held(quarantine, [1, 2]) == {1}


def test_nothing_asked_is_nothing_answered() -> None:
    quarantine = Quarantine()
    for _ in range(2):
        assert quarantine.contains(ids()).shape == (0,)
        assert quarantine.add(ids(), NOW_S).shape == (0,)
        quarantine.add(ids(3), NOW_S)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.lists(st.integers(0, 12), max_size=6)), max_size=12)
)
def test_it_is_what_a_table_of_times_would_be(steps: list[tuple[float, list[int]]]) -> None:
    quarantine, times, now_s = Quarantine(hold_s=60), dict[int, float](), NOW_S
    for passed_s, flagged in steps:
        now_s += passed_s
        gone = {n for n, until_s in times.items() if until_s <= now_s}
        assert quarantine.expire(now_s) == len(gone)
        times = {n: until_s for n, until_s in times.items() if n not in gone}
        fresh = {n for n in flagged if n and n not in times}
        assert set(quarantine.add(ids(*flagged), now_s).tolist()) == fresh
        times |= {n: now_s + 60 for n in flagged if n}
        assert held(quarantine, range(13)) == set(times)
        assert len(quarantine) == len(times)


def test_it_is_bounded_and_the_oldest_goes() -> None:
    quarantine = Quarantine(max_templates=100)
    for step in range(50):
        quarantine.add(np.arange(10 * step + 1, 10 * step + 11, dtype=np.uint64), NOW_S + step)
        quarantine.add(ids(1), NOW_S + step)  # flagged again and again
        assert len(quarantine) <= 100
    assert held(quarantine, range(1, 501)) == {1, *range(402, 501)}
    assert quarantine.crowded_out == 400
    assert quarantine.add(np.arange(1000, 1200, dtype=np.uint64), NOW_S + 99).shape == (100,)


def test_a_clock_that_is_set_back_does_not_hold_for_longer() -> None:
    quarantine = Quarantine(hold_s=100)
    quarantine.add(ids(1), NOW_S)
    assert quarantine.expire(NOW_S - 1e6) == 0
    assert quarantine.expire(NOW_S - 1e6 + 100) == 1


@pytest.mark.parametrize(
    ("severity", "verdict", "flagged", "may_teach"),
    [
        (None, "normal", True, True),
        (3, None, True, True),
        (3, "anomaly", True, True),
        (None, "anomaly", True, False),
        (None, "anomaly", False, False),
        (None, "normal", False, True),
    ],
)
def test_a_persons_word_is_above_it_while_it_stands(
    tmp_path: Path, severity: int | None, verdict: Verdict | None, flagged: bool, may_teach: bool
) -> None:
    store, quarantine = Feedback.load(tmp_path / FILE), Quarantine()
    if flagged:
        quarantine.add(ids(7), NOW_S)
    said = store.say(Template(7), by="ann", severity=severity, verdict=verdict)
    quarantine.heed(store.standing())
    assert held(quarantine, [7]) == (set() if may_teach else {7})
    if may_teach:
        assert quarantine.add(ids(7), NOW_S).tolist() == []  # it may go on teaching
    quarantine.expire(NOW_S + 0.5 * QUARANTINE_S)
    store.undo(said, by="ann")
    quarantine.heed(store.standing())
    assert held(quarantine, [7]) == ({7} if flagged or may_teach else set())


def test_an_anomaly_by_word_does_not_run_out(tmp_path: Path) -> None:
    store, quarantine = Feedback.load(tmp_path / FILE), Quarantine()
    store.say(Template(7), by="ann", verdict="anomaly")
    quarantine.heed(store.standing())
    quarantine.expire(NOW_S + 100 * QUARANTINE_S)
    assert held(quarantine, [7, 8]) == {7}


def test_a_restart_goes_on_with_it() -> None:
    before = Quarantine(hold_s=100)
    before.add(ids(9, 2**63 + 1), NOW_S)
    before.add(ids(4), NOW_S + 50)
    after = Quarantine(hold_s=100)
    after.restore(before.kept())
    assert held(after, [4, 5, 9, 2**63 + 1]) == {4, 9, 2**63 + 1}
    assert after.expire(NOW_S + 100) == 2
    assert held(after, [4, 9]) == {4}
    small = Quarantine(max_templates=1)
    small.restore(before.kept())
    assert held(small, [4, 9]) == {4}


def test_a_damaged_state_changes_nothing() -> None:
    quarantine = Quarantine()
    quarantine.add(ids(4), NOW_S)
    good = quarantine.kept()
    for bad in (
        {},
        good | {"quarantine_until_s": np.zeros(2)},
        good | {"quarantine_ids": np.zeros(1)},
        good | {"quarantine_ids": ids(1)[None], "quarantine_until_s": np.zeros((1, 1))},
    ):
        with pytest.raises((KeyError, ValueError)):
            quarantine.restore(bad)
    assert held(quarantine, [4]) == {4}
