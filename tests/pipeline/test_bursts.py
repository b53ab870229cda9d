"""A burst is a count that the past does not explain; it begins with one certain line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.bursts import KNOWN_WINDOWS, LEAST_LINES, TIMES, WINDOW_US, Bursts

START_US = 1_700_000_040_000_000
assert START_US % WINDOW_US == 0


def stream(
    rates: npt.NDArray[np.float64], seed: int = 0
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """rates: (W, T) lines expected in each window → entries and times of the lines, in order."""
    draw = np.random.default_rng(seed)
    entries, times = [], []
    for window, expected in enumerate(rates):
        here = np.repeat(np.arange(len(expected)), draw.poisson(expected)).astype(np.int32)
        draw.shuffle(here)
        entries.append(here)
        times.append(
            START_US + window * WINDOW_US + np.sort(draw.integers(0, WINDOW_US, len(here)))
        )
    return np.concatenate(entries), np.concatenate(times)


def begun(
    entries: npt.NDArray[np.int32],
    times: npt.NDArray[np.int64],
    size: int = 1000,
    bursts: Bursts | None = None,
) -> list[int]:
    bursts = bursts or Bursts()
    templates = int(entries.max(initial=0)) + 1
    return [
        start + int(line)
        for start in range(0, len(entries), size)
        for line in bursts.observe(
            entries[start : start + size], times[start : start + size], templates
        )
    ]


def test_a_template_that_comes_ten_times_as_often_is_a_burst_once() -> None:
    rates = np.full((90, 3), 12.0)
    rates[60, 1] = 150.0
    entries, times = stream(rates)
    (line,) = begun(entries, times)
    assert entries[line] == 1
    window = (times - START_US) // WINDOW_US
    assert window[line] == 60
    before = np.flatnonzero((entries == 1) & (window == 60) & (np.arange(len(entries)) < line))
    assert TIMES * 12 < len(before) < 150, "with the line that is too many, not at the end"


def test_what_was_hardly_ever_heard_and_comes_by_the_hundred_is_a_burst() -> None:
    rates = np.zeros((200, 2))
    rates[:, 0], rates[3, 1], rates[150, 1] = 5.0, 2.0, 300.0
    entries, times = stream(rates)
    (line,) = begun(entries, times)
    assert entries[line] == 1
    assert (times[line] - START_US) // WINDOW_US == 150


def test_a_day_of_steady_templates_has_no_burst() -> None:
    """Of 40 templates, from one line in ten minutes to twenty a minute."""
    entries, times = stream(np.tile(np.geomspace(0.1, 20, 40), (1440, 1)))
    assert begun(entries, times, 4096) == []


def test_what_always_comes_in_bursts_is_known_for_it() -> None:
    """A job that writes 200 lines every hour: the first time is a burst, if that."""
    rates = np.zeros((600, 2))
    rates[:, 0] = 3.0
    rates[5::60, 1] = 200.0
    entries, times = stream(rates)
    assert len(begun(entries, times)) <= 1


def test_what_is_new_is_no_burst_and_neither_is_a_young_stream() -> None:
    rates = np.zeros((60, 3))
    rates[:, 0], rates[40, 1] = 5.0, 500.0
    rates[2, 2], rates[int(KNOWN_WINDOWS) - 3, 2] = 1.0, 500.0
    entries, times = stream(rates)
    assert begun(entries, times) == []


def test_few_lines_are_no_burst() -> None:
    rates = np.zeros((300, 2))
    rates[:, 0] = 5.0
    entries, times = stream(rates)
    some = np.searchsorted(times, START_US + 200 * WINDOW_US)
    entries = np.insert(entries, some, [1] * (LEAST_LINES - 1))
    entries[3] = 1
    times = np.insert(times, some, [START_US + 200 * WINDOW_US] * (LEAST_LINES - 1))
    assert begun(entries, times) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 700), st.integers(0, 3))
def test_batches_do_not_matter(size: int, seed: int) -> None:
    rates = np.full((40, 4), 2.0)
    rates[20, 1] = rates[30, 2] = rates[31, 2] = 120.0
    entries, times = stream(rates, seed)
    assert begun(entries, times, size) == begun(entries, times, len(entries))
    assert len(begun(entries, times)) >= 2


def test_silence_is_not_forgotten_and_costs_nothing() -> None:
    """A source that was down for three days and comes back as it was has no burst."""
    entries, times = stream(np.full((120, 3), 10.0))
    later = times + 3 * 1440 * WINDOW_US
    assert begun(np.concatenate([entries, entries]), np.concatenate([times, later])) == []


def test_a_clock_that_goes_back_is_held() -> None:
    rates = np.full((90, 2), 12.0)
    rates[60, 1] = 150.0
    entries, times = stream(rates)
    jittered = times + np.random.default_rng(0).integers(-2_000_000, 1, len(times))
    assert len(begun(entries, jittered, 100)) == 1


def test_a_clock_that_was_set_back_is_followed() -> None:
    """It was a day ahead for a minute: what comes then is no burst, and bursts are found again."""
    rates = np.full((90, 2), 12.0)
    rates[60, 1] = 150.0
    entries, times = stream(rates)
    ahead = times.copy()
    ahead[(times - START_US) // WINDOW_US == 30] += 1440 * WINDOW_US
    found = begun(entries, ahead, 10)
    assert (times[found] - START_US).tolist() == pytest.approx([60 * WINDOW_US], abs=WINDOW_US)


def test_a_restart_changes_nothing_and_templates_may_go() -> None:
    rates = np.full((90, 3), 12.0)
    rates[60, 1] = 150.0
    entries, times = stream(rates)
    half = int(np.searchsorted(times, START_US + 60 * WINDOW_US + 10_000_000))
    first, again = Bursts(), Bursts()
    assert begun(entries[:half], times[:half], bursts=first) == []
    again.restore(first.kept())
    rest = begun(entries[half:], times[half:], bursts=first)
    assert begun(entries[half:], times[half:], bursts=again) == rest
    assert len(rest) == 1

    fewer = Bursts()
    begun(entries[:half], times[:half], bursts=fewer)
    fewer.keep(np.array([1]))
    only = entries[half:] == 1
    found = begun(np.zeros(int(only.sum()), np.int32), times[half:][only], bursts=fewer)
    assert np.flatnonzero(only)[found].tolist() == rest


def test_a_state_that_is_not_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        Bursts().restore(Bursts().kept() | {"rates": np.zeros((5, 2))})
