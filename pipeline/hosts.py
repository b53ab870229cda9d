"""Host trajectories: each host's latent state, carried from line to line and across batches.

The maths is models.host_dynamics; this keeps the states, and says of each line how little its host
was heading for it. However a stream is cut into batches the result is the same: what lines are
measured by (each host's shares of the codes, and what is usual for a source) is brought up to date
at fixed line numbers only, `room` lines from now, never at the end of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models import host_dynamics
from models.host_checkpoint import HostModel
from models.host_dynamics import Floats, scan_lanes, step_major
from models.host_forecast import FADE_S, SEVERITIES
from pipeline.host_learning import OnLine
from pipeline.host_table import MAX_HOSTS, HostLines, HostTable, Slots
from pipeline.host_usual import Usual
from pipeline.templates import TemplateTable

FIRST_ROOM, GROWTH, MOST_ROOM = 256, 4, 65_536
"""Shares are brought up to date after so many lines, then after a fourth more, at most so many."""
SMOOTHING = 5.0
"""So many lines of the fitted shares are mixed into each host's own."""
MEMORY_LINES = 50_000.0
"""A host's counts are halved beyond: habits change."""
LEAST_SHARE = 1e-4

Lines = npt.NDArray[np.intp]


class Headed(NamedTuple):
    """Of N lines."""

    nats: Floats
    """(N,) trajectory surprise; NaN where not scored."""
    p_value: Floats
    """(N,) among the source's earlier lines; 1 wherever it is no news."""


