"""ADWIN (Bifet & Gavaldà 2007): a window that grows while its mean stands, shrinks when it moves.

Of every way to cut the window in two, old against new, none may show two means that differ by more
than chance explains. Where one does, the old part is dropped. The window is kept as an exponential
histogram: O(log n) buckets, which are also the places where it can be cut.

The paper's bound is for independent values. Log lines come in bursts that all say the same, so
that a thousand of them may tell no more than ten: the bound is widened by the design effect (Kish
1965), the variance that the means of chunks and of buckets show over the one that independent
lines would give them. Of independent lines it is about 1, and the bound is the paper's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BUCKETS = 5
"""Buckets of a size; of one more, the two oldest become one of twice the size. The paper's M."""
LEAST_CHUNKS = 4
"""Neither part of a cut has fewer: less does not tell a burst from a change."""

Doubles = npt.NDArray[np.float64]


class _Bucket(NamedTuple):
    weight: float
    mean: float
    within: float
    """Squared deviations of the values from the means of their chunks, summed."""
    between: float
    """Squared deviations of the chunks' means from the bucket's, by weight, summed."""


class Cut(NamedTuple):
    """A change that was found."""

    before: float
    """Mean of what was dropped."""
    after: float
    """Mean of what was kept."""
    dropped: float
    """Weight."""
    kept: float


