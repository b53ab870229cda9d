"""Lines that are declared another thing than they say.

A line that is declared notice or less and reads like err or worse, or declared err or worse and
reads like info or debug. How it reads is a matter of its text: how common the severities are would
explain away just what is looked for. A template that came before must also have been another
thing until now, as its labels say. Programs that do it again and again are known for it, and
passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.novelty import MAX_APPS
from pipeline.past import earlier
from pipeline.predict import Prediction
from pipeline.templates import TemplateTable

READS = 0.8
"""Probability, all severities being equally likely, from which a text reads like one or the other.

On the development corpus (packages that training never saw) 9 % of the texts written as err or
worse reach it, and 0.2 % of those written as info.
"""
LEANS, USUAL = 0.5, 0.9
"""A template that came before needs less of the text, and such a probability as predicted."""
ERR, NOTICE, INFO = 3, 5, 6
FIRST_LINES = 100
"""Of so many labelled lines nothing is said: they show what the senders are like."""
HABIT_TEMPLATES = 0.2
"""Of a program's new templates that read like err, or like info, more are mismatches by habit."""
HABIT_LINES, GUESS_LINES = 0.02, 100.0
"""And of its lines of templates that came before, as if it had had so many more that are not."""
MOST_LINES = 1 << 14
"""A program's counts are halved beyond: senders change."""

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]


class Mismatch:
    """Counts by program; bounded."""

    def __init__(self) -> None:
        self._lines = np.zeros(MAX_APPS)
        """(A,) labelled lines of each program, as `Novelty` numbers it."""
        self._changed = np.zeros(MAX_APPS)
        """(A,) mismatches of templates that came before."""
        self._reading = np.zeros(MAX_APPS)
        """(A,) new templates that read like err or worse, or like info or debug."""
        self._against = np.zeros(MAX_APPS)
        """(A,) mismatches among them."""

    def observe(
        self,
        table: TemplateTable,
        at: npt.NDArray[np.int32],
        declared: npt.NDArray[np.int16],
        predicted: Prediction,
        new: Bools,
    ) -> Bools:
        """Which of N lines are mismatches out of the ordinary; then they are counted.

        at: (N,) rows of the table. declared: (N,) severity of the PRI, -1 without one, and for
        lines to be passed over. predicted: of the lines. new: (N,) whether the template never
        came before.
        """
        unusual = np.zeros(len(at), np.bool_)
        labelled = np.flatnonzero(declared >= 0)
        if not len(labelled):
            return unusual
        severity, level = predicted.severity[labelled], declared[labelled]
        quiet, loud = level >= NOTICE, level <= ERR
        is_new = new[labelled]
        maybe = (quiet & (is_new | (severity <= ERR))) | (loud & (is_new | (severity >= INFO)))
        few = np.flatnonzero(maybe)
        apps = table.app[at[labelled]]
        if len(few):
            lines = labelled[few]
            rows = at[lines]
            text, usual = (
                _opposite(probability, quiet[few])
                for probability in (table.likelihood[rows], predicted.probability[lines])
            )
            truthful = _opposite(table.likelihood[rows], loud[few])
            # A person has said what it is, or that the sender is not to be believed.
            free = (table.told[rows] < 0) & ~table.mistrusted[rows]
            against = is_new[few] & free & (text >= READS)
            reading = against | (is_new[few] & free & (truthful >= READS))
            changed = ~is_new[few] & free & (text >= LEANS) & (usual >= USUAL)
            found = np.flatnonzero(reading | changed)
            if len(found):
                place = few[found]
                before = self._lines[apps[place]] + earlier(apps)[place]
                warm = self._lines.sum() + place >= FIRST_LINES
                fires = self._count(apps[place], before, against[found], changed[found])
                unusual[lines[found]] = fires & warm
        self._lines += np.bincount(apps, minlength=MAX_APPS)
        many = self._lines > MOST_LINES
        if many.any():
            for counts in self._counts:
                counts[many] /= 2
        return unusual

    def _count(
        self, apps: npt.NDArray[np.int32], lines: Doubles, against: Bools, changed: Bools
    ) -> Bools:
        """Of lines in order, which are out of the ordinary; lines: of their programs before."""
        fires = np.zeros(len(apps), np.bool_)
        reading_all, against_all = float(self._reading.sum()), float(self._against.sum())
        for i, app in enumerate(apps.tolist()):
            if changed[i]:
                fires[i] = self._changed[app] + 1 <= HABIT_LINES * (lines[i] + GUESS_LINES)
                self._changed[app] += 1
                continue
            if against[i]:
                guess = against_all / max(reading_all, 1.0)
                share = (self._against[app] + guess) / (self._reading[app] + 1)
                fires[i] = share <= HABIT_TEMPLATES
                self._against[app] += 1
                against_all += 1
            self._reading[app] += 1
            reading_all += 1
        return fires

    @property
    def _counts(self) -> list[Doubles]:
        return [self._lines, self._changed, self._reading, self._against]

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        counts = np.stack(self._counts)
        n = int(np.flatnonzero(counts.any(axis=0)).max(initial=-1)) + 1
        return {"mismatch": counts[:, :n]}  # (4, A)

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole."""
        saved = kept["mismatch"]
        if saved.ndim != 2 or saved.shape[0] != 4 or saved.shape[1] > MAX_APPS:
            raise ValueError(f"mismatches of {saved.shape}")
        for counts, column in zip(self._counts, saved, strict=True):
            counts[:] = 0
            counts[: len(column)] = column


def _opposite(probability: npt.NDArray[np.float32], quiet: Bools) -> npt.NDArray[np.float32]:
    """Of N lines, (N, 8), how likely it is that they are what they are not declared to be. (N,)"""
    bad, good = probability[:, : ERR + 1].sum(axis=1), probability[:, INFO:].sum(axis=1)
    found: npt.NDArray[np.float32] = np.where(quiet, bad, good)
    return found
