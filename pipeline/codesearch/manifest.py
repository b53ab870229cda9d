"""`manifest.json`: which segments are the index, and which of their files are dead.

It takes its place by a rename: a reader sees the old index or the new one.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import msgspec

from models.folder import sync
from pipeline.codesearch.entries import Settings
from pipeline.codesearch.parts import MEND, Check, CodeIndexError, Sink

SCHEMA = "ltt-stream/code-index/1"
"""Another one whenever files are cut, split into terms or encoded otherwise: rows of two ways
do not go into one index."""
MANIFEST = "manifest.json"
SEGMENT = re.compile(r"segment-(\d+)")
"""What a segment's folder is called."""
FRESH = f".{MANIFEST}.new"
"""What becomes the manifest by its renaming."""


class SegmentEntry(msgspec.Struct, frozen=True):
    name: str
    files: int
    """Dead ones included, as in `snippets`."""
    snippets: int
    parts: dict[str, Check]
    """Of each file in the segment's folder, by name."""
    dead: bytes = b""
    """Files that are no more: a bit each, the first the highest of its byte; none if empty."""
    touched: bytes = b""
    """Files whose content is as it was: (number, size, mtime_ns) each, as little-endian int64."""


class Manifest(msgspec.Struct, frozen=True):
    settings: Settings
    root: bytes
    """What was indexed, as the file system spells it; a hint, for it may have moved."""
    generation: int = 0
    next_segment: int = 1
    """Never lower than before: a reader of an older manifest must not find another's files."""
    segments: tuple[SegmentEntry, ...] = ()


class _File(msgspec.Struct):
    schema: str
    crc32: int
    """Of `body`."""
    body: msgspec.Raw


def manifest_bytes(folder: Path) -> bytes:
    """The file as it is. Raises CodeIndexError where there is none."""
    path = folder / MANIFEST
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CodeIndexError(
            f"{folder}: no index here; run `ltt-stream codesearch index DIR`"
        ) from error
    except OSError as error:
        raise CodeIndexError(f"{path}: {error.strerror}") from error


def parse_manifest(folder: Path, data: bytes) -> Manifest:
    """What the file says. Raises CodeIndexError for a damaged one and one of another schema."""
    path = folder / MANIFEST
    try:
        file = msgspec.json.decode(data, type=_File)
        if file.schema != SCHEMA:
            raise CodeIndexError(
                f"{path}: schema {file.schema!r}, this program reads {SCHEMA!r}; {MEND}"
            )
        if zlib.crc32(file.body) == file.crc32:
            return msgspec.json.decode(file.body, type=Manifest)
    except ValueError as error:  # msgspec's errors and those of UTF-8
        raise CodeIndexError(f"{path}: truncated or damaged; {MEND}") from error
    raise CodeIndexError(f"{path}: damaged (its CRC-32 is another); {MEND}")


def read_manifest(folder: Path) -> Manifest:
    """`parse_manifest` of `manifest_bytes`."""
    return parse_manifest(folder, manifest_bytes(folder))


def check_settings(folder: Path, found: Settings, wanted: Settings) -> None:
    """Raises CodeIndexError where an index was made with other settings than are wanted."""
    for name in Settings.__struct_fields__:
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            raise CodeIndexError(
                f"{folder}: the index was made with {name} {there!r}, this program has {here!r}; "
                "run `ltt-stream codesearch index DIR`"
            )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest: what it names must be on the disk. Raises OSError; the old stays."""
    body = msgspec.json.encode(manifest)
    file = _File(SCHEMA, zlib.crc32(body), msgspec.Raw(body))
    fresh = folder / FRESH
    try:
        with Sink(fresh) as sink:
            sink.write(msgspec.json.encode(file))
        fresh.replace(folder / MANIFEST)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync(folder)
