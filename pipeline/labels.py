"""Which lines may teach: the declared severities that are worth learning from.

Three things are left out: what the user says is not to be learnt from (--learn-from and
--learn-exclude), templates in quarantine (pipeline.quarantine), and senders that mark everything
the same (pipeline.sender_habits).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from parsers.message import Facility
from pipeline.config import ConfigError
from pipeline.frames import listener_of
from pipeline.quarantine import Quarantine
from pipeline.receivers.address import parse_listener
from pipeline.sender_habits import SenderHabits

LearnFrom = Literal["pri", "feedback", "none"]

REASONS = ("source", "excluded", "quarantine", "uniform")
"""Why a labelled line does not teach; the keys of `LabelFilter.withheld`."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.integer]


class LabelPolicy(msgspec.Struct, frozen=True):
    """What the user allows: "pri" is declared severities and people, "feedback" people alone."""

    learn_from: LearnFrom = "pri"
    of_source: Mapping[str, LearnFrom] = {}
    """Where it is another for a source, named as the label of the metrics is."""
    apps: frozenset[str] = frozenset()
    """Programs whose severities teach nothing."""
    facilities: frozenset[int] = frozenset()

    def heeds_people(self) -> bool:
        """Whether feedback teaches; it is of no source."""
        return self.learn_from != "none" or any(x != "none" for x in self.of_source.values())

    def trusts(self, source: str) -> bool:
        """Whether a source's declared severities may teach; one of its senders will do."""
        return self.of_source.get(listener_of(source), self.learn_from) == "pri"

    def excludes(self, apps: Sequence[str], facility: Ints) -> Bools:
        """Which of N lines are of a program or facility that is left out. (N,)"""
        out = np.zeros(len(apps), np.bool_)
        if self.apps:
            out |= np.fromiter((app in self.apps for app in apps), np.bool_, len(apps))
        if self.facilities:
            out |= np.isin(facility, list(self.facilities))
        return out

    def teaches(self, source: str, apps: Sequence[str], facility: Ints, declared: Ints) -> Bools:
        """Which of a source's N lines may teach by the severity that they declare.

        facility, declared: (N,), -1 without one.
        """
        if not self.trusts(source):
            return np.zeros(len(apps), np.bool_)
        return (declared >= 0) & ~self.excludes(apps, facility)

    def check_sources(self, sources: Collection[str]) -> None:
        """Raise ConfigError where a rule names a source that is not listened to."""
        for source in self.of_source:
            if source not in sources:
                raise ConfigError(
                    f"--learn-from {source}: nothing listens there; sources are "
                    f"{', '.join(sources)}"
                )


def parse_policy(learn_from: Iterable[str] = (), exclude: Iterable[str] = ()) -> LabelPolicy:
    """The policy that the options name; raises ConfigError, one line with the mend.

    learn_from: pri, feedback or none, for all or as SOURCE=pri. exclude: app=NAME, facility=NAME.
    """
    everywhere: LearnFrom | None = None
    of_source: dict[str, LearnFrom] = {}
    for text in learn_from:
        name, equals, word = text.rpartition("=")
        choice = _choice(text, word)
        if not equals:
            if everywhere is not None:
                raise ConfigError(
                    f"--learn-from {text}: given twice; name a source, SOURCE={text}"
                )
            everywhere = choice
            continue
        source = _source(text, name)
        if source in of_source:
            raise ConfigError(f"--learn-from {text}: {source} is named twice; name it once")
        of_source[source] = choice
    apps: set[str] = set()
    facilities: set[int] = set()
    for text in exclude:
        what, _, name = text.partition("=")
        if what == "app" and name:
            apps.add(name)
        elif what == "facility" and name:
            facilities.add(_facility(text, name))
        else:
            raise ConfigError(f"--learn-exclude {text}: write app=NAME or facility=NAME")
    return LabelPolicy(everywhere or "pri", of_source, frozenset(apps), frozenset(facilities))


class LabelFilter:
    """All of it together, and the count of what is held back."""

    def __init__(self, policy: LabelPolicy, habits: SenderHabits, quarantine: Quarantine) -> None:
        self.policy = policy
        self.habits = habits
        self.quarantine = quarantine
        self.withheld: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        """Labelled lines that did not teach, by the first reason that held."""

    def admit(
        self,
        source: str,
        apps: Sequence[str],
        template_ids: npt.NDArray[np.uint64],
        facility: Ints,
        severity: Ints,
        lines: Ints,
    ) -> Bools:
        """Which of a source's U labels may teach; as for `SenderHabits.observe`."""
        if not self.policy.trusts(source):
            self.withheld["source"] += int(lines.sum())
            return np.zeros(len(apps), np.bool_)
        excluded = self.policy.excludes(apps, facility)
        held = self.quarantine.contains(template_ids)
        uniform = np.zeros(len(apps), np.bool_)
        heard = np.flatnonzero(~excluded)
        uniform[heard] = ~self.habits.observe(
            source,
            [apps[i] for i in heard.tolist()],
            template_ids[heard],
            severity[heard],
            lines[heard],
        )
        may = np.ones(len(apps), np.bool_)
        for reason, out in (("excluded", excluded), ("quarantine", held), ("uniform", uniform)):
            self.withheld[reason] += int(lines[may & out].sum())
            may &= ~out
        return may


def _choice(text: str, word: str) -> LearnFrom:
    for choice in get_args(LearnFrom):
        if word == choice:
            found: LearnFrom = choice
            return found
    raise ConfigError(
        f"--learn-from {text}: choose one of {', '.join(get_args(LearnFrom))}, for all or as "
        "SOURCE=pri"
    )


def _source(text: str, name: str) -> str:
    """The source as the metrics call it, of a listener as the user writes it."""
    try:
        return parse_listener(name).source
    except ConfigError as error:
        why = str(error).partition(": ")[2]
        raise ConfigError(f"--learn-from {text}: {name!r}: {why}") from error


def _facility(text: str, name: str) -> int:
    names = {facility.name.lower(): int(facility) for facility in Facility}
    names |= {str(int(facility)): int(facility) for facility in Facility}
    if name.lower() not in names:
        known = ", ".join(facility.name.lower() for facility in Facility)
        raise ConfigError(f"--learn-exclude {text}: choose one of {known}, or 0 to 23")
    return names[name.lower()]
