"""The models that the learner has published: each a checkpoint in a folder of its own.

    DIR/snapshots/history.jsonl        what became of each candidate, one row each
    DIR/snapshots/<digest>/raccoon/    a checkpoint
    DIR/snapshots/current              a symbolic link to the folder in use
    DIR/snapshots/lineage              names of folders: each was in use before the next one

A reader sees the old model or the new one, never a part: the folder is complete on the disk before
the link is exchanged. What stands after the current one in the lineage was rolled back from.
"""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from models.folder import sync

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint

FOLDER, CURRENT, HISTORY = "snapshots", "current", "history.jsonl"
LINEAGE = "lineage"
CHECKPOINT = "raccoon"
KEPT = 5
"""Snapshots kept beside the one in use."""
MOST_ROWS = 10_000
"""Rows of the history that are read."""
MOST_BYTES = 4 << 20
"""Of the history; the older half of a longer one goes."""

Action = Literal["published", "rejected", "failed", "rolled back"]


class Row(msgspec.Struct, omit_defaults=True):
    """What became of one candidate."""

    at: str
    """UTC, ISO 8601."""
    action: Action
    version: str
    """Of the model in use after it."""
    base: str = ""
    """The version that the learner began with."""
    why: str = ""
    updates: int = 0
    """Steps since the model before it."""
    held_out: int = 0
    """Templates that the gate measured on."""
    accuracy: float | None = None
    accuracy_before: float | None = None
    log_loss: float | None = None
    log_loss_before: float | None = None


