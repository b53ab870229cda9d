"""Whatever the order of changes, an index answers as a fresh one of the same files does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codesearch import postings
from pipeline.codesearch.index import Index
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.tiers import MOST
from pipeline.codesearch.writer import Writer
from tests.pipeline.codesearch.made import SETTINGS, State, files, fresh, made, seen
from tests.support import ROOT

PATHS = st.sampled_from([f"{name}.py" for name in "abcdefgh"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), PATHS, st.integers(0, 3)),
        st.tuples(st.just("remove"), PATHS),
        st.tuples(st.just("touch"), PATHS, st.integers(0, 99)),
        st.tuples(st.sampled_from(["commit", "compact", "whole", "reopen", "again"])),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps=STEPS, piece=st.sampled_from([1, 3, postings.PIECE]))
def test_any_way_to_the_same_files_gives_the_same_scores(
    steps: list[tuple[object, ...]], piece: int
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "PIECE", piece)
        state: State = {}
        times: dict[str, int] = {}
        folder = Path(name) / "index"
        writer = Writer.create(folder, SETTINGS, "/src")
        for step in steps:
            writer = _do(writer, folder, step, state, times)
            assert writer.files.keys() == state.keys()
        writer.commit()
        assert writer.pending == 0
        known = dict(writer.files)
        writer.close()
        index = Index.open(folder, model=SETTINGS.model)
        other = fresh(Path(name) / "fresh", state)
        assert seen(index) == seen(other)
        assert (index.alive, index.file_count) == (other.alive, other.file_count)
        expected = {
            path: made(path, number).file._replace(mtime_ns=times.get(path, number * 10**9))
            for path, number in state.items()
        }
        assert known == expected
        assert files(index) == {path: expected[path] for path in files(other)}
        with Writer.open(folder, SETTINGS) as again:
            assert dict(again.files) == expected


def _do(
    writer: Writer, folder: Path, step: tuple[object, ...], state: State, times: dict[str, int]
) -> Writer:
    match step:
        case ("replace", str(path), int(number)):
            writer.replace(*made(path, number))
            state[path] = number
            times.pop(path, None)
        case ("remove", str(path)) if path in state:
            writer.remove(path)
            del state[path]
            times.pop(path, None)
        case ("touch", str(path), int(mtime_ns)) if path in state:
            writer.touch(path, 100 + state[path], mtime_ns)
            times[path] = mtime_ns
        case ("remove" | "touch", str(path), *_):
            with pytest.raises(KeyError):
                writer.remove(path)
        case ("commit",):
            writer.commit()
        case ("compact",):
            writer.compact()
        case ("whole",):
            writer.compact(whole=True)
        case ("reopen",):
            writer.commit()
            writer.close()
            return Writer.open(folder, SETTINGS)
        case ("again",):
            writer.commit()
            writer.close()
            state.clear()
            times.clear()
            return Writer.create(folder, SETTINGS, "/src")
    return writer


def test_segments_stay_few_and_what_is_dead_goes(tmp_path: Path) -> None:
    with Writer.create(tmp_path, SETTINGS) as writer:
        for i in range(60):
            for j in range(1 + i % 5):
                writer.replace(*made(f"{i}-{j}.py", 1))
            writer.compact()
            assert len(list(tmp_path.glob("segment-*"))) <= MOST
        before = Index.open(tmp_path, model=None)
        assert before.size == before.alive
        for path in [p for p in writer.files if p[0] in "123"]:
            writer.remove(path)
        writer.commit()
        writer.compact()
        after = Index.open(tmp_path, model=None)
        assert after.alive < before.alive
        assert after.size - after.alive <= 0.25 * after.size
        writer.compact(whole=True)
        assert len(list(tmp_path.glob("segment-*"))) == 1
        names = {path.name for path in tmp_path.iterdir()}
        writer.compact(whole=True)
        assert {path.name for path in tmp_path.iterdir()} == names


def test_a_new_index_replaces_the_old_one_at_its_first_commit(tmp_path: Path) -> None:
    old = seen(fresh(tmp_path, {"a.py": 1, "b.py": 2}))
    with Writer.create(tmp_path, SETTINGS) as writer:
        assert not writer.files
        writer.replace(*made("c.py", 3, snippets=2))
        assert seen(Index.open(tmp_path, model=None)) == old
    assert seen(Index.open(tmp_path, model=None)) == old
    with Writer.create(tmp_path, SETTINGS) as writer:
        writer.commit()
    index = Index.open(tmp_path, model=None)
    assert (index.size, index.generation) == (0, 2)
    assert not list(tmp_path.glob("segment-*"))


@pytest.mark.parametrize("spoil", [b"", b"{}", b"\xff", None], ids=str)
def test_a_damaged_index_can_be_made_anew(tmp_path: Path, spoil: bytes | None) -> None:
    fresh(tmp_path, {"a.py": 1, "b.py": 2})
    if spoil is None:
        shutil.rmtree(next(tmp_path.glob("segment-*")))
    else:
        (tmp_path / "manifest.json").write_bytes(spoil)
    with pytest.raises(CodeIndexError):
        Writer.open(tmp_path, SETTINGS)
    assert seen(fresh(tmp_path, {"a.py": 1})) == seen(fresh(tmp_path / "other", {"a.py": 1}))
    assert len(list(tmp_path.glob("segment-*"))) <= 1


def test_two_writers_exclude_each_other(tmp_path: Path) -> None:
    fresh(tmp_path, {"a.py": 1})
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.codesearch.writer import Writer\n"
        "from tests.pipeline.codesearch.made import SETTINGS\n"
        "with Writer.open(Path(sys.argv[1]), SETTINGS): print('held', flush=True); input()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        attempts: list[Callable[[], Writer]] = [
            lambda: Writer.open(tmp_path, SETTINGS),
            lambda: Writer.create(tmp_path, SETTINGS),
        ]
        for attempt in attempts:
            with pytest.raises(CodeIndexError, match=f"process {holder.pid} is writing"):
                attempt()
        assert Index.open(tmp_path, model=None).file_count == 1
        holder.communicate(b"\n")
    with Writer.open(tmp_path, SETTINGS), pytest.raises(CodeIndexError, match="is writing"):
        Writer.open(tmp_path, SETTINGS)
    Writer.open(tmp_path, SETTINGS).close()


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    part = made("a.py", 1, snippets=2)
    first, second = part.snippets
    with Writer.create(tmp_path, SETTINGS) as writer:
        for wrong in (
            part._replace(vectors=part.vectors[:1]),
            part._replace(vectors=part.vectors[:, :3]),
            part._replace(scales=part.scales.astype(np.float64)),
            part._replace(file=part.file._replace(digest=b"")),
            part._replace(snippets=[first, second._replace(digest=b"")]),
            part._replace(snippets=[first, second._replace(times=np.ones(99, np.uint8))]),
            part._replace(snippets=[first, second._replace(times=second.times.astype(int))]),
        ):
            with pytest.raises(ValueError, match=r"expected|digest|terms"):
                writer.replace(*wrong)
        assert not writer.files
        assert writer.pending == 0
