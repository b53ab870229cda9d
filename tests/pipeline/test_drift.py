"""Drift: what has changed is found, told apart and told once; what has not is left in peace."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.drift import GAP_S, WARM_LINES, Drift, DriftEvent

START_S = 1_772_366_400.0
RATE = 2000.0
"""Lines a second."""


class Lines(NamedTuple):
    """What Drift is shown of a stretch of a stream."""

    error: npt.NDArray[np.bool_]
    surprise: npt.NDArray[np.float32]
    new: npt.NDArray[np.bool_]


class World:
    """A made-up stream with a clock."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.drift = Drift()
        self.now_s = START_S

    def lines(self, n: int, *, error: float = 0.1, nats: float = 0.0, new: float = 0.001) -> Lines:
        """n lines, all with a label; new templates are far more surprising than others."""
        is_new = self.rng.random(n) < new
        surprise = self.rng.gamma(4.0, 1.0, n) + nats + 20.0 * is_new
        return Lines(self.rng.random(n) < error, surprise.astype(np.float32), is_new)

    def show(
        self, lines: Lines, *, batch: int = 500, rate: float = RATE, labelled: int = 1
    ) -> list[DriftEvent]:
        """labelled: each so-manyth line has a label."""
        events = []
        for part in _batches(lines, batch):
            events += self.drift.observe(
                at_s=self.now_s,
                error=part.error[::labelled],
                surprise=part.surprise,
                new=part.new,
            )
            self.now_s += len(part.new) / rate
        return events


def _batches(lines: Lines, batch: int) -> Iterator[Lines]:
    for start in range(0, len(lines.new), batch):
        yield Lines(*(column[start : start + batch] for column in lines))


@pytest.fixture
def world() -> World:
    """One that has gone on for a while, in peace."""
    world = World()
    assert world.show(world.lines(60_000)) == []
    return world


@pytest.mark.parametrize("batch", [64, 16_384])
def test_a_stream_that_stays_as_it_is_gives_no_event(batch: int) -> None:
    world = World(1)
    n = 60_000 if batch == 64 else 2_000_000
    assert world.show(world.lines(n), batch=batch) == []
    assert world.drift.held_back == 0


def test_more_errors_are_told_once_and_call_for_learning(world: World) -> None:
    began_s = world.now_s
    (event,) = world.show(world.lines(20_000, error=0.3))
    assert (event.kind, event.worse) == ("error", True)
    assert event.before == pytest.approx(0.1, abs=0.01)
    assert event.after == pytest.approx(0.3, abs=0.06)
    assert event.at_s - began_s < 5  # 10,000 lines
    assert 0 < event.lines <= (event.at_s - began_s) * RATE + 2000


def test_fewer_errors_are_told_and_call_for_nothing(world: World) -> None:
    (event,) = world.show(world.lines(40_000, error=0.02))
    assert (event.kind, event.worse) == ("error", False)
    assert event.after < event.before


def test_a_deployment_is_told_from_a_change_of_what_is_known(world: World) -> None:
    """Its new lines surprise, and so do those that come again a few times after them."""
    deployed = world.lines(20_000, new=0.05)
    deployed.surprise[5000:] += 3.0 * (world.rng.random(15_000) < 0.5)
    (event,) = world.show(deployed)
    assert (event.kind, event.worse) == ("new templates", False)
    assert event.before == pytest.approx(0.001, abs=0.001)
    assert event.after > 5 * event.before
    assert world.drift.held_back >= 1  # the surprise was seen, and put down to it


def test_other_proportions_of_what_is_known_are_told_as_such(world: World) -> None:
    (event,) = world.show(world.lines(20_000, nats=3.0))
    assert (event.kind, event.worse) == ("surprise", False)
    assert event.before == pytest.approx(0.1, abs=0.02)
    assert event.after > 0.2


def test_the_surprise_of_new_templates_alone_is_none() -> None:
    """As many as before, but strange ones now: nothing that is known has changed."""
    world = World(2)
    before, after = world.lines(30_000, new=0.3), world.lines(30_000, new=0.3)
    before.surprise[before.new] = 0.0
    after.surprise[after.new] = 1000.0
    assert world.show(before) == []
    assert world.show(after) == []


def test_new_templates_that_become_fewer_are_no_event() -> None:
    world = World(3)
    world.show(world.lines(30_000, new=0.2))
    assert world.show(world.lines(60_000, new=0.001)) == []


def test_where_all_is_new_at_the_start_nothing_has_changed() -> None:
    world = World(4)
    known_by_and_by = world.lines(40_000, new=0.0)
    share = 1 / (1 + np.arange(40_000) / 500)
    known_by_and_by.new[:] = world.rng.random(40_000) < share
    assert world.show(known_by_and_by, batch=100) == []


def test_a_stream_without_labels_has_its_other_changes_told(world: World) -> None:
    nobody = world.lines(20_000, nats=3.0)._replace(error=np.zeros(0, np.bool_))
    assert [event.kind for event in world.show(nobody)] == ["surprise"]


def test_few_labels_are_enough_in_time(world: World) -> None:
    (event,) = world.show(world.lines(60_000, error=0.4), labelled=20)
    assert event.kind == "error"


@pytest.mark.parametrize(("batch", "rate"), [(1, 20.0), (16, 300.0), (1000, 0.0), (16_384, 4e5)])
def test_a_change_is_found_whatever_the_batches_and_the_rate(batch: int, rate: float) -> None:
    """Even where the clock stands."""
    world = World(5)
    n = 6000 if batch == 1 else 50_000 if batch < 16_384 else 800_000
    rate = rate or float("inf")
    world.show(world.lines(n), batch=batch, rate=rate)
    (event,) = world.show(world.lines(n, error=0.4), batch=batch, rate=rate)
    assert event.kind == "error"
    assert event.before == pytest.approx(0.1, abs=0.04)


