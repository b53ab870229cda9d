"""Annotated queries put to a repository's index on the disk, and to rivals over its snippets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks import lexical
from benchmarks.codesearch_metric import (
    Query,
    Score,
    Summary,
    best_first,
    files_of,
    in_top,
    ndcg,
    read_queries,
    summary,
)
from benchmarks.codesearch_rivals import Ranker, asked_words, has_ripgrep, ripgrep
from models.searching import SearchEngine
from pipeline.codesearch.actions import load_engine, make_index
from pipeline.codesearch.entries import Float32, Float64
from pipeline.codesearch.index import Index
from pipeline.codesearch.lines import CurrentLines
from pipeline.codesearch.ranking import RANKING, Weights
from pipeline.codesearch.search import Searcher

_ALL: Final = 1000
"""More snippets than the ranking looks at, so that ten files are among them."""

Finder = Callable[[str], list[str]]
"""A question → files, best first."""


class WithoutMeaning(Index):
    """Finds nothing near in meaning."""

    def dense(self, query: Float32) -> Float32:
        return np.zeros(self.size, np.float32)


class WithoutWords(Index):
    """Finds nothing by its words."""

    def bm25(
        self,
        terms: Sequence[int],
        weights: Sequence[float] | None = None,
        *,
        k1: float = 1.5,
        b: float = 0.75,
    ) -> Float64:
        return np.zeros(self.size)


class Variant(NamedTuple):
    """The product, or the product without something."""

    name: str
    weights: Weights = RANKING
    opened_as: type[Index] = Index


OURS: Final = Variant("ltt-stream")
NO_ENCODER: Final = Variant(
    "ltt-stream without the encoder",
    replace(RANKING, dense=0, dense_of_name=0),
    WithoutMeaning,
)
NEUTRAL: Final = {
    **dict.fromkeys(("definition", "mentioned", "path", "coherence"), 0.0),
    **dict.fromkeys(("named_file", "qualified", "other_case"), 1.0),
    **dict.fromkeys(("test", "example", "reexport", "declaration", "prose", "further"), 1.0),
}
"""Each weight but the shares of meaning, as it changes nothing."""


def ablations() -> list[Variant]:
    """The product without each of its signals in turn."""
    return [
        Variant("meaning (dense)", NO_ENCODER.weights, WithoutMeaning),
        Variant("words (BM25)", replace(RANKING, dense=1, dense_of_name=1), WithoutWords),
        *(
            Variant(f"`{name}`", replace(RANKING, **{name: value}))
            for name, value in NEUTRAL.items()
        ),
    ]


@dataclass(frozen=True, slots=True)
class Indexed:
    """A repository with its index."""

    name: str
    version: str
    root: Path
    """Of the tree, which labels are relative to."""
    folder: str
    """What was indexed."""
    index: Path
    queries: list[Query]
    missing: int
    """Labels whose file is not there; they are out of `queries`."""
    files: list[str]
    paths: list[str]
    """Of the snippets, from the tree's root as those of `files`."""
    texts: list[str]

    def finder(self, variant: Variant, engine: SearchEngine) -> Finder:
        index = variant.opened_as.open(self.index, model=engine.version)
        searcher = Searcher(index, engine, self.root / self.folder, variant.weights)

        def find(words: str) -> list[str]:
            results = searcher.search(words, top_k=_ALL).results
            return files_of(_joined(self.folder, result.path) for result in results)

        return find

    def scores(self, find: Finder) -> list[Score]:
        return self._scores([find(query.text) for query in self.queries])

    def scores_of_ranker(self, ranker: Ranker, *, with_paths: bool = True) -> list[Score]:
        """Of a rival that is given the snippets, each with its path on a line before it."""
        codes = self.texts
        if with_paths:
            codes = [f"{path}\n{code}" for path, code in zip(self.paths, codes, strict=True)]
        found = ranker([query.text for query in self.queries], codes)
        return self._scores([files_of(self.paths[i] for i in best_first(row)) for row in found])

    def _scores(self, found: list[list[str]]) -> list[Score]:
        return [
            Score(
                self.name,
                query.category,
                ndcg(files, query.relevant),
                in_top(files, query.relevant),
            )
            for query, files in zip(self.queries, found, strict=True)
        ]


def _joined(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder not in ("", ".") else path


Way = Callable[[Indexed], list[Score]]
"""How a repository's queries are answered, and what that is worth."""


@contextmanager
def indexed(
    name: str, version: str, root: Path, folder: str, annotations: Path
) -> Iterator[Indexed]:
    """Index a folder of a tree for the length of a with-block, as the command does.

    Raises ValueError for annotations that cannot be read or of which no file is there.
    """
    with tempfile.TemporaryDirectory() as scratch:
        where, source = Path(scratch) / "index", root / folder
        make_index(source, where, lines=20, overlap=5, model=None, progress=lambda done, of: None)
        index = Index.open(where, model=None)
        lines = CurrentLines(source)
        rows = index.rows(np.flatnonzero(index.live).tolist())
        asked = read_queries(annotations)
        labels = {path for query in asked for path in query.relevant}
        missing = {path for path in labels if not (root / path).is_file()}
        asked = [query._replace(relevant=query.relevant - missing) for query in asked]
        asked = [query for query in asked if query.relevant]
        if not asked:
            raise ValueError(f"{root}: no file of {annotations} is there; is it the right tree?")
        yield Indexed(
            name,
            version,
            root,
            folder,
            where,
            asked,
            len(missing),
            sorted(_joined(folder, path) for path in index.files()),
            [_joined(folder, row.path) for row in rows],
            [lines.text(row) for row in rows],
        )


def systems(
    repositories: Sequence[Indexed], rivals: dict[str, Ranker], small: Sequence[str]
) -> dict[str, Summary]:
    """The product, the product without its encoder, ripgrep if it is installed, and rivals."""
    ways = _product((OURS, NO_ENCODER))
    if has_ripgrep():
        ways["ripgrep, files by hits"] = _of_ripgrep
    for name, ranker in rivals.items():
        ways[name] = partial(Indexed.scores_of_ranker, ranker=ranker)
    ways["BM25, stems, not told the path"] = partial(
        Indexed.scores_of_ranker, ranker=lexical.bm25, with_paths=False
    )
    return _summaries(ways, repositories, small)


def without_each(repositories: Sequence[Indexed], small: Sequence[str]) -> dict[str, Summary]:
    """The product, and the product without each signal."""
    return _summaries(_product((OURS, *ablations())), repositories, small)


def _product(variants: Sequence[Variant]) -> dict[str, Way]:
    engine = load_engine(None)

    def scores(repository: Indexed, variant: Variant) -> list[Score]:
        return repository.scores(repository.finder(variant, engine))

    return {variant.name: partial(scores, variant=variant) for variant in variants}


def _of_ripgrep(repository: Indexed) -> list[Score]:
    return repository.scores(
        lambda words: ripgrep(asked_words(words), repository.root, repository.files)
    )


def _summaries(
    ways: dict[str, Way], repositories: Sequence[Indexed], small: Sequence[str]
) -> dict[str, Summary]:
    return {
        name: summary([score for repository in repositories for score in way(repository)], small)
        for name, way in ways.items()
    }
