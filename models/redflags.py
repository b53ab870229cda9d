"""What goes wrong when a latent trajectory is trained, told from its losses and its samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

WINDOW = 200
"""Steps that are compared with as many before."""
ENTROPY_FLOOR = 1.5
"""Nats a token: a reconstruction that stays above has hardly begun."""
NORMAL = 4.0
"""Of the Epps–Pulley statistic, which is about 1 for a normal latent."""
MOVES = 1e-3
"""The ODE's error that is small enough to stand still."""


class RedFlags:
    """Watches the terms of the loss; says each thing once until it has passed."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._raised: set[str] = set()

    def saw(self, losses: Mapping[str, float]) -> list[str]:
        """A step's losses (reconstruction, epps-pulley, ode) → what is wrong now, in words."""
        for name, value in losses.items():
            self._recent.setdefault(name, deque(maxlen=2 * WINDOW)).append(value)
        found: dict[str, str] = {}
        before, now = self._halves("reconstruction")
        if now > ENTROPY_FLOOR and now > 0.99 * before:
            found["reconstruction"] = (
                f"reconstruction stands at {now:.2f} nats a token: raise the learning rate, or "
                "give the decoder more blocks"
            )
        before, now = self._halves("epps-pulley")
        if now > NORMAL and now > 1.2 * before:
            found["epps-pulley"] = (
                f"Epps–Pulley grows, {before:.1f} → {now:.1f}: the latent leaves N(0, I), and "
                "samples of the prior will miss it; raise its weight"
            )
        before, now = self._halves("ode")
        if now > MOVES and now > 0.99 * before and before > 0.05:
            found["ode"] = (
                f"the ODE's error is stuck at {now:.3f}: the drift can't follow the paths; raise "
                "its weight or widen the drift"
            )
        fresh = [text for name, text in found.items() if name not in self._raised]
        self._raised = set(found)
        return fresh

    def _halves(self, name: str) -> tuple[float, float]:
        """Means of the last WINDOW values and of those before; (inf, -inf) while there are few."""
        values = list(self._recent.get(name, ()))
        if len(values) < 2 * WINDOW:
            return float("inf"), float("-inf")
        return sum(values[:WINDOW]) / WINDOW, sum(values[WINDOW:]) / WINDOW


def identical(samples: Sequence[str]) -> str | None:
    """What is wrong where samples of independent starts are the same, or None."""
    if len(samples) < 4 or len(set(samples)) > len(samples) // 2:
        return None
    return (
        f"{len(samples)} samples of independent starts, {len(set(samples))} different: the "
        "decoder does not listen to the path; lower the weight of the ODE, or shorten the window"
    )
