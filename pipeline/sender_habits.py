"""Senders that mark everything the same: their declared severities say nothing.

Some programs wrap all they have in `logger -p user.notice`; some relays lose the PRI and put one
of their own. The rule: a program of a source, or all of the source together, that has said LINES
lines of TEMPLATES templates under one single severity did not choose it, and its labels have no
weight from then on. It is taken back as soon as another severity is said. What is a program of
truly nothing but good news is caught by the rule as well: little is lost, since labels that never
differ tell no text from another.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

LINES, TEMPLATES = 200, 20
MAX_SENDERS = 4096
"""Programs of sources that are counted; for one more the one quiet longest is forgotten."""
_MIXED = -1

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.integer]


class Uniform(NamedTuple):
    """A sender that was found to mark everything the same."""

    source: str
    app: str | None
    """None: all of the source."""
    severity: int
    templates: tuple[int, ...]
    """Ids of templates that it has taught until then: they are better forgotten."""


class _Habit(msgspec.Struct):
    lines: int = 0
    severity: int | None = None
    """Of its first line; _MIXED from the second severity on."""
    templates: set[int] = set()
    """The first TEMPLATES ids, while there is one severity."""

    @property
    def uniform(self) -> bool:
        return self.severity != _MIXED and self.lines >= LINES and len(self.templates) >= TEMPLATES

    def add(self, template: int, severity: int, lines: int) -> bool:
        """Whether it is uniform now and was not before."""
        if self.severity != severity and self.severity is not None:
            self.severity, self.templates = _MIXED, set()
            return False
        before = self.uniform
        self.severity = severity
        self.lines += lines
        if len(self.templates) < TEMPLATES:
            self.templates.add(template)
        return self.uniform and not before


class SenderHabits:
    """Which senders mark everything the same; bounded."""

    def __init__(self, max_senders: int = MAX_SENDERS) -> None:
        self.forgotten = 0
        """Senders that had to make room for others; they are trusted again when they come back."""
        self.found: deque[Uniform] = deque(maxlen=64)
        """News, to be taken by whoever says them."""
        self._max_senders = max_senders
        self._habits: OrderedDict[tuple[str, str | None], _Habit] = OrderedDict()

    def observe(
        self,
        source: str,
        apps: Sequence[str],
        template_ids: npt.NDArray[np.uint64],
        severity: Ints,
        lines: Ints,
    ) -> Bools:
        """Count what a source said; which of it is a label. (U,)

        One place for each program, template and severity: template_ids, severity 0 to 7 and
        lines, how many said so, are (U,).
        """
        habits = {app: self._habit(source, app) for app in dict.fromkeys(apps)}
        whole = self._habit(source, None)
        for app, template, label, count in zip(
            apps, template_ids.tolist(), severity.tolist(), lines.tolist(), strict=True
        ):
            for name, habit in ((app, habits[app]), (None, whole)):
                if habit.severity != _MIXED and habit.add(template, label, count):
                    taught = tuple(sorted(habit.templates))
                    self.found.append(Uniform(source, name, label, taught))
        if whole.uniform:
            return np.zeros(len(apps), np.bool_)
        return np.fromiter((not habits[app].uniform for app in apps), np.bool_, len(apps))

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        rows = [(*key, *msgspec.structs.astuple(habit)) for key, habit in self._habits.items()]
        return {"sender_habits": np.frombuffer(msgspec.json.encode(rows), np.uint8)}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises KeyError or ValueError where that is not whole."""
        row = tuple[str, str | None, int, int | None, set[int]]
        rows = msgspec.json.decode(kept["sender_habits"].tobytes(), type=list[row])
        self._habits = OrderedDict(
            ((source, app), _Habit(lines, severity, templates))
            for source, app, lines, severity, templates in rows[-self._max_senders :]
        )

    def _habit(self, source: str, app: str | None) -> _Habit:
        """Of a sender, which is then the one that spoke last."""
        habit = self._habits.pop((source, app), None) or _Habit()
        if len(self._habits) >= self._max_senders:
            self._habits.popitem(last=False)
            self.forgotten += 1
        self._habits[source, app] = habit
        return habit
