"""Which paths the rules of a tree leave out: .gitignore as git reads it, and .ignore above it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.codesearch.globs import expression
from pipeline.codesearch.regular import read_regular

_MOST_BYTES: Final = 1 << 20


class _Rule(NamedTuple):
    matches: re.Pattern[bytes]
    ignores: bool
    folders_only: bool


class _Rules:
    """The rules of one file, for all that is below the folder that it lies in."""

    def __init__(self, data: bytes, base: bytes) -> None:
        self._start = len(base.rstrip(b"/")) + 1
        self._rules = [
            rule
            for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
            for rule in _rule(line)
        ]
        self._rules.reverse()
        # Most paths match no rule at all, and one expression is asked faster than many.
        self._any = re.compile(
            b"|".join(rule.matches.pattern for rule in self._rules) or b"(?!)", re.DOTALL
        )

    def verdict(self, path: bytes, folder: bool) -> bool | None:
        """True: left out, False: kept by a rule that says so; the last one that matches counts."""
        inside = path[self._start :]
        if not self._any.fullmatch(inside):
            return None
        for rule in self._rules:
            if (folder or not rule.folders_only) and rule.matches.fullmatch(inside):
                return rule.ignores
        return None


class Ignored(NamedTuple):
    """The rules that are in force in a folder, those from deeper down first."""

    git: tuple[_Rules, ...] = ()
    own: tuple[_Rules, ...] = ()

    def verdict(self, path: bytes, folder: bool) -> tuple[bool, bool]:
        """Whether an absolute path is left out; whether a .ignore asks for it by a rule."""
        for rules in self.own:
            said = rules.verdict(path, folder)
            if said is not None:
                return said, not said
        for rules in self.git:
            said = rules.verdict(path, folder)
            if said is not None:
                return said, False
        return False, False

    def within(self, folder: bytes, has: Callable[[bytes], bool]) -> Ignored:
        """The rules in force inside a folder, of which `has` tells what lies in it."""
        found = self
        if has(b".git"):  # a repository of its own: what git thinks of it outside does not count
            found = found._replace(git=_read(_exclude(folder), folder))
        if has(b".gitignore"):
            found = found._replace(git=_read(folder + b"/.gitignore", folder) + found.git)
        if has(b".ignore"):
            found = found._replace(own=_read(folder + b"/.ignore", folder) + found.own)
        return found


def above(root: bytes) -> Ignored:
    """What the folders above the root say, up to the top of the repository that it lies in."""
    folders = [os.fsencode(folder) for folder in Path(os.fsdecode(root)).parents]
    tops = [n for n, folder in enumerate(folders) if os.path.lexists(folder + b"/.git")]
    found = Ignored()
    if not tops or os.path.lexists(root + b"/.git"):
        return found
    for folder in reversed(folders[: tops[0] + 1]):
        found = found.within(folder, _lies_in(folder))
    return found


def _lies_in(folder: bytes) -> Callable[[bytes], bool]:
    return lambda name: os.path.lexists(folder + b"/" + name)


def _read(path: bytes, base: bytes) -> tuple[_Rules, ...]:
    data = read_regular(path, _MOST_BYTES)
    return (_Rules(data, base),) if isinstance(data, bytes) else ()


def _exclude(folder: bytes) -> bytes:
    """The rules that are this clone's alone; a linked worktree has those of its main one."""
    git = Path(os.fsdecode(folder)) / ".git"
    link = read_regular(bytes(git), _MOST_BYTES)
    if isinstance(link, bytes) and link.startswith(b"gitdir:"):
        git = git.parent / os.fsdecode(link.removeprefix(b"gitdir:").strip())
        common = read_regular(bytes(git / "commondir"), _MOST_BYTES)
        if isinstance(common, bytes):
            git /= os.fsdecode(common.strip())
    return bytes(git / "info" / "exclude")


def _rule(line: bytes) -> list[_Rule]:
    line = _trimmed(line.removesuffix(b"\r").partition(b"\0")[0])
    if not line or line.startswith(b"#"):
        return []
    ignores = not line.startswith(b"!")
    pattern = line.removeprefix(b"!")
    folders_only = pattern.endswith(b"/")
    found = expression(pattern.removesuffix(b"/"))
    if found is None:
        return []
    return [_Rule(re.compile(found, re.DOTALL), ignores, folders_only)]


def _trimmed(line: bytes) -> bytes:
    """Without the spaces at its end, unless a backslash keeps them."""
    kept = len(line.rstrip(b" "))
    escapes = kept - len(line[:kept].rstrip(b"\\"))
    return line[: kept + (escapes % 2 and kept < len(line))]
