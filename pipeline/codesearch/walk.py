"""Which files of a folder are code to be found: asked of names and rules, not of contents.

A folder that is left out is not listed, a file is not opened unless its name leaves open what it
is, and nothing is followed that leads elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from parsers.languages import language_of, needs_head
from pipeline.codesearch.ignored import Ignored, above
from pipeline.codesearch.regular import Content, changed_ns, read_content
from pipeline.codesearch.unwanted import unwanted_folder, unwanted_name

MOST_BYTES: Final = 1_000_000
"""What is larger is data, whatever it is called."""

_HEAD_BYTES: Final = 256


class Found(NamedTuple):
    """A file that is code."""

    path: str
    """From the root, "/" between its parts; a byte that is not UTF-8 is a lone surrogate."""
    size: int
    mtime_ns: int
    """Or when its status changed, if that was later: so renamed, unpacked or copied files tell."""
    language: str


class _Folder(NamedTuple):
    """A folder that is gone into."""

    path: bytes
    """Absolute."""
    inside: bytes
    """From the root, with a slash at its end; the root's is empty."""
    ignored: Ignored
    has: Callable[[bytes], bool]


class Walk:
    """The code under a root, in the order of its paths; iterated anew it looks anew."""

    def __init__(
        self, root: Path, *, most_bytes: int = MOST_BYTES, leave_out: Collection[Path] = ()
    ) -> None:
        self._root = os.fsencode(root.resolve())
        self._most_bytes = most_bytes
        self._left_out = {os.fsencode(path.resolve()) for path in leave_out}
        self.skipped: Counter[str] = Counter()
        """Reason → files, or folders with all that is in them, since the last iteration began."""

    def __iter__(self) -> Iterator[Found]:
        self.skipped.clear()
        levels = [self._entries(self._root, b"", above(self._root))]
        while levels:
            found = next(levels[-1], None)
            if found is None:
                levels.pop()
            elif isinstance(found, Found):
                yield found
            else:
                try:
                    levels.append(self._entries(*found[:3]))
                except OSError:
                    self.skipped["unreadable"] += 1

    def wants(self, path: str) -> Found | None:
        """One file by its path from the root, by the same rules; None: left out, or not there."""
        *folders, name = path.encode("utf-8", "surrogateescape").split(b"/")
        if any(part in (b"", b".", b"..") for part in (*folders, name)):
            return None
        at = self._opened(self._root, b"", above(self._root), None)
        for part in folders:
            reason, _ = self._judge(at, part, _mode(at.path + b"/" + part))
            if reason:
                return None
            inside = at.inside + part + b"/"
            at = self._opened(at.path + b"/" + part, inside, at.ignored, None)
        mode = _mode(at.path + b"/" + name)
        if stat.S_ISDIR(mode):
            return None
        found = self._judge(at, name, mode)[1]
        return found if isinstance(found, Found) else None

    def _entries(self, path: bytes, inside: bytes, ignored: Ignored) -> Iterator[Found | _Folder]:
        """What is wanted of a folder's entries; lists the folder at once, and raises OSError."""
        with os.scandir(path) as entries:
            kinds = {entry.name: _kind(entry) for entry in entries}
        folder = self._opened(path, inside, ignored, kinds.__contains__)
        order = sorted(name + b"/" if stat.S_ISDIR(kind) else name for name, kind in kinds.items())
        return self._wanted(folder, order, kinds)

    def _wanted(
        self, folder: _Folder, order: list[bytes], kinds: dict[bytes, int]
    ) -> Iterator[Found | _Folder]:
        for name in order:
            name = name.rstrip(b"/")
            reason, found = self._judge(folder, name, kinds[name])
            if found is None:
                self.skipped[reason] += 1
            else:
                yield found

    def _opened(
        self,
        path: bytes,
        inside: bytes,
        ignored: Ignored,
        has: Callable[[bytes], bool] | None,
    ) -> _Folder:
        has = has or _lies_in(path)
        return _Folder(path, inside, ignored.within(path, has), has)

    def _judge(
        self, folder: _Folder, name: bytes, mode: int
    ) -> tuple[str, Found | _Folder | None]:
        """Why an entry is left out; else "" and what it is."""
        path = folder.path.rstrip(b"/") + b"/" + name
        is_folder = stat.S_ISDIR(mode)
        ignored, asked_for = folder.ignored.verdict(path, is_folder)
        if ignored:
            return "ignored", None
        if path in self._left_out:
            return "the index", None
        if name.startswith(b".") and (not asked_for or name == b".git"):
            return "hidden", None
        if stat.S_ISLNK(mode):
            return "symlink", None
        if is_folder:
            top = not folder.inside
            if not asked_for:
                reason = unwanted_folder(name, folder.has, _lies_in(path), top=top)
                if reason:
                    return reason, None
            return "", _Folder(path, folder.inside + name + b"/", folder.ignored, folder.has)
        if not stat.S_ISREG(mode):
            return ("not a regular file" if mode else "unreadable"), None
        return self._file(path, (folder.inside + name).decode("utf-8", "surrogateescape"))

    def _file(self, path: bytes, inside: str) -> tuple[str, Found | None]:
        language = language_of(inside)
        if not language and not needs_head(inside):
            return "not code", None
        reason = unwanted_name(inside)
        if reason:
            return reason, None
        try:
            found = os.lstat(path)
        except OSError:
            return "unreadable", None
        if not stat.S_ISREG(found.st_mode):
            return "not a regular file", None
        if not found.st_size:
            return "empty", None
        if found.st_size > self._most_bytes:
            return "too large", None
        if not language:
            head = read_content(path, 0, head=_HEAD_BYTES)
            if not isinstance(head, Content):
                return head.reason, None
            language = language_of(inside, head.data)
            if not language:
                return "not code", None
        return "", Found(inside, found.st_size, changed_ns(found), language)


def _lies_in(folder: bytes) -> Callable[[bytes], bool]:
    return lambda name: os.path.lexists(folder + b"/" + name)


def _kind(entry: os.DirEntry[bytes]) -> int:
    """What an entry is, as in a mode; 0 cannot be found out. Asks the folder, not the disk."""
    try:
        if entry.is_symlink():
            return stat.S_IFLNK
        if entry.is_dir(follow_symlinks=False):
            return stat.S_IFDIR
        return stat.S_IFREG if entry.is_file(follow_symlinks=False) else stat.S_IFIFO
    except OSError:
        return 0


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
