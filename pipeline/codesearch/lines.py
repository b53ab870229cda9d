"""The lines of indexed files as they are on the disk now."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from parsers.pieces import split_lines
from pipeline.codesearch.entries import Row
from pipeline.codesearch.reading import Source, read_source
from pipeline.codesearch.walk import Found


class Current(NamedTuple):
    """A file as it is now; without lines where it is gone or can no longer be read."""

    lines: list[str]
    digest: bytes


class CurrentLines:
    """Reads each file once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, Current] = {}

    def text(self, row: Row) -> str:
        """What stands where a snippet was."""
        return "\n".join(self._file(row).lines[row.start_line - 1 : row.end_line])

    def changed(self, row: Row, digest: bytes) -> bool:
        """Whether its file is another than when it was indexed, or gone."""
        return self._file(row).digest != digest

    def _file(self, row: Row) -> Current:
        if row.path not in self._files:
            source = read_source(self._root, Found(row.path, 0, 0, row.language))
            self._files[row.path] = (
                Current(split_lines(source.text), source.data_hash)
                if isinstance(source, Source)
                else Current([], b"")
            )
        return self._files[row.path]
