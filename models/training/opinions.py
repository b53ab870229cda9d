"""What a teacher made of each row of a corpus, on disk; no pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from models.errors import CorpusError
from models.raccoon import CLASSES

Opinions = npt.NDArray[np.float32]
"""(N, 8) log-likelihoods, up to a constant of each row."""


def save_opinions(path: Path, opinions: Opinions, texts: Sequence[str]) -> None:
    """Store them with what they are of; read back by `read_opinions`."""
    digest = np.frombuffer(_digest(texts), np.uint8)
    with path.open("wb") as file:
        np.savez(file, opinions=opinions.astype(np.float16), texts=digest)


def read_opinions(path: Path, texts: Sequence[str]) -> Opinions:
    """(N, 8) log-likelihoods of these texts; raises CorpusError where they are of others."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            opinions: Opinions = kept["opinions"].astype(np.float32)
            digest = kept["texts"].tobytes()
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise CorpusError(f"{path}: no opinions of a teacher: {error}") from error
    if digest != _digest(texts) or opinions.shape != (len(texts), CLASSES):
        raise CorpusError(f"{path}: made of another corpus; run the teacher again")
    return opinions


def _digest(texts: Sequence[str]) -> bytes:
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode("utf-8", "replace") + b"\0")
    return found.digest()