def test_events_of_a_kind_keep_their_distance(world: World) -> None:
    events = []
    for _ in range(40):  # an hour and a half
        for error in (0.5, 0.1):
            world.now_s += 60.0
            events += world.show(world.lines(3000, error=error), rate=50.0)
    for worse in (True, False):
        times = [event.at_s for event in events if event.worse is worse]
        assert len(times) >= 5
        assert all(b - a >= GAP_S for a, b in pairwise(times))
    assert world.drift.held_back > 10


def test_things_getting_better_do_not_hide_that_they_get_worse_again(world: World) -> None:
    better = world.show(world.lines(20_000, error=0.01))
    worse = world.show(world.lines(20_000, error=0.4))
    assert [event.worse for event in better + worse] == [False, True]


def test_a_clock_set_back_holds_nothing_up(world: World) -> None:
    assert len(world.show(world.lines(20_000, error=0.4))) == 1
    world.now_s -= 86_400.0
    (event,) = world.show(world.lines(20_000, error=0.9))
    assert event.worse


def test_a_change_too_small_to_matter_is_not_told() -> None:
    world = World(6)
    world.show(world.lines(1_000_000), batch=16_384)
    assert world.show(world.lines(2_000_000, error=0.11), batch=16_384) == []


def test_small_changes_that_go_on_are_told() -> None:
    world = World(7)
    world.show(world.lines(500_000), batch=16_384)
    events = []
    for step in range(1, 9):
        lines = world.lines(500_000, error=0.1 + 0.005 * step)
        events += world.show(lines, batch=16_384)
    assert events
    assert all(event.worse for event in events)
    assert events[0].before == pytest.approx(0.1, abs=0.01)


def test_errors_in_bursts_as_ever_are_no_change() -> None:
    """One program's failing lines come a hundred in a row, as they always did."""
    world = World(8)
    lines = world.lines(300_000)
    runs = world.rng.geometric(0.01, 6000)
    bursts = np.repeat(world.rng.random(6000) < 0.15, runs)[:300_000]
    events = world.show(lines._replace(error=bursts))
    assert len(events) <= 1


def test_another_model_starts_another_measure_of_surprise(world: World) -> None:
    """The same lines, which another model finds ten nats stranger."""
    world.drift.change_model()
    assert world.show(world.lines(40_000, nats=10.0)) == []
    (event,) = world.show(world.lines(20_000, nats=13.0))
    assert event.kind == "surprise"


def test_after_a_change_the_next_one_is_measured_against_it(world: World) -> None:
    world.show(world.lines(20_000, nats=6.0))
    world.now_s += GAP_S
    assert world.show(world.lines(60_000, nats=6.0)) == []
    (event,) = world.show(world.lines(20_000, nats=12.0))
    assert event.kind == "surprise"
    assert event.before == pytest.approx(0.1, abs=0.03)


def test_what_the_first_lines_miss_is_no_past_to_improve_on() -> None:
    world = World(10)
    assert world.show(world.lines(900, error=0.95), batch=64) == []
    assert world.show(world.lines(20_000, error=0.05), batch=64) == []


@pytest.mark.parametrize("before", [300, 2000, 30_010])
def test_a_restart_goes_on_as_if_there_had_been_none(before: int) -> None:
    """Within the first lines, while the reference is gathered, in the midst of a chunk."""
    straight, world = World(9), World(9)
    history, future = world.lines(before), world.lines(40_000, error=0.4, nats=3.0)
    for one in (straight, world):
        one.show(history, batch=100)
    again = Drift()
    again.restore(world.drift.kept())
    world.drift = again
    events = world.show(future, batch=100)
    assert events == straight.show(future, batch=100)
    assert before < WARM_LINES or events
    for name, column in straight.drift.kept().items():
        np.testing.assert_array_equal(column, world.drift.kept()[name], err_msg=name)


def test_a_restart_within_the_gap_tells_nothing_twice(world: World) -> None:
    assert len(world.show(world.lines(20_000, error=0.3))) == 1
    again = Drift()
    again.restore(world.drift.kept())
    world.drift = again
    assert world.show(world.lines(40_000, error=0.6)) == []
    assert again.held_back == 1


def test_a_restart_with_another_model_keeps_errors_and_forgets_surprises(world: World) -> None:
    again = Drift()
    again.restore(world.drift.kept(), same_model=False)
    world.drift = again
    (event,) = world.show(world.lines(40_000, error=0.3, nats=10.0))
    assert event.kind == "error"
    assert event.before == pytest.approx(0.1, abs=0.01)


def test_what_is_kept_is_small_and_needs_no_pickle(world: World) -> None:
    world.show(world.lines(3_000_000), batch=16_384)
    kept = world.drift.kept()
    assert sum(column.nbytes for column in kept.values()) < 32_000
    assert all(column.dtype.kind in "iuf" for column in kept.values())


@pytest.mark.parametrize(
    "name",
    ["drift_seen", "drift_reference", "drift_watches", "drift_bucket_counts", "drift_buckets"],
)
def test_a_damaged_state_is_refused_and_changes_nothing(world: World, name: str) -> None:
    kept = world.drift.kept()
    damaged = [kept[name][:, None], kept[name][:1].repeat(9000, axis=0)]
    for column in damaged:
        with pytest.raises(ValueError):  # noqa: PT011  # numpy's own words, some of them
            world.drift.restore({**kept, name: column})
    for column in kept:
        np.testing.assert_array_equal(world.drift.kept()[column], kept[column])
