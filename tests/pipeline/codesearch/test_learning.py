"""What an update has learnt is kept only if search gets no worse by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.places import pretrained_path
from models.searching import SearchEngine
from pipeline.codesearch import learning
from pipeline.codesearch.actions import make_index, open_searcher, update_index
from pipeline.codesearch.entries import FileEntry
from pipeline.codesearch.learnt import read_learnt, with_learnt, write_learnt
from pipeline.codesearch.lessons import Lessons, gather
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.walk import Walk
from tests.support import ROOT

VERBS = [
    "open",
    "close",
    "read",
    "write",
    "parse",
    "send",
    "sort",
    "merge",
    "count",
    "split",
    "join",
    "check",
    "load",
    "save",
]
NOUNS = [
    "socket",
    "file",
    "header",
    "packet",
    "cookie",
    "session",
    "token",
    "record",
    "buffer",
    "index",
    "letter",
    "colour",
    "window",
    "cursor",
    "device",
]


@pytest.fixture(scope="module")
def engine() -> SearchEngine:
    return SearchEngine.load(pretrained_path())


@pytest.fixture
def lessons(tmp_path: Path) -> Lessons:
    """Of a module of 210 small functions, each documented."""
    (tmp_path / "src").mkdir()
    for noun in NOUNS:
        (tmp_path / "src" / f"{noun}s.py").write_text(
            "".join(
                f"def {verb}_{noun}(thing):\n"
                f'    """{verb.title()} the {noun} that is given, please."""\n'
                f"    state = thing.{noun}\n    return {verb}(state, thing)\n\n\n"
                for verb in VERBS
            )
        )
    return gather(tmp_path / "src", entries(tmp_path / "src"), {"sockets.py"}, most=512)


def entries(root: Path) -> list[FileEntry]:
    return [FileEntry(f.path, f.language, f.size, f.mtime_ns, b"") for f in Walk(root)]


def test_what_is_held_out_is_never_taught(lessons: Lessons) -> None:
    taught = {lesson.doc for lesson in (*lessons.new, *lessons.replayed)}
    held_out = {lesson.doc for lesson in lessons.held_out}
    assert taught.isdisjoint(held_out)
    assert len(taught | held_out) == len(VERBS) * len(NOUNS)
    assert {lesson.path for lesson in lessons.new} == {"sockets.py"}
    assert all(lesson.doc not in lesson.code for lesson in (*lessons.new, *lessons.held_out))


def test_what_helps_is_kept(lessons: Lessons, engine: SearchEngine, tmp_path: Path) -> None:
    outcome = learning.learn(tmp_path, engine, lessons)
    assert outcome.after >= outcome.before > 0
    assert outcome.kept
    assert read_learnt(tmp_path, engine).any()
    assert with_learnt(tmp_path, engine).word_weights.tolist() != engine.word_weights.tolist()


def test_what_hurts_is_not_kept(
    lessons: Lessons, engine: SearchEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = np.random.default_rng(0).normal(0, 4, engine.word_weights.shape).astype(np.float32)
    monkeypatch.setattr("models.search_tuning.tune", lambda *_: worse)
    outcome = learning.learn(tmp_path, engine, lessons)
    assert not outcome.kept
    assert outcome.after < outcome.before
    assert not list(tmp_path.glob("learnt*"))


def test_few_docstrings_teach_nothing(
    lessons: Lessons, engine: SearchEngine, tmp_path: Path
) -> None:
    outcome = learning.learn(tmp_path, engine, lessons._replace(held_out=lessons.held_out[:9]))
    assert not outcome.kept
    assert "too few" in str(outcome)


def test_another_models_lessons_are_passed_over(engine: SearchEngine, tmp_path: Path) -> None:
    other = SearchEngine(engine._weights, "other-12345678")
    write_learnt(tmp_path, other, np.ones_like(engine.word_weights))
    assert not read_learnt(tmp_path, engine).any()


def test_damaged_lessons_are_told_in_one_line_and_learnt_anew(
    lessons: Lessons, engine: SearchEngine, tmp_path: Path
) -> None:
    write_learnt(tmp_path, engine, np.ones_like(engine.word_weights))
    weights = tmp_path / "learnt" / "weights.f32"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(CodeIndexError, match=r"^[^\n]*weights\.f32: truncated[^\n]*$"):
        read_learnt(tmp_path, engine)
    assert learning.learn(tmp_path, engine, lessons).kept
    assert read_learnt(tmp_path, engine).any()


def test_an_index_learns_and_goes_on_learning(tmp_path: Path) -> None:
    """On a copy of this program's own sources."""
    root = tmp_path / "models"
    root.mkdir()
    for path in (ROOT / "models").glob("*.py"):
        (root / path.name).write_bytes(path.read_bytes())
    folder = root / ".code_index"

    def ignore(done: int, total: int) -> None:
        assert done <= total

    made = make_index(root, folder, lines=20, overlap=5, model=None, progress=ignore, learn=True)
    assert made.learnt is not None
    assert made.learnt.new > learning.FEWEST
    assert made.learnt.replayed == 0
    (root / "more.py").write_text(
        'def more(x):\n    """Give back more than came in."""\n    return [x, x]\n'
    )
    done = update_index(folder, model=None, progress=ignore, learn=True)
    assert done.learnt is not None
    assert done.learnt.new <= 1
    assert done.learnt.replayed >= learning.FEWEST
    searcher = open_searcher(folder, model=None)
    (first, *_) = searcher.search("give back more than came in").results
    assert (first.path, first.start_line) == ("more.py", 1)
