"""Lines that are declared another thing than they say.

A line that is declared notice or less and reads like err or worse, or declared err or worse and
reads like info or debug. How it reads is a matter of its text: how common the severities are would
explain away just what is looked for. A template that came before must also have been another
thing until now, as its labels say. Programs that do it again and again are known for it, and
passed over: each sender's for themselves, so that one host that lies silences no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.novelty import MAX_APPS
from pipeline.past import earlier
from pipeline.predict import Prediction, Sources
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
"""Of a sender's first so many labelled lines nothing is said: they show what it is like."""
HABIT_TEMPLATES = 0.2
"""Of a program's new templates that read like err, or like info, more are mismatches by habit."""
HABIT_LINES, GUESS_LINES = 0.02, 100.0
"""And of its lines of templates that came before, as if it had had so many more that are not."""
MOST_LINES = 1 << 14
"""A program's counts are halved beyond: senders change."""
STRETCH = 1 << 13
"""Labelled lines of a sender after which that is looked at, and at no other time: what is said of
a line is the same however the lines were batched."""
MAX_SENDERS = 32
"""The sender that was quiet longest is forgotten for one more."""
TRUTHFUL, AGAINST, CHANGED = 1, 2, 3
"""New templates that read like what they are declared to be, or like the opposite; templates that
came before and are now declared the opposite."""

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Lines = npt.NDArray[np.intp]


class Mismatch:
    """What is known of each sender's programs; bounded."""

    def __init__(self) -> None:
        self._senders: dict[str, Habits] = {}
        """At the front the one that was quiet longest."""

    def observe(
        self,
        table: TemplateTable,
        sources: Sources,
        trusts: Callable[[str], bool],
        *,
        at: npt.NDArray[np.int32],
        declared: npt.NDArray[np.int16],
        predicted: Prediction,
        new: Bools,
    ) -> Bools:
        """Which of N lines are mismatches out of the ordinary; then they are counted.

        sources: where they come from, one after the other. trusts: whether a source's severities
        are believed; else it is as if it declared none. at: (N,) rows of the table. declared:
        (N,) severity of the PRI, -1 without one, and for lines to be passed over. predicted: of
        the lines. new: (N,) whether the template never came before.
        """
        unusual = np.zeros(len(at), np.bool_)
        kinds = _kinds(table, at, declared, predicted, new)
        for habits, lines in self._places(sources, trusts, declared >= 0):
            apps, kind = table.app[at[lines]], kinds[lines]
            start = 0
            while start < len(lines):
                part = slice(start, start + STRETCH - habits.heard % STRETCH)
                unusual[lines[start + habits.observe(apps[part], kind[part])]] = True
                start = part.stop
        return unusual

    def _places(
        self, sources: Sources, trusts: Callable[[str], bool], labelled: Bools
    ) -> Iterator[tuple[Habits, Lines]]:
        """Of each sender that is believed, which of the (N,) lines are labelled ones of its."""
        names = dict.fromkeys([name for name, _ in sources])
        believed = {name for name in names if trusts(name)}
        if len(names) == 1:
            for name in believed:
                yield self._of(name), np.flatnonzero(labelled)
            return
        # One that is forgotten and comes back within the batch is another than it was.
        number: dict[Habits | None, int] = {None: 0}
        of_run = [
            number.setdefault(self._of(name) if name in believed else None, len(number))
            for name, _ in sources
        ]
        of_line = np.repeat(of_run, [n for _, n in sources])
        for habits, i in number.items():
            if habits is not None:
                yield habits, np.flatnonzero(labelled & (of_line == i))

    def _of(self, name: str) -> Habits:
        habits = self._senders.pop(name, None) or Habits()
        while len(self._senders) >= MAX_SENDERS:
            del self._senders[next(iter(self._senders))]
        self._senders[name] = habits
        return habits

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved: of S senders, and K programs of theirs that were heard."""
        senders = list(self._senders.values())
        used = [np.flatnonzero(habits.counts.any(axis=0)) for habits in senders]
        counts = [habits.counts[:, a] for habits, a in zip(senders, used, strict=True)]
        return {
            "mismatch_senders": np.frombuffer(msgspec.json.encode(list(self._senders)), np.uint8),
            "mismatch_heard": np.array([habits.heard for habits in senders], np.int64),  # (S,)
            "mismatch_programs": np.array([len(a) for a in used], np.int64),  # (S,) sum K
            "mismatch_apps": np.concatenate([*used, np.zeros(0, np.intp)]),  # (K,)
            "mismatch_counts": np.concatenate([*counts, np.zeros((4, 0))], axis=1),  # (4, K)
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError or KeyError where that is not whole.

        An older state, which counted all senders together, is no one's: all begin anew.
        """
        if "mismatch" in kept and "mismatch_senders" not in kept:
            self._senders = {}
            return
        names = msgspec.json.decode(kept["mismatch_senders"].tobytes(), type=list[str])
        apps, counts = kept["mismatch_apps"], kept["mismatch_counts"]
        ends = np.cumsum(kept["mismatch_programs"])
        whole = counts.shape == (4, len(apps)) and ends[-1:].sum() == len(apps)
        if not whole or ((apps < 0) | (apps >= MAX_APPS)).any():
            raise ValueError(f"mismatches of {counts.shape}, {len(apps)} programs")
        parts = zip(np.split(apps, ends)[:-1], np.split(counts, ends, axis=1)[:-1], strict=True)
        senders: dict[str, Habits] = {}
        for name, heard, part in zip(names, kept["mismatch_heard"].tolist(), parts, strict=True):
            habits = senders[name] = Habits()
            habits.heard = heard
            habits.fit(part[0])
            habits.counts[:, part[0]] = part[1]
        self._senders = senders


