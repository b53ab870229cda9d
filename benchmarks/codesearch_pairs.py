"""Docstrings against the functions of their package, through the product's index.

Each package is an index on the disk, in which a snippet is one function, under its own name (a
method that was cut out of its class is not always parsed). What its path and its class would tell
is told to nobody. Words and meaning are fused as the ranking does, and no other signal is in.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks import lexical
from benchmarks.bench_codepairs import mrr, ranks
from benchmarks.codesearch_metric import rrf
from benchmarks.codesearch_minilm import MiniLM
from models.searching import SearchEngine
from parsers.code import Snippet
from pipeline.codesearch.actions import load_engine
from pipeline.codesearch.digesting import encoded_text, entry_of, quantised, vectors_of
from pipeline.codesearch.entries import FILE_DIGEST, FileEntry, Settings
from pipeline.codesearch.index import Index
from pipeline.codesearch.question import read_question
from pipeline.codesearch.ranking import RANKING, mixed
from pipeline.codesearch.terms import hashed
from pipeline.codesearch.writer import Writer

Floats = npt.NDArray[np.floating]


class Package(NamedTuple):
    docs: list[str]
    codes: list[str]
    names: list[str]
    """Bare."""


class Row(NamedTuple):
    """Within the package; means over the docs of all."""

    system: str
    mrr: float
    top1: float
    top5: float


def read_packages(path: Path, most: int) -> list[Package]:
    """At most so many pairs of each package, those of benchmarks/bench_codepairs.py."""
    columns = pq.read_table(path, columns=["doc", "code", "name", "package"])
    doc, code, name, package = (column.to_pylist() for column in columns.columns)
    bare = [one.rpartition(".")[2] for one in name]
    of_package = np.array(package)
    packages = []
    for one in np.unique(of_package):
        rows = np.random.default_rng(0).permutation(np.flatnonzero(of_package == one))[:most]
        packages.append(Package(*([values[i] for i in rows] for values in (doc, code, bare))))
    return packages


def measure(packages: list[Package], minilm: MiniLM | None) -> list[Row]:
    """Ours, apart and fused, and rivals; each doc ranks the codes of its package."""
    engine = load_engine(None)
    found: dict[str, list[npt.NDArray[np.float64]]] = {}
    for package in packages:
        words, meaning = ours(package, engine)
        stems = lexical.bm25(package.docs, package.codes)
        systems = {
            "BM25, stems": stems,
            "ltt-stream, words alone": words,
            "ltt-stream, encoder alone": meaning,
            "ltt-stream": fused(words, meaning),
        }
        if minilm:
            systems["MiniLM-L6"] = minilm(package.docs, package.codes)
            systems["BM25, stems + MiniLM-L6, RRF"] = rrf(stems, systems["MiniLM-L6"])
        for name, scores in systems.items():
            found.setdefault(name, []).append(ranks(scores))
    rows = []
    for name, of_packages in found.items():
        rank = np.concatenate(of_packages)
        rows.append(Row(name, mrr(rank), float((rank <= 1).mean()), float((rank <= 5).mean())))
    return rows


def ours(package: Package, engine: SearchEngine) -> tuple[Floats, Floats]:
    """BM25 scores and cosines, each (Q, C)."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        with Writer.create(folder, Settings(engine.version, engine.dim, 1, 0), "") as writer:
            for number, (code, name) in enumerate(zip(package.codes, package.names, strict=True)):
                snippet = Snippet(1, 1 + code.count("\n"), name, (name,), code)
                # Rows are in the order of paths.
                file = FileEntry(f"{number:06d}", "", len(code), 0, bytes(FILE_DIGEST))
                vectors = vectors_of(engine, [encoded_text("", name, code)])
                writer.replace(file, [entry_of(snippet, about=[])], *vectors)
            writer.commit()
        index = Index.open(folder, model=engine.version)
        questions = [read_question(doc) for doc in package.docs]
        integers, scales = quantised(engine.queries([question.text for question in questions]))
        words = [index.bm25([hashed(term) for term in question.terms]) for question in questions]
        meaning = [
            index.dense(vector.astype(np.float32)) * scale
            for vector, scale in zip(integers, scales, strict=True)
        ]
        return np.stack(words), np.stack(meaning)


def fused(words: Floats, meaning: Floats) -> Floats:
    """(Q, C), as the ranking mixes them."""
    return np.stack([mixed(*pair, RANKING.dense) for pair in zip(words, meaning, strict=True)])
