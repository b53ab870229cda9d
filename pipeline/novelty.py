"""How unexpected it is that a program says something new.

A program that has said the same ten things a thousand times says an eleventh with a small
probability; one that says something new all day long, with a large one. Good (1953), after
Turing: the probability that the next line is of a template never seen is about n₁ / n, where n
lines were seen and n₁ templates exactly once. Of a program that was hardly heard yet, the whole
stream's probability is the guess.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MAX_APPS = 1 << 14
"""Programs counted apart; all further ones share one count."""

GUESS_LINES = 2.0
"""The guess weighs as much as so many lines of the program itself."""

Counts = npt.NDArray[np.int64]


class Novelty:
    """Good–Turing counts of every program; bounded."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._lines: Counts = np.zeros(MAX_APPS, np.int64)
        self._once: Counts = np.zeros(MAX_APPS, np.int64)

    def code(self, app_name: str) -> int:
        """The number that stands for a program here, below MAX_APPS."""
        code = self._codes.get(app_name)
        if code is None:
            code = min(len(self._codes), MAX_APPS - 1)
            if code < MAX_APPS - 1:
                self._codes[app_name] = code
        return code

    def counts(self) -> tuple[list[str], Counts, Counts]:
        """The programs, and of each its lines and its templates seen once: to be kept."""
        n = min(len(self._codes), MAX_APPS)
        return list(self._codes)[:n], self._lines[:n].copy(), self._once[:n].copy()

    def restore(self, apps: Sequence[str], lines: Counts, once: Counts) -> None:
        """Go on from what `counts` gave; on a Novelty that has counted nothing yet."""
        for app_name, n, n1 in zip(apps, lines.tolist(), once.tolist(), strict=True):
            code = self.code(app_name)
            self._lines[code], self._once[code] = n, n1

    def observe(self, apps: npt.NDArray[np.int32], before: Counts) -> npt.NDArray[np.float64]:
        """Count a batch; −log P(new template) of each line's program just before the line, nats.

        apps: (N,) of `code`. before: (N,) how often each line's template came before it; exact
        where it is 0 or 1. The result means something for lines whose template is new or rare.
        """
        change = (before == 0).astype(np.int64) - (before == 1)  # (N,) of n₁
        if not change.any() and before.size and before.min() > 1:
            self._lines += np.bincount(apps, minlength=MAX_APPS)
            return np.zeros(len(apps))
        all_lines_before, all_once_before = self._lines.sum(), self._once.sum()
        order = np.argsort(apps, kind="stable")
        grouped = apps[order]
        starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if len(apps) else order
        lengths = np.diff(np.r_[starts, len(apps)])
        rank = np.arange(len(apps)) - np.repeat(starts, lengths)
        running = np.cumsum(change[order]) - change[order]
        running -= np.repeat(running[starts], lengths)
        lines = np.empty(len(apps), np.int64)
        once = np.empty(len(apps), np.int64)
        lines[order] = self._lines[grouped] + rank
        once[order] = self._once[grouped] + running
        self._lines += np.bincount(apps, minlength=MAX_APPS)
        np.add.at(self._once, apps, change)
        all_lines = all_lines_before + np.arange(len(apps))
        all_once = all_once_before + np.cumsum(change) - change
        guess = (np.maximum(all_once, 0) + 1) / (all_lines + 2)
        nats: npt.NDArray[np.float64] = np.log(
            (lines + GUESS_LINES) / (np.maximum(once, 0) + GUESS_LINES * guess)
        )
        return nats
