"""Where the index of a folder is, and where the folder of an index is."""

from __future__ import annotations

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
    return "" if index.resolve().parent == root.resolve() else str(root.resolve())


def root_of(index: Path, said: str) -> Path:
    """The folder that an index is of."""
    return Path(said) if said else index.resolve().parent


def relative(path: Path, root: Path) -> str:
    """A path as the index knows it. Raises CodeIndexError for one outside of its folder."""
    try:
        # The file itself may be a link, or gone: its folder alone is resolved.
        return (
            (path.absolute().parent.resolve() / path.name).relative_to(root.resolve()).as_posix()
        )
    except ValueError:
        raise CodeIndexError(f"{path}: not in the indexed folder {root}") from None
