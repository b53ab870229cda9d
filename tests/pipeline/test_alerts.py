"""A template alerts once in a window, and the next alert says how many lines there were."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import WINDOW_S, Alerts

HOUR_US = round(WINDOW_S * 1e6)
START_US = 1_700_000_000_000_000
GOES_ON, ONCE = 1, 2

Line = tuple[int, int, int, bool]
"""Template, minutes since the line before, reasons (0: not flagged), silent."""
Shown = tuple[int, int, int]
"""Line, count, reasons."""


class Feed:
    """One source's lines."""

    def __init__(self) -> None:
        self.alerts = Alerts()
        self.totals = np.zeros(8, np.int64)
        self.now_us = START_US
        self.lines = 0

    def batch(self, lines: Sequence[Line], mild: Collection[int] | None = None) -> list[Shown]:
        """mild: templates."""
        entries = np.array([line[0] for line in lines], np.int32)
        times = self.now_us + np.cumsum([60_000_000 * line[1] for line in lines], dtype=np.int64)
        self.totals += np.bincount(entries, minlength=8)
        reasons = np.array([line[2] for line in lines], np.uint8)
        flagged = np.flatnonzero(reasons)
        found = self.alerts.observe(
            entries,
            times,
            self.totals,
            flagged,
            reasons[flagged],
            goes_on=GOES_ON,
            silent=np.array([line[3] for line in lines], np.bool_),
            mild=None if mild is None else np.isin(entries, list(mild)),
        )
        start, self.lines = self.lines, self.lines + len(lines)
        if len(lines):
            self.now_us = int(times[-1])
        return [
            (start + line, count, bits)
            for line, count, bits in zip(*(column.tolist() for column in found), strict=True)
        ]


def one(template: int, minutes: int = 0, reasons: int = 0, *, silent: bool = False) -> Line:
    return template, minutes, reasons, silent


def test_the_next_alert_says_how_many_lines_came() -> None:
    feed = Feed()
    assert feed.batch([one(3), one(3), one(3, 0, ONCE)]) == [(2, 1, ONCE)]
    assert feed.batch([one(3, 10, ONCE), one(3, 10), one(3, 39, ONCE)]) == []
    assert feed.batch([one(1), one(3, 1, ONCE), one(3, 0, ONCE)]) == [(7, 4, ONCE)]
    assert feed.batch([one(3, 60, ONCE)]) == [(9, 2, ONCE)]


def test_trouble_that_goes_on_is_told_again_and_news_are_not() -> None:
    feed = Feed()
    assert feed.batch([one(1, 0, GOES_ON | ONCE), one(2, 0, ONCE)]) == [
        (0, 1, GOES_ON | ONCE),
        (1, 1, ONCE),
    ]
    assert feed.batch([one(1, 30), one(2)]) == []
    assert feed.batch([one(2, 30), one(1), one(1), one(2)]) == [(5, 2, GOES_ON)]


def test_what_a_person_calls_mild_goes_on_no_more_until_it_is_taken_back() -> None:
    feed = Feed()
    feed.batch([one(1, 0, GOES_ON), one(2, 0, GOES_ON)])
    assert feed.batch([one(1, 61), one(2)], mild=[1]) == [(3, 1, GOES_ON)]
    assert feed.batch([one(1, 61, ONCE), one(1)], mild=[1]) == [(4, 2, ONCE)], "for itself"
    assert feed.batch([one(1, 30), one(2)]) == [(7, 1, GOES_ON)]
    assert feed.batch([one(1, 31)]) == [(8, 3, GOES_ON)], "as if it had never been said"


def test_templates_alert_apart() -> None:
    feed = Feed()
    assert feed.batch([one(1, 0, ONCE), one(2, 0, ONCE), one(1, 0, ONCE)]) == [
        (0, 1, ONCE),
        (1, 1, ONCE),
    ]


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    feed = Feed()
    assert feed.batch([one(1, 5000, ONCE)]) == [(0, 1, ONCE)]
    assert feed.batch([one(1, -1, ONCE)]) == []
    assert feed.batch([one(1, -4000, ONCE)]) == [(2, 2, ONCE)]


def test_what_is_silent_is_not_shown_and_alerts_later() -> None:
    feed = Feed()
    assert feed.batch([one(1, 0, ONCE, silent=True), one(1)]) == []
    assert feed.batch([one(1, 0, GOES_ON)]) == [(2, 1, GOES_ON)]
    assert feed.batch([one(1, 61, silent=True), one(1)]) == [(4, 2, GOES_ON)]


lines = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from([0, 0, 5, 30, 61]), st.integers(0, 3), st.booleans()
    ),
    max_size=60,
)


def by_hand(stream: Sequence[Line]) -> list[Shown]:
    shown: list[Shown] = []
    last: dict[int, tuple[int, int]] = {}
    since: dict[int, int] = {}
    minute = 0
    for i, (template, minutes, reasons, silent) in enumerate(stream):
        minute += minutes
        since[template] = since.get(template, 0) + 1
        alerted, why = last.get(template, (-1, 0))
        reasons |= why & GOES_ON
        if silent or not reasons or (alerted >= 0 and minute - alerted < 60):
            continue
        shown.append((i, since[template] if alerted >= 0 else 1, reasons))
        last[template], since[template] = (minute, reasons), 0
    return shown


@settings(deadline=None)
@given(lines, st.integers(1, 20), st.sets(st.integers(0, 3)))
def test_mild_is_as_if_nothing_went_on(stream: list[Line], size: int, mild: set[int]) -> None:
    """A line of it is shown for what it was flagged for itself."""
    feed = Feed()
    found: list[Shown] = []
    for i in range(0, len(stream), size):
        found += feed.batch(stream[i : i + size], mild)
    for line, _, bits in found:
        template, _, reasons, _ = stream[line]
        if template in mild:
            assert bits == reasons
    rest = [shown for shown in found if stream[shown[0]][0] not in mild]
    assert rest == [shown for shown in by_hand(stream) if stream[shown[0]][0] not in mild]


@settings(deadline=None)
@given(lines, st.integers(1, 20))
def test_it_is_what_one_line_after_the_other_gives(stream: list[Line], size: int) -> None:
    feed = Feed()
    found = [x for i in range(0, len(stream), size) for x in feed.batch(stream[i : i + size])]
    assert found == by_hand(stream)


@settings(deadline=None, max_examples=30)
@given(lines, lines)
def test_a_restart_changes_nothing(before: list[Line], after: list[Line]) -> None:
    feed, again = Feed(), Feed()
    feed.batch(before)
    again.alerts.restore(feed.alerts.kept())
    again.totals, again.now_us, again.lines = feed.totals.copy(), feed.now_us, feed.lines
    assert again.batch(after) == feed.batch(after)


def test_templates_may_go() -> None:
    feed = Feed()
    feed.batch([one(1, 0, GOES_ON), one(5, 0, GOES_ON)])
    feed.alerts.keep(np.array([0, 5]))
    feed.totals = np.array([3, 1, 0, 0, 0, 0, 0, 0])
    assert feed.batch([one(1, 61), one(0)]) == [(2, 1, GOES_ON)]


def test_a_state_that_is_not_whole_is_refused() -> None:
    feed = Feed()
    feed.batch([one(1, 0, ONCE)])
    with pytest.raises(ValueError, match="lengths"):
        Alerts().restore(feed.alerts.kept() | {"total": np.zeros(3)})
