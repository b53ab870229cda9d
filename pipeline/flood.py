"""A flood, from its first overload until all of it is worked off: what the loop does otherwise."""

from __future__ import annotations

from pipeline.batcher import FrameQueue
from pipeline.heap import give_back

FLOOD_LINES = 8192
"""Of a batch at most. What a batch takes while it is made is much of what a flood takes; a line
costs 4 % more than in one twice as large, and readers want no smaller ones."""
CALM_S = 2.0
"""How long no more than a batch has waited, when a flood is over."""


class Flood:
    """Keeps batches small while it lasts, and gives back afterwards what it took."""

    def __init__(self, queue: FrameQueue) -> None:
        self._queue = queue
        self._over_s: float | None = None
        """When it is over, if no more comes; None while there is none."""

    def batch_lines(self, most: int) -> int:
        """How many lines the next batch may have, where `most` are usual."""
        return most if self._over_s is None else min(most, FLOOD_LINES)

    def tick(self, now_s: float) -> None:
        """To be called after each batch. now_s: monotonic clock."""
        flooded = self._over_s is not None
        if self._queue.overloaded or (flooded and self._queue.lines > FLOOD_LINES):
            self._over_s = now_s + CALM_S
        elif self._over_s is not None and now_s >= self._over_s:
            self._over_s = None
            give_back()
