"""Lines read token by token have the words that `words` finds in them."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.lexicon import Lexicon
from models.raccoon import Raccoon
from models.tokens import MAX_WORDS, bags, features, known_app, words
from tests.models.conftest import SMALL
from tests.models.lines import LINES

APPS = frozenset(("sshd", "cron"))

marks = st.sampled_from([*" \t,.:;<>!%#$*_-=/[]'\"\x85Éж٣", "  ", "<ip>", "<", "<num>:"])
pieces = st.one_of(marks, st.sampled_from(["Link", "LINK", "openHTTPSocket", "eth", "0", "12a"]))
texts = st.lists(pieces, max_size=30).map("".join)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(Raccoon(SMALL).eval(), APPS)


def hashes(lexicon: Lexicon, line: list[int]) -> list[int]:
    """What tells the words of a line apart."""
    found: list[int] = lexicon.words.hashes[line].tolist()
    return found


def expected(app: str, facility: int, text: str) -> list[int]:
    return [features(word)[0] for word in words(known_app(app, APPS), facility, text)]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["", "sshd", "sshd(pam)", "other"]), st.integers(-1, 23), texts)
@example("", -1, "")
@example("", -1, " ")
@example("sshd", 4, "a b c d " * 20)
@example("sshd", 4, "a-b-c-d-" * 20 + " " + "e-f-g-h-" * 20)
def test_reading_is_as_splitting(lexicon: Lexicon, app: str, facility: int, text: str) -> None:
    with torch.inference_mode():
        for _ in range(2):  # not known, then known
            [line] = lexicon.read([app], [facility], [text])
            assert hashes(lexicon, line) == expected(app, facility, text)
            assert len(line) <= MAX_WORDS


def test_dress_and_vector_are_the_words_own(lexicon: Lexicon, small_model: Raccoon) -> None:
    lexicon = Lexicon(small_model, APPS)
    with torch.inference_mode():
        lines = lexicon.read([""] * len(LINES), [-1] * len(LINES), LINES)
        for line, text in zip(lines, LINES, strict=True):
            flat, offsets = bags(words("", -1, text))
            alone = small_model.words(torch.from_numpy(flat), torch.from_numpy(offsets))
            for stored, field in zip(lexicon.words, alone, strict=True):
                torch.testing.assert_close(stored[line], field, rtol=1e-4, atol=1e-5)


def test_a_full_lexicon_forgets_and_goes_on(
    small_model: Raccoon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.lexicon.CAPACITY", 32)
    monkeypatch.setattr("models.lexicon._TOKENS", 4)
    lexicon = Lexicon(small_model, APPS)
    with torch.inference_mode():
        for i in range(60):
            text = f"{chr(97 + i % 26)}{chr(97 + i // 26)} of {chr(65 + i % 26)}x- -- end."
            read = lexicon.read([f"app{i}", "sshd"], [i % 24, 4], [text, "of end"])
            assert hashes(lexicon, read[0]) == expected(f"app{i}", i % 24, text)
            assert hashes(lexicon, read[1]) == expected("sshd", 4, "of end")