class Habits:
    """What one sender's programs are like."""

    def __init__(self) -> None:
        self.heard = 0
        """Its labelled lines."""
        self.counts = np.zeros((4, 0))
        """(4, A) by program, as `Novelty` numbers them: labelled lines; mismatches of templates
        that came before; new templates that read like err or worse, or like info or debug;
        mismatches among those."""

    def observe(self, apps: npt.NDArray[np.int32], kinds: npt.NDArray[np.int8]) -> Lines:
        """Which of N labelled lines of a stretch, their programs and `_kinds`, are to be said."""
        self.fit(apps)
        unusual = place = np.flatnonzero(kinds)
        if len(place):
            before = np.zeros(len(place))
            if (kinds[place] == CHANGED).any():
                before = self.counts[0, apps[place]] + earlier(apps)[place]
            fires = self._count(apps[place], before, kinds[place])
            unusual = place[fires & (self.heard + place >= FIRST_LINES)]
        self.counts[0] += np.bincount(apps, minlength=self.counts.shape[1])
        self.heard += len(apps)
        if self.heard % STRETCH == 0:
            self.counts[:, self.counts[0] > MOST_LINES] /= 2
        return unusual

    def fit(self, apps: npt.NDArray[np.integer]) -> None:
        """Room for all these programs."""
        most, room = int(apps.max(initial=-1)), self.counts.shape[1]
        if most >= room:
            more = (1 << max(most, 15).bit_length()) - room
            self.counts = np.pad(self.counts, ((0, 0), (0, more)))

    def _count(
        self, apps: npt.NDArray[np.int32], lines: Doubles, kinds: npt.NDArray[np.int8]
    ) -> Bools:
        """Of candidates in order, which are out of the ordinary.

        lines: of their programs before, where a template that came before has changed.
        """
        fires = np.zeros(len(apps), np.bool_)
        _, changed, reading, against = self.counts
        reading_all, against_all = float(reading.sum()), float(against.sum())
        for i, (app, kind) in enumerate(zip(apps.tolist(), kinds.tolist(), strict=True)):
            if kind == CHANGED:
                fires[i] = changed[app] + 1 <= HABIT_LINES * (lines[i] + GUESS_LINES)
                changed[app] += 1
                continue
            if kind == AGAINST:
                guess = against_all / max(reading_all, 1.0)
                share = (against[app] + guess) / (reading[app] + 1)
                fires[i] = share <= HABIT_TEMPLATES
                against[app] += 1
                against_all += 1
            reading[app] += 1
            reading_all += 1
        return fires


def _kinds(
    table: TemplateTable,
    at: npt.NDArray[np.int32],
    declared: npt.NDArray[np.int16],
    predicted: Prediction,
    new: Bools,
) -> npt.NDArray[np.int8]:
    """Of N lines, what those are by which habits are known; 0 for all others. (N,)"""
    kinds = np.zeros(len(at), np.int8)
    labelled = declared >= 0
    if not labelled.any():
        return kinds
    quiet, loud = declared >= NOTICE, labelled & (declared <= ERR)
    bad, good = predicted.severity <= ERR, predicted.severity >= INFO
    lines = np.flatnonzero((quiet & (new | bad)) | (loud & (new | good)))
    if len(lines):
        rows, is_new = at[lines], new[lines]
        likelihood = table.likelihood[rows]
        text = _opposite(likelihood, quiet[lines])
        truthful = _opposite(likelihood, loud[lines])
        usual = _opposite(predicted.probability[lines], quiet[lines])
        # Else a person has said what it is, or that the sender is not to be believed.
        free = (table.told[rows] < 0) & ~table.mistrusted[rows]
        kinds[lines[is_new & free & (truthful >= READS)]] = TRUTHFUL
        kinds[lines[is_new & free & (text >= READS)]] = AGAINST
        kinds[lines[~is_new & free & (text >= LEANS) & (usual >= USUAL)]] = CHANGED
    return kinds


def _opposite(probability: npt.NDArray[np.float32], quiet: Bools) -> npt.NDArray[np.float32]:
    """Of N lines, (N, 8), how likely it is that they are what they are not declared to be. (N,)"""
    bad, good = probability[:, : ERR + 1].sum(axis=1), probability[:, INFO:].sum(axis=1)
    found: npt.NDArray[np.float32] = np.where(quiet, bad, good)
    return found
