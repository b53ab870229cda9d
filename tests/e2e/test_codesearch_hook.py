"""Git hooks that keep the index up to date, in real repositories."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.sources import answers, asked, fresh_answers, good, index_of, ltt, put, refused
from tests.support import tool

HOOKS = ("post-commit", "post-merge")
THEIRS = b"#!/bin/bash -e\n# caf\xe9\r\necho ran >>ran\nexit 0"


def git(repository: Path, *args: str) -> str:
    quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(
        [tool("git"), "-c", "user.name=A", "-c", "user.email=a@example.com", *args],
        cwd=repository, check=True, capture_output=True, text=True, env={**os.environ, **quiet},
    ).stdout  # fmt: skip


def repository(path: Path) -> Path:
    """With a file, a commit and an index."""
    put(path, "src/upload.py", "def retry_upload():\n    return 1\n")
    git(path, "init", "-q", "-b", "main")
    git(path, "add", ".")
    git(path, "commit", "-qm", "one")
    good("index", ".", cwd=path)
    assert git(path, "status", "--porcelain") == ""
    return path


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def up_to_date(repository: Path) -> bool:
    status = json.loads(good("status", "--json", cwd=repository))
    return not (status["new"] or status["changed"] or status["gone"])


@pytest.mark.parametrize("name", ["plain", "with 'quotes' and \"spaces\" $HOME `id`; x"])
def test_a_commit_and_a_merge_update_the_index(name: str, tmp_path: Path) -> None:
    here = repository(tmp_path / name)
    said = good("hook", "install", cwd=here / "src")
    assert [line.rpartition("/")[2] for line in said.splitlines()] == list(HOOKS)
    put(here, "src/zebra.py", "def zebra_crossing():\n    return 1\n")
    git(here, "add", ".")
    git(here, "commit", "-qm", "two")
    wait_until(lambda: up_to_date(here))
    assert asked("zebra crossing", cwd=here)[0]["path"] == "src/zebra.py"
    git(here, "checkout", "-q", "-b", "side", "HEAD~1")
    good("update", cwd=here)
    git(here, "merge", "-q", "main")
    wait_until(lambda: up_to_date(here))
    assert answers(index_of(here)) == fresh_answers(here)


def test_a_hook_that_is_there_goes_on_and_comes_back_byte_for_byte(tmp_path: Path) -> None:
    here = repository(tmp_path / "here")
    theirs = here / ".git/hooks/post-commit"
    theirs.write_bytes(THEIRS)
    theirs.chmod(0o750)
    good("hook", "install", cwd=here)
    once = [(here / ".git/hooks" / name).read_bytes() for name in HOOKS]
    good("hook", "install", cwd=here)
    assert [(here / ".git/hooks" / name).read_bytes() for name in HOOKS] == once
    for name in HOOKS:
        assert stat.S_IMODE((here / ".git/hooks" / name).stat().st_mode) & 0o100
    put(here, "src/zebra.py", "def zebra_crossing():\n    return 1\n")
    git(here, "add", ".")
    git(here, "commit", "-qm", "two")
    assert (here / "ran").read_text() == "ran\n"
    (here / "ran").unlink()
    wait_until(lambda: up_to_date(here))
    assert good("hook", "remove", cwd=here).count("removed from") == 2
    assert theirs.read_bytes() == THEIRS
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o750
    assert not (here / ".git/hooks/post-merge").exists()
    assert good("hook", "remove", cwd=here) == "no hook was installed\n"
    assert theirs.read_bytes() == THEIRS


def test_an_empty_hook_of_theirs_stays(tmp_path: Path) -> None:
    here = repository(tmp_path / "here")
    theirs = here / ".git/hooks/post-merge"
    theirs.write_bytes(b"#!/bin/sh\n")
    theirs.chmod(0o755)
    good("hook", "install", cwd=here)
    good("hook", "remove", cwd=here)
    assert theirs.read_bytes() == b"#!/bin/sh\n"


def test_lines_that_came_later_stay(tmp_path: Path) -> None:
    here = repository(tmp_path / "here")
    good("hook", "install", cwd=here)
    ours = here / ".git/hooks/post-commit"
    with ours.open("a") as file:
        file.write("echo later\n")
    good("hook", "install", cwd=here)
    good("hook", "remove", cwd=here)
    assert ours.read_text() == "#!/bin/sh\necho later\n"


def test_a_hook_behind_a_link_stays_a_link(tmp_path: Path) -> None:
    here = repository(tmp_path / "here")
    real = put(tmp_path, "shared/hook", b"#!/bin/sh\necho shared\n")
    real.chmod(0o755)
    link = here / ".git/hooks/post-commit"
    link.symlink_to(real)
    good("hook", "install", cwd=here)
    assert link.is_symlink()
    assert b"ltt-stream" in real.read_bytes()
    good("hook", "remove", cwd=here)
    assert link.is_symlink()
    assert real.read_bytes() == b"#!/bin/sh\necho shared\n"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (b"#!/usr/bin/env python3\nprint(1)\n", 0o755, "no shell script"),
        (b"#!/usr/bin/fish\necho 1\n", 0o755, "no shell script"),
        (b"\x7fELF\0\1", 0o755, "no shell script"),
        (b"", 0o755, "no shell script"),
        (b"#!/bin/sh\necho off\n", 0o644, "executable"),
    ],
)
def test_a_hook_that_cannot_be_added_to_is_named_and_nothing_is_touched(
    text: bytes, mode: int, said: str, tmp_path: Path
) -> None:
    here = repository(tmp_path / "here")
    theirs = here / ".git/hooks/post-merge"
    theirs.write_bytes(text)
    theirs.chmod(mode)
    message = refused(ltt("hook", "install", cwd=here))
    assert str(theirs) in message
    assert said in message
    assert theirs.read_bytes() == text
    assert not (here / ".git/hooks/post-commit").exists()


def test_outside_of_a_repository_is_one_line(tmp_path: Path) -> None:
    put(tmp_path, "a.py", "x = 1\n")
    good("index", ".", cwd=tmp_path)
    for command in ("install", "remove"):
        said = refused(ltt("hook", command, cwd=tmp_path))
        assert "not in a git repository" in said


def test_the_configured_folder_of_hooks_is_used(tmp_path: Path) -> None:
    here = repository(tmp_path / "here")
    git(here, "config", "core.hooksPath", "tools/hooks")
    good("hook", "install", cwd=here / "src")
    assert sorted(path.name for path in (here / "tools/hooks").iterdir()) == sorted(HOOKS)
    put(here, "src/zebra.py", "def zebra_crossing():\n    return 1\n")
    git(here, "add", "src")
    git(here, "commit", "-qm", "two")
    wait_until(lambda: "zebra" in str(asked("zebra crossing", cwd=here)))
    good("hook", "remove", cwd=here)
    assert list((here / "tools/hooks").iterdir()) == []


def test_an_index_elsewhere_follows_the_repository_that_it_is_of(tmp_path: Path) -> None:
    here = repository(tmp_path / "here")
    (tmp_path / "far").mkdir()
    good("index", here / "src", "--output", "far/index", cwd=tmp_path)
    good("hook", "install", "--index", "far/index", cwd=tmp_path)
    put(here, "src/zebra.py", "def zebra_crossing():\n    return 1\n")
    git(here, "add", "src")
    git(here, "commit", "-qm", "two")
    where = str(tmp_path / "far/index")
    wait_until(lambda: "zebra" in str(asked("zebra crossing", "--index", where, cwd=tmp_path)))