class HostTrajectories:
    """All hosts of one stream; bounded."""

    def __init__(self, model: HostModel, *, max_hosts: int = MAX_HOSTS) -> None:
        self.model = model
        self._dynamics = model.dynamics
        self.hosts = HostTable(model.dynamics, max_hosts)
        self.usual = Usual()
        self.on_line = OnLine(model.dynamics)
        self.lines = 0
        """So many were scored, all in all."""
        self._due = FIRST_ROOM
        self._scorer_version = ""
        self._ids = np.zeros(0, np.uint64)
        """Of the template table's rows, as of when the next two were computed."""
        self._drive = np.zeros((0, model.dynamics.features), np.float32)  # (T, S)
        self._code = np.zeros(0, np.int64)  # (T,)

    def observe(
        self,
        hosts: HostLines,
        rows: npt.NDArray[np.int32],
        table: TemplateTable,
        severity: npt.NDArray[np.integer],
        *,
        scorer_version: str = "",
    ) -> Headed:
        """Judge N lines by where their hosts were heading, and move the hosts on.

        rows: (N,) of the table; negative ones were not scored, and move nothing. severity: (N,)
        declared, else predicted. scorer_version: of the latents in the table.
        """
        n = len(rows)
        self._sync(table, scorer_version)
        slots = self.hosts.slots(hosts)
        source = self.usual.sources([(name, count) for name, count in hosts.senders])
        headed = Headed(np.full(n, np.nan, np.float32), np.ones(n, np.float32))
        self.on_line.begin(n)
        scored = None if rows.min(initial=0) >= 0 else np.flatnonzero(rows >= 0)
        known = n if scored is None else len(scored)
        start = 0
        while start < known:
            stop = min(start + self._due - self.lines, known)
            part: Lines | slice = slice(start, stop) if scored is None else scored[start:stop]
            nats = self._part(
                slots[part], hosts.times_s[part], rows[part], severity[part], part, n
            )
            headed.nats[part] = host_dynamics.mixed(nats)
            # Unmixed: far out there is more to tell apart.
            headed.p_value[part] = self.usual.observe(source[part], nats, self.lines)
            heard = slots[part], hosts.received_s[part]
            self.hosts.heard_s[heard[0]] = heard[1]  # of one host's lines the last one stays
            self.lines += stop - start
            start = stop
            if self.lines >= self._due:
                self._bring_up_to_date()
        return headed

    def learn(self, ordinary: npt.NDArray[np.bool_]) -> None:
        """Take a small step towards what the batch observed last has shown; see host_learning.

        ordinary: (N,) False for the lines that were flagged, and that teach nothing.
        """
        self.on_line.learn(ordinary)

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        parts = {
            "table": self.hosts.kept(),
            "usual": self.usual.kept(),
            "learnt": self.on_line.kept(),
        }
        found = {f"hosts_{p}_{k}": v for p, kept in parts.items() for k, v in kept.items()}
        found["hosts_marks"] = np.array([self.lines, self._due])
        found["hosts_model"] = np.array(self.model.version)
        return found

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; nothing where that was of other dynamics, or of none.

        Raises ValueError or KeyError where it is not whole.
        """
        if str(kept.get("hosts_model")) != self.model.version:
            return
        parts: dict[str, dict[str, npt.NDArray[Any]]] = {"table": {}, "usual": {}, "learnt": {}}
        for name, value in kept.items():
            owner, _, rest = name.removeprefix("hosts_").partition("_")
            if name.startswith("hosts_") and owner in parts:
                parts[owner][rest] = value
        self.hosts.restore(parts["table"])
        self.usual.restore(parts["usual"])
        self.on_line.restore(parts["learnt"])
        self.lines, self._due = (int(x) for x in kept["hosts_marks"])

    def _part(
        self,
        slots: Slots,
        times_s: npt.NDArray[np.float64],
        rows: npt.NDArray[np.int32],
        severity: npt.NDArray[np.integer],
        part: Lines | slice,
        batch: int,
    ) -> Floats:
        """`host_dynamics.surprise` of n scored lines, in their order; moves their hosts on."""
        hosts, dynamics, n = self.hosts, self._dynamics, len(rows)
        order = _by_host(slots)
        slot, when, row = slots[order], times_s[order], rows[order]
        new = np.empty(n, np.bool_)
        new[0] = True
        np.not_equal(slot[1:], slot[:-1], out=new[1:])
        first = np.flatnonzero(new)
        last = np.append(first[1:], n) - 1
        of = slot[first]  # (B,) the hosts of this part
        host = np.cumsum(new) - 1  # (n,) which of them
        gap = np.empty(n)
        np.subtract(when[1:], when[:-1], out=gap[1:])
        before_s = hosts.last_s[of]
        gap[first] = np.where(np.isnan(before_s), 0.0, when[first] - before_s)
        # A clock that goes back stands still; one that jumps ahead has jumped once.
        np.clip(gap, 0.0, host_dynamics.LONGEST_S, out=gap)
        code = self._code[row]

        places = step_major(n)
        steps, lanes = host_dynamics.grid(n)
        before = np.empty(len(places), row.dtype)  # the template of the line before
        before[:] = row.take(places - 1, mode="clip")
        x = self._drive.take(before, axis=0)
        left = dynamics.decay(gap.take(places, mode="clip"))
        place_of = np.empty(n, np.intp)
        inside = np.flatnonzero(places < n)
        place_of[places[inside]] = inside
        x[place_of[first]] = hosts.state[of]
        x *= left
        left[place_of[first]] = 0.0
        scan_lanes(left.reshape(steps, lanes, -1), x.reshape(steps, lanes, -1))

        base = hosts.base[of].astype(np.float32)
        own_code, own_host = code.take(places, mode="clip"), host.take(places, mode="clip")
        nats_at = host_dynamics.surprise(
            dynamics, x, own_code, own_host, base, self.on_line.out, self.on_line.out_bias
        )
        nats = np.empty(n, np.float32)
        nats[order] = nats_at[place_of]
        self.on_line.note(x, place_of, order, code, host, base, part, batch)

        hosts.state[of] = x[place_of[last]] + self._drive[row[last]]
        hosts.last_s[of] = when[last]
        self._count(of, host, gap, last, code, severity[order])
        return nats

    def _count(
        self,
        of: Slots,
        host: npt.NDArray[np.intp],
        gap: npt.NDArray[np.float64],
        last: npt.NDArray[np.intp],
        code: npt.NDArray[np.int64],
        severity: npt.NDArray[np.integer],
    ) -> None:
        """Add the lines, sorted by host, to the counts of their B hosts."""
        hosts, b, k = self.hosts, len(of), self._dynamics.codes
        said = np.bincount(host * k + code, minlength=b * k).reshape(b, k)
        hosts.counts[of] += said.astype(np.float32)
        clock = np.cumsum(gap)
        ago = (clock[last][host] - clock).astype(np.float32)
        passed = clock[last].copy()
        passed[1:] -= clock[last[:-1]]
        hosts.age_s[of] += passed
        kind = host * SEVERITIES + np.minimum(severity, SEVERITIES - 1)
        faded = np.exp(-passed[:, None] / FADE_S)[:, :, None] * hosts.severities[of]
        for m, fade_s in enumerate(FADE_S.tolist()):
            weights = np.exp(ago * np.float32(-1 / fade_s))
            added = np.bincount(kind, weights=weights, minlength=b * SEVERITIES)
            faded[:, m] += added.reshape(b, SEVERITIES)
        hosts.severities[of] = faded

    def _bring_up_to_date(self) -> None:
        hosts = self.hosts
        counts = hosts.counts[: len(hosts)]
        total = counts.sum(axis=1, keepdims=True)
        counts *= np.where(total > MEMORY_LINES, np.float32(0.5), np.float32(1))
        shares = counts + np.float32(SMOOTHING) * self._dynamics.base
        shares /= shares.sum(axis=1, keepdims=True)
        hosts.base[: len(hosts)] = np.maximum(shares, LEAST_SHARE)
        self.usual.bring_up_to_date()
        self._due = self.lines + min(max(self.lines // GROWTH, FIRST_ROOM), MOST_ROOM)

    def _sync(self, table: TemplateTable, scorer_version: str) -> None:
        """Drive and code of the table's rows; rows move when it makes room."""
        if len(self._ids) != table.capacity or scorer_version != self._scorer_version:
            self._scorer_version = scorer_version
            self._ids = np.zeros(table.capacity, np.uint64)
            self._drive = np.zeros((table.capacity, self._dynamics.features), np.float32)
            self._code = np.zeros(table.capacity, np.int64)
        ids = table.template_id[: table.size]
        changed = np.flatnonzero(self._ids[: table.size] != ids)
        if len(changed):
            latent = table.latent[changed]
            code = self._dynamics.code(latent, ids[changed])
            self._ids[changed], self._code[changed] = ids[changed], code
            self._drive[changed] = self._dynamics.drive(latent, code)


def _by_host(slots: Slots) -> Lines:
    """(n,) the lines in order of their hosts, those of one host as they came."""
    if not len(slots) or slots.min() == slots.max():
        return np.arange(len(slots))
    # 16-bit integers are sorted by radix, in a tenth of the time; the low half first.
    order = np.argsort(slots.astype(np.uint16), kind="stable")
    if slots.max() >= 1 << 16:
        order = order[np.argsort((slots >> 16).astype(np.uint16)[order], kind="stable")]
    return order
