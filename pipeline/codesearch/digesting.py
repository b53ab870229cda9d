"""A source file → what the index keeps of it: its snippets with their terms and vectors."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import numpy as np

from models.searching import Floats, SearchEngine
from parsers.code import Snippet, snippets
from pipeline.codesearch.entries import (
    SNIPPET_DIGEST,
    FileEntry,
    Float32,
    Int8,
    Settings,
    SnippetEntry,
)
from pipeline.codesearch.terms import hashed_name, hashes

_NAME_COUNTS: Final = 2
"""How often a name says itself once more where it is defined."""
_STEM_COUNTS: Final = 2
"""How often a file's name is said in each of its snippets."""
_FOLDERS: Final = 3
"""The folders above a file whose names are said in its snippets."""
_MOST_TIMES: Final = 255


class Digested(NamedTuple):
    """A file whose vectors are still to be computed."""

    file: FileEntry
    entries: list[SnippetEntry]
    texts: list[str]
    """What the encoder is given of each snippet."""


def digest_file(file: FileEntry, text: str, settings: Settings) -> Digested:
    """Cut a file into snippets and count their terms."""
    found = snippets(text, file.language, lines=settings.lines, overlap=settings.overlap)
    about = path_terms(file.path)
    return Digested(
        file,
        [entry_of(snippet, about) for snippet in found],
        [encoded_text(file.path, snippet.symbol, snippet.text) for snippet in found],
    )


def path_terms(path: str) -> list[int]:
    """What is said in each snippet of a file by where it lies."""
    pure = PurePosixPath(path)
    about = hashes(pure.stem) * _STEM_COUNTS
    for folder in pure.parts[:-1][-_FOLDERS:]:
        about += hashes(folder)
    return about


def encoded_text(path: str, symbol: str, text: str) -> str:
    """What the encoder is given: names stand before the first bracket, where it heeds them."""
    stem = PurePosixPath(path).stem
    return f"{stem} {symbol}(\n{text}" if symbol else f"{stem}\n{text}"


def quantised(vectors: Floats) -> tuple[Int8, Float32]:
    """Vectors (N, D) as int8 and a scale each, (N,); a vector of zeros has the scale 0."""
    scales: Float32 = np.abs(vectors).max(axis=1, initial=0).astype(np.float32) / 127  # (N,)
    integers = np.rint(vectors / np.maximum(scales, 1e-30)[:, None])
    return integers.astype(np.int8), scales


def vectors_of(engine: SearchEngine, texts: list[str]) -> tuple[Int8, Float32]:
    """The vectors of snippets, each the same whatever it is computed with."""
    return quantised(engine.codes(texts))


def entry_of(snippet: Snippet, about: list[int]) -> SnippetEntry:
    """A snippet with its terms; about: what its path says."""
    said = hashes(snippet.text)
    names = [word for name in snippet.defines for word in hashes(name)]
    counts = Counter(said)
    counts.update(names * _NAME_COUNTS)
    counts.update(about)
    length = len(said) + _NAME_COUNTS * len(names) + len(about)
    for name in snippet.defines:
        counts[hashed_name(name)] = 1
    return SnippetEntry(
        snippet.start_line,
        snippet.end_line,
        snippet.symbol,
        snippet.defines,
        blake2b(snippet.text.encode("utf-8", "replace"), digest_size=SNIPPET_DIGEST).digest(),
        np.fromiter(counts, np.uint64, len(counts)),
        np.minimum(np.fromiter(counts.values(), np.int64, len(counts)), _MOST_TIMES).astype(
            np.uint8
        ),
        length,
    )
