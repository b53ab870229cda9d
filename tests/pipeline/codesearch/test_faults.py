"""Kills, full disks, damage and a writer at work: a reader gets an index that was, or one line."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.codesearch.index import Index
from pipeline.codesearch.manifest import Manifest, manifest_bytes
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.writer import Writer
from tests.pipeline.codesearch.made import QUERY, SETTINGS, VOCABULARY, State, fresh, made, seen
from tests.support import ROOT

PARTS = [
    "vectors.npy", "scales.npy", "snippets.arrow", "files.arrow",
    "terms.npy", "starts.npy", "docs.npy", "times.npy",
]  # fmt: skip
STEP = "step.py"
"""The file that says, by its mtime_ns, how many commits there were."""
FORKING = """
import os, sys
from pathlib import Path
from tests.pipeline.codesearch.test_faults import write_on
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        write_on(Path(sys.argv[1]))
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


def states() -> Iterator[State]:
    """What is in the index after each commit of `write_on`."""
    rng = random.Random(5)
    state: State = {STEP: 1}
    while True:
        for _ in range(3):
            path = f"{rng.randrange(9)}.py"
            if path in state and rng.random() < 0.3:
                del state[path]
            else:
                state[path] = rng.randrange(4)
        yield dict(state)


def write_on(folder: Path) -> None:
    """Commit without end, and merge now and then."""
    with Writer.create(folder, SETTINGS, "/src") as writer:
        held: State = {}
        for step, state in enumerate(states()):
            for path in held.keys() - state.keys():
                writer.remove(path)
            for path in state.keys() - held.keys() | {p for p in held if held[p] != state.get(p)}:
                if path in state:
                    writer.replace(*made(path, state[path]))
            writer.touch(STEP, 1, step)
            held = state
            writer.commit()
            if step % 3 == 2:
                writer.compact(whole=step % 2 == 0)


def test_a_kill_at_any_moment_leaves_a_committed_state(tmp_path: Path) -> None:
    rng = random.Random(0)
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", FORKING, str(folder)]
    found = set()
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(20):
            shutil.rmtree(folder, ignore_errors=True)
            print("go", file=child.stdin, flush=True)
            pid = int(child.stdout.readline())
            while not (folder / "manifest.json").exists():
                time.sleep(0.001)
            time.sleep(rng.random() * 0.2)
            os.kill(pid, signal.SIGKILL)
            assert child.stdout.readline() == "gone\n"
            index = Index.open(folder, model=SETTINGS.model)
            step = index.file(index.paths().index(STEP)).mtime_ns
            found.add(step)
            after = states()
            state = [next(after) for _ in range(step + 1)][-1]
            assert seen(index) == seen(fresh(tmp_path / "fresh", state))
            with Writer.open(folder, SETTINGS) as writer:
                assert writer.files.keys() == state.keys()
                writer.replace(*made("new.py", 1, snippets=1))
                writer.compact(whole=True)
            assert Index.open(folder, model=None).near("new.py", 1) is not None
            left = {path.name for path in folder.iterdir() if "segment" not in path.name}
            assert left == {"manifest.json", "writer.lock"}
            assert len(list(folder.glob("segment-*"))) == 1
        child.stdin.close()
    assert len(found) > 1


def test_readers_keep_what_they_opened_while_a_writer_merges(tmp_path: Path) -> None:
    done = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                index = Index.open(tmp_path, model=SETTINGS.model)
                first = seen(index)
                time.sleep(0.002)
                assert seen(index) == first
                assert {path for path, _ in first} >= {"kept.py"}
        except BaseException as error:
            faults.append(error)

    with Writer.create(tmp_path, SETTINGS) as writer:
        writer.replace(*made("kept.py", 1, snippets=3))
        writer.commit()
        old = Index.open(tmp_path, model=None)
        before = seen(old)
        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for i in range(40):
            writer.replace(*made(f"{i % 7}.py", i))
            writer.compact(whole=True)
        done.set()
        for reader in readers:
            reader.join()
    assert not faults
    assert seen(old) == before
    assert old.generation == 1


def test_a_segment_that_was_merged_away_meanwhile_is_looked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh(tmp_path, {"a.py": 1})
    name = "pipeline.codesearch.index.manifest_bytes"

    def slowly(folder: Path) -> bytes:
        monkeypatch.setattr(name, manifest_bytes)
        data = manifest_bytes(folder)
        with Writer.open(tmp_path, SETTINGS) as writer:
            writer.replace(*made("a.py", 2))
            writer.commit()
        assert len(list(tmp_path.glob("segment-*"))) == 1
        return data

    monkeypatch.setattr(name, slowly)
    assert Index.open(tmp_path, model=None).generation == 2


