"""Which lines to show a person: rare here, and either trouble or unlike anything the model knows.

Density alone is no anomaly (a flow likes short, plain lines), and trouble alone is none either: a
scanner's failed logins are errors all day long. What is worth a look is a line that its program
hardly ever says *and* that reads like trouble: the two are weighed together, in nats. Four things
are worth a look whatever else: a template that suddenly comes far more often than it did, a line
that is declared another thing than it says, one that its host never writes after those before it,
and what a person has called an anomaly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REASONS = (
    "surprise",
    "new template",
    "severity",
    "severity mismatch",
    "rate burst",
    "feedback",
    "trajectory",
)
"""What `reasons` may hold; the Arrow column's dictionary."""
SURPRISE, NEW, SEVERITY, MISMATCH, BURST, FEEDBACK, TRAJECTORY = range(len(REASONS))

WARM_LINES = 500
"""Until a stream has shown this many lines every template is new, and that says nothing."""
RARE = 1
"""A template is rare the first so many times: what goes on is told once, not again and again."""
EVIDENCE = 0.4
"""Nats of novelty and trouble together from which a rare line is flagged.

Chosen on the sample log that ships, so that its oddities are flagged: how well it does there is a
fit, not a forecast.
"""
TROUBLE = 0.3
"""Probability of err or worse, all severities being equally likely, that is called trouble."""
SURPRISE_NATS = 3.0
"""A rare line is flagged for its surprise alone where novelty is such."""
ERR, CRIT = 3, 2
NOTICE = 5
"""A template that a person has given this severity, or a milder one, is no trouble."""
NORMAL, ANOMALY = 1, 2
"""What a person may have called a template; 0 is nothing."""

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Verdict(NamedTuple):
    """A batch's anomalies."""

    anomaly: Bools
    """(N,)"""
    fired: Bools
    """(N, len(REASONS)): which reasons fired on the anomalous lines; False elsewhere."""


def occurrences(rows: npt.NDArray[np.int32], seen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How often each line's template came before it, in this stream.

    rows: (N,) template of each line. seen: (T,) counts before this batch. Exact for the first
    and the second time, which is all that rarity and novelty ask; beyond it, any number > 1.
    """
    before = seen[rows]
    in_batch: dict[int, int] = {}
    for i in np.flatnonzero(before <= 1).tolist():
        row = int(rows[i])
        count = in_batch.get(row, 0)
        in_batch[row] = count + 1
        before[i] += count
    return before


def judge(
    *,
    position: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
    novelty: Floats,
    surprising: Bools,
    likelihood: Floats,
    declared: npt.NDArray[np.int16],
    mismatch: Bools,
    burst: Bools,
    verdict: npt.NDArray[np.int8],
    told: npt.NDArray[np.int8] | None = None,
    trajectory: Bools | None = None,
) -> Verdict:
    """Flag the lines worth a look.

    position: (N,) lines that this stream scored before each line. before: (N,) of `occurrences`.
    novelty: (N,) of `Novelty.observe`, nats. surprising: (N,) whether the p-value is a discovery
    (models.false_discovery). likelihood: (N, 8) probabilities of the severities emerg … debug were
    they equally frequent. declared: (N,) severity of the PRI, -1 without one. mismatch: (N,) of
    `pipeline.mismatch`. burst: (N,) of `pipeline.bursts`. verdict: (N,) what a person has called
    the template. told: (N,) the severity that a person has given it, -1 without one; None for
    none at all. trajectory: (N,) whether the order is a discovery (pipeline.hosts).
    """
    rare = before < RARE
    new = (position >= WARM_LINES) & rare
    trouble = likelihood[:, : ERR + 1].sum(axis=1).clip(1e-6, 1 - 1e-6)
    alarm = (declared >= 0) & (declared <= CRIT)
    if told is not None:
        # A person who says "info" has read the text, and knows what the sender declares.
        trouble = np.where(mild(told), 1e-6, trouble)
        alarm &= ~mild(told)
    evidence = novelty + np.log(trouble / (1 - trouble))
    strange = surprising & (novelty >= SURPRISE_NATS)
    called = verdict == ANOMALY
    astray = np.zeros(len(rare), np.bool_) if trajectory is None else trajectory
    astray = astray & (position >= WARM_LINES)
    anomaly = new & ((evidence >= EVIDENCE) | strange)
    anomaly |= (rare & alarm) | mismatch | burst | called | astray
    anomaly &= verdict != NORMAL
    reasons = [surprising, new, alarm | (trouble >= TROUBLE), mismatch, burst, called, astray]
    return Verdict(anomaly, np.stack(reasons, axis=1) & anomaly[:, None])


def mild(told: npt.NDArray[np.int8]) -> Bools:
    """Of which templates a person has said that they are no trouble: (N,) from severities."""
    return told >= NOTICE


def names(fired: Sequence[bool]) -> list[str]:
    """The reasons of one line, in words."""
    return [reason for reason, yes in zip(REASONS, fired, strict=True) if yes]
