"""What the judgement of a stream rests on, kept over a restart.

Without it a restarted program takes every template for new and knows no surprise of this stream.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.calibration import Calibration

if TYPE_CHECKING:
    from pipeline.process import Processor

FILE = "stream.npz"
SCHEMA = 1
SAVE_EVERY_S = 300.0


class StateError(Exception):
    """A state file that cannot be used; one line."""


def save_state(directory: Path, processor: Processor) -> None:
    """Write DIR/stream.npz, atomically; raises OSError where there is no room or no right."""
    scorer = processor.scorer
    if scorer is None:
        return
    ids, seen = scorer.remembered()
    apps, lines, once = scorer.novelty.counts()
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".{FILE}.new"
    with fresh.open("wb") as file:
        np.savez(
            file,
            schema=np.array(SCHEMA),
            template_id=ids,
            seen=seen,
            apps=np.array(apps, np.str_),
            lines=lines,
            once=once,
            window=scorer.calibration.window(),
            window_model=np.array(scorer.model_version),
            scored_lines=np.array(processor.scored_lines),
        )
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / FILE)


def load_state(directory: Path, processor: Processor) -> bool:
    """Take up what an earlier run kept; False where there is nothing.

    Raises StateError where the file is damaged or of another schema; nothing is changed then.
    """
    scorer = processor.scorer
    path = directory / FILE
    if scorer is None or not path.exists():
        return False
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            found = {name: kept[name] for name in kept.files}
        if int(found["schema"]) != SCHEMA:
            raise StateError(f"{path}: schema {found['schema']}, this program reads {SCHEMA}")
        counted = dict(zip(found["template_id"].tolist(), found["seen"].tolist(), strict=True))
        apps, lines, once = found["apps"].tolist(), found["lines"], found["once"]
        if not len(apps) == len(lines) == len(once):
            raise ValueError("columns of different lengths")
        window, model = found["window"].astype(np.float32), str(found["window_model"])
        scored_lines = int(found["scored_lines"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise StateError(f"{path}: cannot be read: {error}") from error
    scorer.remember(counted)
    scorer.novelty.restore(apps, lines, once)
    if model == scorer.model_version:  # another model's surprises are no measure for this one's
        scorer.calibration = Calibration(window)
    processor.scored_lines = scored_lines
    return True
