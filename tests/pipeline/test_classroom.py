"""The lessons of a stream: who is heard, what is kept apart, and what the gate lets pass."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from models.checkpoint import Card, Checkpoint
from models.continual import Examples, Floats, Learning, Update
from models.raccoon import Raccoon
from models.replay import Replay
from models.reservoir import is_held_out
from pipeline import classroom as module
from pipeline.classroom import FEWEST_HELD_OUT, NEW, WAITING, Classroom, Gate
from pipeline.lessons import Lesson
from pipeline.templates import template_id
from tests.models.conftest import SMALL

ERR, INFO, DEBUG = 3, 6, 7
WORDS = {
    ERR: ("failed", "refused", "broken"),
    INFO: ("started", "opened", "loaded"),
    DEBUG: ("entering", "leaving", "polling"),
}
THINGS = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("ank", "isk", "ort", "ume", "age", "ell")]
TURNED = {ERR: DEBUG, INFO: ERR, DEBUG: INFO}


class Watched(Learning):
    """Remembers what it was taught."""

    def update(
        self,
        new: Examples,
        replayed: Examples | None = None,
        *,
        weights: Floats | None = None,
        stored: Floats | None = None,
    ) -> Update:
        self.seen.append((new, replayed))
        return super().update(new, replayed, weights=weights, stored=stored)

    @property
    def seen(self) -> list[tuple[Examples, Examples | None]]:
        found: list[tuple[Examples, Examples | None]] = self.__dict__.setdefault("_seen", [])
        return found

    @property
    def texts(self) -> list[str]:
        both = [text for new, replayed in self.seen for text in (new, replayed) if text]
        return [text for examples in both for text in examples.texts]


@pytest.fixture
def learning() -> Watched:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    card = Card(corpus_prior=[0.125] * 8, apps=[])
    return Watched(Checkpoint(Raccoon(SMALL).eval(), card, np.zeros(0, np.float32)), rate=3e-3)


@pytest.fixture
def classroom(learning: Watched) -> Classroom:
    return Classroom(learning, Replay())


def lesson(text: str, severity: int, source: str = "udp", app: str = "") -> Lesson:
    return Lesson(template_id(app, text), app, text, -1, source, severity, 0, 1)


def lessons(
    source: str = "udp", *, turned: bool = False, tail: str = "", most: int = 10_000
) -> list[Lesson]:
    """Every thing in every state: 648 templates, in an order of their own."""
    found = [
        lesson(f"{thing} {word}{tail}", TURNED[severity] if turned else severity, source)
        for thing in THINGS
        for severity, words in WORDS.items()
        for word in words
    ]
    return sorted(found, key=lambda one: one.template_id)[:most]


def nonsense(*apps: str) -> list[Lesson]:
    """The same texts from other programs, of which the model knows none, with other labels."""
    turned = lessons(turned=True)
    return [lesson(one.text, one.severity, "evil", app) for app in apps for one in turned]


def held_out(of: list[Lesson]) -> list[Lesson]:
    return [one for one in of if is_held_out(one.template_id)]


def trained_on(of: list[Lesson]) -> list[Lesson]:
    return [one for one in of if not is_held_out(one.template_id)]


def examples(texts: list[str]) -> Examples:
    """To be asked for."""
    n = len(texts)
    return Examples([""] * n, texts, [-1] * n, np.zeros(n, np.int64), np.zeros((n, 8), np.float32))


def learn(classroom: Classroom, given: list[Lesson]) -> Gate | None:
    classroom.offer(given)
    while classroom.update():
        pass
    return classroom.judge()


# ---- the way of a lesson


def test_every_lesson_is_kept_apart_taught_or_counted(classroom: Classroom) -> None:
    given = lessons()
    classroom.offer(given)
    assert classroom.waiting == len(trained_on(given))
    assert len(classroom.replay) == len(held_out(given)) > 60
    updates = 0
    while classroom.update():
        updates += 1
    assert updates == classroom.updates == -(-len(trained_on(given)) // NEW)
    assert classroom.waiting == classroom.dropped == 0
    assert len(classroom.replay) == len(given)
    assert classroom.replay.trainable == len(trained_on(given))
    assert not classroom.update()


def test_what_the_gate_measures_on_is_never_trained_on(
    classroom: Classroom, learning: Watched
) -> None:
    given = lessons()
    for severity in (None, DEBUG):  # once as they are, once more with another label
        again = [lesson(one.text, one.severity if severity is None else severity) for one in given]
        learn(classroom, again)
    apart = {one.text for one in held_out(given)}
    assert apart.isdisjoint(learning.texts)
    assert set(learning.texts) == {one.text for one in trained_on(given)}
    at = classroom.replay.held_out()
    assert set(classroom.replay.take(at).text) == apart


def test_an_update_is_half_new_and_half_replayed(classroom: Classroom, learning: Watched) -> None:
    classroom.offer(lessons())
    first, *later = (classroom.update() and learning.seen[-1] for _ in range(5))
    assert first
    assert first[1] is None, "there was nothing to replay"
    for new, replayed in later:
        assert replayed is not None
        assert len(new.texts) == len(replayed.texts) == NEW
    before = [text for new, _ in learning.seen[:-1] for text in new.texts]
    last = learning.seen[-1][1]
    assert last is not None
    assert set(last.texts) <= set(before)


def test_without_replay_only_the_new_is_learnt(learning: Watched) -> None:
    classroom = Classroom(learning, Replay(), replaying=False)
    learn(classroom, lessons())
    assert all(replayed is None for _, replayed in learning.seen)
    assert len(classroom.replay) == len(lessons()), "it is kept all the same, for the gate"


def test_sources_take_turns(classroom: Classroom, learning: Watched) -> None:
    loud, quiet = trained_on(lessons("loud")), trained_on(lessons("quiet", tail=" now"))
    classroom.offer(loud)
    classroom.offer(quiet[:3])
    classroom.update()
    texts = learning.seen[0][0].texts
    assert {one.text for one in quiet[:3]} <= set(texts)
    assert len(texts) == NEW


def test_what_waits_is_bounded_and_the_oldest_goes(
    classroom: Classroom, learning: Watched
) -> None:
    given = trained_on([lesson(f"line {i:b}", INFO) for i in range(2 * WAITING)])
    classroom.offer(given)
    classroom.offer(trained_on(lessons("other", most=30)))
    assert classroom.dropped == len(given) - WAITING
    assert classroom.waiting == WAITING + len(trained_on(lessons(most=30)))
    while classroom.update():
        pass
    gone = {one.text for one in given[: classroom.dropped]}
    assert gone.isdisjoint(learning.texts)
    assert {one.text for one in given[classroom.dropped :]} <= set(learning.texts)


def test_sources_that_wait_are_bounded(
    classroom: Classroom, learning: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SOURCES", 4)
    some = trained_on(lessons(most=20))
    for n in range(10):
        classroom.offer([lesson(one.text, one.severity, f"host {n}") for one in some])
    assert classroom.waiting == 4 * len(some)
    assert classroom.dropped == 6 * len(some)


def test_what_is_forgotten_is_taught_no_more(classroom: Classroom, learning: Watched) -> None:
    given = lessons(most=200)
    train, apart = trained_on(given), held_out(given)
    classroom.offer(given)
    classroom.update()
    taught = [one for one in train if one.text in learning.texts]
    waiting = [one for one in train if one.text not in learning.texts]
    gone = [*taught[:5], *waiting[:5], apart[0]]
    classroom.forget([one.template_id for one in gone])
    learning.seen.clear()
    while classroom.update():
        pass
    classroom.offer([lesson("one more", INFO)])
    classroom.update()
    assert {one.text for one in gone}.isdisjoint(learning.texts)
    assert len(classroom.replay) == len(given) - len(gone) + 1
    classroom.forget([one.template_id for one in given])
    assert len(classroom.replay) == 1


def test_what_one_source_says_is_no_habit_of_another(
    classroom: Classroom, learning: Watched
) -> None:
    """What is common where a lesson comes from is divided out: of its own source alone."""
    texts = trained_on([lesson(f"{thing} poll", DEBUG) for thing in THINGS])
    classroom.offer([lesson(one.text, DEBUG, "loud", "app") for one in texts])
    while classroom.update():
        pass
    for source, app in (("quiet", "app"), ("loud", "other"), ("loud", "app")):
        classroom.offer(trained_on([lesson(f"{t} rest", INFO, source, app) for t in THINGS])[:1])
        classroom.update()
    quiet, neighbour, loud = (new.log_prior[0] for new, _ in learning.seen[-3:])
    emission = np.log(learning.checkpoint.card.emission_prior)
    np.testing.assert_allclose(quiet, emission, atol=1e-3)
    assert emission[DEBUG] < neighbour[DEBUG] < loud[DEBUG] < 0


# ---- the gate


def test_a_candidate_that_has_learnt_something_passes(
    classroom: Classroom, learning: Watched
) -> None:
    gate = learn(classroom, lessons())
    assert gate is not None
    assert gate.passed
    assert gate.held_out == len(held_out(lessons()))
    assert gate.accuracy > 0.8 > gate.accuracy_before
    assert gate.log_loss < 0.6 < gate.log_loss_before
    again = classroom.judge()
    assert again is not None
    assert again.passed, "no worse than itself"
    assert (again.accuracy_before, again.log_loss_before) == (gate.accuracy, gate.log_loss)


def test_a_candidate_that_was_taught_nonsense_is_rejected(
    classroom: Classroom, learning: Watched
) -> None:
    good = lessons()
    learn(classroom, good)
    in_use = {name: p.detach().clone() for name, p in learning.checkpoint.model.named_parameters()}
    gate = learn(classroom, trained_on(nonsense("evil")))
    assert gate is not None
    assert not gate.passed
    assert gate.accuracy < gate.accuracy_before > 0.8
    for name, parameter in learning.checkpoint.model.named_parameters():
        assert torch.equal(parameter, in_use[name]), f"{name} was not taken back"
    after = learn(classroom, lessons(tail=" later"))
    assert after is not None
    assert after.passed, "one that was rejected does not stand in the way of the next"


def test_too_little_to_measure_on_is_no_verdict(classroom: Classroom, learning: Watched) -> None:
    given = lessons(most=300)
    train, apart = trained_on(given), held_out(given)
    asked = examples([one.text for one in apart])
    start = learning.log_likelihood(asked)
    assert learn(classroom, train + apart[: FEWEST_HELD_OUT - 1]) is None
    assert (learning.log_likelihood(asked) != start).any(), "the candidate goes on"
    gate = learn(classroom, apart[FEWEST_HELD_OUT - 1 : FEWEST_HELD_OUT])
    assert gate is not None
    assert gate.held_out == FEWEST_HELD_OUT


def test_every_source_has_one_vote(classroom: Classroom, learning: Watched) -> None:
    """One that has most of the templates cannot publish what is nonsense to three others."""
    honest = [
        one
        for n, some in enumerate(np.array_split(np.arange(648), 3))
        for one in (lessons(f"host {n}")[i] for i in some)
    ]
    learn(classroom, honest)
    gate = learn(classroom, nonsense("evil", "worse"))
    assert gate is not None
    entries = classroom.replay.take(classroom.replay.held_out())
    sources = Counter(entries.source)
    assert sources["evil"] > sources["host 0"] + sources["host 1"] + sources["host 2"]
    right = dict.fromkeys(sources, 0.0)
    share = np.bincount(entries.severity, minlength=8) + 0.5
    found = learning.kept_log_likelihood(examples(entries.text)) + np.log(share)
    for source, severity, guess in zip(
        entries.source, entries.severity, found.argmax(axis=1), strict=True
    ):
        right[source] += (severity == guess) / sources[source]
    assert gate.accuracy_before == pytest.approx(np.mean(list(right.values())), abs=1e-6)
    assert not gate.passed
