"""What a terminal gets to see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codesearch.search import Result
from pipeline.codesearch.shown import printable, shown


def result(text: str, path: str = "a.py", start: int = 7, symbol: str = "f") -> Result:
    end = start + text.count("\n")
    return Result(path, start, end, 1.25, "python", symbol, text)


def lines(
    *results: Result, words: str = "upload", show_code: bool = False, colour: bool = False
) -> list[str]:
    return list(shown([*results], Path.cwd(), words, show_code=show_code, colour=colour))


def test_the_head_says_place_score_language_and_symbol() -> None:
    assert lines(result("x\ny"))[0] == "[1] a.py:7-8  1.250  python  f"
    assert lines(result("x\ny", symbol=""))[0] == "[1] a.py:7-8  1.250  python"
    assert [line for line in lines(result("x"), result("x")) if line.startswith("[2]")]


def test_lines_that_say_most_are_shown_in_their_order() -> None:
    text = "nothing\nan upload\nnothing\nretry the upload\nuploads\nretry\nretry upload"
    assert lines(result(text), words="retry upload")[1:] == [
        "     8: an upload",
        "    10: retry the upload",
        "    13: retry upload",
    ]


def test_where_no_line_says_it_the_first_with_words_is_shown() -> None:
    assert lines(result("\n}\nfirst\nsecond"))[1:] == ["     9: first"]
    assert lines(result("}\n{"))[1:] == []


def test_a_file_that_is_gone_has_a_head_alone() -> None:
    assert len(lines(result(""))) == 1
    assert lines(result(""), show_code=True)[1:] == [""]


def test_whole_snippets_are_shown_with_every_line() -> None:
    assert lines(result("a\n\nb"), show_code=True)[1:] == [
        "     7: a",
        "     8: ",
        "     9: b",
        "",
    ]


def test_a_wide_line_is_cut() -> None:
    (_, line) = lines(result("upload " + "x" * 10_000))
    assert len(line) < 250


def test_what_is_asked_for_is_marked_in_any_form_and_case() -> None:
    (_, line) = lines(result("retryUploads(x) # other"), colour=True)
    assert re.findall("\x1b\\[31m\x1b\\[1m(.*?)\x1b\\[0m", line) == ["retryUploads"]


@given(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.text(st.characters(exclude_categories=(), exclude_characters="\0"), min_size=1, max_size=9),
    st.booleans(),
)
def test_no_control_character_reaches_the_terminal(text: str, name: str, code: bool) -> None:
    for line in lines(result(text, name, symbol=text), words=text, show_code=code):
        assert line.isprintable()
        line.encode()
    coloured = "".join(lines(result(text, name, symbol=text), words=text, colour=True))
    assert re.sub(r"\x1b\[\d+m", "", coloured).isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tb", "a    b"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u202etxt", r"\x202etxt"),
        ("\x9b", r"\x9b"),
        ("caf\udce9", r"caf\udce9"),
        ("größe 日本 🦝", "größe 日本 🦝"),
    ],
)
def test_what_would_act_is_spelled_out(text: str, said: str) -> None:
    assert printable(text) == said
