"""Bring an index up to date with its folder: only what changed is read, cut and encoded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from models.searching import SearchEngine
from pipeline.codesearch.digesting import Digested, digest_file, vectors_of
from pipeline.codesearch.entries import FileEntry, Settings
from pipeline.codesearch.reading import Source, read_source
from pipeline.codesearch.walk import Found, Walk
from pipeline.codesearch.writer import Writer

_TOGETHER: Final = 512
"""Snippets that are encoded together."""
_COMMIT: Final = 10_000
"""Snippets after which what is done is kept, and made whole in case of a kill."""
_SETTLED_S: Final = 2.0
"""A file that was written so lately may be written again within one tick of its clock."""

Progress = Callable[[int, int], None]
"""Called with the number of files looked at so far, and of all."""


@dataclass
class Report:
    """What an update has found and done, in files."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    snippets: int = 0
    """New ones."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Files and folders that are not read, by reason."""


class Indexer:
    """One update of one index."""

    def __init__(
        self, writer: Writer, engine: SearchEngine, walk: Walk, root: Path, settings: Settings
    ) -> None:
        self._writer = writer
        self._engine = engine
        self._walk = walk
        self._root = root
        self._settings = settings
        self._waiting: list[Digested] = []
        self._waiting_snippets = 0
        self.report = Report()
        self.read: set[str] = set()
        """Paths of the files that were added or changed."""

    def all(self, progress: Progress) -> Report:
        """Look at every file; what is gone or no longer wanted is taken out."""
        gone = set(self._writer.files)
        wanted = list(self._walk)
        for number, found in enumerate(wanted, 1):
            gone.discard(found.path)
            self._look_at(found)
            progress(number, len(wanted))
        for path in sorted(gone):
            self._remove(path)
        return self._finish()

    def some(self, paths: Sequence[str]) -> Report:
        """Look at these files, and below these folders, alone; relative to the root."""
        below = tuple(f"{path}/" for path in paths)
        wanted = [found for path in paths if (found := self._walk.wants(path))]
        if any((self._root / path).is_dir() for path in paths):
            wanted += [found for found in self._walk if found.path.startswith(below)]
        for found in wanted:
            self._look_at(found)
        present = {found.path for found in wanted}
        for path in sorted(self._writer.files):
            if path not in present and (path in paths or path.startswith(below)):
                self._remove(path)
        return self._finish()

    def _look_at(self, found: Found) -> None:
        report, old = self.report, self._writer.files.get(found.path)
        if old and (old.size, old.mtime_ns) == (found.size, found.mtime_ns):
            report.unchanged += 1
            return
        source = read_source(self._root, found)
        if not isinstance(source, Source):
            report.skipped[source.reason] += 1
            if old:
                self._remove(found.path)
            return
        # 0 is no file's time: one that may still change unseen is read again.
        settled = time.time() - source.mtime_ns / 1e9 > _SETTLED_S
        mtime_ns = source.mtime_ns if settled else 0
        if old and (old.digest, old.language) == (source.data_hash, found.language):
            report.unchanged += 1
            if (old.size, old.mtime_ns) != (source.size, mtime_ns):
                self._writer.touch(found.path, source.size, mtime_ns)
            return
        if old:
            report.changed += 1
        else:
            report.added += 1
        self.read.add(found.path)
        file = FileEntry(found.path, found.language, source.size, mtime_ns, source.data_hash)
        digested = digest_file(file, source.text, self._settings)
        report.snippets += len(digested.entries)
        self._waiting.append(digested)
        self._waiting_snippets += len(digested.entries)
        if self._waiting_snippets >= _TOGETHER:
            self._encode()

    def _remove(self, path: str) -> None:
        self._writer.remove(path)
        self.report.removed += 1

    def _encode(self) -> None:
        vectors, scales = vectors_of(
            self._engine, [text for digested in self._waiting for text in digested.texts]
        )
        begin = 0
        for digested in self._waiting:
            end = begin + len(digested.entries)
            self._writer.replace(
                digested.file, digested.entries, vectors[begin:end], scales[begin:end]
            )
            begin = end
        self._waiting, self._waiting_snippets = [], 0
        if self._writer.pending >= _COMMIT:
            self._writer.compact()

    def _finish(self) -> Report:
        self._encode()
        self._writer.compact()
        self.report.skipped.update(self._walk.skipped)
        return self.report
