"""What one source has said, and how unexpected its next line is, in nats.

A density of texts alone says little of a stream: a flow likes short and plain lines whoever
writes them. What a source will say next is a mixture of two things:

    what it has said:    (1 − ν) · count / n, for each template seen
    something new:       ν · (Σ N(z; zᵢ, σ²I) + α · p(z)) / (T + α)

zᵢ are the latents of the T templates seen, p the flow's density: the predictive law of a Dirichlet
process with the flow as its base (Ferguson 1973; Escobar & West 1995), apart from ν. The
probability ν of something new follows the stream, since news come in bursts (a reboot, a
deployment): it is the share of new templates among the last few lines, and Good's (1953)
estimate n₁ / n where few lines were seen.

σ is the width of the isotropic Gaussian that has the flow's entropy, so that nothing has to be
tuned when the latents change. A template that was seen counts as a cell of volume (2πσ²)^(D/2),
which is one over the kernel's height: its probability over that volume is a density as well, and
both kinds of lines are measured in the same nats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.templates import TemplateTable

MAX_TEMPLATES = 4096
"""Templates that one source's past may hold; the half used longest ago is then forgotten."""
HALF_LIFE_LINES = 8.0
"""In so many lines half of what is known of the rate of news is forgotten."""
GUESS_LINES = 2.0
"""Good's estimate of that rate weighs as much as so many lines."""
MOST_NEWS = 0.9
"""ν stays below: what was seen stays possible in the longest burst."""
BASE_WEIGHT = 1.0
"""α: the flow weighs as much as so many templates."""
SETTLED = 100
"""A count, or a stream, so many times what the batch adds to it is taken as it was before it: that
moves a surprise by 1/100 nat."""
_CHUNK, _CENTRES = 64, 1024
"""New templates compared with so many at once: what fits the CPU's caches."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]


class Past:
    """What one source has said: its templates, where they lie, and how often."""

    def __init__(self, latent_dim: int, width: float, max_templates: int = MAX_TEMPLATES) -> None:
        self.width = width
        self._max_templates = max_templates
        self.ids = np.zeros(0, np.uint64)
        self.counts = np.zeros(0, np.int64)
        self.latents = np.zeros((0, latent_dim), np.float32)  # (T, D)
        self.placed = np.zeros(0, np.bool_)
        """Whether a template's latent is known under the model in use."""
        self.news, self.weight = 0.0, 0.0
        """New templates and lines, those further back counting less."""
        self._last_used = np.zeros(0, np.int64)
        self._clock = 0
        self._lines, self._once = 0, 0
        self._entry_of_id: dict[int, int] = {}
        self._entry_of_row = np.zeros(0, np.int32)

    def observe(self, rows: Rows, table: TemplateTable) -> Floats:
        """Surprise of each line given those before it, then learn them.

        rows: (N,) of the table, scored. However a stream is cut into batches, the result is the
        same, to a few hundredths of a nat (SETTLED).
        """
        n = len(rows)
        if n == 0:
            return np.zeros(0, np.float32)
        self._clock += 1
        known = len(self.ids)
        entries = self._entries(rows, table)
        counts = self.counts[entries]
        added = np.bincount(entries, minlength=len(self.counts))
        settled = self._lines >= SETTLED * n and len(self.ids) == known and self._now() < 0.01
        at = np.flatnonzero(counts < SETTLED * added[entries]) if settled else np.arange(n)
        before = counts[at] + _earlier(entries[at])
        lines = self._lines + at
        first = before == 0
        change = first.astype(np.int64) - (before == 1)  # (n,) of the templates seen once
        once = self._once + np.cumsum(change) - change
        log_of_settled = np.log(max(self._lines, 1)) - np.log1p(-self._now()) + self._log_cell
        rate = self._rate_of_news(at, first, once, lines, n)
        with np.errstate(divide="ignore"):
            exact = -np.log1p(-rate) - np.log(before / np.maximum(lines, 1)) + self._log_cell
        if first.any():
            log_base = -table.surprise[rows[at[first]]].astype(np.float64)
            exact[first] = -np.log(rate[first]) - self._new_ones(known, log_base)
        if settled:
            found = np.float32(log_of_settled) - np.log(np.maximum(counts, 1).astype(np.float32))
            found[at] = exact
        else:
            found = exact.astype(np.float32)
        self.counts += added
        self._lines += n
        self._once += int(change.sum())
        self._last_used[entries] = self._clock
        if len(self.ids) > self._max_templates:
            self._forget()
        return found

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

    def change_model(self, width: float) -> None:
        """Latents of another model are no neighbours: each is placed anew when it shows up."""
        self.width = width
        self.placed[:] = False
        self._entry_of_row[:] = -1

    def restore(
        self,
        ids: npt.NDArray[np.uint64],
        counts: npt.NDArray[np.int64],
        latents: Floats,
        placed: npt.NDArray[np.bool_],
        news: float,
        weight: float,
    ) -> None:
        """Go on from what another Past held."""
        self.ids, self.counts = ids.copy(), counts.copy()
        self.latents, self.placed = latents.copy(), placed.copy()
        self.news, self.weight = news, weight
        self._last_used = np.zeros(len(ids), np.int64)
        self._index()

    @property
    def _log_cell(self) -> float:
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
                self.placed[entry] = True
            self._entry_of_row[row] = entry
        if added:
            new = len(added)
            self.ids = np.concatenate([self.ids, table.template_id[added]])
            self.counts = np.concatenate([self.counts, np.zeros(new, np.int64)])
            self.latents = np.concatenate([self.latents, table.latent[added]])
            self.placed = np.concatenate([self.placed, np.ones(new, np.bool_)])
            self._last_used = np.concatenate([self._last_used, np.zeros(new, np.int64)])
        return self._entry_of_row[rows]

    def _now(self) -> float:
        """ν before the next line."""
        guess = (self._once + 1) / (self._lines + 2)
        rate = (self.news + GUESS_LINES * guess) / (self.weight + GUESS_LINES)
        return min(rate, MOST_NEWS)

    def _rate_of_news(
        self,
        at: npt.NDArray[np.intp],
        first: npt.NDArray[np.bool_],
        once: npt.NDArray[np.int64],
        lines: npt.NDArray[np.int64],
        n: int,
    ) -> Doubles:
        """(n,) ν before each of the lines `at`, all new ones among them; then n lines are over."""
        keep = 0.5 ** (1 / HALF_LIFE_LINES)
        event_at = at[first]
        # After an event what is left of it halves with the lines: a sum of what each has left.
        after = np.empty(len(event_at) + 1)
        after[0] = value = self.news
        place = 0
        for k, event in enumerate(event_at.tolist(), 1):
            value = value * keep ** (event + 1 - place) + 1.0
            after[k] = value
            place = event + 1
        passed: npt.NDArray[np.int64] = np.cumsum(first) - first  # (n,) new ones before each
        since = np.concatenate([[0], event_at + 1])[passed]
        news = after[passed] * np.exp2((since - at) / HALF_LIFE_LINES)
        kept = np.exp2(-at / HALF_LIFE_LINES)
        all_lines = 1 / (1 - keep)
        weight = self.weight * kept + (1 - kept) * all_lines
        guess = (once + 1) / (lines + 2)
        rate = np.minimum((news + GUESS_LINES * guess) / (weight + GUESS_LINES), MOST_NEWS)
        rate[lines == 0] = 1.0
        self.news = value * keep ** (n - place)
        self.weight = self.weight * keep**n + (1 - keep**n) * all_lines
        total: Doubles = rate
        return total

    def _new_ones(self, known: int, log_base: Doubles) -> Doubles:
        """log-densities of the entries from `known` on, each given those before it only."""
        centres = self.latents[:known][self.placed[:known]]
        new = self.latents[known:]
        found = np.empty(len(new))
        for low in range(0, len(new), _CHUNK):
            part = new[low : low + _CHUNK]
            near = np.zeros(len(part), np.float32)
            for start in range(0, len(centres), _CENTRES):
                near += _kernels(part, centres[start : start + _CENTRES], self.width).sum(axis=1)
            for start in range(0, low, _CENTRES):
                earlier = new[start : min(start + _CENTRES, low)]
                near += _kernels(part, earlier, self.width).sum(axis=1)
            near += np.tril(_kernels(part, part, self.width), -1).sum(axis=1)
            templates = len(centres) + np.arange(low, low + len(part))
            here = slice(low, low + len(part))
            found[here] = self._smooth(near, templates, log_base[here])
        return found

    def _smooth(
        self, near: Floats, templates: npt.NDArray[np.int64], log_base: Doubles
    ) -> Doubles:
        """near: (N,) kernels summed, in units of their height."""
        with np.errstate(divide="ignore"):
            log_near = np.log(near.astype(np.float64)) - self._log_cell
        density = np.logaddexp(log_near, np.log(BASE_WEIGHT) + log_base)
        total: Doubles = density - np.log(templates + BASE_WEIGHT)
        return total

    def _forget(self) -> None:
        order = np.lexsort((self.counts, self._last_used))
        kept = np.sort(order[len(order) - self._max_templates // 2 :])
        self.ids, self.counts = self.ids[kept], self.counts[kept]
        self.latents, self.placed = self.latents[kept], self.placed[kept]
        self._last_used = self._last_used[kept]
        self._index()


def _kernels(a: Floats, b: Floats, width: float) -> Floats:
    """exp(−|a − b|² / 2σ²), at least e^−80, which is nothing. (N, D), (M, D) → (N, M)"""
    a, b = a / np.float32(width), b / np.float32(width)
    found: Floats = a @ b.T
    found -= 0.5 * (a * a).sum(axis=1)[:, None]
    found -= 0.5 * (b * b).sum(axis=1)
    np.maximum(found, -80, out=found)  # numbers below the normal ones are slow
    np.exp(found, out=found)
    return found


def _earlier(entries: Rows) -> npt.NDArray[np.int64]:
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
