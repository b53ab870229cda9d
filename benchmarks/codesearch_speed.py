"""What code search takes on one core: indexing, a question, an update, and the memory of each.

Everything that is timed is a fresh process, pinned. Trees are copies of the first files that the
product finds in a folder: as many as are asked for, and as many as hold about so many snippets.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.codesearch_rivals import has_ripgrep
from benchmarks.codesearch_runs import Ended, run
from benchmarks.program import LTT_STREAM, cpu_name
from pipeline.codesearch.index import Index
from pipeline.codesearch.parts import folder_bytes
from pipeline.codesearch.walk import Walk

_CHANGED: Final = 10
_UPDATES: Final = 5
_COLD: Final = 10


class Built(NamedTuple):
    """An index that the command has made."""

    walked: int
    """Files that were given."""
    files: int
    """Those of them that are in the index: some turn out to be generated, or no text."""
    snippets: int
    source_mb: float
    seconds: float
    cpu_s: float
    files_per_s: float
    peak_mb: float
    index_mb: float
    share: float
    """Of the source's bytes."""


def copy_tree(source: Path, target: Path, most: int) -> int:
    """Copy the first files that an index of `source` would hold; their number."""
    count = 0
    for found in islice(Walk(source), most):
        path = target / found.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / found.path, path)
        count += 1
    return count


def build(tree: Path, folder: Path, core: int) -> Built:
    """Index a tree by the command."""
    ended = run([LTT_STREAM, "codesearch", "index", tree, "--output", folder], core)
    index = Index.open(folder, model=None)
    walked = sum(1 for _ in Walk(tree))
    source = sum(file.size for file in index.files().values())
    size = folder_bytes(folder)
    return Built(
        walked,
        index.file_count,
        index.alive,
        source / 1e6,
        ended.seconds,
        ended.cpu_s,
        index.file_count / ended.seconds,
        ended.peak_mb,
        size / 1e6,
        size / source,
    )


def files_of_snippets(folder: Path, snippets: int) -> int:
    """How many of an index's files, in the order of a walk, hold about so many snippets."""
    index = Index.open(folder, model=None)
    paths = index.paths()
    counts = np.bincount(index.file_of[index.live], minlength=len(paths))
    order = sorted(range(len(paths)), key=lambda number: os.fsencode(paths[number]))
    # The files of dead rows count 0: an index that was just made has none.
    return 1 + int(np.searchsorted(np.cumsum(counts[order]), snippets))


def ask(system: str, folder: Path, questions: Path, core: int) -> dict[str, Any]:
    """benchmarks/codesearch_asking.py in a process."""
    module: list[str | Path] = [sys.executable, "-m", "benchmarks.codesearch_asking"]
    found: dict[str, Any] = json.loads(run([*module, system, folder, questions], core).said)
    return found


def cold(folder: Path, questions: Sequence[str], core: int) -> list[Ended]:
    """Whole searches, from exec to the end."""
    command: list[str | Path] = [LTT_STREAM, "codesearch", "search", "--index", folder, "--"]
    return [run([*command, words], core) for words in questions[:_COLD]]


def updates(tree: Path, folder: Path, core: int) -> list[Ended]:
    """Whole updates, each after some files have got another function.

    Raises RuntimeError where one has not found them.
    """
    files = Index.open(folder, model=None).files().values()
    python = sorted(file.path for file in files if file.language == "python")
    ended = []
    for number in range(_UPDATES):
        chosen = np.random.default_rng(number).choice(len(python), _CHANGED, replace=False)
        for i in chosen:
            with (tree / python[i]).open("a") as file:
                file.write(f"\n\ndef added_{number}(value):\n    return value + {number}\n")
        ended.append(run([LTT_STREAM, "codesearch", "update", "--index", folder], core))
        if not re.search(rf"\b{_CHANGED} changed", ended[-1].said):
            raise RuntimeError(f"an update of {_CHANGED} files said: {ended[-1].said}")
    return ended


def measure(source: Path, files: int, snippets: int, questions: list[str]) -> dict[str, Any]:
    """All of it. Raises RuntimeError where a process fails or the folder has too few files."""
    core = max(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        many, some = scratch / "many", scratch / "some"
        if copy_tree(source, many, files) < _CHANGED:
            raise RuntimeError(
                f"{source}: fewer than {_CHANGED} source files; give another --tree"
            )
        built = [build(many, scratch / "many.index", core)]
        if built[0].snippets > snippets:
            copy_tree(many, some, files_of_snippets(scratch / "many.index", snippets))
            built.append(build(some, scratch / "some.index", core))
        updated = updates(many, scratch / "many.index", core)
        asked = scratch / ("some.index" if len(built) > 1 else "many.index")
        (scratch / "questions.json").write_text(json.dumps(questions))
        systems = ["ltt-stream", "bm25s", "SQLite FTS5", *(["ripgrep"] if has_ripgrep() else [])]
        searches = cold(asked, questions, core)
        return {
            "processor": cpu_name(),
            "tree": source.name,
            "built": [one._asdict() for one in built],
            "asked": [ask(system, asked, scratch / "questions.json", core) for system in systems],
            "cold": _figures(searches),
            "update": {**_figures(updated), "files": built[0].files, "changed": _CHANGED},
        }


def _figures(ended: Sequence[Ended]) -> dict[str, float]:
    return {
        "runs": len(ended),
        "median_s": statistics.median(one.seconds for one in ended),
        "worst_s": max(one.seconds for one in ended),
        "peak_mb": max(one.peak_mb for one in ended),
    }
