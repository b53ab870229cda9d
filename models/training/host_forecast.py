"""Fit the forecast: what had come within so many minutes, asked at many moments of the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models.host_dynamics import LONGEST_S, Codes, Doubles, Dynamics, Floats, scan
from models.host_forecast import AHEAD_S, FADE_S, FAINT, SEVERITIES, Forecast, faded, features
from models.training.hosts import History

MOMENTS = 3000
"""Asked about at most, all hosts together, evenly spread over the time."""
STEPS, LEARNING_RATE = 250, 0.05
STATE_PENALTIES = (100.0, 1.0)
"""On the squares of v, tried in turn: the state has to help on moments held out."""
APART_PENALTY = 1e-3
NATS = 0.05
"""So much of the log-loss is added to the Brier score: it tells rare from never."""
SPANS = 8
"""A horizon is learned where a log is so many times as long."""
LATER = 0.25
"""The last share of the moments chooses among them."""


class Moments(NamedTuple):
    """Q moments of hosts, in order of time within each host."""

    counts: Doubles  # (Q, M, 8) faded until then
    age_s: Doubles  # (Q,) since the host's first line
    hidden: Floats  # (Q, H) of its state then
    came: npt.NDArray[np.bool_]  # (Q, A, 8) any line of the severity within each horizon
    known: npt.NDArray[np.bool_]  # (Q, A) False where the log ends before the horizon


class _Parts(NamedTuple):
    """Of one horizon."""

    bias: Floats  # (8,)
    rates: Floats  # (M,)
    state: Floats  # (H, 8)


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
    early, late, longest = [], [], 0.0
    for history in histories:
        times = clock(history)
        if len(times) < 8 or times[-1] <= times[0]:
            continue
        asked = max(int(min(share, 4.0) * len(times)), 16)
        at = np.sort(rng.uniform(times[0], times[-1], asked))
        found = moments(dynamics, history, latents, code, at, AHEAD_S)
        cut = round(len(at) * (1 - LATER))
        early.append(_part(found, slice(0, cut)))
        late.append(_part(found, slice(cut, None)))
        longest = max(longest, (times[-1] - times[0]) / SPANS)
    hidden = len(dynamics.hidden_bias)
    parts = [
        _Parts(
            np.full(SEVERITIES, np.log(FAINT), np.float32),
            np.full(len(FADE_S), 1 / len(FADE_S), np.float32),
            np.zeros((hidden, SEVERITIES), np.float32),
        )
    ]
    if early:
        train, test, whole = _joined(early), _joined(late), _joined([*early, *late])
        for a, tau in enumerate(AHEAD_S.tolist()):
            if tau > longest or not test.known[:, a].any():
                break
            tried = {penalty: _fitted(train, a, penalty) for penalty in STATE_PENALTIES}
            best = min(tried, key=lambda penalty: _brier(tried[penalty], test, a))
            parts.append(_fitted(whole, a, best))
    # What the logs are too short for is as at the longest horizon that they can tell of.
    parts = [*parts[1:], *[parts[-1]] * (len(AHEAD_S) + 1 - len(parts))]
    bias, rates, state = (np.stack(column) for column in zip(*parts, strict=True))
    return Forecast(bias, rates, state)


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
    ahead_s: Sequence[float] | Doubles,
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
    known = at_s[:, None] + np.asarray(ahead_s) <= times[-1]
    return Moments(faded(counts[last], passed), at_s - times[0], hidden, came, known)


def _fitted(known: Moments, a: int, penalty: float) -> _Parts:
    """The least Brier score at one horizon, with a penalty on what hangs on the state."""
    asked = known.known[:, a]
    x = torch.from_numpy(features(known.counts, known.age_s, float(AHEAD_S[a]))[asked]).float()
    hidden = torch.from_numpy(known.hidden[asked])
    came = torch.from_numpy(known.came[asked, a]).float()
    # From the moving average that does best.
    expected = FAINT * torch.expm1(x)
    errors = ((-torch.expm1(-expected) - came[:, None]) ** 2).mean((0, 2))  # (M,)
    common = torch.tensor(float(np.log(FAINT)), requires_grad=True)
    apart = torch.zeros(SEVERITIES, requires_grad=True)
    rates = torch.full((len(FADE_S),), -4.0)
    rates[int(errors.argmin())] = 0.54  # softplus of it is 1
    rates.requires_grad_()
    state = torch.zeros(hidden.shape[1], SEVERITIES, requires_grad=True)
    parameters = [common, apart, rates, state]
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, betas=(0.9, 0.99))
    for _ in range(STEPS):
        weights = functional.softplus(rates)
        log_hazard = common + apart + torch.einsum("qms,m->qs", x, weights) + hidden @ state
        hazard = log_hazard.clamp(-30, 4).exp()
        probability = -torch.expm1(-hazard)
        nats = torch.where(came > 0, -probability.clamp_min(1e-9).log(), hazard.clamp_max(20))
        loss = ((probability - came) ** 2).mean() + NATS * nats.mean()
        # A severity that hardly came is taken to be like the others.
        loss = loss + penalty * (state**2).mean() + APART_PENALTY * (apart**2).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        bias = (common + apart).numpy()
        return _Parts(bias, functional.softplus(rates).numpy(), state.numpy().copy())


def _brier(parts: _Parts, known: Moments, a: int) -> float:
    asked = known.known[:, a]
    x = features(known.counts, known.age_s, float(AHEAD_S[a]))[asked]
    log_hazard = parts.bias + np.einsum("qms,m->qs", x, parts.rates)
    log_hazard = np.clip(log_hazard + known.hidden[asked] @ parts.state, -30, 4)
    return float(((-np.expm1(-np.exp(log_hazard)) - known.came[asked, a]) ** 2).mean())


def _joined(parts: Sequence[Moments]) -> Moments:
    return Moments(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _part(of: Moments, part: slice) -> Moments:
    return Moments(of.counts[part], of.age_s[part], of.hidden[part], of.came[part], of.known[part])
