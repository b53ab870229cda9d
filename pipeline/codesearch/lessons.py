"""What a repository's own docstrings teach: each asks for the function that it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple
from zlib import crc32

from models.training.harvest.docs import is_wanted, summary
from models.training.harvest.functions import LANGUAGES, functions
from models.training.harvest.trees import SourceFile
from pipeline.codesearch.entries import FileEntry
from pipeline.codesearch.reading import Source, read_source
from pipeline.codesearch.walk import Found

_HELD_OUT: Final = 4
"""One docstring of so many is never learnt from."""
_MOST_FILES: Final = 400
"""That are read of those that changed, and of the others."""


class Lesson(NamedTuple):
    path: str
    name: str
    doc: str
    code: str
    """Without the docstring."""

    @property
    def held_out(self) -> bool:
        """By its name: what is held out once is held out for ever."""
        return crc32(f"{self.path}\0{self.name}".encode("utf-8", "replace")) % _HELD_OUT == 0


class Lessons(NamedTuple):
    new: list[Lesson]
    replayed: list[Lesson]
    """Out of files that did not change, so that what they taught is not forgotten."""
    held_out: list[Lesson]


def gather(root: Path, files: Iterable[FileEntry], changed: set[str], *, most: int) -> Lessons:
    """At most `most` of each kind, drawn by the files' own digests: the same files, the same."""
    taught = [file for file in files if file.language in LANGUAGES]
    taught.sort(key=lambda file: file.digest)
    new, old = (
        [lesson for file in _drawn(some) for lesson in _of_file(root, file)]
        for some in (
            [file for file in taught if file.path in changed],
            [file for file in taught if file.path not in changed],
        )
    )
    kinds = (
        [lesson for lesson in new if not lesson.held_out],
        [lesson for lesson in old if not lesson.held_out],
        [lesson for lesson in (*old, *new) if lesson.held_out],
    )
    return Lessons(*(Random(0).sample(kind, min(most, len(kind))) for kind in kinds))


def _drawn(files: list[FileEntry]) -> list[FileEntry]:
    return Random(0).sample(files, min(_MOST_FILES, len(files)))


def _of_file(root: Path, file: FileEntry) -> Iterable[Lesson]:
    source = read_source(root, Found(file.path, 0, 0, file.language))
    if not isinstance(source, Source):
        return
    for function in functions(SourceFile(file.path, file.language, source.text)):
        doc = summary(function.doc, function.name, file.language)
        if is_wanted(doc):
            yield Lesson(file.path, function.name, doc, function.code)
