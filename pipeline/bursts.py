"""Templates that come far more often than they did.

Lines are counted by template and minute, minutes of the times at which they were received. What
is known of a template's rate is a Gamma distribution, of the lines and minutes before with older
ones fading, so that the count of the next minute is negative binomial: Poisson with a rate that is
not quite known. Improbable is not enough: logs come in bursts by nature (a cron job, a backup), so
the count has to be several times the highest one that is remembered as well.

The count from which it is a burst is settled before the minute begins, so it is one certain line
with which a burst begins, however the lines were batched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

WINDOW_US = 60_000_000
"""Lines are counted in windows of a minute."""
HALF_LIFE_WINDOWS = 360.0
"""Of what is known of a rate: six hours."""
PEAK_HALF_LIFE_WINDOWS = 1440.0
"""Of the highest count: a day."""
KNOWN_WINDOWS = 10.0
"""So many windows must have been seen before anything is called a burst."""
LOG_ODDS = 20.7
"""−log of the probability below which a count is improbable: 1e-9, since there are thousands of
templates, and a day has 1440 minutes."""
TIMES = 4.0
"""A burst is so many times the highest count before, and the rate before."""
LEAST_LINES = 20
"""Fewer lines in a window are no burst."""
SET_BACK_WINDOWS = 5
"""A time that is further back is that of a clock that was set."""

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]


class Bursts:
    """Rates of one source's templates, numbered as in its Past."""

    def __init__(self) -> None:
        self._window = 0
        """Number of the window, from 1970 on."""
        self._windows = 0.0
        """Windows before, those further back counting less."""
        # (T,) lines in the windows before, fading; the highest count of one; lines in this one.
        self._usual: Doubles = np.zeros(0)
        self._peak: Doubles = np.zeros(0)
        self._count: Doubles = np.zeros(0)
        self._critical: Doubles = np.zeros(0)
        """(T,) the count with which it is a burst."""

    def observe(
        self, entries: Rows, received_us: npt.NDArray[np.int64], templates: int
    ) -> npt.NDArray[np.intp]:
        """Count N lines; the lines with which a burst begins.

        entries: (N,) of `templates` templates. received_us: (N,) Unix time; one that goes back a
        little is taken for the latest.
        """
        if not len(entries):
            return np.zeros(0, np.intp)
        self._fit(templates)
        window = received_us[[0, -1]] // WINDOW_US
        if window[0] == window[1] == self._window:
            return self._add(entries, 0)
        if window[0] < self._window - SET_BACK_WINDOWS:
            self._window, self._count = int(window[0]), np.zeros(len(self._count))
        windows = np.maximum.accumulate(np.maximum(received_us // WINDOW_US, self._window))
        starts = np.flatnonzero(np.diff(windows, prepend=windows[0] - 1))
        found = []
        for start, stop in zip(starts, [*starts[1:], len(entries)], strict=True):
            self._go_to(int(windows[start]))
            found.append(self._add(entries[start:stop], int(start)))
        return np.concatenate(found)

    def keep(self, templates: npt.NDArray[np.intp]) -> None:
        """Of the templates keep these only, in this order."""
        self._fit(int(templates.max(initial=-1)) + 1)
        self._usual, self._peak = self._usual[templates], self._peak[templates]
        self._count, self._critical = self._count[templates], self._critical[templates]

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        return {
            "clock": np.array([self._window, self._windows]),
            "rates": np.stack([self._usual, self._peak, self._count], axis=1),  # (T, 3)
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole."""
        self._window, self._windows = int(kept["clock"][0]), float(kept["clock"][1])
        self._usual, self._peak, self._count = kept["rates"].astype(np.float64).T.copy()
        self._critical = self._criticals()

    def _add(self, entries: Rows, start: int) -> npt.NDArray[np.intp]:
        before = self._count
        self._count = before + np.bincount(entries, minlength=len(before))
        crossed = np.flatnonzero((self._count >= self._critical) & (before < self._critical))
        missing = self._critical[crossed] - before[crossed]
        found = [
            start + np.flatnonzero(entries == entry)[int(lines) - 1]
            for entry, lines in zip(crossed.tolist(), missing.tolist(), strict=True)
        ]
        return np.array(sorted(found), np.intp)

    def _go_to(self, window: int) -> None:
        """End the window, and the empty ones up to this one."""
        passed = window - self._window
        if passed == 0:
            return
        if self._window:  # before the first one there is nothing
            empty = passed - 1
            fade = 0.5 ** (1 / HALF_LIFE_WINDOWS)
            self._usual = (self._usual * fade + self._count) * fade**empty
            self._windows = (self._windows * fade + 1) * fade**empty
            self._windows += (1 - fade**empty) / (1 - fade)
            fade = 0.5 ** (1 / PEAK_HALF_LIFE_WINDOWS)
            self._peak = np.maximum(self._peak * fade, self._count) * fade**empty
        self._count = np.zeros(len(self._count))
        self._window = window
        self._critical = self._criticals()

    def _criticals(self) -> Doubles:
        """(T,) counts with which a window is a burst; infinite where the past is too short."""
        critical = np.full(len(self._usual), np.inf)
        known = np.flatnonzero(self._peak > 0)
        if self._windows < KNOWN_WINDOWS or not len(known):
            return critical
        shape = self._usual[known] + 0.5  # Jeffreys' prior
        mean = shape / self._windows
        # Chernoff's bound −log P(K ≥ k) ≥ k log(k / m) − (k + a) log((k + a) / (m + a)) of the
        # negative binomial is convex in k: from the right, Newton's steps never pass the root.
        k = 8 * mean + 4 * LOG_ODDS
        for _ in range(8):
            slope = np.log(k / mean) - np.log((k + shape) / (mean + shape))
            value = k * slope - shape * np.log((k + shape) / (mean + shape))
            k = np.maximum(k - (value - LOG_ODDS) / slope, 1.0001 * mean)
        least = np.maximum(TIMES * np.maximum(mean, self._peak[known]), LEAST_LINES)
        critical[known] = np.ceil(np.maximum(k, least))
        return critical

    def _fit(self, templates: int) -> None:
        more = templates - len(self._usual)
        if more > 0:
            none = np.zeros(more)
            self._usual, self._peak, self._count = (
                np.concatenate([x, none]) for x in (self._usual, self._peak, self._count)
            )
            self._critical = np.concatenate([self._critical, np.full(more, np.inf)])
