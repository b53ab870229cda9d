"""Scores to p-values against a sliding window of past scores (conformal, no torch)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Calibration:
    """How unusual a score is among those before it.

    p = (1 + #{past ≥ s}) / (n + 1) (Vovk et al. 2005): uniform or larger while scores are
    exchangeable; never below 1 / (n + 1). Seeded with a reference sample, which new scores
    displace one by one once the window is full. A score that is NaN gets p = 1.
    """

    def __init__(self, reference: npt.ArrayLike, *, window: int = 16384) -> None:
        if window < 1:
            raise ValueError(f"window {window}: at least one score")
        seed = _finite(reference)[-window:]
        self._window = np.empty(window, np.float32)
        self._window[: len(seed)] = seed
        self._size = len(seed)
        self._next = len(seed) % window
        self._sorted: Floats | None = None
        self._unsorted = 0

    def __len__(self) -> int:
        return self._size

    def window(self) -> Floats:
        """(n,) the scores in the window, oldest first: what a Calibration goes on from."""
        if self._size < len(self._window):
            return self._window[: self._size].copy()
        return np.roll(self._window, -self._next)

    def p_values(self, scores: npt.ArrayLike) -> Floats:
        """(N,) scores, higher is stranger → (N,) p-values in (0, 1]; the window stays as it is.

        The newest few scores (1/16 of the window at most) may not count yet: sorting the window
        for each batch would cost more than the batch.
        """
        asked = np.asarray(scores, np.float32)
        if self._sorted is None or self._unsorted * 16 > self._size:
            self._sorted = np.sort(self._window[: self._size])
            self._unsorted = 0
        below = np.searchsorted(self._sorted, asked, side="left")
        p = (1 + len(self._sorted) - below) / (len(self._sorted) + 1)
        return np.where(np.isnan(asked), 1.0, p).astype(np.float32)

    def update(self, scores: npt.ArrayLike) -> None:
        """Let scores, in the order they came, into the window; those not finite stay out."""
        new = _finite(scores)[-len(self._window) :]
        if not len(new):
            return
        places = (self._next + np.arange(len(new))) % len(self._window)
        self._window[places] = new
        self._next = int(places[-1] + 1) % len(self._window)
        self._size = min(self._size + len(new), len(self._window))
        self._unsorted += len(new)


def _finite(scores: npt.ArrayLike) -> Floats:
    flat = np.asarray(scores, np.float32).ravel()
    return flat[np.isfinite(flat)]
