"""What an index has taught its encoder: `learnt/`, beside the segments.

The logarithms by which words weigh more or less in questions than they were trained to. The
vectors of the index do not depend on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from models.errors import CheckpointError
from models.folder import read_folder, write_folder
from models.searching import Floats, SearchEngine
from pipeline.codesearch.parts import CodeIndexError

_FOLDER: Final = "learnt"
_SCHEMA: Final = "ltt-stream/search-head/1"
_WEIGHTS: Final = "weights.f32"


def with_learnt(folder: Path, engine: SearchEngine) -> SearchEngine:
    """The encoder with what this index has taught it. Raises CodeIndexError, as `read_learnt`."""
    change = read_learnt(folder, engine)
    return engine.tuned(change) if change.any() else engine


def read_learnt(folder: Path, engine: SearchEngine) -> Floats:
    """What was learnt, (B,); zeros where nothing was, or with another model.

    Raises CodeIndexError for weights that are damaged.
    """
    none = np.zeros_like(engine.word_weights)
    path = folder / _FOLDER
    if not path.exists():
        return none
    try:
        found = read_folder(path, _SCHEMA, _WEIGHTS)
    except CheckpointError as error:
        raise CodeIndexError(f"{error}; remove {path}, or `update --learn` again") from error
    if found.config.get("model") != engine.version or len(found.weights) != none.nbytes:
        return none
    return np.frombuffer(found.weights, np.float32)


def write_learnt(folder: Path, engine: SearchEngine, change: Floats) -> None:
    """Keep what was learnt, (B,). Raises OSError."""
    config = {"model": engine.version}
    write_folder(folder / _FOLDER, _SCHEMA, _WEIGHTS, change.tobytes(), config)
