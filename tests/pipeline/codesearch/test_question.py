"""A name or words, and which names are among the words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codesearch.question import read_question
from pipeline.codesearch.terms import terms


@pytest.mark.parametrize(
    ("text", "name", "qualified"),
    [
        ("Session", "Session", ""),
        ("openSession", "openSession", ""),
        ("retry_upload", "retry_upload", ""),
        ("_private", "_private", ""),
        ("__init__", "__init__", ""),
        ("retry_upload()", "retry_upload", ""),
        ("Session.request", "request", "Session.request"),
        ("std::sort", "sort", "std.sort"),
        ("self->size", "size", "self.size"),
        ("App\\Http\\Kernel", "Kernel", "App.Http.Kernel"),
        ("Array#each", "each", "Array.each"),
        ("a.b.c()", "c", "a.b.c"),
        ("  openSession\n", "openSession", ""),
    ],
)
def test_a_name_alone_is_a_name(text: str, name: str, qualified: str) -> None:
    question = read_question(text)
    assert question.is_name
    assert question.names == (name,)
    assert question.qualified == qualified


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("session", ("session",)),
        ("open a session", ()),
        ("Open a Session", ()),
        ("where is openSession called", ("openSession",)),
        ("difference of retry_upload and HTTPServer", ("retry_upload",)),
        ("what does close() do", ("close",)),
        ("JsonParser or JsonParser", ("JsonParser",)),
        ("Split the header.", ()),
        ("", ()),
        ("?!", ()),
        ("🦝", ()),
    ],
)
def test_words_are_no_name_but_may_hold_some(text: str, names: tuple[str, ...]) -> None:
    question = read_question(text)
    assert not question.is_name
    assert question.names == names
    assert question.qualified == ""


@given(st.text(max_size=80) | st.from_regex(r"[\w.:>()#\\/-]{1,30}"))
def test_any_text_is_a_question(text: str) -> None:
    question = read_question(text)
    assert sorted(set(terms(text.strip()))) == sorted(question.terms)
    assert len(set(question.names)) == len(question.names)
    assert all(question.names)
    assert len(question.names) == 1 or not question.is_name
    assert read_question(f" {text}\n") == question
