"""What the index holds of a file and of a snippet, and what it was made with."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]
Uint8 = npt.NDArray[np.uint8]
Uint32 = npt.NDArray[np.uint32]
Uint64 = npt.NDArray[np.uint64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FILE_DIGEST, SNIPPET_DIGEST = 16, 8
"""Bytes of the digest of a file and of a snippet."""
DIM_MOST = 1024
"""Components of a vector up to which a product of int8 vectors is exact in float32."""


class FileEntry(NamedTuple):
    path: str
    """May hold surrogate escapes, as os.fsdecode makes them."""
    language: str
    size: int
    mtime_ns: int
    digest: bytes
    """16 bytes, of the content."""


class SnippetEntry(NamedTuple):
    start_line: int
    end_line: int
    symbol: str
    defines: tuple[str, ...]
    digest: bytes
    """8 bytes, of the text."""
    terms: Uint64  # (t,) distinct
    times: Uint8  # (t,)
    length: int
    """Terms that count for BM25."""


class Row(NamedTuple):
    """A snippet as it is found."""

    path: str
    language: str
    start_line: int
    end_line: int
    symbol: str
    defines: tuple[str, ...]
    digest: bytes


class Settings(msgspec.Struct, frozen=True):
    """What an index was made with; a writer with others cannot add to it."""

    model: str
    """Version of the encoder."""
    dim: int
    lines: int
    """Of a snippet."""
    overlap: int
    """Lines that a snippet shares with the next."""
