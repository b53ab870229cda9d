"""The share of false ones among discoveries, in memory, stays below what was asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.false_discovery import Discoveries

RATE, MEMORY = 0.1, 1000.0


def streams(
    share: float, lines: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """p-values of which a share are of anomalies, and which."""
    draw = np.random.default_rng(seed)
    anomaly = draw.random(lines) < share
    p = draw.random(lines)
    p[anomaly] = draw.beta(0.05, 20, int(anomaly.sum()))
    return p, anomaly


def remembered(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(N,) discoveries in memory after each line."""
    total, sums = 0.0, np.empty(len(found))
    for i, yes in enumerate(found.tolist()):
        total = total * (1 - 1 / MEMORY) + yes
        sums[i] = total
    return sums


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.1])
def test_the_rate_of_false_ones_in_memory_is_kept(share: float) -> None:
    """At every 500th line, over 60 streams: Σ δ^age false / (Σ δ^age all + 1)."""
    rates = []
    for seed in range(60):
        p, anomaly = streams(share, 6000, seed)
        found = Discoveries(RATE, MEMORY).observe(p)
        false, every = remembered(found & ~anomaly), remembered(found)
        rates.append((false / (every + 1))[499::500])
    mean = np.array(rates).mean(axis=0)
    error = np.array(rates).std(axis=0) / np.sqrt(len(rates))
    assert (mean <= RATE + 3 * error).all()
    assert mean.mean() <= RATE * 1.1


def test_anomalies_are_found_even_where_they_are_very_rare() -> None:
    """After a hundred thousand lines of nothing the levels are what they were (no alpha death)."""
    p, anomaly = streams(0.0003, 300_000, 1)
    found = Discoveries(RATE, MEMORY).observe(p)
    late = anomaly & (np.arange(len(p)) > 200_000)
    assert late.sum() > 20
    assert found[late].mean() > 0.5


def test_more_anomalies_are_found_at_larger_p_values() -> None:
    power = []
    for share in (0.001, 0.1):
        p, anomaly = streams(share, 100_000, 2)
        found = Discoveries(RATE, MEMORY).observe(p)
        power.append(float(found[anomaly].mean()))
    assert power[0] + 0.1 < power[1]


def test_most_discoveries_are_true_where_anomalies_are_common() -> None:
    """Where there are more than a few in memory, the share of false ones is the rate itself."""
    p, anomaly = streams(0.05, 200_000, 3)
    found = Discoveries(RATE, MEMORY).observe(p)
    assert (found & ~anomaly).sum() / found.sum() <= RATE * 1.1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 500)), min_size=1, max_size=50))
def test_nobody_uses_up_what_another_is_tested_at(noise: list[tuple[float, int]]) -> None:
    """Whatever p-values of others come between, and how many: one at the floor is found."""
    stream = Discoveries(RATE, MEMORY)
    for p, times in noise:
        stream.observe([p] * times)
        assert stream.observe([RATE / MEMORY]).all()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.one_of(st.floats(0, 1), st.floats(0, 1e-3)), max_size=200),
    st.integers(1, 50),
)
def test_batches_do_not_matter(p: list[float], size: int) -> None:
    whole, cut = Discoveries(RATE, MEMORY), Discoveries(RATE, MEMORY)
    parts = [cut.observe(p[i : i + size]) for i in range(0, len(p), size)]
    assert whole.observe(p).tolist() == [yes for part in parts for yes in part.tolist()]
    assert whole.extra == pytest.approx(cut.extra)


def test_it_is_the_rule_of_the_module() -> None:
    """α_t line by line, from the discoveries before it."""
    p, _ = streams(0.02, 3000, 4)
    found = Discoveries(RATE, MEMORY).observe(p)
    gamma = sum(
        share / mean * (1 - 1 / mean) ** np.arange(3000.0)
        for share, mean in ((0.5, 4.0), (0.25, 32.0), (0.25, 256.0))
    )
    decay = (1 - 1 / MEMORY) ** np.arange(1, 3001)
    assert np.sum(gamma) <= 1
    before: list[int] = []
    for t, value in enumerate(p.tolist()):
        distance = t - np.array(before, np.int64)
        level = RATE * (1 / MEMORY + (decay[distance - 1] * gamma[distance - 1]).sum())
        assert found[t] == (value <= level)
        if found[t]:
            before.append(t)
    assert len(before) > 20


@pytest.mark.parametrize(("rate", "memory"), [(0.0, 100.0), (1.0, 100.0), (0.1, 1.0)])
def test_what_cannot_be_is_refused(rate: float, memory: float) -> None:
    with pytest.raises(ValueError, match="memory"):
        Discoveries(rate, memory)
