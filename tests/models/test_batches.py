"""The batches of severities: what is drawn, what is left out, what is added."""

import numpy as np
import pytest
import torch

from models.tokens import app_word, features
from models.training.batches import Batch, Data, epoch
from models.training.corpus import Rows
from models.training.loop import prepare
from models.training.outcomes import outcomes

SIZE = 64
NAMES = [f"q{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnprstvz"]
"""Words that tell the rows apart, and are in no outcome."""


def corpus(*, templates: bool, app: str = "sshd") -> Rows:
    """240 rows of 24 packages, err and debug by turns."""
    return Rows(
        texts=[f"{name} was filled" for name in NAMES],
        templates=[f"{name} a template" for name in NAMES] if templates else [],
        apps=[app] * len(NAMES),
        origins=[f"package{i // 10}" for i in range(len(NAMES))],
        severity=np.array([3, 7] * (len(NAMES) // 2)),
        bad=0,
    )


def data(*, templates: bool) -> Data:
    rows = corpus(templates=templates)
    return prepare(rows, dev=rows).data


def lines(batch: Batch) -> list[list[int]]:
    """The words of each line, as their own hashes."""
    hashes = batch.features[batch.offsets][batch.words].tolist()
    found, begin = [], 0
    for length, count in batch.groups:
        for _ in range(count):
            found.append(hashes[begin : begin + length])
            begin += length
    assert begin == len(hashes)
    return found


def own(word: str) -> int:
    return features(word)[0]


def test_batches_follow_from_the_seed() -> None:
    source = data(templates=True)
    first, again, other, seeded = (
        list(epoch(source, *key, SIZE)) for key in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.features, b.features)
        assert torch.equal(a.words, b.words)
        assert torch.equal(a.target, b.target)
    for different in (other, seeded):
        pairs = zip(first, different, strict=True)
        assert any(not torch.equal(a.features, b.features) for a, b in pairs)


@pytest.mark.parametrize("templates", [False, True])
def test_every_batch_is_full(templates: bool) -> None:
    source = data(templates=templates)
    batches = list(epoch(source, 0, 0, SIZE))
    for batch in batches:
        assert len(batch.target) == len(batch.log_prior) == len(lines(batch)) == SIZE
        assert sum(n for _, n in batch.groups) == SIZE
    draws = sum(SIZE - len(batch.twins[0]) for batch in batches)
    assert len(source.severity) <= draws < len(source.severity) + SIZE


def test_twins_are_two_fillings_of_one_row() -> None:
    filled, template = own("filled"), own("template")
    names = {own(name) for name in NAMES}
    seen = 0
    for batch in epoch(data(templates=True), 0, 0, SIZE):
        found = lines(batch)
        assert len(batch.twins[0]) == SIZE // 8
        for one, other in zip(*(twin.tolist() for twin in batch.twins), strict=True):
            a, b = set(found[one]), set(found[other])
            assert batch.target[one] == batch.target[other]
            assert torch.equal(batch.log_prior[one], batch.log_prior[other])
            if a & names and b & names:
                seen += 1
                assert a & names == b & names
                assert not (filled in a and filled in b)
                assert not (template in a and template in b)
    assert seen > 0


def test_a_corpus_without_templates_has_no_twins() -> None:
    assert all(len(batch.twins[0]) == 0 for batch in epoch(data(templates=False), 0, 0, SIZE))


def test_app_and_facility_are_unknown_half_of_the_time_each() -> None:
    source = data(templates=False)
    sshd, facility = own(app_word("sshd")), own("\x024")
    apps, facilities, both, count = 0, 0, 0, 0
    for number in range(10):
        for batch in epoch(source, 0, number, SIZE):
            for line in lines(batch):
                count += 1
                apps += line[0] == sshd
                facilities += line[1] == facility
                both += line[0] == sshd and line[1] == facility
    assert 0.45 < apps / count < 0.55
    assert 0.45 < facilities / count < 0.55
    assert 0.2 < both / count < 0.3  # each by itself


def test_some_lines_are_given_their_level_in_front() -> None:
    source = data(templates=False)
    words = list(source.vocabulary.index)
    level_of = {own_of: level for level, numbers in enumerate(source.levels)
                for own_of in (tuple(features(words[n])) for n in numbers)}  # fmt: skip
    hits, count = 0, 0
    for batch in epoch(source, 0, 0, SIZE):
        ends = [*batch.offsets[1:].tolist(), len(batch.features)]
        of_word = [
            tuple(batch.features[a:b].tolist())
            for a, b in zip(batch.offsets.tolist(), ends, strict=True)
        ]
        begin = 0
        places = iter(batch.target.tolist())
        for length, n in batch.groups:
            for _ in range(n):
                line = batch.words[begin : begin + length].tolist()
                begin += length
                target = next(places)
                found = [level_of[of_word[w]] for w in line if of_word[w] in level_of]
                assert found in ([], [target])
                hits, count = hits + len(found), count + 1
    assert 0.08 < hits / count < 0.22


def test_without_a_dev_corpus_whole_packages_are_held_out() -> None:
    rows = corpus(templates=False)
    rows.origins = [f"package{i // 4}" for i in range(len(NAMES))]
    prepared = prepare(rows)
    assert set(prepared.train.origins).isdisjoint(prepared.check.origins)
    assert prepared.check.texts
    assert sorted(prepared.train.texts + prepared.check.texts) == sorted(rows.texts)
    assert len(prepared.data.severity) == len(prepared.train.texts)


def test_with_a_dev_corpus_all_rows_are_trained_on() -> None:
    rows, dev = corpus(templates=True), corpus(templates=False, app="other")
    prepared = prepare(rows, dev=dev)
    assert prepared.train is rows
    assert prepared.check is dev
    assert len(prepared.data.severity) == len(rows.texts) + len(outcomes())
    assert app_word("other") not in prepared.data.vocabulary.index
    assert sum(prepared.corpus_prior) == pytest.approx(1)
    assert prepared.corpus_prior[3] == pytest.approx(0.5, abs=0.02)
