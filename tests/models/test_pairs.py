"""Pairs of docstring and code: full batches, neighbours from one package."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from models.errors import CorpusError
from models.search import Bags
from models.tokens import features
from models.training.pairs import (
    CHUNK,
    NAME_DROPOUT,
    PairBatch,
    Pairs,
    pair_batches,
    pair_batches_per_epoch,
    read_pairs,
)

SIZE = 256
NAMES = [f"{a}{b}{c}{d}" for a in "bdfgk" for b in "aeiou" for c in "mnprstvz" for d in "aeiou"]
"""A word for each pair: 1,000."""


def package(i: int) -> str:
    """Two large ones, the rest in small ones of five."""
    return "large" if i < 400 else "other" if i < 700 else f"small{i // 5}"


def write(path: Path, docs: list[str | None], codes: list[str | None], of: list[str]) -> Path:
    pq.write_table(pa.table({"doc": docs, "code": codes, "package": of}), path)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    docs: list[str | None] = [f"{name} opens what is closed" for name in NAMES]
    codes: list[str | None] = [f"{name} run(x): return x + run(x)" for name in NAMES]
    return read_pairs(write(path, docs, codes, [package(i) for i in range(len(NAMES))]))


def rows(batch: PairBatch) -> list[int]:
    """Which pairs a batch holds: the first word of a text is never left out."""
    number = {features(name)[0]: i for i, name in enumerate(NAMES)}
    docs, codes = (
        [number[bags.hashes[start].item()] for start in bags.offsets]
        for bags in (batch.docs, batch.codes)
    )
    assert docs == codes
    return docs


def test_every_batch_is_full_and_no_pair_comes_twice(pairs: Pairs) -> None:
    batches = [rows(batch) for batch in pair_batches(pairs, 0, 0, SIZE)]
    assert len(batches) == pair_batches_per_epoch(pairs, SIZE) == len(NAMES) // SIZE
    assert all(len(batch) == SIZE for batch in batches)
    assert len({row for batch in batches for row in batch}) == SIZE * len(batches)


def test_a_large_package_gives_hard_negatives(pairs: Pairs) -> None:
    company = []
    for number in range(4):
        for batch in pair_batches(pairs, 0, number, SIZE):
            packages = [package(i) for i in rows(batch)]
            company += [packages.count(p) - 1 for p in packages if p in ("large", "other")]
    near = sum(mates >= CHUNK / 2 for mates in company) / len(company)
    assert near > 0.75  # the end of a package or of a batch may cut a chunk


def test_no_text_is_without_a_word(pairs: Pairs) -> None:
    def lengths(bags: Bags) -> torch.Tensor:
        return torch.diff(bags.offsets, append=torch.tensor([len(bags.place)]))

    headers = []
    for batch in pair_batches(pairs, 0, 0, SIZE):
        for bags in (batch.docs, batch.codes):
            assert len(bags.offsets) == SIZE
            assert lengths(bags).min() >= 1
            assert len(bags.place) == len(bags.hashes) == len(bags.counts) == len(bags.header)
            assert torch.equal(batch.features[batch.offsets][bags.place], bags.hashes)
        starts = batch.codes.offsets.tolist()
        ends = [*starts[1:], len(batch.codes.place)]
        headers += [
            batch.codes.header[a:b].sum().item() for a, b in zip(starts, ends, strict=True)
        ]
    nameless = headers.count(1) / len(headers)  # the first word alone is left of the header
    assert NAME_DROPOUT < nameless < NAME_DROPOUT + 0.2  # some lose the other word by chance


def test_an_epoch_follows_from_seed_and_number(pairs: Pairs) -> None:
    first, again = (list(pair_batches(pairs, 3, 5, SIZE)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        for one, other in ((a.docs, b.docs), (a.codes, b.codes)):
            assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))
    for key in ((3, 6), (4, 5)):
        assert [rows(b) for b in pair_batches(pairs, *key, SIZE)] != [rows(b) for b in first]


def test_pairs_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    docs = ["opens a file", None, "", "---", "closes a file", "x", "sends a byte"]
    codes = ["open(f)", "a()", "b()", "c()", "close(f)", "{}", None]
    found = read_pairs(write(tmp_path / "p.parquet", docs, codes, list("aabbbcc")))
    assert len(found) == 2
    (batch,) = pair_batches(found, 0, 0, SIZE)  # fewer than a batch: a smaller one
    assert len(batch.docs.offsets) == 2


def test_pairs_of_no_use_are_refused_in_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"doc": ["a"]}), tmp_path / "columns.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    write(tmp_path / "empty.parquet", ["--"], ["f()"], ["a"])
    for name in ("columns", "text", "empty", "missing"):
        with pytest.raises(CorpusError, match=rf"{name}\.parquet: ") as caught:
            read_pairs(tmp_path / f"{name}.parquet")
        assert "\n" not in str(caught.value)