@pytest.mark.parametrize("part", [*PARTS, "manifest.json"])
@pytest.mark.parametrize("how", ["delete", "empty", "truncate", "lengthen", "flip"])
def test_damage_is_one_line_that_names_the_file_and_the_mend(
    tmp_path: Path, part: str, how: str
) -> None:
    fresh(tmp_path, {f"{i}.py": i for i in range(6)})
    path = next(tmp_path.rglob(part))
    data = path.read_bytes()
    rng = random.Random(part)
    if how == "delete":
        path.unlink()
    elif how != "flip":
        path.write_bytes({"empty": b"", "truncate": data[:-1], "lengthen": data + b"}"}[how])
    for _ in range(40 if how == "flip" else 1):
        if how == "flip":
            at = rng.randrange(len(data))
            bit = bytes([data[at] ^ 1 << rng.randrange(8)])
            path.write_bytes(data[:at] + bit + data[at + 1 :])
        with pytest.raises(CodeIndexError) as error:
            Index.open(tmp_path, model=SETTINGS.model)
        line = str(error.value)
        assert "\n" not in line
        assert "run `ltt-stream codesearch index" in line
        missing = (part, how) == ("manifest.json", "delete")
        assert str(tmp_path if missing else path) in line
        if not missing:
            with pytest.raises(CodeIndexError):
                Writer.open(tmp_path, SETTINGS)
    path.write_bytes(data)
    assert Index.open(tmp_path, model=SETTINGS.model).alive


def test_where_there_is_no_index_the_line_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        for attempt in (
            lambda folder: Index.open(folder, model=None),
            lambda folder: Writer.open(folder, SETTINGS),
        ):
            with pytest.raises(CodeIndexError, match=r"no index here; run `ltt-stream .* DIR`$"):
                attempt(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_another_schema_is_named_with_ours(tmp_path: Path) -> None:
    fresh(tmp_path, {"a.py": 1})
    path = tmp_path / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"code-index/1", b"code-index/2"))
    with pytest.raises(CodeIndexError) as error:
        Index.open(tmp_path, model=SETTINGS.model)
    assert "'ltt-stream/code-index/2'" in str(error.value)
    assert "'ltt-stream/code-index/1'" in str(error.value)


@pytest.mark.parametrize("limit", [0, 100, 200, 600, 1100, 2600])
def test_a_full_disk_leaves_the_old_index_and_what_is_pending(tmp_path: Path, limit: int) -> None:
    state = {f"{i}.py": i % 4 for i in range(30)}
    old = seen(fresh(tmp_path / "a", {"old.py": 1}))
    with Writer.open(tmp_path / "a", SETTINGS) as writer:
        for path, number in state.items():
            writer.replace(*made(path, number))
        writer.remove("old.py")
        pending = writer.pending
        # The kernel sends SIGXFSZ, which Python ignores, and then says EFBIG.
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError) as error:  # noqa: PT011
                writer.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert error.value.errno == errno.EFBIG
        assert str(tmp_path / "a") in str(error.value)
        assert len(list((tmp_path / "a").glob("segment-*"))) == 1
        assert seen(Index.open(tmp_path / "a", model=None)) == old
        assert writer.pending == pending
        writer.commit()
    assert seen(Index.open(tmp_path / "a", model=None)) == seen(fresh(tmp_path / "b", state))


def test_a_merging_that_finds_no_room_leaves_all_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, manifest: Manifest) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    with Writer.create(tmp_path, SETTINGS) as writer:
        for i in range(3):
            writer.replace(*made(f"{i}.py", i, snippets=2))
            writer.commit()
        before = seen(Index.open(tmp_path, model=None))
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.codesearch.writer.write_manifest", full)
            with pytest.raises(OSError, match="No space"):
                writer.compact(whole=True)
        assert seen(Index.open(tmp_path, model=None)) == before
        writer.compact(whole=True)
    index = Index.open(tmp_path, model=None)
    assert seen(index) == before
    assert len(list(tmp_path.glob("segment-*"))) == 1


def test_dead_rows_are_in_no_postings_and_score_nothing(tmp_path: Path) -> None:
    fresh(tmp_path, {f"{i}.py": i for i in range(9)})
    with Writer.open(tmp_path, SETTINGS) as writer:
        for i in range(2):
            writer.remove(f"{i}.py")
        writer.commit()
    index = Index.open(tmp_path, model=None)
    terms = [int(term) for term in VOCABULARY]
    assert index.size > index.alive
    assert index.dense(QUERY).shape == (index.size,)
    assert not index.bm25(terms)[~index.live].any()
    assert all(index.live[index.postings(term)[0]].all() for term in terms)
