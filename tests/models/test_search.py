"""Code search with random weights: what must hold whatever is learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import Checkpoint, round_for_storage, save_checkpoint
from models.search import CODE, QUERY, Bags
from models.searching import SearchEngine
from models.tokens import bag, bags, features

CODES = [
    "def parse_header(line):\n    name, value = line.split(':')\n    return name, value",
    "fn open_connection(addr: Addr) -> Socket { retry(connect(addr)) }",
    "static void quickSort(int *number, int n) { sort(number, n); }",
    "class Cache:\n    def evict(self, key):\n        del self.entries[key]",
    "func writeLog(message string) error { return disk.flush(message) }",
]


def saved(checkpoint: Checkpoint, folder: Path) -> SearchEngine:
    """The engine of a checkpoint as it comes back from the disk."""
    save_checkpoint(folder / "model", checkpoint)
    return SearchEngine.load(folder / "model")


@pytest.fixture
def search(small_checkpoint: Checkpoint, tmp_path: Path) -> SearchEngine:
    round_for_storage(small_checkpoint.model)
    return saved(small_checkpoint, tmp_path)


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
    alone = np.concatenate([search.codes([code]) for code in CODES])
    np.testing.assert_array_equal(together, np.tile(alone, (60, 1)))  # to the bit


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


def test_a_word_of_no_weight_says_nothing(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    weight = small_checkpoint.model.search.weight
    with torch.no_grad():
        weight.fill_(-20.0)
        weight[:, features("socket")[0] % weight.shape[1]] = 2.0
    one, other = saved(small_checkpoint, tmp_path).queries(["socket", "the socket of it"])
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_it_computes_what_was_trained(small_checkpoint: Checkpoint, search: SearchEngine) -> None:
    """Encoder.embed and SearchHead, one text at a time."""
    model = small_checkpoint.model.eval()
    for side, vectors in ((QUERY, search.queries(CODES)), (CODE, search.codes(CODES))):
        for text, vector in zip(CODES, vectors, strict=True):
            words = bag(text)
            flat, offsets = (torch.tensor(n) for n in bags([word.word for word in words]))
            packed = Bags(
                torch.arange(len(words)),
                flat[offsets],
                torch.tensor([float(word.times) for word in words]),
                torch.tensor([float(word.in_header) for word in words]),
                torch.tensor([0]),
            )
            with torch.no_grad():
                (expected,) = model.search(model.encoder.embed(flat, offsets), packed, side)
            np.testing.assert_allclose(vector, expected.numpy(), atol=1e-5)


def test_texts_of_more_words_than_are_remembered(search: SearchEngine) -> None:
    flood = [" ".join(f"w{i}x{j}" for j in range(12_000)) for i in range(2)]
    before = search.codes(CODES)
    assert np.isfinite(search.codes([*flood, *CODES])).all()
    np.testing.assert_array_equal(search.codes(CODES), before)
