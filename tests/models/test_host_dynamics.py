"""Host dynamics: the closed form is the ODE, the scan is the loop, the surprise is a log ratio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.host_dynamics import (
    LONGEST_S,
    MOST_LOG_RATIO,
    OTHER,
    STRAY,
    Dynamics,
    bounded,
    mixed,
    scan,
    surprise,
)
from tests.models.host_models import D, H, K, S, dynamics


def test_the_closed_form_is_a_fine_solution_of_the_ode() -> None:
    made = dynamics()
    state = np.random.default_rng(1).normal(size=(1, S))
    rate = np.repeat(made.rate_time, S // 2)
    fine, steps, gap_s = state.copy(), 20_000, 3.7
    for _ in range(steps):
        fine += gap_s / steps * (-rate * fine)
    closed = made.decay(np.array([gap_s]), lines=0.0) * state
    np.testing.assert_allclose(closed, fine, atol=1e-3)


def test_gaps_add_up_and_never_blow_up() -> None:
    made = dynamics()
    one, two = np.array([2.0]), np.array([3.5])
    np.testing.assert_allclose(
        made.decay(one, 0.0) * made.decay(two, 0.0), made.decay(one + two, 0.0), rtol=1e-5
    )
    odd = made.decay(np.array([-5.0, 0.0, LONGEST_S, 1e300, np.inf]))
    assert ((odd >= 0) & (odd <= 1)).all()
    np.testing.assert_array_equal(odd[0], odd[1])  # a clock that goes back stands still


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2500), st.integers(0, 9))
def test_the_scan_is_the_loop(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    decay = rng.random((n, 3)).astype(np.float32)
    decay[rng.random(n) < 0.1] = 0
    drive = rng.normal(size=(n, 3)).astype(np.float32)
    state, loop = np.zeros(3), []
    for i in range(n):
        state = decay[i] * state + drive[i]
        loop.append(state)
    np.testing.assert_allclose(scan(decay, drive), np.stack(loop), atol=1e-4)


@pytest.mark.parametrize("hosts", [1, 3, 40])
def test_the_surprise_is_a_log_ratio_to_the_hosts_shares(hosts: int) -> None:
    made, rng = dynamics(), np.random.default_rng(2)
    base = rng.dirichlet(np.ones(K), hosts).astype(np.float32)
    host = rng.integers(0, hosts, 100)
    state = rng.normal(size=(100, S)).astype(np.float32)
    ratios = np.stack(
        [np.exp(-surprise(made, state, np.full(100, k), host, base)) for k in range(K)], axis=1
    )
    np.testing.assert_allclose((base[host] * ratios).sum(axis=1), 1, rtol=1e-4)
    strays = np.exp(-mixed(-np.log(ratios)))
    np.testing.assert_allclose((base[host, :] * strays).sum(axis=1), 1, rtol=1e-4)
    assert strays.min() >= STRAY * 0.999


def test_a_hostile_state_has_a_finite_surprise() -> None:
    made = dynamics()
    out, bias = bounded(np.full((H, K), 1e6, np.float32), np.full(K, 1e6, np.float32))
    assert 6 * np.abs(out).sum(axis=0).max() + np.abs(bias).max() <= MOST_LOG_RATIO * 1.01
    state = np.full((3, S), 1e30, np.float32)
    found = surprise(
        made, state, np.array([0, 1, 2]), np.zeros(3, int), made.base[None], out, bias
    )
    assert np.isfinite(found).all()


def test_codes_are_known_by_id_then_by_nearness() -> None:
    made = dynamics()
    near = made.centres[2] + np.float32(0.1)
    far = np.full(D, 99.0, np.float32)
    latent = np.stack([far, near, far])
    ids = np.array([13, 7, 8], np.uint64)
    assert made.code(latent, ids).tolist() == [3, 2, OTHER]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("out", np.zeros((H, K + 1), np.float32)),
        ("rate_time", np.array([0.1, -1.0], np.float32)),
        ("base", np.zeros(K, np.float32)),
        ("enter", np.full((D, S), np.nan, np.float32)),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object) -> None:
    wrong: Dynamics = replace(dynamics(), **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"is \(|finite|rates"):
        wrong.check()
