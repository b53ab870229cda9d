"""What an index holds and what of it is out of date; no model is loaded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from pipeline.codesearch.entries import FileEntry
from pipeline.codesearch.index import Index
from pipeline.codesearch.place import root_of
from pipeline.codesearch.reading import Source, read_source
from pipeline.codesearch.walk import Walk


class Status(msgspec.Struct, frozen=True):
    index: str
    root: str
    model: str
    generation: int
    segments: int
    files: int
    snippets: int
    bytes: int
    languages: dict[str, int]
    """Files of each, the most first."""
    new: int
    changed: int
    """Files whose size or time is another than when they were read."""
    gone: int

    def lines(self) -> list[tuple[str, str]]:
        """For people."""
        languages = ", ".join(f"{name} {n:,}" for name, n in self.languages.items())
        stale = self.new + self.changed + self.gone
        return [
            ("index", f"{self.index}, {self.bytes / 1e6:.1f} MB in {self.segments} segments"),
            ("folder", self.root),
            ("model", self.model),
            ("files", f"{self.files:,} ({languages})"),
            ("snippets", f"{self.snippets:,}"),
            (
                "since then",
                f"{self.new:,} files new, {self.changed:,} changed, {self.gone:,} gone: "
                "`ltt-stream codesearch update`"
                if stale
                else "nothing changed",
            ),
        ]


def read_status(folder: Path) -> Status:
    """Verify an index and compare it with its folder. Raises CodeIndexError."""
    index = Index.open(folder, model=None)
    root = root_of(folder, index.root)
    files = index.files()
    new, changed, seen = 0, 0, set()
    for found in Walk(root, leave_out=[folder]):
        old = files.get(found.path)
        if old is None:
            # What reads as generated or binary is found anew each time.
            new += isinstance(read_source(root, found), Source)
        else:
            seen.add(found.path)
            changed += _differs(old, found.size, found.mtime_ns)
    languages = Counter(file.language for file in files.values())
    return Status(
        str(folder),
        str(root),
        index.settings.model,
        index.generation,
        index.segments,
        len(files),
        index.alive,
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        dict(languages.most_common()),
        new,
        changed,
        len(files) - len(seen),
    )


def _differs(old: FileEntry, size: int, mtime_ns: int) -> bool:
    # 0: it was so new when it was read that it is to be read again; most often it is the same.
    return (old.size, old.mtime_ns or mtime_ns) != (size, mtime_ns)
