"""Whether the stream has changed, and what about it.

    error            the model misses the declared severity more often, or less often, than before
    surprise         what is known comes in other proportions than before
    new templates    more lines than before say something new: a deployment

Each is a share of lines, watched by an ADWIN. For surprise it is the share of lines that surprise
more than nine in ten did once: p ≤ 0.1 against a sample that stays as it is, where the p-values
of the stream follow the stream. New lines are kept out of it, and what surprises in the minutes
after a deployment is put down to that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.adwin import Adwin

Kind = Literal["error", "surprise", "new templates"]
KINDS: tuple[Kind, ...] = ("error", "new templates", "surprise")
"""In the order in which they are looked at: a deployment before what it entails."""

DELTA = 1e-4
"""Of each look; a fast stream has a million a day. The bound is wider than it promises."""
GAP_S = 300.0
"""At least so long between two events of a kind."""
WARM_LINES = 1000
"""The first lines of a stream are nothing to compare with: all of them are new."""
REFERENCE_LINES = 4096
REFERENCE_SHARE = 0.1
"""Of so many lines, this share surprises more than what is called surprising."""
LEAST: dict[Kind, float] = {"error": 0.02, "surprise": 0.05, "new templates": 0.002}
"""A smaller change of the share is nothing to tell."""
LEAST_RATIO: dict[Kind, float] = {"error": 1.0, "surprise": 1.0, "new templates": 2.0}
CHUNK_LINES, CHUNK_SHARE, CHUNK_S = (64, 4096), 1 / 64, 1.0
"""A chunk is this share of the window or what comes in a second, but between so many lines."""
LOOK_CHUNKS, LOOK_S = 8, 1.0
"""A window is looked at after so many full chunks or a second: a look costs 60 µs."""

Bools = npt.NDArray[np.bool_]
Kept = dict[str, npt.NDArray[np.generic]]


class DriftEvent(NamedTuple):
    """A change that was found."""

    kind: Kind
    at_s: float
    """Unix time of the batch in which it was found."""
    before: float
    """Share of lines before the change."""
    after: float
    """The share since; a few lines from before the change may still be among them."""
    lines: int
    """Lines that `after` is the share of."""
    worse: bool
    """The model misses more often: a reason to learn faster for a while."""


class _Watch:
    """One share of lines: gathered into chunks, compared with its past."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        # A template is new once only: new ones do not repeat each other, however dense they come.
        self.adwin = Adwin(DELTA, independent=kind == "new templates")
        self.told_s = self.told_worse_s = -math.inf
        self.clear()

    def clear(self) -> None:
        """Another quantity from now on."""
        self.adwin.clear()
        self.lines, self.hits, self.since_s = 0, 0, -math.inf
        """Of the chunk that is filling."""
        self.full = CHUNK_LINES[0]
        """Lines of a full one."""
        self.unseen, self.looked_s = 0, -math.inf
        self.base = math.nan
        """Where the share was before the changes that were too small to tell."""

    def add(self, hits: Bools, at_s: float) -> None:
        """Count (N,) lines."""
        start = 0
        while start < len(hits):
            if not self.lines:
                self.since_s = at_s
            part = hits[start : start + max(self.full - self.lines, 1)]
            self.lines += len(part)
            self.hits += int(np.count_nonzero(part))
            start += len(part)
            late = self.lines >= CHUNK_LINES[0] and not 0 <= at_s - self.since_s < CHUNK_S
            if late or self.lines >= self.full:
                self.adwin.add(self.hits / self.lines, self.lines)
                self.unseen += self.lines
                self.lines = self.hits = 0

    def numbers(self) -> list[float]:
        """What is to be kept of it beside the window."""
        told = [self.told_s, self.told_worse_s, self.base]
        chunk = [self.lines, self.hits, self.since_s, self.full]
        return [*told, *chunk, self.unseen, self.looked_s]

    def restore(self, numbers: list[float], buckets: npt.NDArray[np.generic]) -> None:
        """Go on from `numbers` and a window; raises ValueError where they are not whole."""
        told_s, told_worse_s, base, lines, hits, since_s, full, unseen, looked_s = numbers
        if not 0 <= hits <= lines < CHUNK_LINES[1] or not 0 <= unseen < math.inf:
            raise ValueError("drift: a chunk out of range")
        self.adwin.restore(buckets)
        self.told_s, self.told_worse_s, self.base = told_s, told_worse_s, base
        self.lines, self.hits, self.since_s = int(lines), int(hits), since_s
        self.full = int(np.clip(np.nan_to_num(full), *CHUNK_LINES))
        self.unseen, self.looked_s = int(unseen), looked_s

    def look(self, at_s: float) -> tuple[float, float, int] | None:
        """The share before and after a change worth telling, and the lines since; else None."""
        soon = self.unseen < LOOK_CHUNKS * self.full and 0 <= at_s - self.looked_s < LOOK_S
        if soon or not self.unseen:
            return None
        self.unseen, self.looked_s = 0, at_s
        cut = self.adwin.shrink()
        self.full = int(np.clip(self.adwin.weight * CHUNK_SHARE, *CHUNK_LINES))
        if cut is None:
            return None
        before, after = cut.before if math.isnan(self.base) else self.base, cut.after
        self.base = math.nan
        if self.kind != "error" and after <= before:
            return None  # what was new is new no more, and what surprised has become known
        small, large = sorted((before, after))
        if large - small < LEAST[self.kind] or large < LEAST_RATIO[self.kind] * small:
            self.base = before
            return None
        return before, after, round(cut.kept)


