"""What is found is whole and has its name: snippets lie where a reader would cut, in any file."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers.code import Snippet, snippets
from parsers.languages import LANGUAGES
from parsers.trees import grammars
from tests.parsers.code_samples import EXPECTED, SAMPLES

LINES = sorted({line for text in SAMPLES.values() for line in text.split("\n")})
MIXED = st.lists(st.sampled_from(LINES), max_size=60)
BROKEN = st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=20)), max_size=40)


def shown(snippet: Snippet) -> str:
    names = " ".join(snippet.defines)
    place = f"{snippet.start_line}-{snippet.end_line}"
    return f"{place} {snippet.symbol or '·'}: {names}".rstrip()


def lines_of(text: str) -> list[str]:
    """As an editor counts them."""
    ends = "\n" if "\n" in text else "\r"
    return [line.rstrip("\r") for line in text.split(ends)]


def check(text: str, found: list[Snippet]) -> None:
    """The law of all snippets: together they hold all that there is, and nothing else."""
    lines = lines_of(text)
    held: set[int] = set()
    for snippet in found:
        held.update(range(snippet.start_line, snippet.end_line + 1))
        whole = "\n".join(lines[snippet.start_line - 1 : snippet.end_line])
        assert snippet.text == whole[:4000]
        assert lines[snippet.start_line - 1].strip()
        assert lines[snippet.end_line - 1].strip()
    assert {n for n, line in enumerate(lines, 1) if line.strip()} <= held
    starts = [snippet.start_line for snippet in found]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("language", SAMPLES)
def test_definitions_are_found_whole_and_by_name(language: str) -> None:
    found = snippets(SAMPLES[language], language, lines=5)
    assert [shown(snippet) for snippet in found] == EXPECTED[language].split("\n")[1:-1]
    check(SAMPLES[language], found)


@pytest.mark.parametrize("language", SAMPLES)
def test_a_small_file_is_one_snippet(language: str) -> None:
    names = {
        name for one in snippets(SAMPLES[language], language, lines=5) for name in one.defines
    }
    (whole,) = snippets(SAMPLES[language], language, lines=40)[:1]
    assert names == set(whole.defines)


@given(st.sampled_from(sorted(LANGUAGES)), BROKEN | MIXED, st.sampled_from("\n\r"))
@settings(max_examples=300)
def test_every_line_is_in_a_snippet(language: str, lines: list[str], end: str) -> None:
    text = end.join(lines)
    check(text, snippets(text, language, lines=5, overlap=2))


@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 60), st.integers(0, 60))
def test_half_a_file_is_found_all_the_same(language: str, first: int, stop: int) -> None:
    text = "\n".join(SAMPLES[language].split("\n")[first:stop])
    found = snippets(text, language, lines=5)
    check(text, found)
    for snippet in found:
        assert all(name.split()[0] in snippet.text for name in snippet.defines)


def test_lines_end_where_an_editor_ends_them() -> None:
    text = "x = 1\f\r\ny = '\u2028\x85\x0b'\r\n\r\ndef f():\r\n    return 1\r\n"
    (found,) = snippets(text, "python")
    assert found == Snippet(
        1, 5, "f", ("f",), "x = 1\f\ny = '\u2028\x85\x0b'\n\ndef f():\n    return 1"
    )
    (found,) = snippets("x = 1\ry = 2\r\rdef f():\r    return 1\r", "python")
    assert (found.start_line, found.end_line, found.defines) == (1, 5, ("f",))


def long_function(statements: int) -> Iterator[str]:
    yield "def long(a):"
    for n in range(statements):
        yield from (f"    if a > {n}:", f"        a -= {n}", "        keep(a)", "")
    yield "    return a"


def test_a_long_function_is_cut_between_its_statements() -> None:
    text = "\n".join(long_function(40))
    found = snippets(text, "python")
    check(text, found)
    assert [snippet.symbol for snippet in found] == ["long"] * len(found)
    assert [snippet.defines for snippet in found] == [("long",), *[()] * (len(found) - 1)]
    assert all(snippet.text.lstrip().startswith("if a >") for snippet in found[1:])
    assert all(20 <= snippet.end_line - snippet.start_line < 60 for snippet in found)


def test_a_function_up_to_three_times_the_lines_stays_whole() -> None:
    text = "\n".join(long_function(14))
    assert len(text.split("\n")) == 58
    assert len(snippets(text, "python")) == 1


def test_functions_inside_a_long_one_are_named_and_its_variables_are_not() -> None:
    body = "\n".join(f"  step({n});" for n in range(40))
    text = (
        f"(function () {{\nconst LOCAL = 1;\nfunction inner() {{\n{body}\n}}\n"
        f"app.set = function () {{\n{body}\n}};\n}})();\n"
    )
    found = snippets(text, "javascript")
    assert [(one.symbol, one.defines) for one in found] == [
        ("inner", ("inner",)),
        ("app.set", ("set",)),
    ]


def test_a_header_of_c_may_hold_classes() -> None:
    text = "namespace a {\nclass Session {\n  int request();\n};\n}\n"
    assert snippets(text, "c")[0].defines == ("Session",)


def test_what_has_no_grammar_is_read_in_windows() -> None:
    text = "\n".join(f"line {n}" for n in range(1, 41))
    found = snippets(text, "perl")
    assert [(one.start_line, one.end_line) for one in found] == [(1, 20), (16, 35), (31, 40)]
    assert {(one.symbol, one.defines) for one in found} == {("", ())}
    assert snippets(text, "python") == found  # nothing is defined in it


def test_blank_lines_do_not_show_a_window_twice() -> None:
    text = "\n" * 17 + "a\n" + "\n" * 30 + "b\n"
    found = snippets(text, "perl")
    assert [(one.start_line, one.end_line) for one in found] == [(18, 18), (49, 49)]


def test_a_grammar_that_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(grammars, "import_module", missing)
    grammars._parser.cache_clear()
    try:
        found = snippets(SAMPLES["go"], "go")
    finally:
        grammars._parser.cache_clear()
    assert [(one.start_line, one.symbol) for one in found] == [(1, ""), (16, "")]


@pytest.mark.parametrize("language", sorted(SAMPLES))
@pytest.mark.parametrize(
    "text",
    ["([{" * 3000, "(" * 9000 + ")" * 9000, "if a {\n" * 2000, "class A {\n" * 1500, "\0"],
    ids=["opened", "nested", "ifs", "classes", "NUL"],
)
def test_depth_is_no_danger(language: str, text: str) -> None:
    check(text, snippets(text, language))


def test_what_a_grammar_takes_for_ever_over_is_read_in_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grammars, "_MOST_SECONDS", 0.0)
    text = SAMPLES["python"] * 40
    found = snippets(text, "python")
    check(text, found)
    assert {one.symbol for one in found} == {""}


def test_minified_lines_are_cut_and_long_ones_part() -> None:
    text = "x" * 9000 + "\n" + "\n".join("y" * 900 for _ in range(12))
    for language in ("python", "css"):
        found = snippets(text, language)
        check(text, found)
        assert found[0].text == "x" * 4000
        assert all(len(one.text) < 4000 for one in found[1:])


def test_blank_files_have_no_snippets() -> None:
    assert [snippets(text, "python") for text in ("", "\n\n", " \t\r\n")] == [[], [], []]


def test_grammars_are_met_when_their_language_is() -> None:
    probe = "import sys, parsers.code; assert not [m for m in sys.modules if 'tree_sitter' in m]"
    subprocess.run([sys.executable, "-c", probe], check=True)
    assert all(importlib.util.find_spec(module) for module, _ in grammars._GRAMMARS.values())


def test_a_file_is_forgotten_when_it_is_parsed() -> None:
    """The binding holds on to what it reads; an index of 10,000 files would hold them all."""
    data = "".join(f"def f{i}():\n    return {i}\n" for i in range(900)).encode()
    before = sys.getrefcount(data)
    for _ in range(3):
        assert grammars.parse("python", data) is not None
    assert sys.getrefcount(data) == before
