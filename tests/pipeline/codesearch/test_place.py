"""Where the index is, and what a file is called in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.place import FOLDER, find_index, relative, root_of, root_said, spelled


def planted(folder: Path) -> Path:
    index = folder / FOLDER
    index.mkdir(parents=True)
    (index / "manifest.json").touch()
    return index


def test_the_nearest_index_above_is_found(tmp_path: Path) -> None:
    outer, inner = planted(tmp_path), planted(tmp_path / "a/b")
    (tmp_path / "a/b/c").mkdir()
    assert find_index(tmp_path / "a/b/c") == find_index(tmp_path / "a/b") == inner
    assert find_index(tmp_path / "a") == outer


def test_a_folder_without_a_manifest_is_no_index(tmp_path: Path) -> None:
    outer = planted(tmp_path)
    (tmp_path / "a" / FOLDER).mkdir(parents=True)
    assert find_index(tmp_path / "a") == outer
    (outer / "manifest.json").unlink()
    with pytest.raises(CodeIndexError, match="ltt-stream codesearch index DIR"):
        find_index(tmp_path / "a")


def test_an_index_inside_of_its_folder_is_told_nothing(tmp_path: Path) -> None:
    assert root_said(tmp_path / FOLDER, tmp_path) == ""
    (tmp_path / "link").symlink_to(tmp_path)
    assert root_said(tmp_path / FOLDER, tmp_path / "link") == ""
    assert root_of(tmp_path / FOLDER, "") == tmp_path


@pytest.mark.parametrize("index", ["elsewhere", "tree/deep/index", "tree"])
def test_an_index_elsewhere_is_told_its_folder(index: str, tmp_path: Path) -> None:
    said = root_said(tmp_path / index, tmp_path / "tree")
    assert root_of(tmp_path / index, said) == tmp_path / "tree"


def test_a_loop_of_links_is_a_path_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert relative(tmp_path / "loop/a.py", tmp_path) == "loop/a.py"
    assert relative(tmp_path / "loop", tmp_path) == "loop"
    assert root_said(tmp_path / "loop", tmp_path) == ""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".", "a"),
        ("..", "."),
        ("../", "."),
        ("./b.py", "a/b.py"),
        ("../c.py", "c.py"),
        ("../a/../c.py", "c.py"),
        ("gone/too.py", "a/gone/too.py"),
        ("gone/..", "a"),
        ("link.py", "a/link.py"),
        ("caf\udce9.py", "a/caf\udce9.py"),
    ],
)
def test_a_path_is_said_from_the_root(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/link.py").symlink_to("/etc/hostname")
    monkeypatch.chdir(tmp_path / "a")
    assert relative(Path(path), tmp_path) == said
    assert relative(tmp_path / "a" / path, tmp_path) == said


def test_a_link_from_elsewhere_leads_into_the_root(tmp_path: Path) -> None:
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "link").symlink_to("tree")
    (tmp_path / "deep").symlink_to("tree/a")
    assert relative(tmp_path / "link", tmp_path / "tree") == "."
    assert relative(tmp_path / "deep", tmp_path / "tree") == "a"
    assert relative(tmp_path / "deep/x.py", tmp_path / "tree") == "a/x.py"
    assert relative(tmp_path / "tree/a/x.py", tmp_path / "link") == "a/x.py"


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "..", "../tree2/x.py"])
def test_what_lies_outside_is_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree").mkdir()
    monkeypatch.chdir(tmp_path / "tree")
    with pytest.raises(CodeIndexError, match="not in the indexed folder"):
        relative(Path(path), tmp_path / "tree")


def test_any_name_can_be_spelled() -> None:
    assert spelled("größe") == "größe"
    assert spelled(os.fsdecode(b"caf\xe9")) == r"caf\xe9"
