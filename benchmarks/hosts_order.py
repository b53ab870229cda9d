"""Order and forecast of real logs: fitted to the first half, measured on the second."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.host_checkpoint import HostModel
from models.host_forecast import FADE_S, FAINT, SEVERITIES, features
from models.inference import Engine
from models.training.host_forecast import clock, moments
from models.training.hosts import History
from models.training.metrics import auroc
from pipeline.columns import Vocabulary
from pipeline.host_fit import fitted
from pipeline.host_logs import HostLog, Logs, read_logs
from pipeline.host_table import HostLines
from pipeline.hosts import HostTrajectories
from pipeline.scorer import Scorer

LOGS = ("OpenSSH", "Hadoop", "Linux", "Zookeeper")
TEMPLATES = 4
"""A session of fewer templates has no order that could be broken."""
DRAWS = 5
"""Of each session so many are shuffled, and so many spliced."""
AHEAD_S = (60.0, 300.0, 900.0)
ASKED = 1000
"""Moments of a half, evenly spread, at which a forecast is asked for."""

Doubles = npt.NDArray[np.float64]


class Halves(NamedTuple):
    """One log of one host, and what was fitted to its first half."""

    host: HostLog
    logs: Logs
    half: int
    model: HostModel
    scorer: Scorer
    rows: npt.NDArray[np.int32]
    """(N,) of the scorer's table."""


def fit_half(path: Path, engine: Engine, seed: int) -> Halves:
    """Fit to the first half of the lines, then read them all."""
    lines = path.read_bytes().splitlines(keepends=True)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / path.name
        file.write_bytes(b"".join(lines[: len(lines) // 2]))
        first = read_logs([file], Scorer(engine))
    model = fitted(first, engine.version, seed=seed)
    scorer = Scorer(engine)
    logs = read_logs([path], scorer)
    host = max(logs.hosts, key=lambda h: len(h.times_s))
    row_of = {int(t): i for i, t in enumerate(scorer.table.template_id[: scorer.table.size])}
    rows = np.array([row_of[int(t)] for t in logs.ids], np.int32)[host.templates]
    return Halves(host, logs, len(host.times_s) // 2, model, scorer, rows)


def order(halves: Halves, session_lines: int, seed: int) -> dict[str, Any]:
    """AUROC of a session's mean, as it was against shuffled and against spliced.

    Each variant is judged after the true past, by a copy of what the stream knows there. Shuffled:
    the session's own lines, times staying where they are. Spliced: its lines are dealt out among
    all sessions, so that all of them together are the same lines.
    """
    rng = np.random.default_rng(seed)
    n, half = len(halves.rows), halves.half
    starts = range(half, n - session_lines + 1, session_lines)
    parts = [np.arange(start, start + session_lines) for start in starts]
    parts = [part for part in parts if len(set(halves.rows[part].tolist())) >= TEMPLATES]
    deals = [rng.permutation(np.concatenate(parts)).reshape(len(parts), -1) for _ in range(DRAWS)]
    stream = _Stream(halves)
    done = 0
    means: dict[str, list[tuple[float, float]]] = {"real": [], "shuffled": [], "spliced": []}
    for number, part in enumerate(parts):
        stream.say(np.arange(done, part[0]), np.arange(done, part[0]))
        done = part[0]
        variants = [("real", part)]
        variants += [("shuffled", rng.permutation(part)) for _ in range(DRAWS)]
        variants += [("spliced", dealt[number]) for dealt in deals]
        for name, lines in variants:
            means[name].append(copy.deepcopy(stream).say(lines, part))
    found: dict[str, Any] = {"sessions": len(parts)}
    truth = np.repeat([False, True], [len(parts), DRAWS * len(parts)])
    for name in ("shuffled", "spliced"):
        both = np.array(means["real"] + means[name])
        found[name] = auroc(both[:, 0], truth)
        found[f"{name}_order_blind"] = auroc(both[:, 1], truth)
    return found


class _Stream:
    """Trajectories and order-blind surprise of one host, fed by place in the log."""

    def __init__(self, halves: Halves) -> None:
        self._halves = halves
        self._names = Vocabulary([b"host"])
        self._trajectories = HostTrajectories(halves.model)
        self._surprise = copy.deepcopy(halves.scorer.surprise)

    def say(self, lines: npt.NDArray[np.intp], at: npt.NDArray[np.intp]) -> tuple[float, float]:
        """Mean trajectory surprise and mean surprise of these lines at the times of those."""
        if not len(lines):
            return 0.0, 0.0
        halves, n = self._halves, len(lines)
        times_s = halves.host.times_s[at]
        hosts = HostLines([("file", n)], np.zeros(n, np.int32), self._names, times_s, times_s)
        table = halves.scorer.table
        rows, severity = halves.rows[lines], halves.host.severity[lines]
        headed = self._trajectories.observe(hosts, rows, table, severity)
        blind = self._surprise.observe([("file", n)], rows, table)
        return float(headed.nats.mean()), float(blind.nats.mean())

    def __deepcopy__(self, memo: dict[int, Any]) -> _Stream:
        memo[id(self._halves)] = self._halves  # only read
        memo[id(self._names)] = self._names
        fresh = _Stream.__new__(_Stream)
        vars(fresh).update({k: copy.deepcopy(v, memo) for k, v in vars(self).items()})
        return fresh


def brier(halves: Halves) -> dict[str, Any]:
    """Brier scores over the severities of the log and the horizons, on the second half."""
    history = History(halves.host.times_s, halves.host.templates, halves.host.severity)
    dynamics = halves.model.dynamics
    code = dynamics.code(halves.logs.latents, halves.logs.ids)
    times, half = clock(history), halves.half
    present = np.unique(np.minimum(history.severity, SEVERITIES - 1))
    ours, base, average = [], [], []
    ahead = [
        tau for tau in AHEAD_S if tau <= min(times[half] - times[0], times[-1] - times[half]) / 4
    ]
    for tau in ahead:
        first, second = (
            moments(dynamics, history, halves.logs.latents, code, at, [tau])
            for at in (
                np.linspace(times[0], times[half] - tau, ASKED),
                np.linspace(times[half], times[-1] - tau, ASKED),
            )
        )
        came, before = second.came[:, 0, present], first.came[:, 0, present]
        forecast = halves.model.forecast
        said = forecast.probability(second.counts, second.age_s, second.hidden, tau)
        ours.append((said[:, present] - came) ** 2)
        base.append((before.mean(axis=0) - came) ** 2)
        # The time scale that is best on the first half.
        scales = range(len(FADE_S))
        tried = [_average(first.counts, first.age_s, tau, m)[:, present] for m in scales]
        best = int(np.argmin([((p - before) ** 2).mean() for p in tried]))
        chosen = _average(second.counts, second.age_s, tau, best)
        average.append((chosen[:, present] - came) ** 2)
    return {
        "ours": float(np.mean(ours)),
        "base_rate": float(np.mean(base)),
        "moving_average": float(np.mean(average)),
        "severities": len(present),
        "horizons": len(ahead),
    }


def _average(counts: Doubles, age_s: Doubles, ahead_s: float, scale: int) -> Doubles:
    """(Q, 8) 1 − exp(−rate τ) with the rate of an exponential moving average."""
    expected = FAINT * np.expm1(features(counts, age_s, ahead_s)[:, scale])
    found: Doubles = -np.expm1(-expected)
    return found
