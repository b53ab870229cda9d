"""A new model takes over between two batches, and no line waits for it.

The new model is loaded in a thread. Then, a little between every two batches, the templates in the
table are encoded with it into columns of their own, those used last first, while the old one goes
on scoring. When all are done the columns change places. What comes in between is encoded by both.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.scorer import Scorer, softmax

if TYPE_CHECKING:
    from models.inference import Engine

SLICE = 32
"""Templates encoded before the clock is looked at again."""


class Swap:
    """One model on its way in."""

    def __init__(self, path: Path, scorer: Scorer) -> None:
        """path: of a checkpoint, read from now on."""
        self.path = path
        self.error: str | None = None
        """Why it cannot be used; nothing more comes of it then."""
        self._scorer = scorer
        self._engine: Engine | None = None
        self._thread = threading.Thread(target=self._load, name="swap", daemon=True)
        scorer.table.ready[:] = False
        self._thread.start()

    def advance(self, budget_s: float) -> bool:
        """Encode for so long; True where the scorer has the new model now."""
        engine = self._engine
        if engine is None:
            return False
        table = self._scorer.table
        until_s = time.perf_counter() + budget_s
        while True:
            waiting = np.flatnonzero(~table.ready[: table.size])
            if not len(waiting):
                break
            # The most recently used first; argpartition would not keep equal ones in order.
            newest = waiting[np.argsort(-table.last_used[waiting], kind="stable")]
            for start in range(0, len(newest), SLICE):
                rows = newest[start : start + SLICE]
                texts = [table.texts[i] for i in rows.tolist()]
                apps, canonical = zip(*texts, strict=True)
                scores = engine.encode(apps, canonical, table.facility[rows].tolist())
                table.next_latent[rows] = scores.latent
                table.next_surprise[rows] = scores.surprise
                table.next_likelihood[rows] = softmax(scores.log_likelihood)
                table.ready[rows] = True
                if time.perf_counter() >= until_s:
                    return False
        self._scorer.adopt(engine)
        return True

    def _load(self) -> None:
        from models.inference import Engine

        before = self._scorer.engine
        try:
            engine = Engine.load(self.path, dtype=before.dtype_asked, threads=before.threads)
            if engine.latent_dim != before.latent_dim:
                raise ValueError(f"latents of {engine.latent_dim}, in use {before.latent_dim}")
            self._engine = engine
        except Exception as error:  # whatever it is, the model in use goes on
            self.error = str(error).splitlines()[0] if str(error) else type(error).__name__
