"""What a repository teaches the search head: its questions' weights move, code stands still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.checkpoint import Checkpoint, round_for_storage, save_checkpoint
from models.search_tuning import tune
from models.searching import SearchEngine

CODES = [
    "def parse_header(line):\n    return line.split(':')",
    "def open_socket(addr):\n    return connect(addr)",
    "def sort_numbers(numbers):\n    return sorted(numbers)",
    "def evict(cache, key):\n    del cache[key]",
]
DOCS = [
    "kindly take the header line apart",
    "kindly make the socket connection",
    "kindly put numbers in order, sorted",
    "kindly drop a key from the cache",
]


@pytest.fixture
def engine(small_checkpoint: Checkpoint, tmp_path: Path) -> SearchEngine:
    round_for_storage(small_checkpoint.model)
    save_checkpoint(tmp_path / "model", small_checkpoint)
    return SearchEngine.load(tmp_path / "model")


def test_what_is_spread_sums_up_to_the_question(engine: SearchEngine) -> None:
    texts = [*DOCS, "the the the header", ""]
    spread = engine.spread(texts)
    weighed = spread.vectors * (engine.word_weights[spread.buckets] * spread.shares)[:, None]
    sums = np.zeros((len(texts), engine.dim), np.float32)
    np.add.at(sums, spread.of_text, weighed)
    length = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(sums / length, engine.queries(texts), atol=1e-5)


def test_words_that_tell_nothing_apart_lose_weight(engine: SearchEngine) -> None:
    codes = engine.codes(CODES)
    start = np.zeros_like(engine.word_weights)
    spread = engine.spread(DOCS)
    change = tune(spread, codes, np.arange(4), engine.word_weights, start)
    assert not start.any()  # what was learnt before stays what it is
    unseen = np.setdiff1d(np.arange(len(change)), spread.buckets)
    assert not change[unseen].any()
    before, after = (
        np.diagonal(one.queries(DOCS) @ codes.T).mean()
        - (one.queries(DOCS) @ codes.T)[~np.eye(4, dtype=bool)].mean()
        for one in (engine, engine.tuned(change))
    )
    assert after > before
    np.testing.assert_array_equal(engine.tuned(change).codes(CODES), codes)
    np.testing.assert_array_equal(engine.tuned(start).queries(DOCS), engine.queries(DOCS))
