"""The arithmetic of the code search bench, and its rivals on pairs with an obvious answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from benchmarks import lexical
from benchmarks.bench_codepairs import Pairs, main, measure, mrr, ranks
from models.checkpoint import Card, Checkpoint, save_checkpoint
from models.raccoon import Architecture, Raccoon

DOCS = ["parses the HTTP header", "opens a socket connection", "sorting numbers quickly"]
CODES = [
    "def parse_header(line): return line.split(':')",
    "fn openConnection(addr: Addr) -> Socket { connect(addr) }",
    "static void quickSort(int *number, int n) { sort(number, n); }",
]


def test_the_right_code_is_the_diagonal_and_ties_count_half() -> None:
    scores = np.array([[3.0, 1, 1], [2, 2, 1], [5, 5, 5]])
    assert ranks(scores).tolist() == [1.0, 1.5, 2.0]
    assert mrr(ranks(scores)) == pytest.approx((1 + 1 / 1.5 + 1 / 2) / 3)
    assert np.isnan(mrr(np.zeros(0)))


def test_identifiers_are_split_kept_whole_and_stemmed() -> None:
    assert lexical.stems("parse_headers(HTTPServer2)") == [
        "parse_head", "pars", "header", "httpserver2", "http", "server", "2",
    ]  # fmt: skip
    assert lexical.stems("the of and") == []


@pytest.mark.parametrize("ranker", [lexical.bm25, lexical.tf_idf])
def test_rivals_find_code_by_its_words(ranker: object) -> None:
    assert callable(ranker)
    scores = ranker(DOCS, CODES)
    assert scores.shape == (3, 3)
    assert scores.argmax(1).tolist() == [0, 1, 2]
    assert (ranker(["the"], CODES) == ranker(["the"], CODES)[0, 0]).all()  # nothing to go by


def test_within_the_package_only_its_codes_are_candidates() -> None:
    n = 40
    packages = np.array(["a", "b"] * (n // 2))
    pairs = Pairs([str(i) for i in range(n)], [str(i) for i in range(n)], packages,
                  np.arange(n) < 10)  # fmt: skip

    def same_package(docs: list[str], codes: list[str]) -> np.ndarray:
        """Cannot tell the codes of a package apart."""
        return np.array([[float(int(d) % 2 == int(c) % 2) for c in codes] for d in docs])

    row = measure("x", same_package, pairs, draws=2, candidates=1000)
    assert row.mrr == row.within_mrr == pytest.approx(1 / 10.5)
    exact = measure("x", lambda d, c: np.eye(len(d)), pairs, draws=1, candidates=8)
    assert (exact.mrr, exact.top1, exact.within_top5, exact.mrr_python) == (1, 1, 1, 1)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    table = pa.table(
        {"doc": DOCS, "code": CODES, "package": ["a", "a", "b"], "language": ["python", "c", "c"]}
    )
    pq.write_table(table, tmp_path / "pairs.parquet")
    return tmp_path / "pairs.parquet"


def test_the_search_head_of_a_checkpoint_is_measured(pairs: Path, tmp_path: Path) -> None:
    """Shared words are enough, whatever the weights."""
    architecture = Architecture(buckets=4096, ngram_width=32, linear_buckets=64, weight_buckets=64)
    card = Card(corpus_prior=[0.125] * 8, apps=[])
    checkpoint = Checkpoint(Raccoon(architecture), card, np.ones(1, np.float32))
    save_checkpoint(tmp_path / "model", checkpoint)
    options = ["--pairs", str(pairs), "--draws", "1", "--no-lexical", "--json"]
    done = CliRunner().invoke(main, [*options, "--model", str(tmp_path / "model")])
    (row,) = json.loads(done.output)
    assert (row["system"], row["mrr"], row["within_mrr"]) == ("ours", 1, 1)
    failed = CliRunner().invoke(main, [*options, "--model", str(tmp_path)])
    assert failed.exit_code == 1
    assert "config.json: No such file" in failed.output
    assert failed.output.count("\n") == 1


def test_the_bench_on_a_file(pairs: Path) -> None:
    options = ["--pairs", str(pairs), "--no-ours", "--draws", "1"]
    done = CliRunner().invoke(main, [*options, "--json"])
    rows = json.loads(done.output)
    assert [row["system"] for row in rows] == ["BM25, stems", "TF-IDF"]
    assert all(row["mrr"] == row["within_mrr"] == row["top1"] == 1 for row in rows)
    assert "| BM25, stems | 1.000 |" in CliRunner().invoke(main, options).output
