"""Severities of lines: likelihoods of their templates, and the priors of where they come from.

A template's prediction is kept in the template table, with the stamp of the prior that it was
made with; it is made again only where the prior has changed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.priors import PriorTracker, SourcePrior
from pipeline.templates import TemplateTable

Floats = npt.NDArray[np.float32]
Sources = Sequence[tuple[str, int]]
"""Where a batch's lines come from: a source and its number of lines, one after the other."""


WINDOW = 128
"""Lines that are looked at anew for first labels after some were settled: a flood has many."""
MOST_AGAIN = 4096
"""Templates that are predicted anew at once; what more there are, when they come."""
BLOCK = 16
"""Lines of a source after which a template's first label counts, at the latest."""
TOLD = 0.98
"""Probability of what a person has said that a template is."""


class Prediction(NamedTuple):
    """Of N lines; zeros for those without a template."""

    severity: npt.NDArray[np.uint8]  # (N,)
    confidence: Floats  # (N,) the severity's probability
    probability: Floats  # (N, 8)
    prior: npt.NDArray[np.int8]
    """(N,) which prior it is with, an index of priors.PRIORS."""


def predict(
    table: TemplateTable,
    priors: PriorTracker,
    sources: Sources,
    rows: npt.NDArray[np.int32],
    declared: npt.NDArray[np.int16],
) -> Prediction:
    """Score N lines with the priors of their sources, and let these learn from them.

    rows: (N,) of the table, negative for lines without a template, which are passed over.
    declared: (N,) severity of the PRI, -1 without one: no line's own counts for itself.
    """
    names = dict.fromkeys([source for source, _ in sources])
    scored = rows >= 0
    if len(names) == 1 and scored.all():
        return _of_one_source(table, priors, sources[0][0], rows, declared)
    number = {source: i for i, source in enumerate(names)}
    of_line = np.repeat([number[source] for source, _ in sources], [n for _, n in sources])
    result = _room(len(rows))
    for source, i in number.items():
        lines = np.flatnonzero(scored & (of_line == i))
        found = _of_one_source(table, priors, source, rows[lines], declared[lines])
        result.severity[lines] = found.severity
        result.confidence[lines] = found.confidence
        result.probability[lines] = found.probability
        result.prior[lines] = found.prior
    return result


def posterior(likelihood: Floats, prior: Floats) -> Floats:
    """Bayes' rule over the severities: (N, 8) likelihoods, (8,) or (N, 8) priors → (N, 8)."""
    weights = likelihood * prior
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _of_one_source(
    table: TemplateTable,
    priors: PriorTracker,
    source: str,
    rows: npt.NDArray[np.int32],
    declared: npt.NDArray[np.int16],
) -> Prediction:
    """As `predict`, of lines that all have a template, one source's."""
    result = _room(len(rows))
    prior = priors.of_source(source)
    if not priors.trusts(source):
        declared = np.full_like(declared, -1)
    elif table.mistrusted[: table.size].any():
        declared = np.where(table.mistrusted[rows], np.int16(-1), declared)
    start = 0
    memory = prior.memory
    first = (declared >= 0) & memory.unlabelled(rows, table)
    known_to = len(rows)  # up to here `first` is as it is now
    while start < len(rows):
        if start >= known_to:
            known_to = min(start + WINDOW, len(rows))
            first[start:known_to] &= memory.unlabelled(rows[start:known_to], table)
        stop = min(start + prior.due - prior.lines, known_to)
        first_label = start + int(first[start:stop].argmax())
        settles = False
        if memory.waits or first[first_label]:
            # The first label of a template counts from the end of its block on.
            line = prior.lines + (0 if memory.waits else first_label - start)
            block_end = start + line - prior.lines + BLOCK - line % BLOCK
            settles = block_end <= stop
            stop = min(stop, block_end)
        part = slice(start, stop)
        start = stop
        at = rows[part]
        _refresh(table, prior, priors.strength, at)
        table.severity.take(at, out=result.severity[part], mode="clip")
        table.confidence.take(at, out=result.confidence[part], mode="clip")
        probability = result.probability[part]
        table.probability.take(at, axis=0, out=probability, mode="clip")
        result.prior[part] = prior.kind
        stamp = prior.stamp
        memory.observe(at, declared[part], table)
        priors.observe(prior, table.app[at], declared[part], probability)
        if memory.waits and settles:
            memory.settle(table)
        if (settles or stamp != prior.stamp) and first[start:].any():
            known_to = start
        if stamp not in (0, prior.stamp):
            # What came in the last stretch will come again: once for all is cheaper.
            again = np.flatnonzero(table.prior_stamp[: table.size] == stamp)
            _refresh(table, prior, priors.strength, again[-MOST_AGAIN:])
    return result


def _refresh(
    table: TemplateTable, prior: SourcePrior, strength: float, rows: npt.NDArray[np.integer]
) -> None:
    """Let these rows' predictions be with this prior."""
    stale = rows[table.prior_stamp[rows] != prior.stamp]
    if len(stale):
        stale = np.unique(stale)
        weights = prior.of_apps(table.app[stale]) ** np.float32(strength)
        found = prior.memory.blend(posterior(table.likelihood[stale], weights), stale, table)
        told = np.flatnonzero(table.told[stale] >= 0)
        if len(told):
            found[told] = (1 - TOLD) / 7
            found[told, table.told[stale[told]]] = TOLD
        table.keep_prediction(stale, found, prior.stamp)


def _room(lines: int) -> Prediction:
    return Prediction(
        np.zeros(lines, np.uint8),
        np.zeros(lines, np.float32),
        np.zeros((lines, 8), np.float32),
        np.zeros(lines, np.int8),
    )
