"""What must hold of host trajectories however a stream comes, and what a host costs in memory."""

from __future__ import annotations

import gc
import os
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.program import rss_mb
from models.false_discovery import Discoveries
from models.host_checkpoint import HostModel
from models.inference import Engine
from models.training.host_forecast import fit_forecast
from models.training.hosts import History, fit
from parsers.syslog import Parser
from pipeline.columns import Vocabulary
from pipeline.host_table import HostLines
from pipeline.hosts import HostTrajectories
from pipeline.sample import sample_log
from pipeline.scorer import Scorer

BATCH = 16_384
TOGETHER = 200_000
"""Lines of the stream that is cut in two ways."""


class _Synthetic:
    """Lines of the sample's templates, drawn at random, of so many hosts."""

    def __init__(self, engine: Engine, hosts: int, seed: int = 0) -> None:
        fields = [Parser().fields(line, 0) for line in sample_log().splitlines()[:1500]]
        self.scorer = Scorer(engine)
        self.rows = self.scorer.resolve([f[5] for f in fields], [f[9] for f in fields]).rows
        self.names = Vocabulary(b"host-%d" % i for i in range(hosts))
        self.rng = np.random.default_rng(seed)
        table = self.scorer.table
        history = History(np.arange(1500.0), self.rows.astype(np.intp), table.severity[self.rows])
        latents, ids = table.latent[: table.size].copy(), table.template_id[: table.size].copy()
        dynamics = fit([history], latents, ids, steps=50)
        forecast = fit_forecast(dynamics, [history], latents, dynamics.code(latents, ids))
        self.model = HostModel(dynamics, forecast, engine.version, {}, "hosts-bench")

    def lines(self, codes: npt.NDArray[np.int32], start_s: float) -> tuple[HostLines, Any, Any]:
        n = len(codes)
        at = start_s + np.sort(self.rng.uniform(0, 60, n))
        rows = self.rng.choice(self.rows, n)
        hosts = HostLines([("udp", n)], codes, self.names, at, at)
        return hosts, rows, self.scorer.table.severity[rows]


def laws(engine: Engine) -> dict[str, float]:
    made = _Synthetic(engine, 50)
    table = made.scorer.table
    codes = made.rng.integers(0, 50, TOGETHER).astype(np.int32)
    hosts, rows, severity = made.lines(codes, 0.0)

    def run(
        known: HostTrajectories, cuts: list[int], pick: Any = None, told: Any = None
    ) -> npt.NDArray[Any]:
        found = []
        for low, high in pairwise(cuts):
            at = np.arange(low, high) if pick is None else pick[(pick >= low) & (pick < high)]
            part = HostLines(
                [("udp", len(at))], codes[at], made.names, hosts.times_s[at], hosts.received_s[at]
            )
            headed = known.observe(part, rows[at], table, severity[at])
            found.append(headed.nats)
            if told is not None:
                told.append(headed.p_value)
        return np.concatenate(found)

    one = HostTrajectories(made.model)
    p_values: list[npt.NDArray[np.float32]] = []
    whole = run(one, [*range(0, TOGETHER, BATCH), TOGETHER], told=p_values)
    flagged = Discoveries().observe(np.concatenate(p_values)).sum()
    cuts = sorted({0, TOGETHER, *made.rng.integers(1, TOGETHER, 300).tolist()})
    other = HostTrajectories(made.model)
    cut = np.abs(run(other, cuts) - whole).max()

    first, second = HostTrajectories(made.model), HostTrajectories(made.model)
    half = TOGETHER // 2
    before = run(first, [*range(0, half, BATCH), half])
    second.restore(first.kept())
    after = run(second, [half, *range(half + BATCH, TOGETHER, BATCH), TOGETHER])
    straight = run(first, [half, *range(half + BATCH, TOGETHER, BATCH), TOGETHER])
    restart = float(np.abs(after - straight).max())
    assert len(before) == half

    alone = HostTrajectories(made.model)
    run(alone, [*range(0, TOGETHER, BATCH), TOGETHER], np.flatnonzero(codes == 7))
    mine = one.hosts.keys.index(("udp", "host-7"))
    beside = np.abs(one.hosts.state[mine] - alone.hosts.state[0]).max()
    return {
        "cut": float(cut),
        "restart": restart,
        "beside": float(beside),
        "flagged_per_10k": float(flagged) / TOGETHER * 1e4,
    }


def memory(engine: Engine, hosts: int) -> dict[str, float]:
    """RSS of this process before the hosts are there, with them, and after as many lines again."""
    made = _Synthetic(engine, hosts)
    table = made.scorer.table
    known = HostTrajectories(made.model, max_hosts=2 * hosts)
    known.observe(*made.lines(np.zeros(BATCH, np.int32), 0.0)[:2], table, np.zeros(BATCH, np.int8))
    gc.collect()
    pid = os.getpid()
    rss = [rss_mb(pid, "VmRSS")]
    for turn in (1, 2):
        for low in range(0, hosts, BATCH):
            codes = np.arange(low, min(low + BATCH, hosts), dtype=np.int32)
            lines, rows, severity = made.lines(codes, 60.0 * turn)
            known.observe(lines, rows, table, severity)
        gc.collect()
        rss.append(rss_mb(pid, "VmRSS"))
    columns = known.hosts.columns().values()
    size = sum(column.nbytes for column in columns) / len(known.hosts)
    return {
        "hosts": len(known.hosts),
        "bytes_per_host": size,
        "rss_before_mb": rss[0],
        "rss_hosts_mb": rss[1],
        "rss_again_mb": rss[2],
    }
