"""Index a tree, ask it, and ask it in every way that there is."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.e2e.program import LTT_STREAM
from tests.e2e.sources import (
    QUESTIONS,
    answers,
    asked,
    good,
    index_of,
    ltt,
    plant,
    put,
    refused,
)

FIELDS = ["path", "start_line", "end_line", "score", "language", "symbol", "text"]
HEAD = re.compile(r"\[(\d+)\] (\S+):(\d+)-(\d+)  (\d+\.\d{3})  (\S+)(?:  (\S+))?")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Indexed; nobody changes it."""
    tree = plant(tmp_path_factory.mktemp("asked") / "tree")
    said = good("index", ".", cwd=tree)
    assert said.startswith("files      33 (33 added, 0 changed, 0 removed, 0 as they were)")
    return tree


def test_words_find_the_function_that_does_it(tree: Path) -> None:
    best = asked("where is the session cookie decrypted", cwd=tree)[0]
    assert best["path"].startswith(("src/session/", "lib/session/", "tools/session/"))
    lines = (tree / best["path"]).read_text().splitlines()
    assert "ession" in "".join(lines[best["start_line"] - 1 : best["end_line"]])


def test_a_name_finds_its_definition_before_its_uses(tree: Path) -> None:
    found = asked("retry_upload", cwd=tree)
    assert found[0]["symbol"] in ("retry_upload", "retryUpload", "RetryUpload")
    assert "tests/test_upload.py" in [one["path"] for one in found]
    assert found[0]["path"] != "tests/test_upload.py"


def test_an_answer_says_place_score_language_and_symbol_and_shows_matching_lines(
    tree: Path,
) -> None:
    said = good("search", "failed", "upload", cwd=tree).splitlines()
    heads = [found for line in said if (found := HEAD.fullmatch(line))]
    assert [int(head[1]) for head in heads] == list(range(1, len(heads) + 1))
    assert len(heads) == 10
    assert [(h[2], int(h[3]), int(h[4]), h[6], h[7] or "") for h in heads] == [
        (one["path"], one["start_line"], one["end_line"], one["language"], one["symbol"])
        for one in asked("failed upload", cwd=tree)
    ]
    path, first, last = heads[0][2], int(heads[0][3]), int(heads[0][4])
    lines = (tree / path).read_text().splitlines()
    below = said[1 : next(i for i, line in enumerate(said[1:], 1) if line.startswith("["))]
    assert below
    for line in below:
        number, _, text = line.partition(": ")
        assert first <= int(number) <= last
        assert text == lines[int(number) - 1].replace("\t", "    ")
        assert re.search("fail|upload", text, re.IGNORECASE)


def test_json_has_the_fields_of_the_contract_and_the_lines_of_the_file(tree: Path) -> None:
    for question in ("failed upload", "carriage return", "größe"):
        for one in asked(question, cwd=tree / "src" / "upload"):
            assert list(one) == FIELDS
            lines = (tree / one["path"]).read_bytes().decode().replace("\r\n", "\n").split("\n")
            assert one["text"] == "\n".join(lines[one["start_line"] - 1 : one["end_line"]])
    assert asked("carriage", cwd=tree)[0]["path"] == "tools/dos.py"
    assert asked("größe", cwd=tree)[0]["path"] == "src/größe.py"


def test_scores_fall(tree: Path) -> None:
    for results in answers(index_of(tree)):
        scores = [one.score for one in results]
        assert scores == sorted(scores, reverse=True)


def test_json_is_what_the_library_answers(tree: Path) -> None:
    for question, results in list(zip(QUESTIONS, answers(index_of(tree)), strict=True))[:2]:
        assert asked(question, "--top-k", "20", cwd=tree) == msgspec.to_builtins(results)


def test_top_k_is_a_prefix(tree: Path) -> None:
    whole = asked("upload", cwd=tree)
    assert len(whole) == 10
    assert asked("upload", "-k", "3", cwd=tree) == whole[:3]
    assert "top-k" in refused(ltt("search", "upload", "--top-k", "0", cwd=tree), code=2)


def test_a_glob_and_a_language_leave_the_others_out(tree: Path) -> None:
    def paths(*args: str) -> set[str]:
        return {
            one["path"] for one in asked("upload session header größe", "-k50", *args, cwd=tree)
        }

    whole = paths()
    assert paths("--lang", "py") == {path for path in whole if path.endswith(".py")}
    assert paths("--lang", "C") == {path for path in whole if path.endswith(".c")}
    assert "src/größe.py" in whole
    for glob in ("src/**", "src/**/*"):
        assert paths("--path", glob) == {path for path in whole if path.startswith("src/")}, glob
    assert paths("--path", "./lib/") == {path for path in whole if path.startswith("lib/")}
    assert paths("--path", "*.go") == {path for path in whole if path.endswith(".go")}
    assert paths("--path", "src/**/*.py") == {p for p in whole if re.fullmatch(r"src/.*\.py", p)}
    assert paths("--path", "src/**/*.py", "--lang", "go") == set()
    assert "klingon" in refused(ltt("search", "x", "--lang", "klingon", cwd=tree), code=2)


def test_show_code_shows_all_lines(tree: Path) -> None:
    (best,) = asked("VerifySignature", "-k1", cwd=tree)
    said = good("search", "VerifySignature", "-k1", "--show-code", cwd=tree).splitlines()
    shown = [line.partition(": ") for line in said[1:] if line]
    numbers = list(range(best["start_line"], best["end_line"] + 1))
    assert [int(number) for number, _, _ in shown] == numbers
    text = best["text"].replace("\t", "    ").split("\n")
    assert [line for _, _, line in shown] == text


