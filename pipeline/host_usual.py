"""How usual a trajectory surprise is for its source: a p-value for those far out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import uniforms
from models.host_dynamics import Floats

MAX_SOURCES = 32
"""Sources told apart; all further ones share one histogram."""
LOWEST, STEP, BINS = -8.0, 0.125, 256
"""Of the histogram, nats."""
TAIL = 0.02
"""Only such a share of the lines, the most surprising ones, is given a p-value below 1."""
HALF_LIFE_LINES = 200_000.0
LEAST_NATS = 2.0
"""What is not seven times as unlikely as at other times is nothing to tell a person."""


class Usual:
    """A fading histogram for each source."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.weights = np.zeros((0, BINS))
        """(C, BINS) as of the last time that it was brought up to date."""
        self.pending = np.zeros((0, BINS))
        """What came since."""
        self._rank()

    def sources(self, senders: Sequence[tuple[str, int]]) -> npt.NDArray[np.int64]:
        """(N,) which source each line is of."""
        found = [self._source(name) for name, _ in senders]
        return np.repeat(np.array(found, np.int64), [n for _, n in senders])

    def observe(self, source: npt.NDArray[np.int64], nats: Floats, position: int) -> Floats:
        """(N,) p-values by the lines before the last update, then count the lines.

        A source's first lines have no past and are no news. What the fit has seen is none either:
        of a stream that is unlike it all lines would be anomalies. position: number of the first
        line in the stream: ties are broken by it.
        """
        place = bins(nats)
        flat = source * BINS + place
        self.pending += np.bincount(flat, minlength=self.pending.size).reshape(-1, BINS)
        p = np.ones(len(nats), np.float32)
        far = np.flatnonzero(place >= self._tail[source])
        if len(far):
            at = flat[far]
            uniform = uniforms(position, len(nats), self._seed)[far]
            equal = self.weights.ravel()[at] + 1
            total = self.weights.sum(axis=1)[source[far]] + 1
            p[far] = (self._above.ravel()[at] + uniform * equal) / total
        return p

    def bring_up_to_date(self) -> None:
        """Let the lines since the last time count."""
        came = self.pending.sum(axis=1, keepdims=True)
        self.weights = self.weights * 0.5 ** (came / HALF_LIFE_LINES) + self.pending
        self.pending[:] = 0
        self._rank()

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        names = np.frombuffer("\0".join(self.names).encode(), np.uint8)
        return {"names": names, "weights": self.weights, "pending": self.pending}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Raises ValueError or KeyError where what was kept is not whole."""
        text = kept["names"].tobytes().decode()
        names = text.split("\0") if len(kept["weights"]) else []
        if not kept["weights"].shape == kept["pending"].shape == (len(names), BINS):
            raise ValueError("a histogram of another shape")
        self.names = names
        self.weights = kept["weights"].astype(np.float64)
        self.pending = kept["pending"].astype(np.float64)
        self._rank()

    _seed = zlib.crc32(b"trajectory") << 32

    def _source(self, name: str) -> int:
        if name not in self.names:
            if len(self.names) > MAX_SOURCES:
                return MAX_SOURCES
            self.names.append(name)
            self.weights = np.vstack([self.weights, np.zeros(BINS)])
            self.pending = np.vstack([self.pending, np.zeros(BINS)])
            self._rank()
        return self.names.index(name)

    def _rank(self) -> None:
        down = np.cumsum(self.weights[:, ::-1], axis=1)[:, ::-1]
        self._above = down - self.weights  # (C, BINS) weight farther out than each bin
        total = down[:, :1] if len(down) else np.zeros((0, 1))
        far = (self._above > TAIL * total).sum(axis=1)
        least = int((LEAST_NATS - LOWEST) / STEP)
        nowhere = np.where(total[:, 0] > 0, least, BINS)
        self._tail = np.maximum(far, nowhere)  # (C,) first bin of the tail


def bins(nats: Floats) -> npt.NDArray[np.int64]:
    """(N,) → (N,) places in the histogram; the last one is for all beyond it."""
    place = (nats - np.float32(LOWEST)) * np.float32(1 / STEP)
    found: npt.NDArray[np.int64] = np.clip(place, 0, BINS - 1).astype(np.int64)
    return found
