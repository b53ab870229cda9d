"""Where the hosts of a stream are heading, out of its state directory (no torch)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from models.host_checkpoint import load_hosts
from models.host_forecast import faded
from pipeline.host_opening import FOLDER
from pipeline.hosts import HostTrajectories
from pipeline.state import FILE, StateError

ERR = 3


class Heading(msgspec.Struct):
    """One host."""

    source: str
    """The listener, and the peer's address where it knows one."""
    hostname: str | None
    heard_s: float
    """When its last line was received, Unix time."""
    lines: int
    """In memory: old ones fade."""
    probability: list[float]
    """(8,) of any line of severity emerg … debug."""


def headings(state_dir: Path, trajectories: Path | None, ahead_s: float) -> list[Heading]:
    """All hosts, those that err or worse is likeliest of first.

    Raises CheckpointError and StateError, one line each.
    """
    model = load_hosts(trajectories or state_dir / FOLDER)
    path = state_dir / FILE
    if not path.exists():
        raise StateError(f"{path}: no stream has kept anything there yet")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            found = {name: kept[name] for name in kept.files if name.startswith("hosts_")}
    except Exception as error:  # numpy and zipfile raise nearly anything for damaged bytes
        raise StateError(f"{path}: damaged, or no state of ltt-stream") from error
    if str(found.get("hosts_model")) != model.version:
        raise StateError(
            f"{path}: holds no hosts of {model.version}; run the stream with it first"
        )
    known = HostTrajectories(model)
    try:
        known.restore(found)
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        raise StateError(f"{path}: its hosts are damaged") from error
    return heading(known, ahead_s)


def heading(known: HostTrajectories, ahead_s: float) -> list[Heading]:
    """Of all hosts, as of the last line of any."""
    hosts, n = known.hosts, len(known.hosts)
    heard_s = np.nan_to_num(hosts.heard_s[:n])
    passed = heard_s.max(initial=0.0) - heard_s
    dynamics = known.model.dynamics
    hidden = dynamics.hide(dynamics.decay(passed, lines=0.0) * hosts.state[:n])
    probability = known.model.forecast.probability(
        faded(hosts.severities[:n], passed), hosts.age_s[:n] + passed, hidden, ahead_s
    )
    bad = 1 - np.prod(1 - probability[:, : ERR + 1], axis=1)
    order = np.lexsort((-probability[:, ERR + 1], -bad))
    lines = hosts.counts[:n].sum(axis=1).astype(int)
    return [
        Heading(
            hosts.keys[i][0],
            hosts.keys[i][1],
            float(heard_s[i]),
            int(lines[i]),
            [round(p, 6) for p in probability[i].tolist()],
        )
        for i in order.tolist()
    ]
