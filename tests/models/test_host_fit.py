"""Fitting: order that is there is found, and a session in another order is more surprising."""

from __future__ import annotations

import numpy as np
import pytest

from models.host_dynamics import LONGEST_S, Dynamics, Floats, mixed, scan, surprise
from models.training.hosts import History, fit
from tests.models.host_models import rounds

LATENTS = np.random.default_rng(5).normal(size=(6, 32)).astype(np.float32) * 3
IDS = np.arange(100, 106, dtype=np.uint64)


def nats(made: Dynamics, history: History) -> Floats:
    gaps = np.diff(history.times_s, prepend=history.times_s[:1]).clip(0, LONGEST_S)
    code = made.code(LATENTS, IDS)[history.templates]
    driven = made.drive(LATENTS[history.templates], code)
    before = np.vstack([np.zeros_like(driven[:1]), driven[:-1]])
    decay = made.decay(gaps)
    base = np.full((1, made.codes), 1 / made.codes, np.float32)
    state = scan(decay, decay * before)
    return mixed(surprise(made, state, code, np.zeros(len(code), int), base))


def test_an_order_is_learned_and_its_loss_noticed() -> None:
    heard = []
    made = fit([rounds(600)], LATENTS, IDS, steps=120, report=lambda *step: heard.append(step))
    assert heard
    assert made.held_out.mean() < -0.8, "six templates in turn: log 6 is 1.8 nats"
    other = rounds(400, seed=1)
    order = np.random.default_rng(0).permutation(400)
    shuffled = other._replace(templates=other.templates[order])
    assert nats(made, other).mean() < -0.8
    assert nats(made, shuffled).mean() > 0.5


def test_the_same_seed_gives_the_same_model() -> None:
    one, two = (fit([rounds(200)], LATENTS, IDS, steps=10, seed=7) for _ in range(2))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(two, name))


def test_too_few_lines_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        fit([rounds(20)], LATENTS, IDS)
