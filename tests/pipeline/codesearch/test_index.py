"""What an index answers: BM25 as others compute it, products as numpy does, rows and lines."""

from __future__ import annotations

import os
from pathlib import Path

import bm25s
import numpy as np
import pytest

from pipeline.codesearch.entries import FileEntry, Float32, Settings, SnippetEntry
from pipeline.codesearch.index import Index
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.writer import Writer
from tests.pipeline.codesearch.made import DIM, QUERY, SETTINGS, VOCABULARY, fresh, made


def test_bm25_is_what_bm25s_computes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    documents = [
        [f"w{i}" for i in rng.geometric(0.05, int(rng.integers(1, 60))).tolist()]
        for _ in range(500)
    ]
    words = sorted({word for document in documents for word in document})
    hashes = dict(zip(words, rng.integers(0, 2**64, len(words), dtype=np.uint64), strict=True))
    with Writer.create(tmp_path, SETTINGS) as writer:
        for number, document in enumerate(documents):
            terms, times = np.unique([hashes[word] for word in document], return_counts=True)
            writer.replace(
                FileEntry(f"f{number:03d}", "c", 0, 0, bytes(16)),
                [
                    SnippetEntry(
                        1, 9, "", (), bytes(8), terms, times.astype(np.uint8), len(document)
                    )
                ],
                np.zeros((1, DIM), np.int8),
                np.ones(1, np.float32),
            )
            if number % 90 == 89:
                writer.commit()
        writer.commit()
    index = Index.open(tmp_path, model=None)
    other = bm25s.BM25(method="lucene", k1=1.2, b=0.6)
    other.index(documents, show_progress=False)
    for _ in range(20):
        query = [words[i] for i in rng.choice(len(words), 4, replace=False)]
        ours = index.bm25([int(hashes[word]) for word in query], k1=1.2, b=0.6)
        by_path = dict(zip(index.paths(), ours.tolist(), strict=True))
        theirs = other.get_scores(query)
        np.testing.assert_allclose([by_path[p] for p in sorted(by_path)], theirs, atol=1e-6)


def test_the_order_of_a_query_changes_no_bit(tmp_path: Path) -> None:
    index = fresh(tmp_path, {f"{i}.py": i for i in range(40)})
    terms = [int(term) for term in VOCABULARY]
    weights = [1 / (1 + i) for i in range(len(terms))]
    one = index.bm25(terms, weights)
    assert one.any()
    assert one.tobytes() == index.bm25(terms[::-1], weights[::-1]).tobytes()


def test_products_are_numpys_to_the_bit(tmp_path: Path) -> None:
    state = {f"{i}.py": i for i in range(40)}
    index = fresh(tmp_path, state)
    parts = [made(path, number) for path, number in sorted(state.items())]
    exact = np.concatenate([part.vectors for part in parts]).astype(np.int64) @ QUERY.astype(int)
    scales = np.concatenate([part.scales for part in parts])
    np.testing.assert_array_equal(index.dense(QUERY), exact.astype(np.float32) * scales)


@pytest.mark.parametrize("query", [QUERY[:-1], QUERY + 0.5, QUERY * 2, QUERY * np.nan], ids=str)
def test_a_query_that_would_be_inexact_is_refused(tmp_path: Path, query: Float32) -> None:
    index = fresh(tmp_path, {"a.py": 1})
    with pytest.raises(ValueError, match="expected"):
        index.dense(query)


def test_an_index_of_nothing_answers_nothing(tmp_path: Path) -> None:
    index = fresh(tmp_path / "new" / "folder", {})
    assert (index.size, index.alive, index.file_count, index.paths()) == (0, 0, 0, [])
    assert index.bm25([1, 2]).shape == index.dense(QUERY).shape == index.live.shape == (0,)
    assert index.postings(1)[0].shape == index.file_of.shape == (0,)
    assert index.near("a.py", 1) is None
    assert index.root == "/src"


def test_names_come_back_as_they_were(tmp_path: Path) -> None:
    path = os.fsdecode(b"src/\xff\xfe gr\xc3\xb6\xc3\x9fe\n.py")
    part = made(path, 3, snippets=2)
    odd = part.snippets[1]._replace(symbol="\udc80x\0", defines=("\ud800", "", "größe"))
    with Writer.create(tmp_path, SETTINGS, path) as writer:
        writer.replace(part.file, [part.snippets[0], odd], part.vectors, part.scales)
        writer.commit()
        writer.compact(whole=True)
        assert writer.root == path
    index = Index.open(tmp_path, model=SETTINGS.model)
    assert (index.paths(), index.file(0), index.root) == ([path], part.file, path)
    [row] = index.rows([1])
    assert (row.path, row.symbol, row.defines, row.digest, row.end_line) == (
        path, odd.symbol, odd.defines, odd.digest, 50
    )  # fmt: skip
    with pytest.raises(IndexError):
        index.rows([2])
    with Writer.open(tmp_path, SETTINGS) as writer:
        assert dict(writer.files) == {path: part.file}


def test_near_finds_the_snippet_about_a_line(tmp_path: Path) -> None:
    part = made("a.py", 1, snippets=4)  # lines 1-30, 21-50, 41-70, 61-90
    with Writer.create(tmp_path, SETTINGS) as writer:
        writer.replace(*made("z.py", 1, snippets=2))
        writer.commit()
        writer.replace(*part)
        writer.replace(*made("empty.py", 1, snippets=0))
        writer.commit()
        writer.remove("z.py")
        writer.commit()
    index = Index.open(tmp_path, model=None)
    for line, start in ((1, 1), (22, 1), (29, 21), (47, 41), (90, 61), (5000, 61), (-3, 1)):
        row = index.near("a.py", line)
        assert row is not None
        assert index.rows([row])[0].start_line == start, line
    assert [index.near(path, 3) for path in ("z.py", "empty.py", "b.py")] == [None] * 3


def test_another_model_is_named_with_ours(tmp_path: Path) -> None:
    fresh(tmp_path, {"a.py": 1})
    with pytest.raises(CodeIndexError) as error:
        Index.open(tmp_path, model="raccoon-code-2")
    for word in ("raccoon-code-1", "raccoon-code-2", "ltt-stream codesearch index", str(tmp_path)):
        assert word in str(error.value)
    for other in (
        Settings("raccoon-code-1", 32, 30, 10),
        Settings("raccoon-code-1", DIM, 31, 10),
        Settings("x", DIM, 30, 10),
    ):
        with pytest.raises(CodeIndexError, match="run `ltt-stream codesearch index"):
            Writer.open(tmp_path, other)


def test_a_term_twice_in_a_snippet_is_a_fault(tmp_path: Path) -> None:
    part = made("a.py", 1, snippets=1)
    twice = part.snippets[0]._replace(terms=VOCABULARY[[0, 1, 0]], times=np.ones(3, np.uint8))
    with Writer.create(tmp_path, SETTINGS) as writer:
        writer.replace(part.file, [twice], part.vectors, part.scales)
        with pytest.raises(ValueError, match="twice"):
            writer.commit()
