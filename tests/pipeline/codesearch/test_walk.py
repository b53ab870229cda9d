"""A walk finds the code of a folder and nothing else, whatever else lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.codesearch.walk import Found, Walk
from tests.pipeline.codesearch.trees import plant


def paths(walk: Walk) -> list[str]:
    return [file.path for file in walk]


def test_files_come_in_the_order_of_their_paths_with_what_they_are(tmp_path: Path) -> None:
    plant(tmp_path, {"b.py": "12", "a/z.rs": "1", "a.c": "1", "a-b.go": "1", "Makefile": "1"})
    os.utime(tmp_path / "b.py", ns=(5, 7))
    found = list(Walk(tmp_path))
    assert [(file.path, file.language) for file in found] == [
        ("Makefile", "make"),
        ("a-b.go", "go"),
        ("a.c", "c"),
        ("a/z.rs", "rust"),
        ("b.py", "python"),
    ]
    assert found[-1] == Found("b.py", 2, 7, "python")


def test_a_script_says_in_its_first_line_what_it_is(tmp_path: Path) -> None:
    plant(
        tmp_path, {"run": "#!/usr/bin/env -S python3 -u\n", "LICENSE": "MIT", "tool": "#!/bin/sh"}
    )
    walk = Walk(tmp_path)
    assert [(file.path, file.language) for file in walk] == [("run", "python"), ("tool", "shell")]
    assert walk.skipped == {"not code": 1}


def test_every_file_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    files = (
        *("kept.py", ".hidden.py", ".cache/a.py", "photo.png", "node_modules/x/a.js"),
        *("venv/lib/a.py", "a.min.js", "api_pb2.py", "pnpm-lock.yaml", "index/a.py", "out/a.py"),
    )
    plant(tmp_path, dict.fromkeys(files, "x"))
    plant(
        tmp_path, {"venv/pyvenv.cfg": "", "empty.py": "", ".gitignore": "out/", "big.py": "x" * 9}
    )
    (tmp_path / "link.py").symlink_to(tmp_path / "kept.py")
    walk = Walk(tmp_path, most_bytes=8, leave_out=[tmp_path / "index"])
    for _ in range(2):  # a second look counts anew
        assert paths(walk) == ["kept.py"]
        assert walk.skipped == {
            "hidden": 3,
            "not code": 1,
            "vendored": 2,
            "generated": 3,
            "the index": 1,
            "ignored": 1,
            "empty": 1,
            "too large": 1,
            "symlink": 1,
        }
    assert [path for path in (*files, "empty.py", "big.py", "link.py") if walk.wants(path)] == [
        "kept.py"
    ]


@pytest.mark.parametrize(
    "files",
    [
        ("shop/build/plan.py", "shop/README"),
        ("vendor.py", "target.c", "dist.go"),
        ("src/vendor/Vendor.java", "pom.xml"),
        ("app/vendor/__init__.py", "app/vendor/models.py", "app/package.json"),
        ("lib/dist/normal.py",),
        ("game/target/aim.rs",),
    ],
    ids=lambda files: files[0],
)
def test_code_that_is_called_like_a_tools_folder_is_code(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    plant(tmp_path, dict.fromkeys(files, "x"))
    code = [path for path in files if Path(path).suffix in (".py", ".java", ".c", ".go", ".rs")]
    assert paths(Walk(tmp_path)) == sorted(code)


@pytest.mark.parametrize(
    "files",
    [
        ("vendor/lib.go",),
        ("go.mod", "cmd/go.mod", "cmd/vendor/lib.go"),
        ("web/package.json", "web/dist/app.js"),
        ("Cargo.toml", "target/debug/a.rs"),
        ("env/pyvenv.cfg", "env/lib/a.py"),
        ("cache/CACHEDIR.TAG", "cache/a.py"),
        ("out/build/CMakeCache.txt", "out/build/a.c"),
        ("a.egg-info/a.py",),
    ],
    ids=lambda files: files[-1],
)
def test_what_tools_put_there_is_not_entered(tmp_path: Path, files: tuple[str, ...]) -> None:
    plant(tmp_path, dict.fromkeys(files, "x"))
    walk = Walk(tmp_path)
    assert files[-1] not in paths(walk)
    assert walk.skipped["vendored"] == 1
    assert walk.wants(files[-1]) is None


def test_links_are_not_followed_in_circles_or_out(tmp_path: Path) -> None:
    root = plant(tmp_path / "root", {"a/a.py": "x"})
    plant(tmp_path, {"outside/secret.py": "x"})
    (root / "a/loop").symlink_to(root)
    (root / "away").symlink_to(tmp_path / "outside")
    (root / "b.py").symlink_to("b.py")
    walk = Walk(root)
    assert paths(walk) == ["a/a.py"]
    assert walk.skipped == {"symlink": 3}
    assert [path for path in ("away/secret.py", "a/loop/a/a.py", "b.py") if walk.wants(path)] == []


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.py")
    os.mkfifo(tmp_path / "script")
    os.mkfifo(tmp_path / ".gitignore")
    plant(tmp_path, {"b.py": "x"})
    walk = Walk(tmp_path)
    assert paths(walk) == ["b.py"]
    assert walk.skipped == {"not a regular file": 2, "hidden": 1}
    assert walk.wants("a.py") is None


def test_what_cannot_be_listed_is_counted_and_the_rest_found(tmp_path: Path) -> None:
    plant(tmp_path, {"z.py": "x"})
    inside = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):  # deeper than a path may be long
        os.mkdir("d" * 200, dir_fd=inside)
        above, inside = inside, os.open("d" * 200, os.O_RDONLY, dir_fd=inside)
        os.close(above)
    os.close(inside)
    walk = Walk(tmp_path)
    assert paths(walk) == ["z.py"]
    assert walk.skipped == {"unreadable": 1}


def test_a_file_of_a_gigabyte_costs_nothing(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "x", "noext": "#!/bin/sh"})
    os.truncate(tmp_path / "a.py", 1 << 30)
    os.truncate(tmp_path / "noext", 1 << 30)
    walk = Walk(tmp_path)
    assert paths(walk) == []
    assert walk.skipped == {"too large": 2}


def test_names_need_not_be_text(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.py")).write_text("x")
    plant(tmp_path, {"größe\n.py": "x"})
    walk = Walk(tmp_path)
    found = paths(walk)
    assert found == ["caf\udce9.py", "größe\n.py"]
    assert [walk.wants(path) for path in found] == list(walk)


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../a.py", "/a.py", "a/../a.py", "a//a.py", "no.py"]
)
def test_only_what_lies_under_the_root_is_wanted(tmp_path: Path, path: str) -> None:
    root = plant(tmp_path / "root", {"a.py": "x", "a/a.py": "x"})
    plant(tmp_path, {"a.py": "x"})
    assert Walk(root).wants("a.py") is not None
    assert Walk(root).wants(path) is None


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        list(Walk(tmp_path / "nowhere"))
