"""How often each source says emerg … debug: the prior that goes with the model's likelihoods.

The model says how likely a text is at each severity; how common the severities are it cannot
know: developers write debug and error statements, running machines say info. So that is counted
where the line comes from. What senders declare in their PRI is believed first, program by program,
each backed off to its source and that to the emission prior that ships (Dirichlet smoothing).
A source that declares nothing has its mixture of severities estimated from what the model sees
(one step of expectation maximisation at a time, after Saerens, Latinne and Decaestecker 2002),
held to the emission prior: by itself that estimate runs off to the commonest class.

The prior of a source stands still for a stretch of lines, which depends on how many it has had
and on nothing else: what is said of a line is the same however the lines were batched, and no
line is judged with the help of its own label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.fading import add_fading
from pipeline.memory import Memory, kept_memories, restored_memories
from pipeline.templates import TemplateTable

PRIORS = ("emission", "estimated", "labelled")
"""Which prior a line was scored with; the Arrow column's dictionary."""
EMISSION, ESTIMATED, LABELLED = range(3)

LABELLED_LINES = 10
"""So many declared severities are taken for the source's habit."""
ESTIMATED_LINES = 100
"""So many lines without a PRI, before the mixture is estimated from them."""
SOURCE_WEIGHT = 16.0
"""The emission prior weighs as much as so many labelled lines of a source."""
APP_WEIGHT = 4.0
"""The source's prior weighs as much as so many labelled lines of a program."""
FLOOR = 0.02
"""Share of the emission prior in every prior: nothing is impossible that was not heard yet."""
LABELLED_HALF_LIFE = 20_000.0
"""Labelled lines of a source, or of a program, after which a count weighs half."""
ESTIMATED_HALF_LIFE = 2_000.0
"""Lines without a PRI after which an estimate weighs half."""
ANCHOR = 4 * ESTIMATED_HALF_LIFE / np.log(2)
"""The emission prior weighs as much as so many estimated lines: four times all remembered ones.

So an estimate never leaves a severity less than four fifths of the emission prior. Most lines are
info whatever the model: with a lighter anchor "failed" was soon taken for info as well.
"""
MIN_STRETCH, MAX_STRETCH, STRETCHES = 16, 8192, 32
"""Lines for which a prior stands still; between the two, so manieth of the source's lines."""
MAX_SOURCES = 32
"""The source that was quiet longest is forgotten for one more."""

Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32]
Counts = npt.NDArray[Any]