def _on_a_terminal(*args: str, cwd: Path, env: dict[str, str]) -> bytes:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [LTT_STREAM, "codesearch", *args], cwd=cwd, stdout=theirs, stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
    ) as process:  # fmt: skip
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 1 << 16):
                said += part
        except OSError:  # what a terminal says at its end
            pass
    os.close(ours)
    assert process.returncode == 0
    return said


def test_colour_is_for_terminals_alone(tree: Path) -> None:
    question = ("search", "failed upload")
    plain = good(*question, cwd=tree)
    assert "\x1b" not in plain
    colourful = _on_a_terminal(*question, cwd=tree, env={}).replace(b"\r\n", b"\n").decode()
    assert "\x1b[31m" in colourful
    assert re.sub(r"\x1b\[\d*m", "", colourful) == plain
    without = _on_a_terminal(*question, cwd=tree, env={"NO_COLOR": "1"})
    assert without.replace(b"\r\n", b"\n").decode() == plain


def test_paths_are_those_of_where_one_stands_and_lead_there(tree: Path) -> None:
    here = tree / "src" / "upload"
    said = good("search", "failed upload", cwd=here).splitlines()
    places = [found[2] for line in said if (found := HEAD.fullmatch(line))]
    assert len(places) == 10
    assert all((here / place).is_file() for place in places)


def test_an_index_elsewhere_says_the_same(tree: Path, tmp_path: Path) -> None:
    there = tmp_path / "far" / "index"
    good("index", tree, "--output", there, cwd=tmp_path)
    assert answers(there) == answers(index_of(tree))
    elsewhere = asked("failed upload", "--index", str(there), cwd=tmp_path)
    assert elsewhere == asked("failed upload", cwd=tree)
    assert "no index" in refused(ltt("search", "upload", cwd=tmp_path))


def test_an_index_moves_with_its_tree(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", tree, cwd=tmp_path)
    before = answers(index_of(tree))
    moved = tree.rename(tmp_path / "tree 2")
    assert answers(index_of(moved)) == before
    assert asked("failed upload", cwd=moved)[0]["text"]
    put(moved, "new.py", "def zebra_crossing():\n    pass\n")
    good("update", cwd=moved)
    assert asked("zebra crossing", cwd=moved / "src")[0]["path"] == "new.py"
    assert "added" in good("index", moved, cwd=tmp_path)


def test_similar_finds_the_near_copy_and_not_the_place_itself(tree: Path) -> None:
    (place,) = [
        (one["path"], one["start_line"])
        for one in asked("retry_upload", "-k50", "--lang", "py", cwd=tree)
        if one["path"] == "lib/copied/again.py"
    ]
    found = json.loads(good("similar", f"{place[0]}:{place[1] + 3}", "--json", cwd=tree))
    assert list(found[0]) == FIELDS
    assert found[0]["path"] in ("src/upload/retry_upload.py", "src/upload/client.py")
    assert place not in [(one["path"], one["start_line"]) for one in found]
    from_below = good("similar", "again.py:5", "--json", cwd=tree / "lib" / "copied")
    assert json.loads(from_below) == found
    shown = good("similar", f"{place[0]}:4", "-k2", cwd=tree).splitlines()
    assert len([line for line in shown if HEAD.fullmatch(line)]) == 2


@pytest.mark.parametrize("place", ["x.py", "x.py:", ":3", "x.py:0", "x.py:-1", "x.py:3:"])
def test_a_place_that_is_none_is_a_usage_error(tree: Path, place: str) -> None:
    assert "FILE:LINE" in refused(ltt("similar", "--", place, cwd=tree), code=2)


def test_a_line_far_below_the_end_is_the_last_one(tree: Path) -> None:
    last = good("similar", "src/upload/client.py:18", "--json", cwd=tree)
    for line in (str(10**30), "9" * 5000):
        assert good("similar", f"src/upload/client.py:{line}", "--json", cwd=tree) == last


def test_a_file_that_is_not_indexed_has_nothing_similar(tree: Path, tmp_path: Path) -> None:
    assert "update" in refused(ltt("similar", "nothing.py:3", cwd=tree))
    outside = put(tmp_path, "outside.py", "x = 1\n")
    assert "not in the indexed folder" in refused(ltt("similar", f"{outside}:1", cwd=tree))


def test_status_says_what_is_indexed_and_what_changed_since(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", tree, cwd=tmp_path)
    assert "nothing changed" in good("status", cwd=tree / "src")
    put(tree, "new.py", "x = 1\n")
    put(tree, "README.md", "# All else\n")
    (tree / "tools" / "dos.py").unlink()
    status = json.loads(good("status", "--json", cwd=tree))
    assert (status["new"], status["changed"], status["gone"]) == (1, 1, 1)
    assert (status["files"], status["languages"]["python"]) == (33, 8)
    assert Path(status["root"]) == tree.resolve()
    assert status["bytes"] > 0
    assert "1 files new, 1 changed, 1 gone" in good("status", cwd=tree)


def test_search_can_update_before(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", tree, cwd=tmp_path)
    put(tree, "new.py", "def zebra_crossing():\n    pass\n")
    assert asked("zebra crossing", "--update", cwd=tree)[0]["path"] == "new.py"
