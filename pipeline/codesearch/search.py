"""A question to an opened index → the places in the code that answer it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from models.searching import SearchEngine
from pipeline.codesearch import ranking
from pipeline.codesearch.digesting import encoded_text, quantised
from pipeline.codesearch.entries import Bools, Float32, Float64, Int64, Row
from pipeline.codesearch.globs import expression
from pipeline.codesearch.index import Index
from pipeline.codesearch.lines import CurrentLines
from pipeline.codesearch.place import spelled
from pipeline.codesearch.question import Question, read_question
from pipeline.codesearch.ranking import RANKING, Weights
from pipeline.codesearch.terms import distinct, hashed, hashed_name, terms

_CANDIDATES: Final = 100
"""The best by meaning and the best by words, each, that the ranking looks at: as many however many
are asked for, so that the first ten of a hundred are the same ten."""
_DEFINITIONS: Final = 50
"""Definitions of a name that it looks at besides."""
_TELLING: Final = 32
"""Terms of a snippet by which others like it are looked for: its rarest."""


class Result(msgspec.Struct, frozen=True):
    """A place in the code."""

    path: str
    """Relative to the indexed folder; bytes that are not UTF-8 as \\xNN."""
    start_line: int
    end_line: int
    score: float
    language: str
    symbol: str
    text: str
    """Its lines as they are now; "" where the file is gone."""


class Answer(NamedTuple):
    results: list[Result]
    stale: int
    """Results whose file has changed or gone since it was indexed."""


class Searcher:
    """An index with the encoder that it was made with and the files beside it."""

    def __init__(
        self, index: Index, engine: SearchEngine, root: Path, weights: Weights = RANKING
    ) -> None:
        self.index = index
        self._engine = engine
        self.root = root
        self._weights = weights

    def search(
        self, words: str, *, top_k: int = 10, glob: str | None = None, language: str | None = None
    ) -> Answer:
        """The places that answer best, best first; of files that glob and language leave."""
        question = read_question(words)
        (vector,) = self._engine.queries([question.text])
        dense = self._dense(vector)
        lexical = self.index.bm25([hashed(term) for term in question.terms])
        allowed = self._allowed(glob, language)
        chosen = self._candidates(question, dense, lexical, allowed)
        return self._answer(question, chosen, dense, lexical, top_k, self._weights)

    def similar(self, path: str, line: int, *, top_k: int = 5) -> Answer | None:
        """The places most like the snippet about a line; None where that file has none."""
        number = self.index.near(path, line)
        if number is None:
            return None
        (row,) = self.index.rows([number])
        text = CurrentLines(self.root).text(row)
        (vector,) = self._engine.codes([encoded_text(row.path, row.symbol, text)])
        dense = self._dense(vector)
        words = distinct(terms(text))
        rarest = sorted(words, key=lambda term: len(self.index.postings(hashed(term))[0]))
        lexical = self.index.bm25([hashed(term) for term in rarest[:_TELLING]])
        allowed = self._allowed(None, None)
        allowed[number] = False
        question = Question("", False, (), ())
        chosen = self._candidates(question, dense, lexical, allowed)
        weights = Weights(
            coherence=0, test=1, example=1, reexport=1, declaration=1, prose=1, further=1
        )
        return self._answer(question, chosen, dense, lexical, top_k, weights)

    def _dense(self, vector: Float32) -> Float32:
        """Cosines with every row, (N,); up to what int8 rounds."""
        integers, scales = quantised(vector[None])
        cosines: Float32 = self.index.dense(integers[0].astype(np.float32)) * scales[0]
        return cosines

    def _allowed(self, glob: str | None, language: str | None) -> Bools:
        """Which rows may be shown, (N,)."""
        allowed = self.index.live.copy()
        if glob is None and language is None:
            return allowed
        paths = self.index.paths()
        keep = np.ones(len(paths), np.bool_)
        if glob is not None:
            fits = _below(glob)
            keep &= [fits.fullmatch(os.fsencode(path)) is not None for path in paths]
        if language is not None:
            keep &= [one == language for one in self.index.languages()]
        return allowed & keep[self.index.file_of]

    def _candidates(
        self, question: Question, dense: Float32, lexical: Float64, allowed: Bools
    ) -> Int64:
        """Rows that the ranking looks at, ascending."""
        every = np.flatnonzero(allowed)
        chosen = [
            self._best(scores, every[scores[every] > 0], _CANDIDATES)
            for scores in (dense, lexical)
        ]
        for name in question.names:
            rows, _ = self.index.postings(hashed_name(name))
            chosen.append(self._best(lexical, rows[allowed[rows]], _DEFINITIONS))
        return np.unique(np.concatenate(chosen))

    def _answer(
        self,
        question: Question,
        chosen: Int64,
        dense: Float32,
        lexical: Float64,
        top_k: int,
        weights: Weights,
    ) -> Answer:
        rows = self.index.rows(chosen.tolist())
        ranked = ranking.rank(
            question, rows, lexical[chosen], dense[chosen].astype(np.float64), weights
        )
        lines = CurrentLines(self.root)
        shown = [(rows[one.place], one.score) for one in ranked[:top_k]]
        numbers = self.index.file_of[chosen[[one.place for one in ranked[:top_k]]]]
        stale = sum(
            lines.changed(row, self.index.file(number).digest)
            for (row, _), number in zip(shown, numbers.tolist(), strict=True)
        )
        return Answer([_result(row, score, lines.text(row)) for row, score in shown], stale)

    def _best(self, scores: Float32 | Float64, rows: Int64, most: int) -> Int64:
        """Of some rows those with the highest scores; of equal ones the first by path and line."""
        if len(rows) <= most:
            return rows
        found = scores[rows]
        least = np.partition(found, -most)[-most]
        above, equal = rows[found > least], rows[found == least]
        room = most - len(above)
        if len(equal) > room:
            equal = equal[np.argsort(self.index.place[equal])[:room]]
        return np.concatenate((above, equal))


def _result(row: Row, score: float, text: str) -> Result:
    return Result(
        spelled(row.path),
        row.start_line,
        row.end_line,
        round(score, 4),
        row.language,
        row.symbol,
        text,
    )


def _below(glob: str) -> re.Pattern[bytes]:
    """What matches the paths that a glob does as git reads it, and all that lies below them."""
    found = expression(os.fsencode(glob.removeprefix("./").rstrip("/")))
    return re.compile((found or b"(?!)") + b"(?:/.*)?", re.DOTALL)
