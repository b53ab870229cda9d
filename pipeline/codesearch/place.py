"""Where the index of a folder is, and where the folder of an index is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pipeline.codesearch.parts import CodeIndexError

FOLDER: Final = ".code_index"


def find_index(start: Path) -> Path:
    """The index in a folder or in the nearest one above. Raises CodeIndexError where none is."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FOLDER / "manifest.json").exists():
            return folder / FOLDER
    raise CodeIndexError(
        f"no index in {start} nor above it; make one with `ltt-stream codesearch index DIR`"
    )


def root_said(index: Path, root: Path) -> str:
    """What an index is told of its folder: nothing when it lies in it, and can move with it."""
    folder, top = os.path.split(os.path.realpath(index))[0], os.path.realpath(root)
    return "" if folder == top else top


def root_of(index: Path, said: str) -> Path:
    """The folder that an index is of."""
    return Path(said) if said else index.resolve().parent


def spelled(path: str) -> str:
    """A path as text that can be written anywhere: bytes that are not UTF-8 as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def relative(path: Path, root: Path) -> str:
    """A path as the index knows it. Raises CodeIndexError for one outside of its folder."""
    folder, name = os.path.split(path.absolute())
    whole = Path(os.path.realpath(path))
    # The file itself may be a link, or gone: its folder alone is resolved.
    found = whole if name in ("", "..") else Path(os.path.realpath(folder), name)
    top = Path(os.path.realpath(root))
    for place in (found, whole):  # a link from elsewhere leads into the folder
        if place.is_relative_to(top):
            return place.relative_to(top).as_posix()
    raise CodeIndexError(f"{path}: not in the indexed folder {root}")
