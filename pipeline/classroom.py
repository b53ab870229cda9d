"""What the learner does with its lessons: updates of half new and half replayed, and the gate.

No process, socket or file in here: the learner's process drives it, and so does the benchmark.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.continual import Examples, Learning
from models.replay import Replay, Teaching
from pipeline.fading import add_fading
from pipeline.lessons import Lesson

NEW = 32
"""New templates of one update at most."""
WAITING = 1024
"""Lessons of one source that wait; the oldest goes for one more."""
MOST_SOURCES = 64
MOST_APPS = 4096
"""Programs whose habits are counted; the one quiet longest is forgotten."""
HABIT_HALF_LIFE = 500.0
"""Lessons after which a label of a program's counts half."""
GUESS = 16.0
"""Lessons that the source's habit weighs as much as in a program's, and emission in a source's."""
FEWEST_HELD_OUT = 8
"""Templates that the gate needs to say anything."""
TOLERANCE = 0.005
"""Nats of log-loss by which a candidate may be worse: less is noise."""

Floats = npt.NDArray[np.float32]


class Gate(NamedTuple):
    """A candidate beside the model in use, on the held-out slice of the buffer."""

    passed: bool
    held_out: int
    accuracy: float
    accuracy_before: float
    log_loss: float
    log_loss_before: float


