"""How candidates are put in order: every signal, its weight and nothing else.

The likeness of meaning and of words are each divided by their best and mixed (convex fusion, Bruch
et al. 2023). To this come what programmers look at: whether a snippet defines the name that is
asked for, whether its file is named after what is asked, whether its file has more to say. Then
tests, examples and re-exports step back, and so does each further snippet of a file.
`docs/codesearch.md` has what each signal is worth.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.codesearch.entries import Row
from pipeline.codesearch.question import Question
from pipeline.codesearch.terms import plain, terms

Floats = npt.NDArray[np.float64]

_TEST: Final = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?|testing|testdata|fixtures?|mocks?)/"
    r"|(?:^|/)(?:test_[^/]*|conftest\.py|[^/]*[._-](?:tests?|spec)\.\w+"
    r"|[^/]*(?:Tests?|TestCase)\.\w+|[^/]*Spec\.(?:groovy|kt|scala|swift)|[^/]*Suite\.scala)$"
)
_EXAMPLE: Final = re.compile(
    r"(?:^|/)(?:_?examples?|samples?|demos?|docs?|docs?_src|_?compat|legacy|deprecated)/"
)
_REEXPORT: Final = re.compile(r"(?:^|/)(?:__init__\.py|package-info\.java)$")
_DECLARATION: Final = re.compile(r"\.(?:d\.ts|pyi|h|hh|hpp|hxx)$")
_PROSE: Final = frozenset(("asciidoc", "latex", "markdown", "restructuredtext"))
_SHORTEST_PREFIX: Final = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """What each signal counts; in units of the best fused score, or factors."""

    dense: float = 0.65
    """The meaning's share where words are asked for; the rest is BM25's."""
    dense_of_name: float = 0.3
    """The same where a name is asked for."""
    definition: float = 3.0
    """Defining the name that is the question."""
    named_file: float = 1.5
    """A factor on `definition` where the file has that name too."""
    qualified: float = 1.5
    """A factor on `definition` where the owner is the one that is asked for too."""
    other_case: float = 0.8
    """A factor on `definition` where the name is written otherwise, as `HTTP_Server` is."""
    mentioned: float = 0.25
    """A factor on `definition` where the name only stands among words."""
    path: float = 0.85
    """All of the question's words in the names of the file and its folder."""
    coherence: float = 0.2
    """To the best snippet of the file whose candidates together fit best; less to others'."""
    test: float = 0.3
    example: float = 0.3
    reexport: float = 0.5
    """Of what defines nothing in a file that is there to pass on names."""
    declaration: float = 0.7
    prose: float = 0.5
    """Documentation and change logs: code is asked for."""
    further: float = 0.5
    """A factor for each better snippet of the same file, or of the same text."""


RANKING: Final = Weights()


class Ranked(NamedTuple):
    place: int
    """Among the candidates."""
    score: float


def rank(
    question: Question,
    rows: Sequence[Row],
    lexical: Floats,
    dense: Floats,
    weights: Weights,
) -> list[Ranked]:
    """All candidates, best first; lexical (C,) BM25 scores ≥ 0, dense (C,) cosines.

    Equal scores are in the order of path and line: the result does not depend on that of `rows`.
    """
    if not rows:
        return []
    share = weights.dense_of_name if question.is_name else weights.dense
    fused = _of_best(mixed(lexical, dense, share))  # (C,)
    score = fused + _definitions(question, rows, weights)
    if not question.is_name:
        score += weights.path * _path_matches(question, rows)
    score += weights.coherence * _coherence(rows, fused, score)
    score *= [_standing(row, weights) for row in rows]
    return _spread(rows, score, weights)


def mixed(lexical: Floats, dense: Floats, share: float) -> Floats:
    """The two likenesses, each divided by its best, mixed; `share` is the dense one's, (C,)."""
    return (1 - share) * _of_best(lexical) + share * _of_best(dense)


def _of_best(scores: Floats) -> Floats:
    """Divided by the largest, what is below zero left out; (C,)."""
    kept = np.maximum(scores, 0)
    best = kept.max()
    return kept / best if best > 0 else kept


