"""What a process that died left behind: salvaged, set aside, or left to its living writer."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa

from pipeline.sinks import explained
from pipeline.sinks.finished import TEMPORARY, FileFormat, finish
from pipeline.sinks.openfile import HIDDEN, OPEN_SUFFIX, OpenFile
from pipeline.sinks.salvage import scan

DAMAGED_SUFFIX = ".damaged"


class Recovery(msgspec.Struct):
    """What `recover` found and did."""

    files: int = 0
    """Stream files taken over from dead writers."""
    batches: int = 0
    rows: int = 0
    """Batches and rows that were not in a finished file before."""
    lost_bytes: int = 0
    """After the last complete batch: the batch in flight when the writer died."""
    damaged: list[Path] = []
    """Files set aside with bytes that could not be read; what precedes the fault is salvaged."""
    waiting: int = 0
    """Files that are intact but could not be finished yet (no room): they stay as they are."""
    problem: str | None = None
    """Why, in one line."""


def recover(directory: Path, file_format: FileFormat = "arrow") -> Recovery:
    """Finish every stream file in `directory` whose writer is dead; safe to repeat and to race.

    Files of living writers are left alone. Never raises for what is in a file; OSError where the
    directory cannot be listed. A directory that does not exist is empty.
    """
    done = Recovery()
    for path in sorted(directory.glob(f"*{OPEN_SUFFIX}")):
        try:
            file = OpenFile.claim(path)
            if file is not None:
                _take_over(file, file_format, done)
        except (OSError, pa.ArrowException) as error:
            done.waiting += 1
            reason = explained(error, path) if isinstance(error, OSError) else error
            done.problem = f"cannot finish {path.name}: {reason}"
    for temporary in directory.glob(f"date=*/{HIDDEN}*{TEMPORARY}"):
        # A live temporary file has its stream file beside it until it has been renamed.
        name = Path(temporary.name.removesuffix(TEMPORARY)).stem
        if not (directory / f"{name}{OPEN_SUFFIX}").exists():
            temporary.unlink(missing_ok=True)
    return done


def _take_over(file: OpenFile, file_format: FileFormat, done: Recovery) -> None:
    try:
        contents = scan(file.path, check=True)
        if contents.batches:
            finish(file.path, contents, file_format)
        if contents.damaged:
            aside = file.path.with_suffix(DAMAGED_SUFFIX)
            file.path.rename(aside)
            done.damaged.append(aside)
        else:
            file.path.unlink(missing_ok=True)
        done.files += 1
        done.batches += contents.batches
        done.rows += contents.rows
        done.lost_bytes += file.size - contents.end
    finally:
        file.close()
