"""The forecast: probabilities that react, fade, and grow with the horizon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.host_forecast import FADE_S, SEVERITIES, faded
from models.training.host_forecast import clock, fit_forecast, moments
from models.training.hosts import History
from tests.models.host_models import H, dynamics, forecast

QUIET = np.zeros((1, len(FADE_S), SEVERITIES))
HIDDEN = np.zeros((1, H), np.float32)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(1, 1e6))
def test_a_probability_is_one_whatever_came(count: float, age_s: float, ahead_s: float) -> None:
    found = forecast().probability(QUIET + count, np.array([age_s]), HIDDEN, ahead_s)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_longer_wait_makes_no_line_less_likely() -> None:
    counts = QUIET + np.random.default_rng(0).random(QUIET.shape)
    asked = [10.0, 60.0, 100.0, 300.0, 899.0, 900.0, 901.0, 3600.0, 9000.0]
    said = [forecast().probability(counts, np.array([1e4]), HIDDEN, tau)[0] for tau in asked]
    assert (np.diff(said, axis=0) >= -1e-12).all()


def test_it_reacts_to_errors_and_forgets_them() -> None:
    errors = QUIET.copy()
    errors[:, :, 3] = 5
    age_s = np.array([1e5])
    before = forecast().probability(QUIET, age_s, HIDDEN, 300.0)[0]
    just_now = forecast().probability(errors, age_s, HIDDEN, 300.0)[0]
    later = forecast().probability(faded(errors, np.array([7200.0])), age_s, HIDDEN, 300.0)[0]
    assert just_now[3] > 0.5 > later[3]
    assert just_now[3] > 10 * before[3]
    assert just_now[6] == before[6]


def test_what_was_known_at_a_moment_is_what_came_before_it() -> None:
    made, latents = dynamics(), np.zeros((2, 5), np.float32)
    code = np.zeros(2, np.int64)
    history = History(
        np.array([100.0, 160.0, 130.0, 500.0]),  # the clock goes back once
        np.array([0, 1, 0, 1]),
        np.array([6, 3, 6, 3], np.uint8),
    )
    assert clock(history).tolist() == [100.0, 160.0, 160.0, 530.0]
    found = moments(made, history, latents, code, np.array([101.0, 470.0, 531.0]), [60.0, 300.0])
    assert found.came[:, :, 3].tolist() == [[True, True], [True, True], [False, False]]
    assert found.known.tolist() == [[True, True], [True, False], [False, False]]
    np.testing.assert_allclose(found.counts[0, :, 6], np.exp(-1 / FADE_S), rtol=1e-5)
    assert found.counts[0, :, 3].tolist() == [0, 0, 0, 0]


def test_a_fit_learns_that_errors_come_in_bursts() -> None:
    rng = np.random.default_rng(3)
    starts = np.cumsum(rng.exponential(6 * 3600, 40))
    bursts = np.sort(np.concatenate([start + rng.uniform(0, 1200, 20) for start in starts]))
    history = History(bursts, np.zeros(len(bursts), np.intp), np.full(len(bursts), 3, np.uint8))
    latents = np.zeros((1, 5), np.float32)
    fitted = fit_forecast(dynamics(), [history], latents, np.zeros(1, np.int64))
    at = np.linspace(bursts[0], bursts[-1] - 300, 2000)
    known = moments(dynamics(), history, latents, np.zeros(1, np.int64), at, [300.0])
    said = fitted.probability(known.counts, known.age_s, known.hidden, 300.0)[:, 3]
    came = known.came[:, 0, 3]
    ours, base = np.mean((said - came) ** 2), np.mean((came.mean() - came) ** 2)
    assert ours < 0.7 * base
    assert said[came].mean() > 3 * said[~came].mean()


def test_nothing_to_learn_from_is_no_error() -> None:
    history = History(np.zeros(3), np.zeros(3, np.intp), np.full(3, 6, np.uint8))
    found = fit_forecast(dynamics(), [history], np.zeros((1, 5), np.float32), np.zeros(1, int))
    found.check(H)
    with pytest.raises(ValueError, match="forecast"):
        found.check(H + 1)
