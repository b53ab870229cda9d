"""Our own learner on a stream, in this process: what `run --learn` runs, without its sockets.

`ours`: labels by template, priors by source and program, and the model taught with replay behind
the gate. `no replay`: the same model fine-tuned on what comes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.drifting_streams import Line
from models.checkpoint import load_checkpoint, pretrained_path
from models.continual import Examples, Learning
from models.inference import Engine
from models.replay import Replay
from models.text import canonical
from pipeline.classroom import Classroom
from pipeline.learner import JUDGE_UPDATES
from pipeline.lessons import Lesson
from pipeline.predict import posterior, predict
from pipeline.scorer import Scorer, softmax
from pipeline.tutor import Telling, labels_of

Ints = npt.NDArray[np.int64]
LOCAL7 = 23
"""A facility that the model was taught nothing of."""
WAITING = 8
"""Lessons that are worth an update."""
RATE = 1e-4


class Ours:
    """What a stream with --learn does."""

    name = "ours"

    def __init__(self, seed: int, *, rate: float = RATE, replaying: bool = True) -> None:
        path = pretrained_path()
        self.scorer = Scorer(Engine.load(path))
        learning = Learning(load_checkpoint(path), rate=rate, seed=seed)
        self.classroom = Classroom(learning, Replay(seed=seed), replaying=replaying)
        self.rejected = 0
        self._telling = Telling()
        self._judged = 0

    @property
    def updates(self) -> int:
        return self.classroom.updates

    def predict(self, lines: Sequence[Line]) -> Ints:
        scorer, found = self.scorer, np.empty(len(lines), np.int64)
        rows = self._rows(lines)
        table = scorer.table
        for source, at in _by_source(lines).items():
            prior = scorer.priors.of_source(source)
            some = rows[at]
            weights = prior.of_apps(table.app[some]) ** np.float32(scorer.priors.strength)
            probability = posterior(table.likelihood[some], weights)
            found[at] = prior.memory.blend(probability, some, table).argmax(axis=1)
        return found

    def learn(self, lines: Sequence[Line]) -> None:
        scorer = self.scorer
        rows = self._rows(lines)
        lessons: list[Lesson] = []
        for source, at in _by_source(lines).items():
            declared = np.array([lines[i].severity for i in at], np.int16)
            predict(scorer.table, scorer.priors, [(source, len(at))], rows[at], declared)
            lessons += self._telling.lessons(source, labels_of(rows[at], declared), scorer.table)
        self.classroom.offer(lessons)
        if self.classroom.waiting >= WAITING:
            self.classroom.update()
        if self.classroom.updates - self._judged >= JUDGE_UPDATES:
            self._judged = self.classroom.updates
            gate = self.classroom.judge()
            if gate is not None and gate.passed:
                self._adopt()
            elif gate is not None:
                self.rejected += 1

    def _adopt(self) -> None:
        """Swap the candidate in, all at once."""
        scorer = self.scorer
        engine = Engine(self.classroom.learning.snapshot())
        engine.version = f"candidate-{self.updates}"
        table = scorer.table
        used = slice(0, table.size)
        if table.size:
            apps, texts = zip(*table.texts, strict=True)
            scores = engine.encode(apps, texts, table.facility[used].tolist())
            table.next_latent[used] = scores.latent
            table.next_surprise[used] = scores.surprise
            table.next_likelihood[used] = softmax(scores.log_likelihood)
        scorer.adopt(engine)

    def _rows(self, lines: Sequence[Line]) -> npt.NDArray[np.int32]:
        return self.scorer.resolve(
            [line.app.encode() for line in lines],
            [line.message.encode() for line in lines],
            [LOCAL7] * len(lines),
        ).rows


class NoReplay:
    """The same model, fine-tuned on each batch that comes."""

    name = "no replay"

    def __init__(self, seed: int, *, rate: float = RATE) -> None:
        self._learning = Learning(load_checkpoint(pretrained_path()), rate=rate, seed=seed)
        card = self._learning.checkpoint.card
        self._log_prior = (card.prior_strength * np.log(card.emission_prior)).astype(np.float32)
        self.updates = 0

    def predict(self, lines: Sequence[Line]) -> Ints:
        found = self._learning.log_likelihood(self._examples(lines)) + self._log_prior
        return np.asarray(found.argmax(axis=1), np.int64)

    def learn(self, lines: Sequence[Line]) -> None:
        self._learning.update(self._examples(lines))
        self.updates += 1

    def _examples(self, lines: Sequence[Line]) -> Examples:
        return Examples(
            [line.app for line in lines],
            [canonical(line.message) for line in lines],
            [-1] * len(lines),
            np.array([line.severity for line in lines], np.int64),
            np.broadcast_to(self._log_prior, (len(lines), 8)),
        )


def own_rivals(names: Sequence[str], seed: int) -> list[Ours | NoReplay]:
    """New ones of these names, for one stream."""
    makers = {"ours": Ours, "no replay": NoReplay}
    return [makers[name](seed) for name in names if name in makers]


def _by_source(lines: Sequence[Line]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i, line in enumerate(lines):
        found.setdefault(line.source, []).append(i)
    return found