class Classroom:
    """A model, its replay buffer, and the lessons that wait."""

    def __init__(self, learning: Learning, replay: Replay, *, replaying: bool = True) -> None:
        """replaying=False learns from what is new alone: what forgetting is measured by."""
        self.learning = learning
        self.replay = replay
        self.updates = 0
        self.dropped = 0
        """Lessons that had to make room for newer ones."""
        self._replaying = replaying
        card = learning.checkpoint.card
        self._emission = np.array(card.emission_prior, np.float64)
        self._strength = card.prior_strength
        self._waiting: OrderedDict[str, deque[Lesson]] = OrderedDict()
        self._habits: OrderedDict[tuple[str, str], npt.NDArray[np.float64]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def go_on_from(self, before: Classroom) -> None:
        """Take over the lessons that wait in another room, and what it knows of programs."""
        self.dropped = before.dropped
        self._waiting, self._habits = before._waiting, before._habits

    def offer(self, lessons: Iterable[Lesson]) -> None:
        """Take lessons in; those held out are kept for the gate and never trained on."""
        kept: list[Lesson] = []
        for lesson in lessons:
            if self.replay.is_held_out(lesson.template_id):
                kept.append(lesson)
                continue
            queue = self._waiting.get(lesson.source)
            if queue is None:
                if len(self._waiting) >= MOST_SOURCES:
                    self.dropped += len(self._waiting.popitem(last=False)[1])
                queue = self._waiting[lesson.source] = deque(maxlen=WAITING)
            self.dropped += len(queue) == WAITING
            queue.append(lesson)
        if kept:
            examples = self._examples(kept)
            self._store(kept, self.learning.log_likelihood(examples), examples)
            self._note(kept)

    def update(self) -> bool:
        """One step, where something new waits; whether there was one."""
        new = self._take(NEW)
        if not new:
            return False
        examples = self._examples(new)
        replayed = weights = stored = at = None
        if self._replaying and self.replay.trainable:
            at, weights = self.replay.sample(len(new))
            entries = self.replay.take(at)
            log_share = self._strength * np.log(self.replay.class_share().clip(1e-3))
            stored = entries.stored
            replayed = Examples(
                entries.app,
                entries.text,
                entries.facility.tolist(),
                entries.severity.astype(np.int64),
                np.broadcast_to(log_share.astype(np.float32), (len(at), 8)),
            )
        seen = self.learning.update(examples, replayed, weights=weights, stored=stored)
        if at is not None:
            self.replay.reprioritise(at, seen.replayed_loss)
        self._store(new, seen.new_log_likelihood, examples)
        self._note(new)
        self.updates += 1
        return True

    def judge(self) -> Gate | None:
        """Measure the candidate, then keep it or go back; None where too little is held out."""
        at = self.replay.held_out()
        if len(at) < FEWEST_HELD_OUT:
            return None
        entries = self.replay.take(at)
        severity = entries.severity.astype(np.int64)
        share = np.bincount(severity, minlength=8) + 0.5
        log_prior = self._strength * np.log(share / share.sum())
        examples = Examples(
            entries.app,
            entries.text,
            entries.facility.tolist(),
            severity,
            np.broadcast_to(log_prior.astype(np.float32), (len(at), 8)),
        )
        # Each source has one vote, however many templates it has: none can buy the gate.
        _, group = np.unique(np.array(entries.source), return_inverse=True)
        vote = (1 / np.bincount(group)[group]).astype(np.float32)
        vote /= vote.sum()
        after = self._figures(self.learning.log_likelihood(examples), examples, vote)
        before = self._figures(self.learning.kept_log_likelihood(examples), examples, vote)
        passed = after[0] >= before[0] and after[1] <= before[1] + TOLERANCE
        if passed:
            self.learning.keep()
        else:
            self.learning.roll_back()
        return Gate(passed, len(at), after[0], before[0], after[1], before[1])

    def forget(self, template_ids: Sequence[int]) -> None:
        """These templates teach no more."""
        self.replay.forget(template_ids)
        gone = set(template_ids)
        for source, queue in self._waiting.items():
            left = [lesson for lesson in queue if lesson.template_id not in gone]
            self._waiting[source] = deque(left, maxlen=WAITING)

    def _figures(self, found: Floats, examples: Examples, vote: Floats) -> tuple[float, float]:
        """Accuracy and log-loss (nats), weighed."""
        joint = found + examples.log_prior
        joint = joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)
        right = joint.argmax(axis=1) == examples.severity
        nats = -joint[np.arange(len(joint)), examples.severity]
        return float(vote @ right), float(vote @ nats)

    def _take(self, most: int) -> list[Lesson]:
        """Lessons that wait, from each source in turn."""
        taken: list[Lesson] = []
        while len(taken) < most and self._waiting:
            for source in list(self._waiting):
                queue = self._waiting[source]
                if queue and len(taken) < most:
                    taken.append(queue.popleft())
                if not queue:
                    del self._waiting[source]
        return taken

    def _examples(self, lessons: Sequence[Lesson]) -> Examples:
        prior = np.stack([self._prior(lesson) for lesson in lessons])
        return Examples(
            [lesson.app for lesson in lessons],
            [lesson.text for lesson in lessons],
            [lesson.facility for lesson in lessons],
            np.array([lesson.severity for lesson in lessons], np.int64),
            (self._strength * np.log(prior)).astype(np.float32),
        )

    def _prior(self, lesson: Lesson) -> npt.NDArray[np.float64]:
        """(8,) how common the severities are in what this program of this source teaches."""
        prior = self._emission
        for key in ((lesson.source, ""), (lesson.source, "=" + lesson.app)):
            counts = self._habits.get(key)
            if counts is not None:
                prior = (counts + GUESS * prior) / (counts.sum() + GUESS)
        return prior

    def _note(self, lessons: Sequence[Lesson]) -> None:
        for lesson in lessons:
            for key in ((lesson.source, ""), (lesson.source, "=" + lesson.app)):
                counts = self._habits.pop(key, None)
                if counts is None:
                    if len(self._habits) >= MOST_APPS:
                        self._habits.popitem(last=False)
                    counts = np.zeros(8)
                add_fading(counts, np.eye(8)[lesson.severity], HABIT_HALF_LIFE)
                self._habits[key] = counts

    def _store(self, lessons: Sequence[Lesson], stored: Floats, examples: Examples) -> None:
        joint = stored + examples.log_prior
        nats = np.logaddexp.reduce(joint, axis=1) - joint[np.arange(len(joint)), examples.severity]
        self.replay.add(teaching(lessons), stored, nats.astype(np.float32))


def teaching(lessons: Sequence[Lesson]) -> Teaching:
    """Lessons as the columns that the buffer takes."""
    return Teaching(
        template_id=np.array([x.template_id for x in lessons], np.uint64),
        app=[x.app for x in lessons],
        text=[x.text for x in lessons],
        facility=np.array([x.facility for x in lessons], np.int8),
        source=[x.source for x in lessons],
        severity=np.array([x.severity for x in lessons], np.uint8),
        quality=np.array([x.quality for x in lessons], np.uint8),
        count=np.array([x.count for x in lessons], np.int64),
    )
