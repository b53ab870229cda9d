"""What the commands do, without their options and their words: index, update, open to search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from models.places import pretrained_path
from models.searching import SearchEngine
from pipeline.codesearch.entries import Settings
from pipeline.codesearch.index import Index
from pipeline.codesearch.indexing import Indexer, Progress, Report
from pipeline.codesearch.learnt import with_learnt
from pipeline.codesearch.lock import LOCK
from pipeline.codesearch.manifest import FRESH, MANIFEST, SEGMENT, read_manifest
from pipeline.codesearch.parts import BusyIndexError, CodeIndexError
from pipeline.codesearch.place import root_of, root_said
from pipeline.codesearch.search import Searcher
from pipeline.codesearch.walk import Walk
from pipeline.codesearch.writer import Writer

if TYPE_CHECKING:
    from pipeline.codesearch.learning import Outcome

_RETRY_S = 0.2


class Done(NamedTuple):
    """What an index has become."""

    report: Report
    files: int
    source_bytes: int
    engine: SearchEngine
    learnt: Outcome | None
    """None where it was not to learn."""
    replaced: str
    """Why an index that was there could not be gone on with; "" where it could, or none was."""


def load_engine(model: Path | None) -> SearchEngine:
    """The encoder. Raises models.errors.CheckpointError."""
    return SearchEngine.load(model or pretrained_path())


def make_index(
    root: Path,
    folder: Path,
    *,
    lines: int,
    overlap: int,
    model: Path | None,
    progress: Progress,
    learn: bool = False,
) -> Done:
    """Index a folder, going on with what is there if it was made alike.

    Raises CodeIndexError where another process writes, OSError.
    """
    engine = load_engine(model)
    settings = Settings(engine.version, engine.dim, lines, overlap)
    said, replaced = root_said(folder, root), ""
    writer = None
    if (folder / MANIFEST).exists():
        try:
            writer = Writer.open(folder, settings)
            if writer.root != said:
                replaced = f"{folder}: was the index of {writer.root or folder.resolve().parent}"
                writer.close()
                writer = None
        except BusyIndexError:
            raise
        except CodeIndexError as error:
            replaced = str(error).partition("; ")[0]
    with writer or Writer.create(folder, settings, said) as writer:
        _keep_out_of_git(folder)
        walk = Walk(root, leave_out=[folder])
        indexer = Indexer(writer, engine, walk, root, settings)
        indexer.all(progress)
        return _done(folder, root, writer, indexer, engine, learn=learn, replaced=replaced)


def update_index(
    folder: Path,
    paths: Sequence[str] = (),
    *,
    model: Path | None,
    progress: Progress,
    learn: bool = False,
    wait_s: float = 0.0,
    entered: Callable[[], None] = lambda: None,
) -> Done:
    """Bring an index up to date; all of it, or these files and folders, relative to the root.

    Raises CodeIndexError where there is none, where it is damaged or of another model, and where
    another process still writes after `wait_s`. entered: called before a file is looked at.
    """
    engine = load_engine(model)
    there = read_manifest(folder).settings
    settings = Settings(engine.version, engine.dim, there.lines, there.overlap)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            writer = Writer.open(folder, settings)
            break
        except BusyIndexError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_S)
    with writer:
        entered()
        root = root_of(folder, writer.root)
        if not root.is_dir():
            raise CodeIndexError(f"{root}: the indexed folder is gone; index where it is now")
        indexer = Indexer(writer, engine, Walk(root, leave_out=[folder]), root, settings)
        everything = not paths or "." in paths
        if everything:
            indexer.all(progress)
        else:
            indexer.some(paths)
        return _done(folder, root, writer, indexer, engine, learn=learn)


def open_searcher(folder: Path, *, model: Path | None) -> Searcher:
    """An index ready to be asked. Raises CodeIndexError, models.errors.CheckpointError."""
    engine = load_engine(model)
    index = Index.open(folder, model=engine.version)
    return Searcher(index, with_learnt(folder, engine), root_of(folder, index.root))


def _done(
    folder: Path,
    root: Path,
    writer: Writer,
    indexer: Indexer,
    engine: SearchEngine,
    *,
    learn: bool,
    replaced: str = "",
) -> Done:
    outcome = None
    if learn:
        from pipeline.codesearch import learning
        from pipeline.codesearch.lessons import gather

        lessons = gather(root, writer.files.values(), indexer.read, most=learning.MOST)
        outcome = learning.learn(folder, engine, lessons)
    sizes = [file.size for file in writer.files.values()]
    return Done(indexer.report, len(sizes), sum(sizes), engine, outcome, replaced)


def _keep_out_of_git(folder: Path) -> None:
    """An index is made, not written: git need not see it.

    Only where there is none yet and nothing else, but for what a killed writer has left.
    """
    if all(
        path.name in (LOCK, FRESH) or SEGMENT.fullmatch(path.name) for path in folder.iterdir()
    ):
        (folder / ".gitignore").write_text("*\n")
