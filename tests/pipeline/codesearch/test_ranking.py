"""Which place comes first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codesearch.entries import Row
from pipeline.codesearch.question import read_question
from pipeline.codesearch.ranking import RANKING, Ranked, rank


def row(path: str, line: int = 1, *defines: str, symbol: str = "", text: int | None = None) -> Row:
    digest = f"{path}:{line}" if text is None else str(text)
    language = "markdown" if path.endswith(".md") else "python"
    return Row(path, language, line, line + 9, symbol, defines, digest.encode())


def order(question: str, rows: list[Row], lexical: list[float] | None = None) -> list[int]:
    """Places of rows, best first, where all fit the words alike or as is said."""
    same = np.ones(len(rows))
    words = same if lexical is None else np.array(lexical)
    return [r.place for r in rank(read_question(question), rows, words, same, RANKING)]


@pytest.mark.parametrize("question", ["retry_upload", "upload.retry_upload", "retryUpload()"])
def test_a_definition_comes_before_its_uses(question: str) -> None:
    rows = [row("a/use.py"), row("b/other.py", 1, "retry_upload"), row("c/use.py")]
    assert order(question, rows, [9, 1, 9])[0] == 1


def test_a_definition_is_preferred_among_words_too() -> None:
    rows = [row("a/use.py"), row("b/other.py", 1, "retry_upload")]
    assert order("who calls retry_upload and why", rows)[0] == 1


def test_the_name_as_it_is_written_comes_before_other_cases() -> None:
    rows = [row("a.py", 1, "HTTP_SERVER"), row("b.py", 1, "HttpServer")]
    assert order("HttpServer", rows) == [1, 0]
    assert order("HTTP_SERVER", rows) == [0, 1]


def test_the_owner_that_is_asked_for_decides() -> None:
    rows = [
        row("a.py", 1, "request", symbol="Client.request"),
        row("b.py", 1, "request", symbol="Session.request"),
    ]
    assert order("Session.request", rows) == [1, 0]
    assert order("Client::request", rows) == [0, 1]


def test_a_file_that_is_named_after_what_is_asked_comes_first() -> None:
    assert order("session cookie", [row("a/things.py"), row("a/session_cookie.py")]) == [1, 0]
    assert order("Session", [row("a.py", 1, "Session"), row("sessions.py", 1, "Session")]) == [
        1,
        0,
    ]


@pytest.mark.parametrize(
    "path",
    [
        "tests/upload.py", "src/test_upload.py", "src/upload_test.go", "src/Upload.spec.ts",
        "src/UploadTest.java", "spec/upload.rb", "pkg/testdata/upload.go", "conftest.py",
        "examples/upload.py", "docs/upload.py", "src/legacy/upload.py", "upload.md",
        "src/upload.d.ts", "include/upload.h", "src/upload/__init__.py",
    ],
)  # fmt: skip
def test_tests_examples_prose_and_declarations_step_back(path: str) -> None:
    assert order("send it again", [row(path), row("z/z.py")]) == [1, 0]
    assert order("send it again", [row("z/z.py"), row(path)]) == [0, 1]


@pytest.mark.parametrize(
    "path",
    ["src/attest.py", "src/contest/upload.py", "src/latest.go", "src/protests/a.py",
     "src/inspector.py", "src/exampled.py", "src/documents/a.py", "src/request.py"],
)  # fmt: skip
def test_what_only_sounds_like_a_test_does_not(path: str) -> None:
    found = rank(read_question("xyz"), [row("z.py"), row(path)], np.ones(2), np.ones(2), RANKING)
    assert len({one.score for one in found}) == 1


def test_further_snippets_of_a_file_step_back() -> None:
    rows = [row("a.py", 1), row("a.py", 20), row("a.py", 40), row("b.py", 1)]
    assert order("xyz", rows, [9, 8.9, 8.8, 8]) == [0, 3, 1, 2]


def test_copies_of_a_text_step_back() -> None:
    rows = [row("a.py", text=1), row("b.py", text=1), row("c.py", text=2)]
    assert order("xyz", rows, [9, 9, 8]) == [0, 2, 1]


def test_of_equals_the_first_by_path_and_line_is_first() -> None:
    assert order("xyz", [row("b.py"), row("a.py"), row("c.py")]) == [1, 0, 2]


def test_no_candidates_are_no_answers() -> None:
    assert rank(read_question("xyz"), [], np.zeros(0), np.zeros(0), RANKING) == []


def test_what_fits_nothing_scores_nothing() -> None:
    found = rank(read_question("xyz"), [row("a.py")], np.zeros(1), np.full(1, -0.5), RANKING)
    assert found == [Ranked(0, 0.0)]


PATHS = st.sampled_from(
    ["a.py", "src/session.py", "tests/a.py", "docs/a.md", "src/open_session.py", "x/__init__.py"]
)
ROWS = st.lists(
    st.tuples(
        st.builds(
            row,
            PATHS,
            st.integers(1, 50),
            st.sampled_from(["openSession", "open_session", "close"]),
            symbol=st.sampled_from(["", "Client.openSession"]),
            text=st.none() | st.integers(1, 2),
        ),
        st.sampled_from([0.0, 0.5, 1.0, 7.25]),
        st.sampled_from([-0.5, 0.0, 0.25, 0.5]),
    ),
    min_size=1,
    max_size=9,
    unique_by=lambda one: (one[0].path, one[0].start_line),
)


@given(ROWS, st.sampled_from(["openSession", "Client.openSession", "a session", "?"]), st.data())
def test_the_order_does_not_depend_on_that_of_the_candidates(
    candidates: list[tuple[Row, float, float]], question: str, data: st.DataObject
) -> None:
    def ranked(these: list[tuple[Row, float, float]]) -> list[tuple[Row, float]]:
        rows, lexical, dense = zip(*these, strict=True)
        found = rank(read_question(question), rows, np.array(lexical), np.array(dense), RANKING)
        assert sorted(one.place for one in found) == list(range(len(these)))
        return [(rows[one.place], one.score) for one in found]

    expected = ranked(candidates)
    scores = [score for _, score in expected]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0
    assert ranked(data.draw(st.permutations(candidates))) == expected
