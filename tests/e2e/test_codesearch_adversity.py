"""Damaged indexes, strange files, strange questions: an answer or one line, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from models.places import pretrained_path
from pipeline.codesearch.manifest import read_manifest, write_manifest
from tests.e2e.program import LTT_STREAM
from tests.e2e.sources import (
    answers,
    asked,
    fresh_answers,
    good,
    index_of,
    ltt,
    plant,
    put,
    refused,
)
from tests.support import missing

WITHOUT_RIGHTS = "-dac_override,-dac_read_search"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = plant(tmp_path_factory.mktemp("indexed") / "tree")
    good("index", tree, cwd=tree)
    return tree


@pytest.fixture
def tree(indexed: Path, tmp_path: Path) -> Path:
    copy: Path = shutil.copytree(indexed, tmp_path / "tree")
    return copy


def as_anybody() -> tuple[str, ...]:
    """A prefix that takes root's right to read and write everything."""
    if os.geteuid():
        return ()
    found = shutil.which("setpriv")
    if found is None:
        missing("setpriv")
    return (found, f"--bounding-set={WITHOUT_RIGHTS}", f"--inh-caps={WITHOUT_RIGHTS}")


@pytest.mark.parametrize(
    "command",
    [("search", "x"), ("similar", "x.py:1"), ("status",), ("update",), ("serve",),
     ("hook", "install"), ("hook", "remove")],
    ids="_".join,
)  # fmt: skip
def test_without_an_index_every_command_says_how_to_make_one(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    assert "ltt-stream codesearch index DIR" in refused(ltt(*command, cwd=tmp_path))


def test_an_index_of_another_model_is_refused_and_made_afresh_by_index(
    tree: Path, tmp_path: Path
) -> None:
    other: Path = shutil.copytree(pretrained_path(), tmp_path / "other")
    for command in (("search", "x"), ("similar", "README.md:1"), ("update",)):
        said = refused(ltt(*command, "--model", str(other), cwd=tree))
        assert "other-" in said
        assert "raccoon-" in said
        assert "ltt-stream codesearch index" in said
    done = ltt("index", ".", "--model", other, cwd=tree)
    assert done.returncode == 0
    assert "made afresh" in done.stderr
    assert "other-" in good("status", cwd=tree)
    assert good("search", "upload", "--model", other, cwd=tree)
    assert "index" in refused(ltt("search", "upload", cwd=tree))
    good("index", ".", cwd=tree)
    assert answers(index_of(tree)) == fresh_answers(tree)


def _parts(index: Path) -> list[Path]:
    (segment,) = index.glob("segment-*")
    return sorted(segment.iterdir())


def _truncate(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1])


def _flip(part: Path) -> None:
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink])
def test_a_damaged_part_is_named_and_index_mends_it(
    damage: Callable[[Path], None], tree: Path
) -> None:
    expected = answers(index_of(tree))
    for part in [*_parts(index_of(tree))[::3], index_of(tree) / "manifest.json"]:
        whole = part.read_bytes()
        damage(part)
        said = refused(ltt("search", "upload", cwd=tree))
        if part.exists() or part.name != "manifest.json":
            assert part.name in said
        assert "ltt-stream codesearch index" in said
        part.write_bytes(whole)
    damage(_parts(index_of(tree))[0])
    assert "ltt-stream codesearch index" in refused(ltt("update", cwd=tree))
    assert "ltt-stream codesearch index" in refused(ltt("status", cwd=tree))
    good("index", ".", cwd=tree)
    assert answers(index_of(tree)) == expected
    damage(index_of(tree) / "manifest.json")
    good("index", ".", cwd=tree)
    assert answers(index_of(tree)) == expected


