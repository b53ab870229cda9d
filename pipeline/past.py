"""What one source has said, and how unexpected its next line is, in nats.

A density of texts alone says little of a stream: a flow likes short and plain lines whoever
writes them. What a source will say next is a mixture of two things:

    what it has said:    (1 − ν) · count / n, for each template seen
    something new:       ν · (Σ N(z; zᵢ, σ²I) + α · p(z)) / (T + α)

zᵢ are the latents of the T templates seen, p the flow's density: the predictive law of a Dirichlet
process with the flow as its base (Ferguson 1973; Escobar & West 1995), apart from ν, the
probability of something new, which follows the stream (pipeline.news).

σ is the width of the isotropic Gaussian that has the flow's entropy, so that nothing has to be
tuned when the latents change. A template that was seen counts as a cell of volume (2πσ²)^(D/2),
which is one over the kernel's height: its probability over that volume is a density as well, and
both kinds of lines are measured in the same nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.news import News
from pipeline.templates import TemplateTable

MAX_TEMPLATES = 4096
"""Templates that one source's past may hold; the half used longest ago is then forgotten."""
BASE_WEIGHT = 1.0
"""α: the flow weighs as much as so many templates."""
SETTLED = 100
"""A count, or a stream, so many times what the batch adds to it is taken as it was before it: that
moves a surprise by 1/100 nat."""
FILL_KERNELS = 1 << 18
"""Pairs of templates compared at once where nearness has to be found out anew: 3 ms."""
_CHUNK, _CENTRES = 64, 1024
"""New templates compared with so many at once: what fits the CPU's caches."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]


class Said(NamedTuple):
    """Of N lines, F of which are the first of their template."""

    nats: Floats
    """(N,) surprise."""
    entries: Rows
    """(N,) templates."""
    log_count: Floats
    """(N,) log of how often the template came before; any number for the first ones."""
    log_odds: Floats
    """(N,) of something new, before each line."""
    first: npt.NDArray[np.intp]
    """(F,) which lines."""
    strangeness: Doubles
    """(F,) −log density of the first ones, given that they are new."""


class Past:
    """What one source has said: its templates, where they lie, and how often."""

    def __init__(self, latent_dim: int, width: float, max_templates: int = MAX_TEMPLATES) -> None:
        self.width = width
        self.news = News()
        self._max_templates = max_templates
        self.ids = np.zeros(0, np.uint64)
        self.counts = np.zeros(0, np.int64)
        self.latents = np.zeros((0, latent_dim), np.float32)  # (T, D)
        self.placed = np.zeros(0, np.bool_)
        """Whether a template's latent is known under the model in use."""
        self.log_base = np.zeros(0, np.float32)
        """log-density under the flow, −inf where not placed."""
        self.near = np.zeros(0, np.float32)
        """Kernels of all other templates summed; NaN where not known."""
        self._last_used = np.zeros(0, np.int64)
        self._clock = 0
        self._lines, self._once = 0, 0
        self._entry_of_id: dict[int, int] = {}
        self._entry_of_row = np.zeros(0, np.int32)

    def observe(self, rows: Rows, table: TemplateTable) -> Said:
        """Surprise of each line given those before it, then learn them.

        rows: (N,) of the table, scored. However a stream is cut into batches, the result is the
        same, to a few hundredths of a nat (SETTLED).
        """
        n = len(rows)
        self._clock += 1
        known = len(self.ids)
        entries = self._entries(rows, table)
        counts = self.counts[entries]
        added = np.bincount(entries, minlength=len(self.counts))
        now = self.news.now(self._once, self._lines)
        settled = self._lines >= SETTLED * n and len(self.ids) == known and now < 0.01
        at = np.flatnonzero(counts < SETTLED * added[entries]) if settled else np.arange(n)
        before = counts[at] + earlier(entries[at])
        lines = self._lines + at
        first = before == 0
        change = first.astype(np.int64) - (before == 1)  # (m,) of the templates seen once
        once = self._once + np.cumsum(change) - change
        rate = self.news.observe(at, first, once, lines, n)
        fresh = at[first]
        log_base = self.log_base[entries[fresh]].astype(np.float64)
        strangeness = -self._new_ones(known, log_base) if len(fresh) else log_base
        log_count = np.log(np.maximum(counts, 1).astype(np.float32))
        log_count[at] = np.log(np.maximum(before, 1))
        log_all = np.log(max(self._lines, 1)) - np.log1p(-now) + self.log_cell
        log_odds = np.full(n, np.log(now) - np.log1p(-now), np.float32)
        with np.errstate(divide="ignore"):
            log_seen = np.log1p(-rate)
            log_odds[at] = np.log(rate) - log_seen
            exact = np.log(np.maximum(lines, 1)) - log_seen + self.log_cell
        nats = np.full(n, log_all, np.float32)
        nats[at] = exact
        nats -= log_count
        nats[fresh] = strangeness - np.log(rate[first])
        self.counts += added
        self._lines += n
        self._once += int(change.sum())
        self._last_used[entries] = self._clock
        return Said(nats, entries, log_count, log_odds, fresh, strangeness)

    def log_density_of_new(self, latents: npt.ArrayLike, log_base: npt.ArrayLike) -> Doubles:
        """log of the second part without ν, were the next line's template new and there.

        latents: (N, D). log_base: (N,) their log-density under the flow.
        """
        asked = np.asarray(latents, np.float32)
        centres = self.latents[self.placed]
        return self._smooth(
            _kernels(asked, centres, self.width).sum(axis=1),
            np.full(len(asked), len(centres)),
            np.asarray(log_base, np.float64),
        )

    def strangeness(self, kernels: int = FILL_KERNELS) -> Floats:
        """(T,) −log density of each template that came once, were it new now; else NaN.

        NaN as well where that would take more than so many kernels to find out.
        """
        single = np.flatnonzero((self.counts == 1) & self.placed)
        found = np.full(len(self.ids), np.nan, np.float32)
        centres = np.flatnonzero(self.placed)
        missing = single[np.isnan(self.near[single])]
        missing = missing[::-1][: kernels // max(len(centres), 1)]  # the newest first
        if len(missing):
            kernels_of = _kernels(self.latents[missing], self.latents[centres], self.width)
            own = np.searchsorted(centres, missing)
            kernels_of[np.arange(len(missing)), own] = 0.0
            self.near[missing] = kernels_of.sum(axis=1)
        log_base = self.log_base[single].astype(np.float64)
        others = np.full(len(single), len(centres) - 1)
        found[single] = -self._smooth(self.near[single], others, log_base)
        return found

    def change_model(
        self, width: float, table: TemplateTable, order: npt.NDArray[np.intp]
    ) -> None:
        """Latents of another model: those of the table at once, others when they show up.

        order: (T,) rows of the table, by template id.
        """
        self.width = width
        rows = np.full(len(self.ids), -1, np.int64)
        met = np.flatnonzero(self._entry_of_row[: table.size] >= 0)
        rows[self._entry_of_row[met]] = met
        rows[table.template_id[rows] != self.ids] = -1  # rows may have moved
        missing = np.flatnonzero(rows < 0)
        if len(missing) and len(order):
            ids = table.template_id[order]
            place = np.searchsorted(ids, self.ids[missing])
            rows[missing] = order[np.minimum(place, len(ids) - 1)]
        self.placed = (table.template_id[rows] == self.ids) & bool(table.size)
        at = np.flatnonzero(self.placed)
        self.latents[at] = table.latent[rows[at]]
        self.log_base = np.full(len(self.ids), -np.inf, np.float32)
        self.log_base[at] = -table.surprise[rows[at]]
        self.near[:] = np.nan
        self._entry_of_row[:] = -1

    def make_room(self) -> npt.NDArray[np.intp] | None:
        """Forget templates where they are too many; those kept, in their order, or None."""
        if len(self.ids) <= self._max_templates:
            return None
        order = np.lexsort((self.counts, self._last_used))
        kept = np.sort(order[len(order) - self._max_templates // 2 :])
        self.ids, self.counts = self.ids[kept], self.counts[kept]
        self.latents, self.placed = self.latents[kept], self.placed[kept]
        self.log_base, self.near = self.log_base[kept], np.full(len(kept), np.nan, np.float32)
        self._last_used = self._last_used[kept]
        self._index()
        return kept

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All but `news`, to be saved: columns of T rows."""
        return {
            "ids": self.ids,
            "counts": self.counts,
            "latents": self.latents,
            "placed": self.placed,
            "log_base": self.log_base,
            "near": self.near,
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]], *, same_model: bool) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole.

        same_model: whether latents and densities are of the model in use.
        """
        n, dim = len(kept["ids"]), self.latents.shape[1]
        if same_model and kept["latents"].shape != (n, dim):
            raise ValueError(f"latents of {kept['latents'].shape}")
        self.ids = kept["ids"].astype(np.uint64)
        self.counts = kept["counts"].astype(np.int64)
        self._last_used = np.zeros(n, np.int64)
        self.latents = np.zeros((n, dim), np.float32)
        self.placed = np.zeros(n, np.bool_)
        self.log_base = np.full(n, -np.inf, np.float32)
        self.near = np.full(n, np.nan, np.float32)
        if same_model:
            self.latents = kept["latents"].astype(np.float32)
            self.placed = kept["placed"].astype(np.bool_)
            if "near" in kept:  # an older state has neither
                self.log_base = kept["log_base"].astype(np.float32)
                self.near = kept["near"].astype(np.float32)
        self._index()

    @property
    def log_cell(self) -> float:
        return 0.5 * self.latents.shape[1] * float(np.log(2 * np.pi * self.width**2))

    def _index(self) -> None:
        self._lines, self._once = int(self.counts.sum()), int((self.counts == 1).sum())
        self._entry_of_id = {template: i for i, template in enumerate(self.ids.tolist())}
        self._entry_of_row[:] = -1

    def _entries(self, rows: Rows, table: TemplateTable) -> Rows:
        """Entries of the lines; those of templates not met before are added, in order."""
        if len(self._entry_of_row) != table.capacity:
            self._entry_of_row = np.full(table.capacity, -1, np.int32)
        entries = self._entry_of_row[rows]
        ids = table.template_id[rows]
        # Rows move when the table makes room: an entry holds only if it is of the same template.
        right = entries >= 0
        if len(self.ids):
            right &= self.ids[entries] == ids
        missed = np.flatnonzero(~right)
        if not len(missed):
            return entries
        added: list[int] = []
        for row in dict.fromkeys(rows[missed].tolist()):
            template = int(table.template_id[row])
            entry = self._entry_of_id.get(template)
            if entry is None:
                entry = len(self.ids) + len(added)
                self._entry_of_id[template] = entry
                added.append(row)
            elif entry < len(self.ids) and not self.placed[entry]:
                self.latents[entry] = table.latent[row]
                self.log_base[entry] = -table.surprise[row]
                self.placed[entry] = True
            self._entry_of_row[row] = entry
        if added:
            new = len(added)
            self.ids = np.concatenate([self.ids, table.template_id[added]])
            self.counts = np.concatenate([self.counts, np.zeros(new, np.int64)])
            self.latents = np.concatenate([self.latents, table.latent[added]])
            self.log_base = np.concatenate([self.log_base, -table.surprise[added]])
            self.placed = np.concatenate([self.placed, np.ones(new, np.bool_)])
            self.near = np.concatenate([self.near, np.zeros(new, np.float32)])
            self._last_used = np.concatenate([self._last_used, np.zeros(new, np.int64)])
        return self._entry_of_row[rows]

    def _new_ones(self, known: int, log_base: Doubles) -> Doubles:
        """log-densities of the entries from `known` on, each given those before it only.

        What is near to what is kept for all of them.
        """
        found = np.empty(len(self.ids) - known)
        for low in range(known, len(self.ids), _CHUNK):
            part = self.latents[low : low + _CHUNK]
            before = np.zeros(len(part), np.float32)
            oldest = max(low - MAX_TEMPLATES, 0)  # one batch may bring many more
            for start in range(oldest, low, _CENTRES):
                those = slice(start, min(start + _CENTRES, low))
                kernels = _kernels(part, self.latents[those], self.width)
                if not self.placed[those].all():
                    kernels *= self.placed[those]
                before += kernels.sum(axis=1)
                self.near[those] += kernels.sum(axis=0)
            among = _kernels(part, part, self.width)
            np.fill_diagonal(among, 0.0)
            before_here = before + np.tril(among).sum(axis=1)
            self.near[low : low + len(part)] = before + among.sum(axis=1)
            templates = self.placed[oldest:low].sum() + np.arange(len(part))
            within = slice(low - known, low - known + len(part))
            found[within] = self._smooth(before_here, templates, log_base[within])
        return found

    def _smooth(
        self, near: Floats, templates: npt.NDArray[np.int64], log_base: Doubles
    ) -> Doubles:
        """near: (N,) kernels summed, in units of their height."""
        with np.errstate(divide="ignore", invalid="ignore"):
            log_near = np.log(near.astype(np.float64)) - self.log_cell
            density = np.logaddexp(log_near, np.log(BASE_WEIGHT) + log_base)
        total: Doubles = density - np.log(templates + BASE_WEIGHT)
        return total


def earlier(entries: Rows) -> npt.NDArray[np.int64]:
    """How many of the same entry came earlier in the batch. (N,) → (N,)"""
    n = len(entries)
    # 16-bit integers are sorted by radix, in a tenth of the time.
    narrow = entries.astype(np.uint16) if entries.max(initial=0) < 1 << 16 else entries
    order = np.argsort(narrow, kind="stable")
    grouped = entries[order]
    starts = np.flatnonzero(np.concatenate([[True], grouped[1:] != grouped[:-1]]))
    lengths = np.diff(np.append(starts, n))
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n) - np.repeat(starts, lengths)
    return rank


def _kernels(a: Floats, b: Floats, width: float) -> Floats:
    """exp(−|a − b|² / 2σ²), at least e^−80, which is nothing. (N, D), (M, D) → (N, M)"""
    a, b = a / np.float32(width), b / np.float32(width)
    found: Floats = a @ b.T
    found -= 0.5 * (a * a).sum(axis=1)[:, None]
    found -= 0.5 * (b * b).sum(axis=1)
    np.maximum(found, -80, out=found)  # numbers below the normal ones are slow
    np.exp(found, out=found)
    return found