class SourcePrior:
    """p(severity | program) of one source.

    Programs are numbers as `Novelty.code` gives them, which are bounded.
    """

    def __init__(self, emission: Floats) -> None:
        self._emission = emission
        self.base = emission
        """(8,) of a program that has declared nothing."""
        self.kind = EMISSION
        self.stamp = 0
        """Another number for each other prior; 0 is the emission prior's."""
        self.memory = Memory()
        """Its labels by template; they begin to count when the prior is renewed."""
        self.lines = 0
        self.due = MIN_STRETCH
        """The number of lines at which the prior is made anew."""
        self.labelled = np.zeros(8)
        self.estimated = np.zeros(8)
        self.new_estimated = np.zeros(8)
        # (A, 8) by program: what counts, and what will from the next stretch on.
        self.apps = np.zeros((0, 8), np.float32)
        self.new_apps = np.zeros((0, 8), np.float32)

    def of_apps(self, apps: npt.NDArray[np.int32]) -> Probabilities:
        """(N, 8) priors of N programs."""
        if self.kind != LABELLED:
            return np.broadcast_to(self.base.astype(np.float32), (len(apps), 8))
        self.fit(apps)
        weights = self.apps[apps] + (APP_WEIGHT * self.base).astype(np.float32)
        weights *= (1 - FLOOR) / weights.sum(axis=1, keepdims=True)
        weights += (FLOOR * self._emission).astype(np.float32)
        return weights

    def observe(
        self,
        apps: npt.NDArray[np.int32],
        declared: npt.NDArray[np.int16],
        probability: Probabilities,
    ) -> bool:
        """Count N scored lines, no more than up to `due`; True where the prior is to be renewed.

        apps: (N,). declared: (N,) severity, -1 without one. probability: (N, 8) as predicted.
        """
        labelled = declared >= 0
        with_label = np.count_nonzero(labelled)
        if with_label < len(declared) and self.kind != LABELLED:
            unlabelled = probability if with_label == 0 else probability[~labelled]
            self.new_estimated += unlabelled.sum(axis=0)
        if with_label:
            if with_label < len(declared):
                apps, declared = apps[labelled], declared[labelled]
            self.fit(apps)
            np.add.at(self.new_apps.reshape(-1), apps * 8 + declared, np.float32(1))
        self.lines += len(labelled)
        return self.lines >= self.due

    def renew(self) -> bool:
        """Let what was counted since the last time count; True where predictions change."""
        self.due = self.lines + min(max(self.lines // STRETCHES, MIN_STRETCH), MAX_STRETCH)
        self.memory.renew()
        labelled, estimated = self.new_apps.any(), self.new_estimated.any()
        if labelled:
            add_fading(
                self.labelled, self.new_apps.sum(axis=0, dtype=np.float64), LABELLED_HALF_LIFE
            )
            add_fading(self.apps, self.new_apps, LABELLED_HALF_LIFE)
            self.new_apps[:] = 0
        if estimated:
            add_fading(self.estimated, self.new_estimated, ESTIMATED_HALF_LIFE)
            self.new_estimated[:] = 0
        self.choose()
        return bool(labelled or (estimated and self.kind != EMISSION))

    def choose(self) -> None:
        """Make the prior of what counts: labels, else the estimate, else emission."""
        if self.kind == LABELLED or self.labelled.sum() >= LABELLED_LINES:
            self.kind, counts, weight = LABELLED, self.labelled, SOURCE_WEIGHT
        elif self.estimated.sum() >= ESTIMATED_LINES:
            self.kind, counts, weight = ESTIMATED, self.estimated, ANCHOR
        else:
            return
        self.base = (counts + weight * self._emission) / (counts.sum() + weight)

    def fit(self, apps: npt.NDArray[np.integer]) -> None:
        """Room for all these programs."""
        most = int(apps.max(initial=0))
        if most >= len(self.apps):
            rows = 1 << max(most, 15).bit_length()
            self.apps, self.new_apps = _longer(self.apps, rows), _longer(self.new_apps, rows)


def _longer(rows: Probabilities, length: int) -> Probabilities:
    return np.concatenate([rows, np.zeros((length - len(rows), 8), np.float32)])


class PriorTracker:
    """The priors of all sources; bounded, whatever they send."""

    def __init__(self, emission: npt.NDArray[np.floating], strength: float = 1.0) -> None:
        """emission: (8,). strength: the power of a prior when it is put to use."""
        self.emission = emission.astype(np.float64) / emission.sum(dtype=np.float64)
        self.strength = strength
        self.trusts: Callable[[str], bool] = lambda source: True
        """Whether what a source declares is believed; else it is as if it declared nothing."""
        self._sources: dict[str, SourcePrior] = {}
        self._stamp = 0

    def of_source(self, source: str) -> SourcePrior:
        """The prior of a source, the emission prior where it is new."""
        prior = self._sources.pop(source, None) or SourcePrior(self.emission)
        if len(self._sources) == MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[source] = prior  # to the end: the one at the front was quiet longest
        return prior

    def observe(
        self,
        prior: SourcePrior,
        apps: npt.NDArray[np.int32],
        declared: npt.NDArray[np.int16],
        probability: Probabilities,
    ) -> None:
        """Count N lines of one source after they were scored; see `SourcePrior.observe`."""
        if prior.observe(apps, declared, probability) and prior.renew():
            self._stamp += 1
            prior.stamp = self._stamp

    def kept(self) -> dict[str, Any]:
        """All of it as named arrays, to be saved."""
        priors = list(self._sources.values())
        used = [np.flatnonzero((p.apps + p.new_apps).any(axis=1)) for p in priors]
        counts = [
            np.stack((p.apps[a], p.new_apps[a]), 1) for p, a in zip(priors, used, strict=True)
        ]
        return {
            "prior_sources": np.frombuffer(msgspec.json.encode(list(self._sources)), np.uint8),
            "prior_lines": np.array([(p.lines, p.due) for p in priors], np.int64),  # (S, 2)
            "prior_sums": np.array(
                [(p.labelled, p.estimated, p.new_estimated) for p in priors]
            ),  # (S, 3, 8)
            "prior_programs": np.array([len(a) for a in used], np.int64),  # (S,) sum K
            "prior_apps": np.concatenate([*used, np.zeros(0, np.intp)]),  # (K,)
            "prior_counts": np.concatenate([*counts, np.zeros((0, 2, 8), np.float32)]),
            **kept_memories([p.memory for p in priors]),
        }

    def change_model(self, table: TemplateTable) -> None:
        """Another model's latents from now on."""
        for prior in self._sources.values():
            prior.memory.change_model(table)

    def restore(self, kept: Mapping[str, npt.NDArray[Any]], *, same_model: bool = True) -> None:
        """Go on from what `kept` gave; raises ValueError or KeyError where that cannot be.

        same_model: whether the latents are of the model in use.
        """
        names = msgspec.json.decode(kept["prior_sources"].tobytes(), type=list[str])
        memories = dict(zip(names, restored_memories(kept, same_model=same_model), strict=False))
        ends = np.cumsum(kept["prior_programs"])
        sources = zip(
            names,
            kept["prior_lines"],
            kept["prior_sums"],
            np.split(kept["prior_apps"], ends)[:-1],
            np.split(kept["prior_counts"], ends)[:-1],
            strict=True,
        )
        for name, lines, sums, apps, counts in sources:
            prior = self.of_source(name)
            prior.lines, prior.due = lines.tolist()
            prior.labelled, prior.estimated, prior.new_estimated = sums.copy()
            prior.fit(apps)
            prior.apps[apps], prior.new_apps[apps] = counts[:, 0], counts[:, 1]
            prior.choose()
            prior.memory = memories.get(name) or prior.memory
            if prior.kind != EMISSION or len(prior.memory):
                self._stamp += 1
                prior.stamp = self._stamp