def _definitions(question: Question, rows: Sequence[Row], weights: Weights) -> Floats:
    """What defining an asked name is worth, (C,)."""
    worth = np.zeros(len(rows))
    wanted = {plain(name): name for name in question.names}
    if not wanted:
        return worth
    unit = weights.definition * (1 if question.is_name else weights.mentioned)
    for i, row in enumerate(rows):
        hits = [name for name in row.defines if plain(name) in wanted]
        if not hits:
            continue
        exact = any(name == wanted[plain(name)] for name in hits)
        owned = question.qualified and _ends_with(row.symbol, question.qualified)
        in_named_file = bool(_file_names(row.path) & wanted.keys())
        worth[i] = (
            unit
            * (weights.named_file if in_named_file else 1)
            * (weights.qualified if owned else 1)
            * (1 if exact else weights.other_case)
        )
    return worth


def _ends_with(symbol: str, qualified: str) -> bool:
    """Whether `a.b.c` ends with `b.c`, in any case."""
    return f".{plain(symbol)}".endswith(f".{plain(qualified)}")


def _path_matches(question: Question, rows: Sequence[Row]) -> Floats:
    """The share of the question's words that name the file or its folder, (C,)."""
    if not question.terms:
        return np.zeros(len(rows))
    of_path: dict[str, float] = {}
    for row in rows:
        if row.path not in of_path:
            parts = _path_terms(row.path)
            hits = sum(any(_alike(term, part) for part in parts) for term in question.terms)
            of_path[row.path] = hits / len(question.terms)
    return np.array([of_path[row.path] for row in rows])


def _alike(one: str, other: str) -> bool:
    """Whether they are the same or one begins with the other, as `dependency`, `dependencies`."""
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) >= _SHORTEST_PREFIX and long.startswith(short))


def _coherence(rows: Sequence[Row], fused: Floats, score: Floats) -> Floats:
    """For the best snippet of each file: its file's sum of fused scores, of the largest, (C,)."""
    sums: defaultdict[str, float] = defaultdict(float)
    best: dict[str, int] = {}
    order = sorted(range(len(rows)), key=lambda i: (-score[i], rows[i].path, rows[i].start_line))
    for i in order:
        sums[rows[i].path] += fused[i]
        best.setdefault(rows[i].path, i)
    worth = np.zeros(len(rows))
    largest = max(sums.values())
    if largest > 0:
        for path, i in best.items():
            worth[i] = sums[path] / largest
    return worth


def _standing(row: Row, weights: Weights) -> float:
    """What a file's kind leaves of a score."""
    path, factor = row.path, 1.0
    if row.language in _PROSE:
        factor *= weights.prose
    if _TEST.search(path):
        factor *= weights.test
    if _EXAMPLE.search(path):
        factor *= weights.example
    if _REEXPORT.search(path) and not row.defines:
        factor *= weights.reexport
    if _DECLARATION.search(path):
        factor *= weights.declaration
    return factor


def _spread(rows: Sequence[Row], score: Floats, weights: Weights) -> list[Ranked]:
    """In order, each further snippet of a file or copy of a text stepped back."""
    of_file: defaultdict[str, int] = defaultdict(int)
    of_text: defaultdict[bytes, int] = defaultdict(int)
    found: list[Ranked] = []
    order = sorted(range(len(rows)), key=lambda i: (-score[i], rows[i].path, rows[i].start_line))
    for i in order:
        row = rows[i]
        found.append(
            Ranked(
                i,
                float(score[i]) * weights.further ** (of_file[row.path] + of_text[row.digest]),
            )
        )
        of_file[row.path] += 1
        of_text[row.digest] += 1
    return sorted(found, key=lambda r: (-r.score, rows[r.place].path, rows[r.place].start_line))


@lru_cache(1 << 15)
def _path_terms(path: str) -> frozenset[str]:
    """The terms of the file's name and of its folder's."""
    pure = PurePosixPath(path)
    return frozenset(terms(pure.stem) + terms(pure.parent.name))


@lru_cache(1 << 15)
def _file_names(path: str) -> frozenset[str]:
    """What a file is named after, in the singular too."""
    stem = plain(PurePosixPath(path).stem)
    return frozenset((stem, stem.removesuffix("s")))
