"""An update teaches the search head, and is kept only if it makes search no worse.

What is learnt is what words weigh in this repository's questions; the index stays as it is. It
lies beside the segments, in `learnt/`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from models.searching import Floats, SearchEngine
from parsers.code import Snippet
from pipeline.codesearch.digesting import encoded_text, entry_of, path_terms, quantised
from pipeline.codesearch.entries import (
    FILE_DIGEST,
    FileEntry,
    Float32,
    Float64,
    Settings,
    SnippetEntry,
)
from pipeline.codesearch.index import Index
from pipeline.codesearch.learnt import read_learnt, write_learnt
from pipeline.codesearch.lessons import Lesson, Lessons
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.ranking import RANKING, mixed
from pipeline.codesearch.terms import distinct, hashed, terms
from pipeline.codesearch.writer import Writer

MOST: Final = 512
"""Docstrings of each kind that one update looks at."""
FEWEST: Final = 32
"""Fewer held-out docstrings could not tell better from worse; nor could fewer teach."""


class Outcome(NamedTuple):
    """What an update has taught."""

    new: int
    replayed: int
    held_out: int
    before: float
    """Mean reciprocal rank of the held-out docstrings' functions among all that were read."""
    after: float
    kept: bool

    def __str__(self) -> str:
        told = f"{self.new:,} new docstrings, {self.replayed:,} replayed"
        if not self.before:
            return f"{told}, {self.held_out:,} held out: too few to learn from"
        verdict = "kept" if self.kept else "not kept"
        return (
            f"{told}; {self.held_out:,} held out are found with MRR {self.before:.3f} before, "
            f"{self.after:.3f} after: {verdict}"
        )


def learn(folder: Path, engine: SearchEngine, lessons: Lessons) -> Outcome:
    """Learn from some docstrings and keep it if the held-out ones are found no worse.

    engine: as it was loaded, without what was learnt before. Raises CodeIndexError, OSError.
    """
    counts = len(lessons.new), len(lessons.replayed), len(lessons.held_out)
    taught = [*lessons.new, *lessons.replayed]
    if min(len(taught), len(lessons.held_out)) < FEWEST:
        return Outcome(*counts, 0.0, 0.0, kept=False)
    from models.search_tuning import tune

    everything = [*taught, *lessons.held_out]
    try:
        start = read_learnt(folder, engine)
    except CodeIndexError:  # what is damaged is learnt anew
        start = np.zeros_like(engine.word_weights)
    codes = engine.codes([_encoded(lesson) for lesson in everything])  # (C, dim)
    change = tune(
        engine.spread([lesson.doc for lesson in taught]),
        codes,
        np.arange(len(taught)),
        engine.word_weights,
        start,
    )
    gate = _Gate(engine, everything, codes, lessons.held_out)
    before, after = (gate.reciprocal_rank(engine.tuned(c)) for c in (start, change))
    kept = after >= before
    if kept:
        write_learnt(folder, engine, change)
    return Outcome(*counts, before, after, kept=kept)


class _Gate:
    """All functions as an index of their own, asked with the held-out docstrings."""

    def __init__(
        self,
        engine: SearchEngine,
        everything: list[Lesson],
        codes: Floats,
        held_out: list[Lesson],
    ) -> None:
        self._held_out = held_out
        self._right = np.arange(len(everything) - len(held_out), len(everything))
        settings = Settings(engine.version, engine.dim, 20, 5)
        entries = [_entry(lesson) for lesson in everything]
        file = FileEntry("all", "", 0, 0, bytes(FILE_DIGEST))
        with TemporaryDirectory(prefix="ltt-stream-") as name:
            with Writer.create(Path(name) / "index", settings) as writer:
                writer.replace(file, entries, *quantised(codes))
                writer.commit()
            self._index = Index.open(Path(name) / "index", model=None)
        self._lexical: list[Float64] = [
            self._index.bm25([hashed(term) for term in distinct(terms(lesson.doc))])
            for lesson in held_out
        ]

    def reciprocal_rank(self, engine: SearchEngine) -> float:
        """The mean over the held-out docstrings; a tie counts half."""
        found = []
        integers, scales = quantised(engine.queries([lesson.doc for lesson in self._held_out]))
        for i, right in enumerate(self._right.tolist()):
            dense: Float32 = self._index.dense(integers[i].astype(np.float32)) * scales[i]
            score = mixed(self._lexical[i], dense.astype(np.float64), RANKING.dense)
            better = np.count_nonzero(score > score[right])
            equal = np.count_nonzero(score == score[right])
            found.append(1 / (0.5 + better + equal / 2))
        return float(np.mean(found))


def _encoded(lesson: Lesson) -> str:
    return encoded_text(lesson.path, lesson.name, lesson.code)


def _entry(lesson: Lesson) -> SnippetEntry:
    bare = lesson.name.rsplit(".", 1)[-1]
    snippet = Snippet(1, 1, lesson.name, (bare,), lesson.code)
    return entry_of(snippet, path_terms(lesson.path))
