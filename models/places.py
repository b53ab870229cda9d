"""Where a Raccoon checkpoint lies and what its parts are called; importable without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SCHEMA: Final = "ltt-stream/raccoon/2"
WEIGHTS: Final = "model.safetensors"
NAME: Final = "raccoon"
TABLE: Final = "encoder.ngrams"
"""(R, e) int8, the n-grams' vectors."""
SCALE: Final = "encoder.ngrams.scale"
"""(R, 1) bf16, what each row of the table is multiplied with."""


def pretrained_path() -> Path:
    """The checkpoint that ships with the package."""
    return Path(__file__).parent / "pretrained" / NAME


def checkpoint_in(path: Path) -> Path:
    """A folder that `train` has written is taken for the checkpoint in it."""
    inner = path / NAME
    outer = (path / "config.json").exists() or not (inner / "config.json").exists()
    return path if outer else inner


def version_of(path: Path, digest: str) -> str:
    """The name by which a checkpoint is told apart: its folder's and its weights' digest."""
    return f"{path.name}-{digest[:8]}"
