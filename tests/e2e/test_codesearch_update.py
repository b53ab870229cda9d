"""After any edit an updated index answers as one that was made afresh, score for score."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.codesearch.actions import make_index
from tests.e2e.sources import (
    TOPICS,
    answers,
    fresh_answers,
    good,
    index_of,
    leftovers,
    plant,
    put,
    source,
)
from tests.support import tool

_TREES = 19
ZEBRA = source("py", "cross", "zebra", "A zebra crossing for the session")


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Trees with their indexes, of files so old that they are not read again unless they changed.

    Each is taken by one test.
    """
    trees = [plant(tmp_path_factory.mktemp("settled") / "tree") for _ in range(_TREES)]
    for tree in trees:
        for name, text in (("pair_a", ZEBRA), ("pair_b", ZEBRA.replace("zebra", "token"))):
            file = put(tree, f"src/signature/{name}.py", text)
            os.utime(file, (10**9, 10**9))
    time.sleep(2.1)
    for tree in trees:
        make_index(
            tree,
            index_of(tree),
            lines=20,
            overlap=5,
            model=None,
            progress=lambda done, total: None,
        )
    return iter(trees)


@pytest.fixture
def tree(settled: Iterator[Path]) -> Path:
    return next(settled)


def is_as_fresh(tree: Path) -> None:
    updated = answers(index_of(tree))
    assert sum(map(len, updated)) > 50
    assert updated == fresh_answers(tree)


def _add(tree: Path) -> None:
    put(tree, "src/zebra/crossing.py", ZEBRA)
    put(tree, "zebra.rs", source("rs", *TOPICS[8]))


def _change(tree: Path) -> None:
    file = tree / "src/upload/client.py"
    file.write_text(file.read_text() + ZEBRA)


def _change_to_the_same_size(tree: Path) -> None:
    file = tree / "src/upload/client.py"
    file.write_text(file.read_text().replace("upload", "zebra "))


def _delete(tree: Path) -> None:
    (tree / "src/upload/client.py").unlink()


def _delete_a_folder(tree: Path) -> None:
    shutil.rmtree(tree / "src")


def _rename(tree: Path) -> None:
    (tree / "src/upload/client.py").rename(tree / "lib/sender.py")
    (tree / "src").rename(tree / "source")


def _git_mv(tree: Path) -> None:
    git = [tool("git"), "-C", str(tree)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "mv", "src/upload", "src/sending"], check=True)


def _exchange(tree: Path) -> None:
    """Two files of the same size and time, as an archive's are, take each other's place."""
    one, two = tree / "src/signature/pair_a.py", tree / "src/signature/pair_b.py"
    one.rename(tree / "aside")
    two.rename(one)
    (tree / "aside").rename(two)


def _touch(tree: Path) -> None:
    (tree / "src/upload/client.py").touch()
    (tree / "README.md").chmod(0o600)


def _ignore(tree: Path) -> None:
    put(tree, "src/.gitignore", "upload/\n*.go\n")


def _file_to_folder(tree: Path) -> None:
    (tree / "src/upload/client.py").unlink()
    put(tree, "src/upload/client.py/client.py", ZEBRA)


def _empty(tree: Path) -> None:
    put(tree, "src/upload/client.py", "")
    put(tree, "lib/copied/again.py", b"\0binary")


EDITS: list[Callable[[Path], None]] = [
    _add, _change, _change_to_the_same_size, _delete, _delete_a_folder, _rename, _git_mv,
    _exchange, _touch, _ignore, _file_to_folder, _empty,
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__.strip("_"))
def test_an_edit_followed_by_an_update_is_as_a_fresh_index(
    edit: Callable[[Path], None], tree: Path
) -> None:
    edit(tree)
    good("update", cwd=tree)
    is_as_fresh(tree)
    assert leftovers(index_of(tree)) == set()


def test_what_only_looks_changed_is_not_encoded_again(tree: Path) -> None:
    _touch(tree)
    assert "(0 added, 0 changed, 0 removed, 35 as they were)" in good("update", cwd=tree)


def test_an_update_of_named_files_and_folders_does_the_same_for_these(tree: Path) -> None:
    before = answers(index_of(tree))
    _add(tree)
    _change(tree)
    (tree / "tools/dos.py").unlink()
    shutil.rmtree(tree / "lib/copied")
    good("update", "README.md", "no such file", cwd=tree)
    assert answers(index_of(tree)) != fresh_answers(tree)
    assert [[one.path for one in found] for found in answers(index_of(tree))] == [
        [one.path for one in found] for found in before
    ]
    here = tree / "src" / "zebra"
    said = good("update", ".", "../upload/client.py", "../../zebra.rs", cwd=here)
    assert "(2 added, 1 changed, 0 removed" in said
    said = good("update", "tools/dos.py", tree / "lib" / "copied", cwd=tree)
    assert "0 changed, 2 removed" in said
    is_as_fresh(tree)


@pytest.mark.parametrize("name", ["..", "../src/..", "../../link"])
def test_the_tree_itself_may_be_named_in_any_way(name: str, tree: Path) -> None:
    (tree.parent / "link").symlink_to(tree)
    _add(tree)
    good("update", name, cwd=tree / "src")
    is_as_fresh(tree)


def test_quiet_says_nothing(tree: Path) -> None:
    _add(tree)
    assert good("update", "--quiet", cwd=tree) == ""


def _random_edit(tree: Path, rng: random.Random) -> None:
    files = sorted(path for path in tree.rglob("*.*") if path.is_file())
    files = [path for path in files if ".code_index" not in path.parts]
    some = rng.sample(files, 3)
    kind = rng.randrange(6)
    if kind == 0:
        topic = rng.choice(TOPICS)
        language = rng.choice(["py", "go", "rs", "c", "yaml"])
        put(
            tree,
            f"new/{rng.randrange(5)}/x{rng.randrange(9)}.{language}",
            source(language, *topic),
        )
    elif kind == 1:
        for file in some:
            file.unlink()
    elif kind == 2:
        for file in some:
            file.write_bytes(file.read_bytes() + b"\n# session upload %d\n" % rng.randrange(9))
    elif kind == 3:
        some[0].rename(some[0].with_name(f"renamed{rng.randrange(99)}{some[0].suffix}"))
    elif kind == 4:
        some[0].write_bytes(some[1].read_bytes())
        os.utime(some[2])
    else:
        put(
            tree,
            ".gitignore",
            rng.choice(["", "lib/upload\n", "*.c\n", "new/\n", "src/*\n!*.go\n"]),
        )


def test_any_row_of_edits_ends_as_a_fresh_index(tree: Path) -> None:
    rng = random.Random(11)
    for _ in range(15):
        for _ in range(rng.randrange(1, 4)):
            _random_edit(tree, rng)
        good("update", "--quiet", cwd=tree)
        assert answers(index_of(tree)) == fresh_answers(tree)
    assert leftovers(index_of(tree)) == set()
