"""What is left out is what git leaves out, whatever the rules and the names look like."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codesearch.walk import Walk
from tests.pipeline.codesearch.trees import git, plant

NAMES = st.sampled_from(
    (
        *("a", "b", "ab", "a b", "a[b", "!a", "#a", "a\\b", "aab", "é", "a-", "a]", "A1", "abcab"),
        *("b ", "a^b", "a\tb"),
    )
)
LEAVES = NAMES.map("{}.py".format)
PATHS = st.tuples(st.lists(NAMES, max_size=3), LEAVES).map(
    lambda path: "/".join((*path[0], path[1]))
)
GLOBS = st.one_of(
    PATHS,
    st.lists(
        st.one_of(
            NAMES,
            LEAVES,
            st.sampled_from(
                (
                    *("*", "**", "***", "**/", "/**", "/**/", "?", "/", "\\", "!", "#", " ", "\t"),
                    *("[ab]", "[!a]", "[^a-b]", "[]a]", "[a", "[a-]", "[b-a]", "[\\]a]", "[a/]"),
                    *("[[:alpha:]]", "[[:space:]]*", "[[:no:]]", "[[:a]", "[a-\\b]", "[-a]"),
                    *("*.py", "*a*b*", "\\ ", "\\!", "\\*", "\\a", "\r", "é", "[é]", "\ufeff"),
                )
            ),
        ),
        min_size=1,
        max_size=4,
    ).map("".join),
)
RULES = st.lists(
    st.tuples(st.sampled_from(("", "", "!")), GLOBS, st.sampled_from(("", "", "/", " "))).map(
        "".join
    ),
    max_size=5,
).map("\n".join)
FOLDERS = st.sampled_from(("a", "b", "ab", "a/b", "a/a/a"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "--quiet")
    return folder


def kept_by_git(root: Path) -> list[str]:
    listed = git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    return sorted(path for path in listed if path.endswith(".py"))


@given(st.sets(PATHS, min_size=1, max_size=8), RULES, RULES, RULES, FOLDERS)
@settings(max_examples=300)
def test_git_leaves_out_the_same(
    repository: Path, paths: set[str], top: str, nested: str, excluded: str, folder: str
) -> None:
    for entry in repository.iterdir():
        if entry.is_file():
            entry.unlink()
        elif entry.name != ".git":
            shutil.rmtree(entry)
    plant(repository, dict.fromkeys(paths, "x"))
    rules = {".gitignore": top, f"{folder}/.gitignore": nested, ".git/info/exclude": excluded}
    plant(repository, rules)
    walk = Walk(repository)
    found = [file.path for file in walk]
    assert sorted(found) == kept_by_git(repository)
    assert {path for path in paths if walk.wants(path)} == set(found)


@pytest.mark.parametrize(
    "rule", ["*a" * 60 + "b", "**/a*/" * 20 + "b", "*" * 200 + "[!x]" * 100 + "b"]
)
def test_no_rule_takes_long(tmp_path: Path, rule: str) -> None:
    path = "/".join(["a" * 60] * 30) + "/a.py"
    plant(tmp_path, {path: "x", ".gitignore": rule})
    assert [file.path for file in Walk(tmp_path)] == [path]


def test_a_folder_of_a_repository_obeys_the_rules_above_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    plant(
        tmp_path,
        {
            ".gitignore": "/src/core/a.py\nb.py\n",
            "src/.gitignore": "!b.py\nc.py",
            ".git/info/exclude": "d.py",
            "src/.ignore": "!c.py",
        },
    )
    plant(tmp_path / "src/core", dict.fromkeys(("a.py", "b.py", "c.py", "d.py"), "x"))
    walk = Walk(tmp_path / "src/core")
    assert [file.path for file in walk] == ["b.py", "c.py"]
    assert walk.skipped == {"ignored": 2}


def test_rules_above_hold_where_there_is_no_repository_only_from_the_root(tmp_path: Path) -> None:
    plant(tmp_path, {".gitignore": "a.py", "root/a.py": "x", "root/.gitignore": "b.py"})
    plant(tmp_path, {"root/b.py": "x"})
    assert [file.path for file in Walk(tmp_path / "root")] == ["a.py"]


def test_a_repository_inside_has_rules_of_its_own(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    plant(tmp_path, {".gitignore": "a.py", "a.py": "x", "inner/a.py": "x", "inner/b.py": "x"})
    plant(inner, {".git/info/exclude": "b.py"})
    assert [file.path for file in Walk(tmp_path)] == ["inner/a.py"]


def test_a_linked_worktree_excludes_what_its_repository_does(tmp_path: Path) -> None:
    main = plant(tmp_path / "main", {"a.py": "x", "b.py": "x"})
    git(main, "init", "--quiet")
    git(main, "add", "a.py", "b.py")
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(main, *who, "commit", "--quiet", "-m", "a")
    git(main, "worktree", "add", "--quiet", "../linked")
    plant(main, {".git/info/exclude": "b.py"})
    assert [file.path for file in Walk(tmp_path / "linked")] == ["a.py"]


def test_what_ignore_asks_for_is_there_though_hidden_or_vendored(tmp_path: Path) -> None:
    files = (".github/a.py", ".hidden/a.py", "vendor/a.py", "node_modules/a.py", ".git/a.py")
    plant(tmp_path, dict.fromkeys(files, "x"))
    plant(tmp_path, {".ignore": "!.github/\n!/vendor\n!.git\n", ".gitignore": "vendor"})
    walk = Walk(tmp_path)
    assert [file.path for file in walk] == [".github/a.py", "vendor/a.py"]
    assert walk.wants("vendor/a.py") is not None
    assert walk.wants(".hidden/a.py") is None
