"""Fit the forecast: what had come within so many minutes, asked at many moments of the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models.host_dynamics import LONGEST_S, Codes, Doubles, Dynamics, Floats, scan
from models.host_forecast import FADE_S, SEVERITIES, Forecast, faded, features
from models.training.hosts import History

AHEAD_S = (60.0, 300.0, 900.0, 3600.0)
"""Horizons that it learns from; others lie between them."""
MOMENTS = 4000
"""Asked about at most, all hosts together, half of them just after a line."""
STEPS, LEARNING_RATE = 400, 0.05
STATE_PENALTIES = (30.0, 3.0, 0.3)
"""On the squares of v, tried in turn: the state has to help on moments held out."""
LATER = 0.25
"""The last share of the moments chooses among them."""


class Moments(NamedTuple):
    """Q moments of hosts, in order of time within each host."""

    counts: Doubles  # (Q, M, 8) faded until then
    age_s: Doubles  # (Q,) since the host's first line
    hidden: Floats  # (Q, H) of its state then
    came: npt.NDArray[np.bool_]  # (Q, A, 8) any line of the severity within each horizon


def fit_forecast(
    dynamics: Dynamics,
    histories: Sequence[History],
    latents: Floats,
    code: Codes,
    *,
    seed: int = 0,
) -> Forecast:
    """A forecast for these hosts. latents: (T, D) of the templates, code: (T,) their codes."""
    rng = np.random.default_rng(seed)
    share = MOMENTS / max(sum(len(h.times_s) for h in histories), 1)
    early, late = [], []
    for history in histories:
        times = clock(history)
        if len(times) < 8 or times[-1] <= times[0]:
            continue
        asked = max(int(min(share, 1.0) * len(times)), 16)
        end = times[-1] - min(AHEAD_S[1], 0.1 * (times[-1] - times[0]))
        at = np.concatenate([rng.uniform(times[0], end, asked), rng.choice(times, asked)])
        at = np.sort(at[at <= end])
        found = moments(dynamics, history, latents, code, at, AHEAD_S)
        cut = round(len(at) * (1 - LATER))
        early.append(_part(found, slice(0, cut)))
        late.append(_part(found, slice(cut, None)))
    if not early:
        return Forecast(
            np.full(SEVERITIES, -10.0, np.float32),
            np.ones(SEVERITIES, np.float32),
            np.zeros(len(FADE_S), np.float32),
            np.zeros((len(dynamics.hidden_bias), SEVERITIES), np.float32),
        )
    train, test = _joined(early), _joined(late)
    best = min(STATE_PENALTIES, key=lambda penalty: _brier(_fitted(train, penalty), test))
    return _fitted(_joined([*early, *late]), best)


def clock(history: History) -> Doubles:
    """(N,) the host's times, standing still where the clock went back."""
    gaps = np.diff(history.times_s, prepend=history.times_s[:1]).clip(0, LONGEST_S)
    found: Doubles = history.times_s[:1].sum() + np.cumsum(gaps)
    return found


def moments(
    dynamics: Dynamics,
    history: History,
    latents: Floats,
    code: Codes,
    at_s: Doubles,
    ahead_s: Sequence[float],
) -> Moments:
    """What was known of a host at (Q,) moments, and what came then; by `clock`'s times."""
    times, severity = clock(history), np.minimum(history.severity, SEVERITIES - 1)
    gaps = np.diff(times, prepend=times[:1])
    templates = history.templates
    state = scan(dynamics.decay(gaps), dynamics.drive(latents[templates], code[templates]))
    lines = np.zeros((len(times), len(FADE_S), SEVERITIES), np.float32)
    lines[np.arange(len(times)), :, severity] = 1
    left = np.exp(-gaps[:, None] / FADE_S).astype(np.float32).repeat(SEVERITIES, axis=1)
    counts = scan(left, lines.reshape(len(times), -1)).reshape(lines.shape)
    last = np.searchsorted(times, at_s, side="right") - 1
    passed = at_s - times[last]
    hidden = dynamics.hide(dynamics.decay(passed, lines=0.0) * state[last])
    came = np.zeros((len(at_s), len(ahead_s), SEVERITIES), np.bool_)
    for s in range(SEVERITIES):
        of = times[severity == s]
        until = [np.searchsorted(of, at_s + tau, side="right") for tau in ahead_s]
        came[:, :, s] = (np.stack(until, 1) - np.searchsorted(of, at_s, side="right")[:, None]) > 0
    return Moments(faded(counts[last], passed), at_s - times[0], hidden, came)


def _fitted(known: Moments, penalty: float) -> Forecast:
    """Maximum likelihood, with a penalty on what hangs on the state."""
    torch.manual_seed(0)
    x = torch.stack(
        [torch.from_numpy(features(known.counts, known.age_s, tau)).float() for tau in AHEAD_S], 1
    )  # (Q, A, M, 8)
    hidden, came = torch.from_numpy(known.hidden), torch.from_numpy(known.came).float()
    log_ahead = (torch.tensor(AHEAD_S) / 60.0).log()[:, None]  # (A, 1)
    share = came.mean((0, 1)).clamp(1e-4, 1 - 1e-4)
    bias = ((-(-share).log1p()).log() - 1.0).requires_grad_()
    growth = torch.zeros(SEVERITIES, requires_grad=True)
    rates = torch.full((len(FADE_S),), -2.0, requires_grad=True)
    state = torch.zeros(hidden.shape[1], SEVERITIES, requires_grad=True)
    parameters = [bias, growth, rates, state]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    for _ in range(STEPS):
        log_hazard = (
            bias
            + functional.softplus(growth) * log_ahead
            + torch.einsum("qams,m->qas", x, functional.softplus(rates))
            + (hidden @ state)[:, None]
        ).clamp(-30, 10)
        hazard = log_hazard.exp()
        log_came = (-torch.expm1(-hazard)).clamp_min(1e-12).log()
        loss = (torch.where(came > 0, -log_came, hazard)).mean()
        loss = loss + penalty * (state**2).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        return Forecast(
            bias.numpy().copy(),
            functional.softplus(growth).numpy(),
            functional.softplus(rates).numpy(),
            state.numpy().copy(),
        )


def _brier(forecast: Forecast, known: Moments) -> float:
    squares = [
        (forecast.probability(known.counts, known.age_s, known.hidden, tau) - known.came[:, a])
        ** 2
        for a, tau in enumerate(AHEAD_S)
    ]
    return float(np.mean(squares))


def _joined(parts: Sequence[Moments]) -> Moments:
    return Moments(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _part(of: Moments, part: slice) -> Moments:
    return Moments(of.counts[part], of.age_s[part], of.hidden[part], of.came[part])
