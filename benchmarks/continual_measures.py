"""How well a stream's lines were predicted before they were learnt from, and what was forgotten.

Prequential: every line is predicted, then learnt from (Dawid 1984). Forgetting is measured as
Lopez-Paz and Ranzato (2017) and Chaudhry et al. (2018) do: at the end of each phase on one exam
of each domain. R[i, j] is the accuracy on domain j after phase i.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.continual_rivals import Rival
from benchmarks.drifting_streams import Line, Phase, Stream
from models.training.metrics import macro_f1

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BATCH = 16
"""Lines predicted, then learnt from, at once: small, so that nobody learns late."""


class Run(NamedTuple):
    """What a rival made of a stream of N lines, P phases and D domains."""

    rival: str
    guess: Ints  # (N,)
    known: Floats
    """(P, D) R on templates that came in the domain's first phase."""
    new: Floats
    """(P, D) R on templates that never come."""
    updates: int
    cpu_s: float
    """Of predicting and learning the stream; the exams are not in it."""


class Transfer(NamedTuple):
    """What a matrix R says of T phases."""

    acc: float
    """Mean over the domains after the last phase."""
    bwt: float
    """Backward transfer: how much better a domain is known after the last phase than after its
    first one, mean over the domains that came before the last phase. Negative: forgotten."""
    forgetting: float
    """How much better a domain was known at its best than after the last phase, mean."""


class Row(NamedTuple):
    """The figures of one rival on one stream."""

    stream: str
    rival: str
    accuracy: float
    macro_f1: float
    unseen_accuracy: float
    unseen_macro_f1: float
    acc: float
    bwt: float
    forgetting: float
    bwt_known: float
    bwt_new: float
    updates: int
    cpu_s: float


def follow(stream: Stream, rival: Rival, batch: int = BATCH) -> Run:
    """Let a new rival predict and learn the stream; no batch goes over the end of a phase."""
    guess: list[Ints] = []
    known: list[list[float]] = []
    new: list[list[float]] = []
    cpu_s, start = 0.0, 0
    for phase in stream.phases:
        for begin in range(start, phase.end, batch):
            lines = stream.lines[begin : min(begin + batch, phase.end)]
            hidden = hide(lines)
            began_s = time.process_time()
            guess.append(rival.predict(hidden))
            rival.learn(lines)
            cpu_s += time.process_time() - began_s
        start = phase.end
        known.append([accuracy_on(rival, exam.known) for exam in stream.exams])
        new.append([accuracy_on(rival, exam.new) for exam in stream.exams])
    return Run(
        rival.name, np.concatenate(guess), np.array(known), np.array(new), rival.updates, cpu_s
    )


def hide(lines: Sequence[Line]) -> list[Line]:
    """The lines without their severities."""
    return [line._replace(severity=-1) for line in lines]


def accuracy_on(rival: Rival, lines: Sequence[Line]) -> float:
    """Share of lines that it says right; NaN of none."""
    if not lines:
        return float("nan")
    truth = np.array([line.severity for line in lines])
    return float((rival.predict(hide(lines)) == truth).mean())


def transfer(matrix: Floats, phases: Sequence[Phase]) -> Transfer:
    """matrix: (P, D) R after each of the phases, of each domain; a domain may come again."""
    last = matrix[-1]
    learnt = {phase.domain: i for i, phase in reversed(list(enumerate(phases)))}
    since = [last[j] - matrix[i, j] for j, i in learnt.items() if i < len(phases) - 1]
    return Transfer(
        float(last.mean()),
        float(np.mean(since)) if since else float("nan"),
        float((matrix.max(axis=0) - last).mean()),
    )


def figures(stream: Stream, run: Run) -> Row:
    """ACC, BWT and forgetting are of R as the mean of known and new templates."""
    truth, unseen = severities(stream), stream.unseen
    both = transfer((run.known + run.new) / 2, stream.phases)
    right = run.guess == truth
    return Row(
        stream.name,
        run.rival,
        float(right.mean()),
        macro_f1(run.guess, truth),
        float(right[unseen].mean()),
        macro_f1(run.guess[unseen], truth[unseen]),
        both.acc,
        both.bwt,
        both.forgetting,
        transfer(run.known, stream.phases).bwt,
        transfer(run.new, stream.phases).bwt,
        run.updates,
        run.cpu_s,
    )


def by_phase(stream: Stream, run: Run) -> list[tuple[float, float]]:
    """Prequential accuracy in each phase: of all lines, and of those with an unseen template."""
    right = run.guess == severities(stream)
    phase = np.array([line.phase for line in stream.lines])
    found = []
    for i in range(len(stream.phases)):
        here, unseen = right[phase == i], right[(phase == i) & stream.unseen]
        found.append((float(here.mean()), float(unseen.mean()) if len(unseen) else float("nan")))
    return found


def running(right: npt.NDArray[np.bool_], window: int) -> Floats:
    """(N,) share that is right of the last `window` lines, of fewer at the beginning."""
    total = np.concatenate([[0], np.cumsum(right)])
    end = np.arange(1, len(total))
    begin = np.maximum(end - window, 0)
    return np.asarray((total[end] - total[begin]) / (end - begin), np.float64)


def severities(stream: Stream) -> Ints:
    return np.array([line.severity for line in stream.lines], np.int64)
