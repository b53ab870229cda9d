"""The one writer of an index: what it is given becomes visible, all at once, with each commit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from models.folder import sync
from pipeline.codesearch.build import Pending, build_segment, check_pending, merge_segments
from pipeline.codesearch.entries import (
    DIM_MOST,
    FileEntry,
    Float32,
    Int8,
    Settings,
    SnippetEntry,
)
from pipeline.codesearch.lock import Lock
from pipeline.codesearch.manifest import (
    FRESH,
    SEGMENT,
    Manifest,
    SegmentEntry,
    check_settings,
    read_manifest,
    write_manifest,
)
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.segment import Segment
from pipeline.codesearch.tiers import choose


class Writer:
    """A context that holds the lock; what is not committed when it ends is lost.

    A kill or a power cut at any moment leaves the index of the last commit. After an OSError, of a
    full disk say, that index stands too and the writer still holds what is pending.
    """

    def __init__(self, folder: Path, lock: Lock, manifest: Manifest, *, fresh: bool) -> None:
        """See `create` and `open`."""
        self._folder = folder
        self._lock = lock
        self._manifest = manifest
        self._fresh = fresh
        self._number = manifest.next_segment
        self._segments = {
            entry.name: Segment.open(folder, entry, manifest.settings.dim)
            for entry in manifest.segments
        }
        self._files: dict[str, FileEntry] = {}
        self._where: dict[str, tuple[str, int]] = {}
        self._pending: dict[str, Pending] = {}
        self._dead: dict[str, set[int]] = {}
        self._touched: dict[str, dict[int, tuple[int, int]]] = {}
        self.files: Mapping[str, FileEntry] = MappingProxyType(self._files)
        """The live files by path, with what is not committed yet."""
        self.pending = 0
        """Snippets that are not committed: some 20,000 are a good commit."""
        for segment in self._segments.values():
            self._locate(segment)

    @classmethod
    def create(cls, folder: Path, settings: Settings, root: Path | str = "") -> Writer:
        """Start an empty index, in a new folder or in the place of another index.

        That one stands, whatever its state, until the first commit. Raises CodeIndexError where
        another process writes, OSError, and ValueError for a dimension out of range.
        """
        if not 1 <= settings.dim <= DIM_MOST:
            raise ValueError(f"dim {settings.dim}: from 1 to {DIM_MOST}")
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)
        lock = Lock(folder)
        try:
            names = [SEGMENT.fullmatch(path.name) for path in folder.iterdir()]
            taken = [int(name[1]) for name in names if name]
            generation, following = 0, 1 + max(taken, default=0)
            try:
                old = read_manifest(folder)
                generation, following = old.generation, max(following, old.next_segment)
            except CodeIndexError:
                pass  # there is none, or it is what this one is to replace
            manifest = Manifest(settings, os.fsencode(root), generation, following)
            return cls(folder, lock, manifest, fresh=True)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, folder: Path, settings: Settings) -> Writer:
        """Go on with an index, and clear away what a killed writer has left.

        Raises CodeIndexError where there is none, where it is damaged or made with other settings,
        and where another process writes.
        """
        read_manifest(folder)  # before there is a lock file where no index is
        lock = Lock(folder)
        try:
            manifest = read_manifest(folder)
            check_settings(folder, manifest.settings, settings)
            writer = cls(folder, lock, manifest, fresh=False)
            writer._sweep()
            return writer
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the next one write. What is pending is lost."""
        self._lock.release()

    @property
    def root(self) -> str:
        """What was indexed, as `create` was told."""
        return os.fsdecode(self._manifest.root)

    def replace(
        self, file: FileEntry, snippets: Sequence[SnippetEntry], vectors: Int8, scales: Float32
    ) -> None:
        """Put a file in, in the place of the one of that path if there is one.

        snippets: n, may be none. vectors: (n, D). scales: (n,). Raises ValueError for shapes,
        types and digests that are not as they must be.
        """
        pending = Pending(file, snippets, vectors, scales)
        check_pending(pending, self._dim)
        self._forget(file.path)
        self._files[file.path] = file
        self._pending[file.path] = pending
        self.pending += len(snippets)

    def remove(self, path: str) -> None:
        """Take a file out. Raises KeyError where there is none."""
        del self._files[path]
        self._forget(path)

    def touch(self, path: str, size: int, mtime_ns: int) -> None:
        """Note that a file's content is as it was. Raises KeyError where there is none."""
        entry = self._files[path] = self._files[path]._replace(size=size, mtime_ns=mtime_ns)
        if path in self._pending:
            self._pending[path] = self._pending[path]._replace(file=entry)
        else:
            name, number = self._where[path]
            self._touched.setdefault(name, {})[number] = size, mtime_ns

    def commit(self) -> None:
        """Make what came since the last one visible to readers that open now.

        Does nothing where nothing came, but in an index that `create` has made. Raises OSError.
        """
        if not (self._pending or self._dead or self._touched or self._fresh):
            return
        segments = {
            name: segment.amended(self._dead.get(name, set()), self._touched.get(name, {}))
            for name, segment in self._segments.items()
        }
        segments = {name: segment for name, segment in segments.items() if segment.live_files}
        made = None
        if self._pending:
            files = sorted(self._pending.values(), key=lambda p: os.fsencode(p.file.path))
            made = self._made(build_segment(self._folder, self._next(), files, self._dim))
            segments[made.entry.name] = made
        self._publish(segments)
        self._pending, self.pending, self._dead, self._touched = {}, 0, {}, {}
        if made:
            self._locate(made)
        self._sweep()

    def compact(self, *, whole: bool = False) -> None:
        """Commit, then merge segments that are small or of which much is dead; best after each.

        whole: all into one, the least disk and the fastest search. Needs room for what it merges
        until it has ended. Raises OSError; the commit may have been done then.
        """
        self.commit()
        chosen = choose(list(self._segments.values()), whole=whole)
        if not chosen:
            return
        made = self._made(merge_segments(self._folder, self._next(), chosen, self._dim))
        gone = {segment.entry.name for segment in chosen}
        segments = {name: s for name, s in self._segments.items() if name not in gone}
        segments[made.entry.name] = made
        self._publish(segments)
        self._locate(made)
        self._sweep()

    @property
    def _dim(self) -> int:
        return self._manifest.settings.dim

    def _next(self) -> str:
        # A number is used once, even if the commit fails: how far that got, one cannot be sure.
        self._number += 1
        return f"segment-{self._number - 1:06d}"

    def _made(self, entry: SegmentEntry) -> Segment:
        return Segment.open(self._folder, entry, self._dim)

    def _publish(self, segments: dict[str, Segment]) -> None:
        old = self._manifest
        manifest = Manifest(
            old.settings,
            old.root,
            old.generation + 1,
            self._number,
            tuple(segment.entry for segment in segments.values()),
        )
        write_manifest(self._folder, manifest)
        self._manifest, self._segments, self._fresh = manifest, segments, False

    def _locate(self, segment: Segment) -> None:
        for number, entry in segment.entries().items():
            self._files[entry.path] = entry
            self._where[entry.path] = segment.entry.name, number

    def _forget(self, path: str) -> None:
        pending = self._pending.pop(path, None)
        if pending:
            self.pending -= len(pending.snippets)
        elif path in self._where:
            name, number = self._where.pop(path)
            self._dead.setdefault(name, set()).add(number)

    def _sweep(self) -> None:
        """Remove the segments that the manifest does not name; readers keep what they have."""
        (self._folder / FRESH).unlink(missing_ok=True)
        for path in self._folder.iterdir():
            if SEGMENT.fullmatch(path.name) and path.name not in self._segments:
                shutil.rmtree(path, ignore_errors=True)