class Adwin:
    """The mean of a stream of values in [0, 1] since it last changed; O(log n) memory.

    delta: bound on the probability that `shrink` cuts a window whose mean has not changed, by the
    normal approximation of the paper's section 4, shared out among the cuts that are tried.
    independent: take the values for independent of each other, as the paper does.
    Raises ValueError unless 0 < delta < 1.
    """

    def __init__(self, delta: float = 0.002, *, independent: bool = False) -> None:
        if not 0 < delta < 1:
            raise ValueError(f"delta {delta}: must lie between 0 and 1")
        self._delta = delta
        self._independent = independent
        self._levels: list[list[_Bucket]] = [[]]
        """Buckets of 2^level chunks, oldest first."""

    @property
    def weight(self) -> float:
        """How many values are in the window."""
        return sum(bucket.weight for bucket in self._oldest_first())

    @property
    def mean(self) -> float:
        """Of the window; NaN while it is empty."""
        buckets = self._oldest_first()
        return _total(buckets).mean if buckets else math.nan

    def __len__(self) -> int:
        """Buckets: what the window takes in memory."""
        return sum(len(level) for level in self._levels)

    def add(self, mean: float, weight: float = 1.0, variance: float | None = None) -> None:
        """Let a chunk of `weight` values into the window.

        variance: of the values in the chunk; without it that of values which are 0 or 1.
        """
        within = weight * (mean * (1 - mean) if variance is None else variance)
        levels = self._levels
        levels[0].append(_Bucket(weight, mean, within, 0.0))
        for i, level in enumerate(levels):
            if len(level) <= BUCKETS:
                return
            if i + 1 == len(levels):
                levels.append([])
            levels[i + 1].append(_merged(level[0], level[1]))
            del level[:2]

    def shrink(self) -> Cut | None:
        """Drop what does not belong to the newest values any more; None where all of it does."""
        dropped: list[_Bucket] = []
        while at := self._worst_cut():
            dropped += self._oldest_first()[:at]
            self._drop(at)
        if not dropped:
            return None
        before, after = _total(dropped), _total(self._oldest_first())
        return Cut(before.mean, after.mean, before.weight, after.weight)

    def clear(self) -> None:
        """Begin anew."""
        self._levels = [[]]

    def kept(self) -> Doubles:
        """(B, 5) the buckets, oldest first: level, weight, mean and the two sums of squares."""
        rows = [
            (level, *bucket)
            for level in reversed(range(len(self._levels)))
            for bucket in self._levels[level]
        ]
        return np.array(rows, np.float64).reshape(-1, 5)

    def restore(self, kept: npt.NDArray[np.generic]) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole."""
        rows = kept.astype(np.float64)
        if rows.ndim != 2 or rows.shape[1] != 5 or not np.isfinite(rows).all():
            raise ValueError(f"buckets of shape {rows.shape}, or not finite")
        level, weight, mean, within, between = rows.T
        sound = (weight > 0) & (mean >= 0) & (mean <= 1) & (within >= 0) & (between >= 0)
        sound &= (level == np.floor(level)) & (level >= 0) & (level < 64)
        if not sound.all() or (np.diff(level) > 0).any():
            raise ValueError("buckets out of range or order")
        levels: list[list[_Bucket]] = [[] for _ in range(int(level.max(initial=0)) + 1)]
        for i, *bucket in rows.tolist():
            levels[int(i)].append(_Bucket(*bucket))
        if max(map(len, levels)) > BUCKETS:
            raise ValueError("too many buckets of a size")
        self._levels = levels

    def _oldest_first(self) -> list[_Bucket]:
        return [bucket for level in reversed(self._levels) for bucket in level]

    def _worst_cut(self) -> int:
        """Before which bucket the two parts differ most beyond the bound; 0: nowhere."""
        levels = [i for i in reversed(range(len(self._levels))) for _ in self._levels[i]]
        if sum(len(level) << i for i, level in enumerate(self._levels)) < 2 * LEAST_CHUNKS:
            return 0
        flat = [number for bucket in self._oldest_first() for number in bucket]
        weight, mean, within, between = np.array(flat).reshape(-1, 4).T  # (B,) each
        totals = weight * mean
        k0 = np.cumsum(np.exp2(levels))  # the old part of each cut; the last one is the window
        n0, total0 = np.cumsum(weight), np.cumsum(totals)
        k, n, total = float(k0[-1]), float(n0[-1]), float(total0[-1])
        squares = float(totals @ mean)
        k0, n0, total0 = k0[:-1], n0[:-1], total0[:-1]  # (B − 1,)
        n1, total1 = n - n0, total - total0
        change = np.abs(total0 / n0 - total1 / n1)
        between_chunks = float(between.sum())
        in_all = float(within.sum()) + between_chunks + squares - total * total / n
        variance = max(in_all / n, 0.0)
        lines = n0 * n1 / n  # the paper's m
        if not self._independent:
            # Means from that of their own part, so that a change cannot hide itself.
            apart = np.maximum(squares - total0 * total0 / n0 - total1 * total1 / n1, 0.0)
            of_chunks = (between_chunks + apart) / (k - 2)
            of_buckets = apart / max(len(weight) - 2, 1)
            lines /= np.maximum(np.maximum(of_chunks, of_buckets) / (variance + 1e-30), 1.0)
        log_term = math.log(2 * len(change) / self._delta)
        bound = np.sqrt(2 * variance * log_term / lines) + 2 / 3 * log_term / lines
        far_in = (k0 >= LEAST_CHUNKS) & (k0 <= k - LEAST_CHUNKS)
        excess = np.where(far_in, change - bound, 0.0)
        at = int(excess.argmax())
        return at + 1 if excess[at] > 0 else 0

    def _drop(self, buckets: int) -> None:
        """Forget the oldest ones."""
        for level in reversed(self._levels):
            gone = min(buckets, len(level))
            del level[:gone]
            buckets -= gone
        while len(self._levels) > 1 and not self._levels[-1]:
            self._levels.pop()


def _merged(a: _Bucket, b: _Bucket) -> _Bucket:
    """Two as one (Chan et al. 1979)."""
    weight = a.weight + b.weight
    step = b.mean - a.mean
    share = b.weight / weight
    return _Bucket(
        weight,
        a.mean + step * share,
        a.within + b.within,
        a.between + b.between + step * step * a.weight * share,
    )


def _total(buckets: list[_Bucket]) -> _Bucket:
    total = buckets[0]
    for bucket in buckets[1:]:
        total = _merged(total, bucket)
    return total
