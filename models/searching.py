"""The border of code search: texts in, unit vectors out, from the same checkpoint as the logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.checkpoint import Checkpoint, load_checkpoint
from models.search import CODE, QUERY, Bags
from models.tokens import BagWord, bag, bags

_SLICE = 256
"""Texts taken together: they share the work for the words they share."""


class SearchEngine:
    """Questions and code as vectors whose dot product is their likeness; not thread-safe."""

    def __init__(self, checkpoint: Checkpoint, *, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self._encoder = checkpoint.model.encoder.eval()
        self._head = checkpoint.model.search.eval()
        self.version = checkpoint.version
        self.dim = 2 * checkpoint.model.architecture.ngram_width

    @classmethod
    def load(cls, path: Path, *, threads: int = 1) -> SearchEngine:
        """Load a checkpoint directory.

        Raises models.checkpoint.CheckpointError, one line, for one that cannot be used.
        """
        return cls(load_checkpoint(path), threads=threads)

    def queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Questions in plain words, (N, dim); a text without a word is all zeros."""
        return self._vectors(texts, QUERY)

    def codes(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Pieces of source code, (N, dim)."""
        return self._vectors(texts, CODE)

    def _vectors(self, texts: Sequence[str], side: int) -> npt.NDArray[np.float32]:
        result = np.zeros((len(texts), self.dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), _SLICE):
                found = [bag(text) for text in texts[start : start + _SLICE]]
                index: dict[str, int] = {}
                for words in found:
                    for word in words:
                        index.setdefault(word.word, len(index))
                if not index:
                    continue
                flat, offsets = (torch.tensor(numbers) for numbers in bags(list(index)))
                vectors = self._encoder.embed(flat, offsets)
                packed = _pack(found, index, flat[offsets])
                result[start : start + len(found)] = self._head(vectors, packed, side).numpy()
        return result


def _pack(found: list[list[BagWord]], index: dict[str, int], hashes: torch.Tensor) -> Bags:
    """Bags of words as tensors; hashes (V,) of the words in `index`."""
    place = torch.tensor([index[word.word] for words in found for word in words])
    ends = np.cumsum([0, *map(len, found)])
    return Bags(
        place,
        hashes[place],
        torch.tensor([float(word.times) for words in found for word in words]),
        torch.tensor([float(word.in_header) for words in found for word in words]),
        torch.from_numpy(ends[:-1]),
    )