@pytest.mark.parametrize("held", [{}, {"photo.jpg": "x", "notes.txt": "y"}])
def test_a_folder_without_code_says_so(held: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for name, text in held.items():
        put(tmp_path, f"tree/{name}", text)
    done = ltt("index", "tree", cwd=tmp_path)
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith("ltt-stream: tree: no source files")
    done = ltt("search", "anything", cwd=tmp_path / "tree")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == ["nothing found"]
    put(tmp_path, "tree/a.py", "def anything():\n    pass\n")
    good("update", cwd=tmp_path / "tree")
    assert asked("anything", cwd=tmp_path / "tree")[0]["path"] == "a.py"


def test_a_folder_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    assert "nowhere" in refused(ltt("index", "nowhere", cwd=tmp_path), code=2)
    put(tmp_path, "file.py", "x = 1\n")
    assert "file.py" in refused(ltt("index", "file.py", cwd=tmp_path), code=2)
    said = refused(ltt("index", ".", "--snippet-lines", "5", "--overlap", "5", cwd=tmp_path), 2)
    assert "--overlap" in said


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    closed = put(tree, "closed/secret.py", "def secret_upload():\n    pass\n").parent
    put(tree, "secret.py", "def secret_upload():\n    pass\n").chmod(0)
    closed.chmod(0)
    try:
        done = ltt("index", ".", cwd=tree, prefix=as_anybody())
        assert done.returncode == 0, done.stderr
        assert "2 unreadable" in done.stdout
        assert "secret" not in str(asked("secret upload", cwd=tree))
    finally:
        closed.chmod(0o755)


def test_a_tree_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    tree.chmod(0)
    try:
        said = refused(
            ltt("index", "tree", "--output", "out", cwd=tmp_path, prefix=as_anybody()), 2
        )
        assert "tree" in said
    finally:
        tree.chmod(0o755)


def test_an_index_that_cannot_be_written_can_be_asked(tree: Path) -> None:
    before = answers(index_of(tree))
    put(tree, "new.py", "x = 1\n")
    for path in (*index_of(tree).rglob("*"), index_of(tree), tree):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        for command in (("update",), ("index", ".")):
            assert ".code_index" in refused(ltt(*command, cwd=tree, prefix=as_anybody()))
        done = ltt("search", "upload", cwd=tree, prefix=as_anybody())
        assert (done.returncode, done.stderr) == (0, "")
        assert answers(index_of(tree)) == before
        shown = ltt("index", ".", "--output", "new", cwd=tree, prefix=as_anybody())
        assert "new" in refused(shown)
    finally:
        for path in (tree, index_of(tree)):
            path.chmod(0o755)


def _vanish(file: Path) -> None:
    file.unlink()


def _to_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _to_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _to_symlink_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _folder_to_symlink_loop(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.symlink_to(file.parent.name)


def _to_binary(file: Path) -> None:
    file.write_bytes(b"\0" * 99)


@pytest.mark.parametrize(
    "become",
    [_vanish, _to_fifo, _to_folder, _to_symlink_loop, _folder_to_symlink_loop, _to_binary],
    ids=lambda become: become.__name__.strip("_"),
)
def test_a_file_that_became_something_else_is_stale_and_an_update_forgets_it(
    become: Callable[[Path], None], tree: Path
) -> None:
    name = "lib/copied/again.py"
    become(tree / name)
    done = ltt("search", "retry upload", "--json", "-k50", cwd=tree)
    assert done.returncode == 0
    assert "changed since they were indexed: `ltt-stream codesearch update`" in done.stderr
    (gone,) = [one for one in json.loads(done.stdout) if one["path"] == name]
    assert gone["text"] == ""
    assert good("search", "retry upload", "--show-code", cwd=tree)
    similar = ltt("similar", f"{name}:3", cwd=tree)
    assert "Traceback" not in similar.stderr
    assert len(similar.stderr.splitlines()) <= 1
    good("update", name, cwd=tree)
    assert name not in [one["path"] for one in asked("retry upload", "-k50", cwd=tree)]
    assert answers(index_of(tree)) == fresh_answers(tree)


STRANGE = b"caf\xe9 \xff.py"


def test_strange_files_neither_stop_nor_spoil_an_index(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    put(tree, "latin.py", b"# caf\xe9\ndef espresso_machine():\n    return '\xfc'\n")
    put(tree, "broken.py", "# straße\n".encode() + b"def zebra_\xff\xfe():\n    return 1\n")
    with (tree / "sparse.py").open("wb") as sparse:
        sparse.truncate(1 << 30)
    os.mkfifo(tree / "fifo.py")
    (tree / "loop.py").symlink_to("loop.py")
    (tree / "up").symlink_to("..")
    put(tree, "wide.js", "x = 'upload';" * 70_000)
    put(tree, "control.py", "def upload_bell():\n    return '\x1b[31m\x07\x9b'\n")
    put(tree, "new\nline.py", "def newline_upload():\n    return 1\n")
    strange = Path(os.fsdecode(os.path.join(os.fsencode(tree), STRANGE)))  # noqa: PTH118
    strange.write_text("def strangely_named():\n    return 1\n")
    said = good("index", ".", cwd=tree)
    for reason in ("1 too large", "1 not a regular file", "2 symlink", "1 generated"):
        assert reason in said
    assert asked("espresso machine", cwd=tree)[0]["path"] == "latin.py"
    assert "café" in asked("espresso machine", cwd=tree)[0]["text"]
    assert "broken.py" in [one["path"] for one in asked("straße", cwd=tree)[:2]]
    (named, *_) = asked("strangely_named", cwd=tree)
    assert named["path"] == r"caf\xe9 \xff.py"
    assert named["text"].startswith("def strangely_named")
    assert r"caf\xe9 \xff.py:1-2" in good("search", "strangely_named", cwd=tree)
    assert r"new\x0aline.py:1-2" in good("search", "newline_upload", cwd=tree)
    bell = good("search", "upload_bell", "--show-code", cwd=tree)
    assert r"\x1b[31m\x07\x9b" in bell
    assert not {"\x1b", "\x07", "\x9b"} & set(bell)
    done = ltt("similar", strange.name + ":1", "--json", cwd=tree)
    assert done.returncode == 0, done.stderr
    strange.unlink()
    good("update", os.fsencode(strange.name), cwd=tree)
    assert answers(index_of(tree)) == fresh_answers(tree)


def test_a_tree_whose_own_name_is_not_utf_8_is_indexed(tmp_path: Path) -> None:
    tree = plant(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")))
    strict = {"PYTHONIOENCODING": "utf-8:strict"}  # as most locales have it
    said = good("index", tree, cwd=tmp_path, env=strict)
    assert r"caf\xe9/.code_index" in said
    good("index", tree, "--output", "out", cwd=tmp_path)
    for args in (("--index", "out"), ("--index", str(index_of(tree)))):
        assert r"caf\xe9" in good("status", *args, cwd=tmp_path, env=strict)
        assert json.loads(good("status", "--json", *args, cwd=tmp_path))["files"] == 33
        good("update", *args, cwd=tmp_path)
    assert good("search", "upload", "--index", "out", cwd=tmp_path, env=strict)
    assert asked("failed upload", cwd=tree)


def test_a_tree_that_is_gone_is_one_line(tmp_path: Path) -> None:
    plant(tmp_path / "tree")
    good("index", "tree", "--output", "out", cwd=tmp_path)
    shutil.rmtree(tmp_path / "tree")
    assert "gone" in refused(ltt("update", "--index", "out", cwd=tmp_path))
    assert "tree" in refused(ltt("status", "--index", "out", cwd=tmp_path))
    done = ltt("search", "upload", "--index", "out", "--json", cwd=tmp_path)
    assert {one["text"] for one in json.loads(done.stdout)} == {""}
    assert "10 of these files changed" in done.stderr


QUESTIONS = {
    "only stop words": ("what", "is", "this"),
    "only punctuation": ("?! ... ;; --",),
    "10,000 words": ("upload session " * 5000,),
    "10,000 arguments": ("upload", "session") * 5000,
    "a leading dash": ("--", "-upload"),
    "emoji": ("🦝🚀 upload",),
    "only emoji": ("🦝",),
    "bytes that are no text": (b"\xff\xfe\x80 upload \x01\x1b[31m",),
    "no words at all": ("\x01\x02",),
    "a newline": ("upload\nsession",),
    "brackets": ("([{upload}])*+?\\",),
    "a very long word": ("u" * 100_000,),
    "a glob that is none": ("upload", "--path", "[a-"),
    "a glob of stars": ("upload", "--path", "*a*b*c*d*e*f*g*h*" * 9),
}


WITHOUT_ANSWER = {
    "only punctuation", "only emoji", "no words at all", "a glob that is none", "a glob of stars",
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_any_question_has_an_answer_or_none(name: str, indexed: Path) -> None:
    words = QUESTIONS[name]
    done = ltt("search", "--json", *words, cwd=indexed)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stderr.splitlines() == ([] if found else ["nothing found"])
    assert bool(found) == (name not in WITHOUT_ANSWER)


@pytest.mark.parametrize("words", [("",), ("  ", "\t"), ()])
def test_no_question_is_a_usage_error(words: tuple[str, ...], indexed: Path) -> None:
    refused(ltt("search", *words, cwd=indexed), code=2)


@pytest.mark.parametrize(
    "command", ["search upload --show-code -k50", "status", "similar README.md:1", "index ."]
)
def test_the_reader_of_an_answer_may_leave(command: str, tree: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$0" codesearch {command} | head -c1; echo " ${{PIPESTATUS[0]}}"',
         LTT_STREAM],
        cwd=tree, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout[1:] == " 0\n"
    assert done.stderr == ""


def test_a_manifest_of_another_schema_is_refused(tree: Path) -> None:
    manifest = index_of(tree) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("code-index/1", "code-index/9"))
    said = refused(ltt("search", "upload", cwd=tree))
    assert "code-index/9" in said
    assert "ltt-stream codesearch index" in said


def test_settings_of_another_program_are_named(tree: Path) -> None:
    manifest = read_manifest(index_of(tree))
    settings = msgspec.structs.replace(manifest.settings, lines=7)
    write_manifest(index_of(tree), msgspec.structs.replace(manifest, settings=settings))
    done = ltt("index", ".", cwd=tree)
    assert done.returncode == 0
    assert "made afresh" in done.stderr
    assert stat.S_ISREG((index_of(tree) / "manifest.json").stat().st_mode)
