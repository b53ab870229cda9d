"""Declared one thing and reading like another, of senders that don't do so all day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.judge import Judge
from pipeline.mismatch import HABIT_LINES, MOST_LINES, Mismatch
from pipeline.predict import Prediction, Sources
from pipeline.templates import TemplateTable

ERR, INFO = 3, 6
BAD, MILD, GOOD, OTHER = range(4)
"""Templates: reads like err, a little like err, like info; like err, of another program."""


def table() -> TemplateTable:
    made = TemplateTable(4, 1)
    made.size = 4
    reads = {BAD: (ERR, 0.9), MILD: (ERR, 0.6), GOOD: (INFO, 0.9), OTHER: (ERR, 0.9)}
    for row, (severity, probability) in reads.items():
        made.likelihood[row] = sure(severity, probability)
    made.app[OTHER] = 1
    return made


def sure(severity: int, probability: float) -> npt.NDArray[np.float32]:
    rest = (1 - probability) / 7
    return np.where(np.arange(8) == severity, probability, rest).astype(np.float32)


Line = tuple[int, int, int, bool]
"""(template, declared, predicted, new)"""
ORDINARY: Line = (GOOD, INFO, INFO, False)
LIE: Line = (BAD, INFO, INFO, True)


def observed(
    mismatch: Mismatch,
    table: TemplateTable,
    sources: Sources,
    lines: Sequence[Line],
    distrusted: str = "",
) -> list[bool]:
    """One batch → which are mismatches."""
    rows, declared, predicted, new = zip(*lines, strict=True)
    severity = np.array(predicted, np.uint8)
    of_severity = np.stack([sure(i, 0.95) for i in range(8)])
    found: list[bool] = mismatch.observe(
        table,
        sources,
        lambda source: source != distrusted,
        at=np.array(rows, np.int32),
        declared=np.array(declared, np.int16),
        predicted=Prediction(
            severity,
            np.full(len(rows), 0.95, np.float32),
            of_severity[severity],
            np.zeros(len(rows), np.int8),
        ),
        new=np.array(new, np.bool_),
    ).tolist()
    return found


class Sender:
    """Lines of one sender through a Mismatch, in batches."""

    def __init__(self, lines: int = 1000, of: Mismatch | None = None, name: str = "a") -> None:
        self.table = table()
        self.mismatch = of or Mismatch()
        self.name = name
        self.says([ORDINARY] * lines)

    def says(self, lines: Sequence[Line], size: int = 500) -> list[bool]:
        found: list[bool] = []
        for start in range(0, len(lines), size):
            part = lines[start : start + size]
            found += observed(self.mismatch, self.table, [(self.name, len(part))], part)
        return found


def some_lines(n: int, seed: int = 0) -> list[Line]:
    draw = np.random.default_rng(seed)
    return list(
        zip(
            draw.choice([BAD, GOOD, OTHER], n, p=[0.01, 0.98, 0.01]).tolist(),
            draw.choice([-1, ERR, INFO], n, p=[0.3, 0.01, 0.69]).tolist(),
            draw.choice([ERR, INFO], n, p=[0.5, 0.5]).tolist(),
            (draw.random(n) < 0.5).tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("line", "mismatch"),
    [
        ((BAD, INFO, INFO, True), True),
        ((BAD, 5, INFO, True), True),
        ((BAD, 4, INFO, True), False),
        ((BAD, ERR, ERR, True), False),
        ((BAD, -1, ERR, True), False),
        ((MILD, INFO, INFO, True), False),
        ((GOOD, ERR, INFO, True), True),
        ((GOOD, 0, INFO, True), True),
        ((GOOD, INFO, INFO, True), False),
    ],
)
def test_a_new_template_is_a_matter_of_its_text(
    line: tuple[int, int, int, bool], mismatch: bool
) -> None:
    assert Sender().says([line]) == [mismatch]


def test_a_known_template_is_a_matter_of_its_labels_as_well() -> None:
    assert Sender().says([(MILD, INFO, ERR, False)]) == [True], "it was err until now"
    assert Sender().says([(BAD, INFO, INFO, False)]) == [False], "it was always declared so"
    assert Sender().says([(GOOD, INFO, ERR, False)]) == [False], "and now it is what it says"
    assert Sender().says([(GOOD, ERR, INFO, False)]) == [True]


def test_who_always_does_so_is_passed_over() -> None:
    """A program, or all of a stream, that declares errors as info, each of another template."""
    fresh = Sender(lines=0)
    assert not any(fresh.says([(BAD, INFO, INFO, True)] * 100)), "from its first line on"
    assert not any(fresh.says([(OTHER, INFO, INFO, True)] * 100)), "nor its other programs"
    sender = Sender()
    found = sender.says([(OTHER, INFO, INFO, True)] * 500)
    assert found == [True] + [False] * 499
    assert sender.says([(BAD, INFO, INFO, True)]) == [False]


def test_who_usually_says_what_it_is_is_not() -> None:
    sender = Sender()
    assert not any(sender.says([(BAD, ERR, ERR, True)] * 20))
    assert sender.says([(BAD, INFO, INFO, True)] * 2) == [True, True]


def test_a_known_template_that_changes_all_the_time_is_passed_over() -> None:
    sender = Sender()
    some = [(BAD, INFO, ERR, False), *[(BAD, ERR, ERR, False)] * 9] * 100
    found = sender.says(some)
    assert found[0]
    assert not any(found[500:])


def test_batches_do_not_matter_and_a_restart_changes_nothing() -> None:
    lines = some_lines(3000)
    whole, cut, again = Sender(), Sender(), Sender(0)
    expected = whole.says(lines, 3000)
    assert 5 < sum(expected) < 100
    assert cut.says(lines[:1500], 7) == expected[:1500]
    again.mismatch.restore(cut.mismatch.kept())
    assert again.says(lines[1500:], 13) == expected[1500:]


def test_a_person_s_word_and_a_sender_that_is_not_believed_are_no_mismatch() -> None:
    sender = Sender()
    sender.table.told[BAD] = ERR
    sender.table.mistrusted[OTHER] = True
    assert sender.says([(BAD, INFO, ERR, False), (OTHER, INFO, INFO, True)]) == [False, False]


def test_batches_do_not_matter_where_counts_are_halved() -> None:
    """A program on the edge of its habit, for longer than its counts are kept whole."""
    changed: Line = (MILD, INFO, ERR, False)
    often = np.random.default_rng(0).random(4 * MOST_LINES) < HABIT_LINES
    lines = [changed if yes else ORDINARY for yes in often.tolist()]
    found = Sender(0).says(lines, 4000)
    late = np.array(found[MOST_LINES:])[often[MOST_LINES:]]
    assert 0.1 < late.mean() < 0.9
    assert Sender(0).says(lines, 997) == found


def test_of_a_state_that_counted_all_senders_together_habits_begin_anew() -> None:
    """It is no one's in particular, and one that lied was in it."""
    judge = Judge()
    judge.restore({"discoveries": np.zeros(3), "mismatch": np.full((4, 2), 1e4)})
    mismatch = judge._mismatch
    honest = Sender(of=mismatch)
    assert honest.says([LIE]) == [True]
    again = Mismatch()
    again.restore(mismatch.kept())
    assert Sender(0, of=again).says([LIE]) == honest.says([LIE])


@pytest.mark.parametrize(
    "damage",
    [
        {"mismatch_counts": np.zeros((3, 1))},
        {"mismatch_apps": np.array([-1])},
        {"mismatch_apps": np.array([1 << 20])},
        {"mismatch_programs": np.array([2])},
        {"mismatch_heard": np.zeros(0, np.int64)},
    ],
)
def test_a_state_that_is_not_whole_is_refused(damage: dict[str, npt.NDArray[Any]]) -> None:
    sender = Sender()
    kept = sender.mismatch.kept()
    with pytest.raises(ValueError, match=r"mismatches|zip"):
        sender.mismatch.restore(kept | damage)
    sender.mismatch.restore(kept)
    assert sender.says([LIE]) == [True]