class Drift:
    """The three watches of one stream; bounded."""

    def __init__(self) -> None:
        self.held_back = 0
        """Changes not told: one of their kind, or a deployment, was told less than GAP_S ago."""
        self._watches = {kind: _Watch(kind) for kind in KINDS}
        self._seen = 0
        self._reference = np.zeros(0, np.float32)
        """(R,) surprises, nats; REFERENCE_LINES of them when it is whole."""
        self._surprising = math.inf
        """Nats beyond which a line surprises."""

    def observe(
        self, *, at_s: float, error: Bools, surprise: npt.NDArray[np.float32], new: Bools
    ) -> list[DriftEvent]:
        """Take in one batch; the changes that it brought to light.

        at_s: Unix time. error: (M,) of the lines with a label, whether the prediction missed it.
        surprise: (N,) of the scored lines, nats. new: (N,) whether a line is the first of its
        template. A batch that begins within the stream's first WARM_LINES is passed over.
        """
        warm = self._seen >= WARM_LINES
        self._seen += len(new)
        if not warm:
            return []
        self._watches["error"].add(error, at_s)
        self._watches["new templates"].add(new, at_s)
        self._add_surprise(surprise[~new] if new.any() else surprise, at_s)
        found = (self._look(watch, at_s) for watch in self._watches.values())
        return [event for event in found if event is not None]

    def change_model(self) -> None:
        """Another model's surprises are no measure for this one's; errors remain errors."""
        self._watches["surprise"].clear()
        self._reference, self._surprising = np.zeros(0, np.float32), math.inf

    def kept(self) -> Kept:
        """All of it in a few arrays, to be saved."""
        watches = self._watches.values()
        buckets = [watch.adwin.kept() for watch in watches]
        return {
            "drift_seen": np.array([self._seen, self.held_back], np.int64),
            "drift_reference": self._reference.copy(),
            "drift_watches": np.array([watch.numbers() for watch in watches], np.float64),
            "drift_bucket_counts": np.array([len(b) for b in buckets], np.int64),
            "drift_buckets": np.concatenate(buckets),
        }

    def restore(
        self, kept: Mapping[str, npt.NDArray[np.generic]], *, same_model: bool = True
    ) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole.

        same_model: whether the surprises are of the model in use.
        """
        seen = kept["drift_seen"].astype(np.int64)
        reference = kept["drift_reference"].astype(np.float32)
        numbers = kept["drift_watches"].astype(np.float64)
        counts = kept["drift_bucket_counts"].astype(np.int64)
        buckets = kept["drift_buckets"]
        if seen.shape != (2,) or reference.ndim != 1 or len(reference) > REFERENCE_LINES:
            raise ValueError("drift: damaged")
        if (
            numbers.shape[:1] != (len(KINDS),)
            or counts.shape != (len(KINDS),)
            or (counts < 0).any()
        ):
            raise ValueError("drift: watches of another number")
        if counts.sum() != len(buckets):
            raise ValueError("drift: buckets of different numbers")
        watches = {kind: _Watch(kind) for kind in KINDS}
        parts = np.split(buckets, np.cumsum(counts)[:-1])
        for watch, row, part in zip(watches.values(), numbers.tolist(), parts, strict=True):
            watch.restore(row, part)
        self._watches = watches
        self._seen, self.held_back = seen.tolist()
        self._reference, self._surprising = np.zeros(0, np.float32), math.inf
        self._refer_to(reference)
        if not same_model:
            self.change_model()

    def _add_surprise(self, known: npt.NDArray[np.float32], at_s: float) -> None:
        if len(self._reference) < REFERENCE_LINES:
            self._refer_to(known[np.isfinite(known)])
        else:
            self._watches["surprise"].add(known > self._surprising, at_s)

    def _refer_to(self, nats: npt.NDArray[np.float32]) -> None:
        """Let surprises into the reference."""
        self._reference = np.concatenate([self._reference, nats])[:REFERENCE_LINES]
        if len(self._reference) == REFERENCE_LINES:
            self._surprising = float(np.quantile(self._reference, 1 - REFERENCE_SHARE))

    def _look(self, watch: _Watch, at_s: float) -> DriftEvent | None:
        found = watch.look(at_s)
        if found is None:
            return None
        before, after, lines = found
        worse = watch.kind == "error" and after > before
        # Errors that become fewer do not keep it quiet that they become more again.
        told_s = watch.told_worse_s if worse else watch.told_s
        if 0 <= at_s - told_s < GAP_S:
            self.held_back += 1
            return None
        watch.told_s = at_s
        if worse:
            watch.told_worse_s = at_s
        if watch.kind == "new templates":
            # What a deployment brought is new once, and rare for a while.
            self._watches["surprise"].told_s = at_s
        elif watch.kind == "surprise":
            self.change_model()  # further changes are measured against how it is now
        return DriftEvent(watch.kind, at_s, before, after, lines, worse)
