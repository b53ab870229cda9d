"""What a text is looked for by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codesearch.terms import distinct, hashed, hashed_name, hashes, plain, terms

TEXT = st.text(st.characters(exclude_categories=()), max_size=60) | st.from_regex(r"\w{1,20}")


@pytest.mark.parametrize(
    "name",
    ["parseHTTPHeaders", "parse_http_headers", "ParseHttpHeaders", "PARSE_HTTP_HEADERS",
     "__parse_http_headers__", "_parseHttpHeaders"],
)  # fmt: skip
def test_a_name_is_the_same_however_it_is_written(name: str) -> None:
    assert terms(name) == ["parsehttphead", "pars", "http", "header"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("sha256sum", ["sha", "256", "sum"]),
        ("utf8", ["utf", "8"]),
        ("HTTPServer2", ["http", "server", "2"]),
        ("größe Straße ŁÓDŹ", ["größe", "straße", "łódź"]),
        ("verify_größe", ["verifi", "größe"]),
        ("prüfeGröße", ["prüfegröß", "prüfe", "größe"]),
        ("проверка подписи", ["проверка", "подписи"]),
        ("日本語", ["日本語"]),
        ("x.y->z::w", ["x", "y", "z", "w"]),
        ("", []),
        ("?! ... 🦝", []),
    ],
)
def test_pieces_are_found(text: str, pieces: list[str]) -> None:
    found = terms(text)
    assert [term for term in found if term in pieces] == pieces
    assert bool(found) == bool(pieces)


def test_forms_of_a_word_are_one() -> None:
    assert terms("retries") == terms("retry") == terms("retrying")
    assert terms("uploads") == terms("Upload")


def test_stop_words_say_nothing_unless_they_are_part_of_a_name() -> None:
    assert terms("where is the cookie of this") == terms("cookie")
    assert "isopen" in terms("is_open")


def test_what_goes_on_beyond_64_characters_is_data() -> None:
    assert terms("a" * 64 + "b" * 5000) == terms("a" * 64)


@given(TEXT, TEXT)
def test_the_terms_of_two_texts_are_those_of_each(one: str, other: str) -> None:
    assert terms(f"{one} {other}") == terms(one) + terms(other)


@given(TEXT)
def test_hashes_are_the_terms_hashed(text: str) -> None:
    assert hashes(text) == [hashed(term) for term in terms(text)]
    assert all(0 <= one < 1 << 64 for one in hashes(text))


def test_a_definition_is_known_by_its_name_in_any_case_and_is_no_term() -> None:
    written = ["http_server", "HTTPServer", "httpServer", "HTTP-SERVER", "_http_server"]
    assert len({hashed_name(name) for name in written}) == 1
    assert {plain(name) for name in written} == {"httpserver"}
    assert hashed_name("server") != hashed("server")


@given(st.lists(st.sampled_from("abcde")))
def test_distinct_keeps_the_first_of_each(words: list[str]) -> None:
    found = distinct(words)
    assert set(found) == set(words)
    places = [words.index(word) for word in found]
    assert places == sorted(places)
