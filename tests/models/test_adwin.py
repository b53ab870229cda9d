"""ADWIN's laws: it keeps what belongs together, finds what has changed, and seldom cries wolf."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adwin import BUCKETS, LEAST_CHUNKS, Adwin, Cut

Doubles = npt.NDArray[np.float64]


def bernoulli(rng: np.random.Generator, p: float, n: int) -> Doubles:
    return (rng.random(n) < p).astype(np.float64)


def in_bursts(rng: np.random.Generator, p: float, n: int, length: float) -> Doubles:
    """Runs of equal values, of geometric lengths: the mean is p all the same."""
    runs = int(2 * n / length) + 50
    return np.repeat(bernoulli(rng, p, runs), rng.geometric(1 / length, runs))[:n]


def feed(adwin: Adwin, values: Doubles, chunk: int, *, look: int = 1) -> list[tuple[int, Cut]]:
    """The cuts, and after how many values each was made."""
    cuts = []
    for i, part in enumerate(values[: len(values) // chunk * chunk].reshape(-1, chunk), 1):
        adwin.add(float(part.mean()), chunk, float(part.var()))
        if i % look == 0 and (cut := adwin.shrink()):
            cuts.append((i * chunk, cut))
    return cuts


@pytest.mark.parametrize("chunk", [1, 32, 512])
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("independent", [True, False])
def test_a_mean_that_stands_is_cut_less_often_than_delta_says(
    chunk: int, p: float, independent: bool
) -> None:
    rng, delta, looks, cuts = np.random.default_rng(0), 0.05, 0, 0
    for _ in range(3):
        adwin = Adwin(delta, independent=independent)
        cuts += len(feed(adwin, bernoulli(rng, p, 600 * chunk), chunk))
        looks += 600
    assert cuts <= delta * looks


@pytest.mark.parametrize(("p", "q"), [(0.1, 0.2), (0.2, 0.1), (0.5, 0.6), (0.9, 0.8)])
@pytest.mark.parametrize("chunk", [32, 128, 512])
def test_a_step_of_a_tenth_is_found_both_ways_within_3000_lines(
    p: float, q: float, chunk: int
) -> None:
    rng, adwin, n = np.random.default_rng(1), Adwin(), 64 * 512
    assert feed(adwin, bernoulli(rng, p, n), chunk) == []
    cuts = feed(adwin, bernoulli(rng, q, n), chunk)
    found_after, cut = cuts[0]
    assert found_after <= max(3000, 5 * chunk)
    assert cut.before == pytest.approx(p, abs=0.02)
    assert np.sign(cut.after - cut.before) == np.sign(q - p)
    assert adwin.weight <= n + found_after
    assert adwin.mean == pytest.approx(q, abs=0.02)


def test_a_rare_thing_that_becomes_less_rare_is_found() -> None:
    rng, adwin = np.random.default_rng(2), Adwin(1e-4)
    assert feed(adwin, bernoulli(rng, 0.001, 200_000), 100) == []
    assert feed(adwin, bernoulli(rng, 0.02, 10_000), 100)


@given(st.integers(0, 9999), st.integers(1, 400), st.integers(1, 40), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_the_window_is_the_newest_values_and_its_moments_are_theirs(
    seed: int, n: int, most: int, step: float
) -> None:
    """However it was cut into chunks, merged and shrunk."""
    rng = np.random.default_rng(seed)
    values = rng.random(n)
    values[n // 2 :] *= step
    adwin, start = Adwin(0.5), 0
    while start < n:
        part = values[start : start + int(rng.integers(1, most + 1))]
        adwin.add(float(part.mean()), len(part), float(part.var()))
        adwin.shrink()
        start += len(part)
    window = values[n - round(adwin.weight) :]
    assert adwin.mean == pytest.approx(window.mean(), abs=1e-9)
    _, weight, mean, within, between = adwin.kept().T
    squares = within.sum() + between.sum() + (weight * (mean - adwin.mean) ** 2).sum()
    assert squares / len(window) == pytest.approx(window.var(), abs=1e-9)


def test_what_is_cut_off_and_what_is_kept_are_all_there_was() -> None:
    rng, adwin = np.random.default_rng(3), Adwin()
    old, new = bernoulli(rng, 0.1, 20_000), bernoulli(rng, 0.6, 1000)
    feed(adwin, old, 50)
    found_after, cut = feed(adwin, new, 50)[0]
    all_values = np.concatenate([old, new[:found_after]])
    dropped, kept = np.split(all_values, [round(cut.dropped)])
    assert len(kept) == cut.kept
    assert cut.before == pytest.approx(dropped.mean())
    assert cut.after == pytest.approx(kept.mean())


def test_bursts_do_not_pass_for_change() -> None:
    rng = np.random.default_rng(4)
    values = in_bursts(rng, 0.2, 400_000, length=100)
    told = [
        sum(abs(cut.after - cut.before) > 0.02 for _, cut in feed(adwin, values, 200))
        for adwin in (Adwin(1e-4), Adwin(1e-4, independent=True))
    ]
    assert told[0] <= 2
    assert told[1] >= 50  # what the paper's bound makes of them


def test_a_change_among_bursts_is_found() -> None:
    rng, adwin = np.random.default_rng(5), Adwin(1e-4)
    feed(adwin, in_bursts(rng, 0.1, 100_000, length=20), 64)
    found_after, cut = feed(adwin, in_bursts(rng, 0.5, 20_000, length=20), 64)[0]
    assert found_after <= 10_000
    assert cut.after > cut.before


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_a_value_that_never_changes_is_never_cut(value: float) -> None:
    adwin = Adwin(0.5)
    assert feed(adwin, np.full(3000, value), 1) == []
    assert adwin.weight == 3000
    assert adwin.mean == pytest.approx(value)


def test_from_never_to_always_is_a_change() -> None:
    adwin = Adwin(1e-6)
    feed(adwin, np.zeros(1000), 10)
    assert feed(adwin, np.ones(1000), 10)
    assert adwin.mean == pytest.approx(1.0, abs=0.1)


def test_memory_grows_with_the_logarithm_of_what_was_seen() -> None:
    adwin, sizes = Adwin(), []
    for chunks in range(1, 100_001):
        adwin.add(0.5, 1000)
        if chunks in (100, 1000, 10_000, 100_000):
            sizes.append(len(adwin))
    assert all(b - a <= 4 * BUCKETS for a, b in pairwise(sizes))
    assert adwin.weight == 1e8
    assert adwin.mean == pytest.approx(0.5)


@pytest.mark.parametrize("odd", [3, 5])
def test_neither_part_of_a_cut_is_less_than_a_few_chunks(odd: int) -> None:
    adwin, few = Adwin(independent=True), LEAST_CHUNKS * 100
    values = np.concatenate([np.ones(odd * 100), np.zeros(5000), np.ones(1000)])
    cuts = [cut for _, cut in feed(adwin, values, 100)]
    assert len(cuts) >= 2
    assert all(cut.dropped >= few and cut.kept >= few for cut in cuts)


def test_kept_and_restored_it_goes_on_the_same() -> None:
    rng = np.random.default_rng(6)
    first, second = Adwin(0.01), Adwin(0.01)
    feed(first, bernoulli(rng, 0.1, 10_017), 17)
    second.restore(first.kept())
    rest = bernoulli(rng, 0.2, 10_000)
    assert feed(first, rest, 25) == feed(second, rest, 25) != []
    np.testing.assert_array_equal(first.kept(), second.kept())


def test_an_empty_window_is_kept_as_well() -> None:
    adwin = Adwin()
    adwin.add(0.5)
    adwin.restore(Adwin().kept())
    assert len(adwin) == 0
    assert np.isnan(adwin.mean)
    assert adwin.shrink() is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: rows[:, :4],
        lambda rows: rows[::-1],  # newest first
        lambda rows: np.where(np.arange(5) == 1, -rows, rows),  # weights below 0
        lambda rows: rows + np.array([0.5, 0, 0, 0, 0]),  # levels between levels
        lambda rows: rows * np.nan,
        lambda rows: rows * np.array([0, 1, 1, 1, 1]),  # all on one level
        lambda rows: rows + np.array([1e9, 0, 0, 0, 0]),
    ],
)
def test_what_is_no_window_is_refused_and_the_old_one_stays(damage: object) -> None:
    adwin = Adwin()
    feed(adwin, np.zeros(500), 10)
    before = adwin.kept()
    assert callable(damage)
    with pytest.raises(ValueError, match="buckets"):
        adwin.restore(damage(before))
    np.testing.assert_array_equal(adwin.kept(), before)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, float("nan")])
def test_a_delta_that_is_no_probability_is_refused(delta: float) -> None:
    with pytest.raises(ValueError, match="delta"):
        Adwin(delta)