class SnapshotError(OSError):
    """A snapshot that is not there; one line."""


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Snapshots:
    """The snapshots of one state directory."""

    def __init__(self, state_dir: Path, *, keep: int = KEPT) -> None:
        self.folder = state_dir / FOLDER
        self._keep = keep

    def current(self) -> Path | None:
        """The folder of the checkpoint in use; None where the learner has published none."""
        path = self.folder / CURRENT / CHECKPOINT
        return path.resolve() if (path / "config.json").exists() else None

    def current_of(self, base: str) -> Path | None:
        """As `current`, where that was learnt from the model of this version."""
        path = self.current()
        if path is None:
            return None
        version = f"{CHECKPOINT}-{path.parent.name}"
        of = [row.base for row in self.history() if row.version == version and row.base]
        return path if not of or of[-1] == base else None

    def publish(self, checkpoint: Checkpoint) -> tuple[str, Path]:
        """Store a checkpoint and make it current; its version and its folder.

        A folder of that version that is not whole is mended. Raises OSError where the disk takes
        it not; the one before then stays.
        """
        from models.checkpoint import load_checkpoint, save_checkpoint

        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".new.{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            save_checkpoint(fresh / CHECKPOINT, checkpoint)
            sync(fresh / CHECKPOINT)
            version = load_checkpoint(fresh / CHECKPOINT).version
            home = self.folder / version.rpartition("-")[2]
            if home.is_dir():
                _mend(home / CHECKPOINT, fresh / CHECKPOINT)
                shutil.rmtree(fresh)
                os.utime(home)
            else:
                home.unlink(missing_ok=True)
                fresh.rename(home)
            self._keep_lineage(home.name)
            self._point_to(home.name)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        self._prune(home.name)
        return version, home / CHECKPOINT

    def roll_back(self, version: str | None = None) -> Path:
        """Make an older snapshot current: of this version, else what was in use before this one.

        What was rolled back from is never gone to unasked. Raises SnapshotError where there is
        none, OSError.
        """
        before, kept = self._before(), self.kept()
        known = ", ".join(f"{CHECKPOINT}-{n}" for n in kept) or "none"
        if version is None:
            if not before:
                raise SnapshotError(
                    f"{self.folder}: no snapshot is older than the one in use; `--to VERSION` "
                    f"goes to any that is kept ({known}), `--to base` to the model that the "
                    "program starts with"
                )
            name = before[-1]
        else:
            name = version.rpartition("-")[2]
            if name not in kept:
                raise SnapshotError(f"{version}: no such snapshot here; kept are {known}")
            if name not in (*before, self._in_use()):
                self._keep_lineage(name)
        self._point_to(name)
        return self.folder / name / CHECKPOINT

    def forget_current(self) -> None:
        """Back to the model that the program starts with."""
        (self.folder / CURRENT).unlink(missing_ok=True)

    def kept(self) -> list[str]:
        """Names of the snapshots that are there, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [
            path
            for path in self.folder.iterdir()
            if not path.name.startswith(".") and not path.is_symlink() and path.is_dir()
        ]
        return [path.name for path in sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.name))]

    def record(self, row: Row) -> None:
        """Add a row to the history; raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / HISTORY).open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            whole = file.read() in (b"", b"\n")  # a kill may have cut the last one short
            file.write((b"" if whole else b"\n") + msgspec.json.encode(row) + b"\n")
        if size > MOST_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        """Keep the newer half of the history."""
        path = self.folder / HISTORY
        rows = path.read_bytes().splitlines(keepends=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(rows[len(rows) // 2 :]))
        fresh.replace(path)

    def history(self) -> list[Row]:
        """The rows, oldest first; what is no row (a line cut short by a kill) is passed over."""
        path = self.folder / HISTORY
        if not path.exists():
            return []
        rows = []
        for line in path.read_bytes().splitlines()[-MOST_ROWS:]:
            try:
                rows.append(msgspec.json.decode(line, type=Row))
            except msgspec.DecodeError:
                continue
        return rows

    def _in_use(self) -> str | None:
        """The name that the link holds, whether or not the folder is there."""
        try:
            return (self.folder / CURRENT).readlink().name
        except OSError:
            return None

    def _before(self) -> list[str]:
        """The snapshots that were in use before the current one, oldest first, as far as kept."""
        name = self._in_use()
        if name is None:
            return []
        kept = self.kept()
        try:
            lineage = (self.folder / LINEAGE).read_text(errors="replace").split()
        except OSError:
            lineage = []
        if name not in lineage:  # an older program has published: all that is known is the age
            lineage = kept
        end = lineage.index(name) if name in lineage else len(lineage)
        return [older for older in lineage[:end] if older in kept]

    def _keep_lineage(self, name: str) -> None:
        """Let this one come after the current one; what was rolled back from drops out."""
        current = self._in_use()
        lineage = [*self._before(), *([] if current is None else [current])]
        names = [*(older for older in lineage if older != name), name]
        fresh = self.folder / f".{LINEAGE}.{os.getpid()}"
        try:
            with fresh.open("w") as file:
                file.write("\n".join(names) + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.folder / LINEAGE)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def _point_to(self, name: str) -> None:
        fresh = self.folder / f".current.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(name)
        fresh.replace(self.folder / CURRENT)
        sync(self.folder)

    def _prune(self, current: str) -> None:
        before = self._before()
        kept = [name for name in self.kept() if name != current]
        kept.sort(key=before.__contains__)  # what was rolled back from goes first
        for name in kept[: max(0, len(kept) - self._keep)]:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for stray in self.folder.glob(".new.*"):
            if time.time() - stray.stat().st_mtime > 3600:  # another process may be writing it
                shutil.rmtree(stray, ignore_errors=True)


def _mend(home: Path, whole: Path) -> None:
    """Make a checkpoint what another one is, file by file, each exchanged at once.

    A folder cannot take the place of another without a moment at which there is none.
    """
    if not home.is_dir():
        home.unlink(missing_ok=True)
        whole.rename(home)
    else:
        # The weights first: a checkpoint without its config.json is none, and is not read.
        for file in sorted(whole.iterdir(), reverse=True):
            there = home / file.name
            if not there.is_file() or there.read_bytes() != file.read_bytes():
                file.replace(there)
        sync(home)
    sync(home.parent)
