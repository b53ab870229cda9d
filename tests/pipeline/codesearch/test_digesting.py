"""What is kept of a file."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.places import pretrained_path
from models.searching import SearchEngine
from pipeline.codesearch.digesting import (
    Digested,
    digest_file,
    encoded_text,
    quantised,
    vectors_of,
)
from pipeline.codesearch.entries import FILE_DIGEST, FileEntry, Settings
from pipeline.codesearch.terms import hashed, hashed_name, terms

TEXT = "def open_session(cookie):\n    return decrypt(cookie, cookie)\n"


@pytest.fixture(scope="module")
def engine() -> SearchEngine:
    return SearchEngine.load(pretrained_path())


def digested(text: str, path: str = "src/web/auth.py", language: str = "python") -> Digested:
    file = FileEntry(path, language, len(text), 1, bytes(FILE_DIGEST))
    return digest_file(file, text, Settings("m", 8, 20, 5))


@given(st.integers(1, 256), st.integers(0, 2**32 - 1), st.sampled_from([1e-20, 1e-3, 1.0, 1e6]))
def test_a_quantised_vector_points_where_it_did(dim: int, seed: int, size: float) -> None:
    vectors = (np.random.default_rng(seed).standard_normal((3, dim)) * size).astype(np.float32)
    integers, scales = quantised(vectors)
    assert np.abs(integers).max(initial=0) <= 127
    back = integers.astype(np.float64) * scales[:, None]
    cosine = (back * vectors).sum(1) / np.linalg.norm(back, axis=1)
    cosine /= np.linalg.norm(vectors.astype(np.float64), axis=1)
    assert (cosine > 0.99).all()


def test_cosines_of_what_is_encoded_hold_within_a_hundredth(engine: SearchEngine) -> None:
    texts = [
        encoded_text(f"{i}.py", f"f{i}", TEXT * i + f"retry_{i} upload") for i in range(1, 30)
    ]
    vectors = engine.codes(texts)
    integers, scales = quantised(vectors)
    back = integers * scales[:, None]
    questions = engine.queries(["where is the session opened", "retry an upload", "cookie"])
    assert np.abs(questions @ back.T - questions @ vectors.T).max() < 0.01


def test_zeros_stay_zeros() -> None:
    integers, scales = quantised(np.zeros((2, 5), np.float32))
    assert not integers.any()
    assert not scales.any()
    assert quantised(np.zeros((0, 5), np.float32))[0].shape == (0, 5)


def test_a_vector_is_the_same_to_the_bit_in_any_company(engine: SearchEngine) -> None:
    texts = [f"f{i}(\n{TEXT * (i % 7)} word_{i}" for i in range(150)]
    together = vectors_of(engine, texts)
    for number in (0, 1, 63, 64, 149):
        alone = vectors_of(SearchEngine.load(pretrained_path()), texts[number : number + 1])
        assert (alone[0][0] == together[0][number]).all()
        assert alone[1][0] == together[1][number]


def test_a_snippet_is_known_by_its_words_its_names_and_its_place() -> None:
    (entry,) = digested(TEXT).entries
    times = dict(zip(entry.terms.tolist(), entry.times.tolist(), strict=True))
    said = Counter(terms(TEXT))
    assert times[hashed("cooki")] == said["cooki"] == 3
    assert times[hashed("session")] > said["session"], "a name counts more where it is defined"
    assert times[hashed("auth")] == 2
    assert times[hashed("web")] == times[hashed("src")] == 1
    assert times[hashed_name("openSession")] == 1
    assert hashed_name("decrypt") not in times
    assert (entry.symbol, entry.defines) == ("open_session", ("open_session",))


def test_the_length_is_that_of_the_terms_but_not_of_what_marks_a_definition() -> None:
    (entry,) = digested(TEXT).entries
    assert entry.length == int(entry.times.astype(int).sum()) - len(entry.defines)
    assert len(set(entry.terms.tolist())) == len(entry.terms)


def test_a_word_said_very_often_is_counted_up_to_255() -> None:
    (entry,) = digested("upload " * 500, "many.toml", "toml").entries
    times = dict(zip(entry.terms.tolist(), entry.times.tolist(), strict=True))
    assert times[hashed("upload")] == 255
    assert entry.length == 502


def test_the_same_text_has_the_same_digest_wherever_it_lies() -> None:
    (one,), (other,) = digested(TEXT).entries, digested(TEXT, "lib/copy.py").entries
    (third,) = digested(TEXT + "# more\n").entries
    assert one.digest == other.digest != third.digest


def test_each_snippet_has_its_text_for_the_encoder() -> None:
    found = digested("\n\n\n".join(f"def f{i}():\n" + "    x = 1\n" * 30 for i in range(5)))
    assert len(found.entries) == len(found.texts) > 1
    for entry, text in zip(found.entries, found.texts, strict=True):
        assert text.startswith(f"auth {entry.symbol}(\n")


def test_nothing_to_say_is_no_snippet() -> None:
    assert digested("\n \n\t\n").entries == []
