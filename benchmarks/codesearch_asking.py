"""Questions to one system in a process of its own: how long each takes, and what came before.

Example: python -m benchmarks.codesearch_asking FTS5 TREE/.code_index questions.json

Rivals index the snippets of an index of ours; reading them from the disk is not timed.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.codesearch_rivals import asked_words, raw_words, ripgrep
from benchmarks.program import rss_mb
from pipeline.codesearch.actions import open_searcher
from pipeline.codesearch.index import Index
from pipeline.codesearch.lines import CurrentLines
from pipeline.codesearch.parts import folder_bytes
from pipeline.codesearch.place import root_of

_WARM: Final = 20
"""Questions that are put once more before the clock runs."""
_RIPGREP: Final = 50
"""Questions that ripgrep is given: it reads all files for each."""

Ask = Callable[[str], object]


class Asked(NamedTuple):
    """Seconds, and MB of 10⁶ bytes."""

    system: str
    snippets: int
    build_s: float | None
    """Until it can be asked, from snippets in memory; None where that is measured elsewhere."""
    index_mb: float
    questions: int
    p50_s: float
    p99_s: float
    rss_mb: float | None
    """When all is answered; None of a rival, which has been given the snippets in memory."""


def measure(system: str, folder: Path, questions: list[str]) -> Asked:
    index = Index.open(folder, model=None)
    root = root_of(folder, index.root)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        build_s: float | None = None
        ask: Ask
        if system == "ltt-stream":
            ask, size = open_searcher(folder, model=None).search, folder_bytes(folder)
        elif system == "ripgrep":
            questions, size = questions[:_RIPGREP], 0
            ask = _ripgrep(root)
        else:
            texts = _texts(index, root)
            began = time.perf_counter()
            ask = _BUILD[system](texts, scratch)
            build_s = time.perf_counter() - began
            size = folder_bytes(scratch)
        taken = _times(ask, questions)
        p50, p99 = np.quantile(taken, (0.5, 0.99)).tolist()
        rss = rss_mb(os.getpid()) if system == "ltt-stream" else None
        return Asked(system, index.alive, build_s, size / 1e6, len(questions), p50, p99, rss)


def _times(ask: Ask, questions: list[str]) -> list[float]:
    for words in questions[-_WARM:]:
        ask(words)
    taken = []
    for words in questions:
        began = time.perf_counter()
        ask(words)
        taken.append(time.perf_counter() - began)
    return taken


def _texts(index: Index, root: Path) -> list[str]:
    lines = CurrentLines(root)
    return [lines.text(row) for row in index.rows(np.flatnonzero(index.live).tolist())]


def _bm25s(texts: list[str], folder: Path) -> Ask:
    from bm25s import BM25

    index = BM25()
    index.index([raw_words(text) for text in texts], show_progress=False)
    index.save(folder)

    def ask(words: str) -> object:
        return index.retrieve([raw_words(words)], k=10, show_progress=False)

    return ask


def _fts5(texts: list[str], folder: Path) -> Ask:
    base = sqlite3.connect(folder / "fts5.sqlite")
    base.execute("CREATE VIRTUAL TABLE snippet USING fts5(text, tokenize = 'porter unicode61')")
    with base:
        base.executemany("INSERT INTO snippet VALUES (?)", ((text,) for text in texts))

    def ask(words: str) -> object:
        match = " OR ".join(f'"{word}"' for word in dict.fromkeys(raw_words(words)))
        return base.execute(
            "SELECT rowid FROM snippet WHERE snippet MATCH ? ORDER BY rank LIMIT 10", (match,)
        ).fetchall()

    return ask


def _ripgrep(root: Path) -> Ask:
    return lambda words: ripgrep(asked_words(words), root, ["."])


_BUILD: Final = {"bm25s": _bm25s, "SQLite FTS5": _fts5}


def main() -> None:
    system, folder, questions = sys.argv[1:]
    found = measure(system, Path(folder), json.loads(Path(questions).read_text()))
    print(json.dumps(found._asdict()))


if __name__ == "__main__":
    main()
