"""What a search in an annotated repository is worth: NDCG@10 and top-5, over files."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
_RRF: Final = 60
"""What is added to a place (Cormack et al. 2009)."""


class Query(NamedTuple):
    """An annotated question."""

    text: str
    category: str
    relevant: frozenset[str]
    """Files, primary and secondary alike."""


class Score(NamedTuple):
    """What one query of one repository has got."""

    repository: str
    category: str
    ndcg: float
    top5: bool


class Summary(NamedTuple):
    """Means: of the two groups of repositories and of both, each repository weighing the same.

    top5 and categories are over the queries.
    """

    overall: float
    small: float
    large: float
    top5: float
    repositories: dict[str, float]
    categories: dict[str, float]


class _Annotation(msgspec.Struct):
    query: str
    category: str
    relevant: list[str | dict[str, Any]]
    secondary: list[str | dict[str, Any]] = []


def read_queries(path: Path) -> list[Query]:
    """The annotations of a repository. Raises ValueError for a file that holds something else."""
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[_Annotation])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}; expected annotations of queries") from error
    return [
        Query(row.query, row.category, frozenset(map(_path, row.relevant + row.secondary)))
        for row in rows
    ]


def _path(label: str | dict[str, Any]) -> str:
    """A label is a path, or a path with lines."""
    return label if isinstance(label, str) else str(label["path"])


def ndcg(files: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """NDCG@k of files, best first and each once, with binary relevance."""
    gain = sum(1 / math.log2(i + 2) for i, file in enumerate(files[:k]) if file in relevant)
    ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))
    return gain / ideal if ideal else 0.0


def in_top(files: Sequence[str], relevant: Collection[str], k: int = 5) -> bool:
    """Whether one of the first k files is relevant."""
    return any(file in relevant for file in files[:k])


def files_of(paths: Iterable[str]) -> list[str]:
    """The files of snippets, best first: each where its best snippet stands."""
    return list(dict.fromkeys(paths))


def best_first(scores: Floats) -> list[int]:
    """The places of scores above 0, (C,); of equal ones the first."""
    order = np.argsort(-scores, kind="stable")
    return [int(i) for i in order if scores[i] > 0]


def rrf(*systems: Floats) -> Floats:
    """Reciprocal rank fusion of scores, each (Q, C); what scores 0 or less is in no list."""
    fused = np.zeros(systems[0].shape)
    for scores in systems:
        for row, found in enumerate(scores):
            order = best_first(found)
            fused[row, order] += 1 / (_RRF + 1 + np.arange(len(order)))
    return fused


def summary(scores: Sequence[Score], small: Collection[str]) -> Summary:
    """small: the names of the repositories that are."""
    repositories = {
        name: _mean(s.ndcg for s in scores if s.repository == name)
        for name in dict.fromkeys(s.repository for s in scores)
    }
    return Summary(
        _mean(repositories.values()),
        _mean(mean for name, mean in repositories.items() if name in small),
        _mean(mean for name, mean in repositories.items() if name not in small),
        _mean(s.top5 for s in scores),
        repositories,
        {
            name: _mean(s.ndcg for s in scores if s.category == name)
            for name in sorted({s.category for s in scores})
        },
    )


def _mean(values: Iterable[float]) -> float:
    """NaN of none."""
    found = list(values)
    return sum(found) / len(found) if found else math.nan
