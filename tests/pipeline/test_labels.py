"""Which lines may teach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import ConfigError
from pipeline.labels import REASONS, LabelFilter, LabelPolicy, parse_policy
from pipeline.quarantine import Quarantine
from pipeline.sender_habits import LINES, TEMPLATES, SenderHabits, Uniform

UDP = "udp://0.0.0.0:514"


# What the user allows


def test_declared_severities_teach_where_nothing_else_is_said() -> None:
    policy = parse_policy()
    declared = np.array([3, -1, 0, 7])
    teaches = policy.teaches("stdin", ["a", "b", "", "d"], np.array([4, -1, 0, 23]), declared)
    assert teaches.tolist() == [True, False, True, True]
    assert policy.heeds_people()


@pytest.mark.parametrize(
    ("options", "stdin", "udp", "people"),
    [
        (["pri"], True, True, True),
        (["feedback"], False, False, True),
        (["none"], False, False, False),
        ([f"{UDP}=none"], True, False, True),
        (["udp://0.0.0.0=feedback"], True, False, True),  # as --listen takes it
        (["none", "stdin=pri"], True, False, True),
        (["stdin=feedback", "none"], False, False, True),
        (["-=feedback", f"{UDP}=pri"], False, True, True),
    ],
)
def test_learn_from(options: list[str], stdin: bool, udp: bool, people: bool) -> None:
    policy = parse_policy(options)
    one = (["a"], np.array([1]), np.array([3]))
    assert policy.teaches("stdin", *one).tolist() == [stdin]
    assert policy.teaches(UDP, *one).tolist() == [udp]
    assert policy.heeds_people() == people


def test_learn_exclude() -> None:
    policy = parse_policy((), ["app=cron", "facility=Local7", "facility=0", "app=a=b"])
    apps = ["cron", "CRON", "a=b", "x", "x", "x", ""]
    facility = np.array([9, 9, 3, 23, 0, -1, 1], np.int8)
    teaches = policy.teaches("stdin", apps, facility, np.full(7, 5))
    assert teaches.tolist() == [False, True, False, False, False, True, True]


BAD = {
    "no word": (["all"], [], "--learn-from all: choose one of pri, feedback, none"),
    "no source": (["syslog=pri"], [], "--learn-from syslog=pri: 'syslog': not a listener"),
    "nobody": (["=pri"], [], "--learn-from =pri: "),
    "a bad port": (["udp://h:x=pri"], [], "--learn-from udp://h:x=pri: "),
    "twice": (["pri", "none"], [], "--learn-from none: given twice"),
    "a source twice": ([f"{UDP}=pri", "udp://0.0.0.0=none"], [], "named twice"),
    "no form": ([], ["cron"], "--learn-exclude cron: write app=NAME or facility=NAME"),
    "no name": ([], ["app="], "--learn-exclude app=: write"),
    "no such thing": ([], ["host=h"], "--learn-exclude host=h: write"),
    "no facility": (
        [],
        ["facility=local8"],
        "--learn-exclude facility=local8: choose one of kern",
    ),
    "a large facility": ([], ["facility=24"], "or 0 to 23"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_rule_is_refused_by_name(name: str) -> None:
    learn_from, exclude, said = BAD[name]
    with pytest.raises(ConfigError) as error:
        parse_policy(learn_from, exclude)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_rule_for_a_source_that_is_not_there_is_refused() -> None:
    policy = parse_policy([f"{UDP}=none"])
    policy.check_sources(["stdin", UDP])
    with pytest.raises(ConfigError, match=r"--learn-from udp://0\.0\.0\.0:514: .*stdin"):
        policy.check_sources(["stdin"])


# Senders that mark everything the same


class Labels(NamedTuple):
    apps: Sequence[str]
    template_ids: np.ndarray[tuple[int], np.dtype[np.uint64]]
    severity: np.ndarray[tuple[int], np.dtype[np.int64]]
    lines: np.ndarray[tuple[int], np.dtype[np.int64]]


def labels(app: str, severity: int, *, templates: int = 1, lines: int = 1, at: int = 1) -> Labels:
    """A program that says so many templates under one severity, each on so many lines."""
    return Labels(
        [app] * templates,
        np.arange(at, at + templates, dtype=np.uint64),
        np.full(templates, severity, np.int64),
        np.full(templates, lines, np.int64),
    )


def join(*parts: Labels) -> Labels:
    return Labels(
        [app for part in parts for app in part.apps],
        *(np.concatenate(columns) for columns in list(zip(*parts, strict=True))[1:]),
    )


MANY = LINES // TEMPLATES


def test_a_sender_of_one_severity_says_nothing() -> None:
    habits = SenderHabits()
    other = labels("other", 3)
    assert habits.observe(UDP, *other).all()
    assert habits.observe(UDP, *labels("app", 5, templates=TEMPLATES, lines=MANY - 1)).all()
    both = join(labels("app", 5, templates=MANY * TEMPLATES), other)
    assert habits.observe(UDP, *both).tolist() == [False] * MANY * TEMPLATES + [True]
    assert list(habits.found) == [Uniform(UDP, "app", 5, tuple(range(1, TEMPLATES + 1)))]


@pytest.mark.parametrize(
    ("templates", "lines"), [(TEMPLATES - 1, LINES), (LINES - 1, 1), (TEMPLATES, MANY - 1)]
)
def test_little_heard_is_no_habit(templates: int, lines: int) -> None:
    habits = SenderHabits()
    for _ in range(5 if templates < TEMPLATES else 1):
        assert habits.observe(UDP, *labels("app", 5, templates=templates, lines=lines)).all()
    assert not habits.found


def test_another_severity_takes_it_back() -> None:
    habits = SenderHabits()
    notice = labels("app", 5, templates=30, lines=100)
    assert not habits.observe(UDP, *notice).any()
    assert habits.observe(UDP, *labels("app", 3)).all()
    assert habits.observe(UDP, *notice).all()


def test_a_source_of_one_severity_says_nothing_whoever_speaks() -> None:
    habits = SenderHabits()
    relay = join(*(labels(f"app{i}", 5, lines=LINES, at=i) for i in range(1, TEMPLATES + 1)))
    assert not habits.observe(UDP, *relay).any()
    assert habits.observe("stdin", *labels("app1", 5)).all()
    assert [(found.source, found.app) for found in habits.found] == [(UDP, None)]


Heard = list[tuple[int, int, int]]
"""(program, template, severity), a line each."""


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.integers(4, 5)), max_size=30),
    st.integers(1, 5),
)
def test_how_lines_are_batched_does_not_matter(heard: Heard, cuts: int) -> None:
    lines = [line for line in heard for _ in range(9)] + [(0, n, 5) for n in range(20)] * 11
    whole, parts = SenderHabits(), SenderHabits()
    for habits, size in ((whole, len(lines)), (parts, -(-len(lines) // cuts))):
        for start in range(0, len(lines), size):
            some = lines[start : start + size]
            single = [labels(f"app{app}", severity, at=n) for app, n, severity in some]
            habits.observe(UDP, *join(*single))
    asked = join(*(labels(f"app{app}", 5) for app in range(3)))
    assert whole.observe(UDP, *asked).tolist() == parts.observe(UDP, *asked).tolist()


def test_memory_is_bounded_whoever_speaks() -> None:
    habits = SenderHabits(max_senders=10)
    uniform = labels("app", 5, templates=30, lines=100)
    assert not habits.observe(UDP, *uniform).any()
    for i in range(50):
        habits.observe(UDP, *labels(f"other{i}", 3))
        assert not habits.observe(UDP, *uniform).any()  # who goes on speaking stays known
    assert habits.forgotten == 52 - 10
    many = join(*(labels(f"new{i}", 4) for i in range(50)))
    assert habits.observe(UDP, *many).all()
    assert len(habits.kept()["sender_habits"]) < 10 * (TEMPLATES + 1) * 22


def test_a_restart_goes_on_with_it() -> None:
    habits = SenderHabits()
    notice = labels("app", 5, templates=30, lines=100)
    habits.observe(UDP, *join(notice, labels("mixed", 3), labels("mixed", 4)))
    habits.observe(UDP, *labels("nearly", 5, templates=TEMPLATES, lines=MANY - 1))
    again = SenderHabits()
    again.restore(habits.kept())
    for found in (habits, again):
        assert not found.observe(UDP, *notice).any()
        assert found.observe(UDP, *labels("mixed", 3, templates=30, lines=100)).all()
        assert not found.observe(UDP, *labels("nearly", 5, lines=TEMPLATES)).any()
    for bad in ({}, {"sender_habits": np.frombuffer(b"[[1]]", np.uint8)}):
        with pytest.raises((KeyError, ValueError)):
            again.restore(bad)
    assert not again.observe(UDP, *notice).any()


# All together


def test_every_line_teaches_or_is_counted_with_the_reason() -> None:
    quarantine = Quarantine()
    quarantine.add(np.array([2, 501], np.uint64), 1.7e9)
    policy = parse_policy(["stdin=feedback"], ["app=cron", "facility=local0"])
    gate = LabelFilter(policy, SenderHabits(), quarantine)
    heard = join(
        labels("app", 3, templates=3, lines=5),  # the second in quarantine
        labels("cron", 6, templates=30, lines=100, at=100),
        labels("flat", 5, templates=30, lines=100, at=500),  # the second in quarantine
        labels("local", 4, templates=2, lines=7, at=900),
    )
    facility = np.array([3] * 63 + [16] * 2, np.int8)
    may = gate.admit(UDP, heard.apps, heard.template_ids, facility, heard.severity, heard.lines)
    assert np.flatnonzero(may).tolist() == [0, 2]
    assert gate.withheld == {
        "source": 0,
        "excluded": 3000 + 14,
        "quarantine": 5 + 100,
        "uniform": 2900,
    }
    assert not gate.admit(
        "stdin", heard.apps, heard.template_ids, facility, heard.severity, heard.lines
    ).any()
    assert gate.withheld["source"] == heard.lines.sum()
    taught = int(heard.lines[may].sum())
    assert taught + sum(gate.withheld.values()) == 2 * heard.lines.sum()
    assert tuple(gate.withheld) == REASONS


def test_who_is_excluded_does_not_speak_for_the_source() -> None:
    gate = LabelFilter(LabelPolicy(apps=frozenset({"cron"})), SenderHabits(), Quarantine())
    heard = join(labels("cron", 3), labels("flat", 5, templates=30, lines=100, at=50))
    no_facility = np.full(31, -1, np.int8)
    gate.admit(UDP, heard.apps, heard.template_ids, no_facility, heard.severity, heard.lines)
    one = labels("another", 5, at=999)
    may = gate.admit(UDP, one.apps, one.template_ids, no_facility[:1], one.severity, one.lines)
    assert not may.any()
