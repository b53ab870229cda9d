"""What is known of one sender's programs says nothing of another's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.mismatch import MAX_SENDERS, Mismatch
from tests.pipeline.test_mismatch import (
    LIE,
    ORDINARY,
    OTHER,
    Line,
    Sender,
    observed,
    some_lines,
    table,
)

Found = dict[str, list[bool]]
Run = tuple[str, list[Line]]


def through(mismatch: Mismatch, runs: Sequence[Run], batch: int, distrusted: str = "") -> Found:
    """Runs of lines by their senders, so many a batch → which are mismatches, by sender."""
    found: Found = {name: [] for name, _ in runs}
    templates = table()
    for start in range(0, len(runs), batch):
        part = runs[start : start + batch]
        lines = [line for _, run in part for line in run]
        sources = [(name, len(run)) for name, run in part]
        said = iter(observed(mismatch, templates, sources, lines, distrusted))
        for name, n in sources:
            found[name] += [next(said) for _ in range(n)]
    return found


def interleaved(lines: dict[str, list[Line]], longest: int = 30) -> list[Run]:
    draw = np.random.default_rng(1)
    runs, at = [], dict.fromkeys(lines, 0)
    while left := [name for name in lines if at[name] < len(lines[name])]:
        name, n = str(draw.choice(left)), int(draw.integers(1, longest))
        runs.append((name, lines[name][at[name] : at[name] + n]))
        at[name] += n
    return runs


@pytest.mark.parametrize("batch", [1, 40, 1000])
def test_what_is_said_of_a_sender_is_the_same_as_if_it_were_alone(batch: int) -> None:
    lines = {name: some_lines(3000, seed) for seed, name in enumerate("abc")}
    lines["liar"] = [LIE] * 3000
    alone = {name: Sender(0, name=name).says(lines[name]) for name in lines}
    assert all(sum(alone[name]) > 5 for name in "abc")
    assert through(Mismatch(), interleaved(lines), batch) == alone


def test_one_that_lies_all_day_silences_no_other_s_program() -> None:
    mismatch = Mismatch()
    honest = Sender(of=mismatch, name="udp://x 192.0.2.1")
    liar = Sender(0, of=mismatch, name="udp://x 192.0.2.66")
    assert not any(liar.says([LIE] * 20_000))
    assert honest.says([LIE]) == [True]


def test_a_sender_that_is_not_believed_has_no_mismatch_and_no_habit() -> None:
    mismatch = Mismatch()
    runs = [("a", [ORDINARY] * 200), ("b", [LIE] * 200), ("a", [LIE]), ("b", [LIE])]
    found = through(mismatch, runs, 2, distrusted="b")
    assert found == {"a": [False] * 200 + [True], "b": [False] * 201}
    believed = through(mismatch, [("b", [ORDINARY] * 200 + [LIE])], 1)
    assert believed == {"b": [False] * 200 + [True]}, "what it declared before does not count"
    assert through(mismatch, [("b", [LIE])], 1, distrusted="b") == {"b": [False]}


def test_of_too_many_senders_the_one_quiet_longest_begins_anew() -> None:
    """However they are cut into batches, even where one comes back within a batch."""
    others = [(str(i), [ORDINARY] * 200) for i in range(MAX_SENDERS)]
    here, more = others[:-1], others[-1:]
    first, second = [("0", [LIE])], [("1", [LIE])]
    runs = [*here, ("0", [ORDINARY]), ("new", [ORDINARY]), *more, *first, *second]
    for batch in (1, 5, len(runs)):
        found = through(Mismatch(), runs, batch)
        assert found["0"][-1], "it was heard again"
        assert not found["1"][-1], "its first lines show what it is like"


def test_all_senders_go_on_after_a_restart() -> None:
    lines = {name: some_lines(2000, seed) for seed, name in enumerate("abc")}
    lines["liar"] = [(OTHER, *LIE[1:])] * 2000
    runs = interleaved(lines)
    half = len(runs) // 2
    before, after = Mismatch(), Mismatch()
    through(before, runs[:half], 20)
    after.restore(before.kept())
    rest = through(before, runs[half:], 20)
    assert sum(map(sum, rest.values())) > 10
    assert through(after, runs[half:], 20) == rest
