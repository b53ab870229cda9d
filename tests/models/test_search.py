"""Code search with random weights: what must hold whatever is learnt."""

import numpy as np
import pytest
import torch

from models.checkpoint import Checkpoint
from models.searching import SearchEngine
from models.tokens import features

CODES = [
    "def parse_header(line):\n    name, value = line.split(':')\n    return name, value",
    "fn open_connection(addr: Addr) -> Socket { retry(connect(addr)) }",
    "static void quickSort(int *number, int n) { sort(number, n); }",
    "class Cache:\n    def evict(self, key):\n        del self.entries[key]",
    "func writeLog(message string) error { return disk.flush(message) }",
]


@pytest.fixture
def search(small_checkpoint: Checkpoint) -> SearchEngine:
    return SearchEngine(small_checkpoint)


def test_vectors_are_units_and_without_a_word_nothing(search: SearchEngine) -> None:
    texts = ["", *CODES, "()", "?!"]
    for vectors in (search.queries(texts), search.codes(texts)):
        assert vectors.shape == (len(texts), search.dim)
        assert vectors.dtype == np.float32
        lengths = np.linalg.norm(vectors, axis=1)
        np.testing.assert_allclose(lengths[1:-2], 1, atol=1e-5)
        assert (lengths[[0, -2, -1]] == 0).all()
    assert search.queries([]).shape == (0, search.dim)
    assert (search.codes(["", " "]) == 0).all()


def test_the_order_of_words_does_not_matter(search: SearchEngine) -> None:
    one, other, repeated = search.queries(
        ["open a socket connection", "connection socket a open", "open open a socket connection"]
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one - repeated).max() > 1e-3


def test_company_changes_nothing(search: SearchEngine) -> None:
    many = CODES * 60  # more than are taken together
    together = search.codes(many)
    np.testing.assert_allclose(together, np.tile(search.codes(CODES), (60, 1)), atol=1e-5)
    np.testing.assert_allclose(together[:1], search.codes(CODES[:1]), atol=1e-5)


def test_a_query_of_a_codes_own_words_finds_it(search: SearchEngine) -> None:
    queries = [
        "header line parse name value split return",
        "open connection socket addr retry connect",
        "sort number quick",
        "evict key of the cache entries",
        "write log message, flush disk",
    ]
    scores = search.queries(queries) @ search.codes(CODES).T
    assert scores.argmax(1).tolist() == [0, 1, 2, 3, 4]


def test_a_word_of_the_header_counts_more_in_code(search: SearchEngine) -> None:
    code = ["evict(entries) { purge(entries) }", "purge(entries) { evict(entries) }"]
    (query,) = search.queries(["evict"])
    named, called = search.codes(code) @ query
    assert named > called
    of_query = search.queries(code)  # questions have no header
    np.testing.assert_allclose(of_query[0], of_query[1], atol=1e-5)


def test_a_word_of_no_weight_says_nothing(small_checkpoint: Checkpoint) -> None:
    weight = small_checkpoint.model.search.weight
    with torch.no_grad():
        weight.fill_(-20.0)
        weight[:, features("socket")[0] % weight.shape[1]] = 2.0
    one, other = SearchEngine(small_checkpoint).queries(["socket", "the socket of it"])
    np.testing.assert_allclose(one, other, atol=1e-4)
