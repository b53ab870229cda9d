"""What a stream teaches the dynamics of its hosts while it runs: small steps, bounded.

Only the read-out moves: with the state given, the likelihood of the next code is convex in it, so
that a few lines of each batch are enough, whatever came before. It is drawn back to what was
fitted, so that a stream cannot take it far. It moves between two batches only, and flagged lines
teach nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.host_dynamics import STRAY, Dynamics, Floats, bounded

MOST_LINES = 64
"""Of one batch that teach."""
STEPS = 4
"""Of one batch."""
RATE = 0.05
"""Of AdaGrad (Duchi et al. 2011)."""
PULL = 1e-3
"""Of the way back to what was fitted that each step goes."""


class _Example(NamedTuple):
    """m lines of one batch."""

    lines: npt.NDArray[np.intp]  # (m,) places in the batch
    state: Floats  # (m, S)
    code: npt.NDArray[np.int64]  # (m,)
    base: Floats  # (m, K)


class OnLine:
    """The read-out in use."""

    def __init__(self, dynamics: Dynamics) -> None:
        self._dynamics = dynamics
        self.out, self.out_bias = dynamics.out.copy(), dynamics.out_bias.copy()
        self._squares = np.full((len(self.out) + 1, dynamics.codes), 1e-2, np.float32)
        self._stride = 1
        self._examples: list[_Example] = []

    def begin(self, lines: int) -> None:
        """A batch of so many lines comes."""
        self._examples = []
        self._stride = -(-lines // MOST_LINES)

    def note(
        self,
        state: Floats,
        place_of: npt.NDArray[np.intp],
        order: npt.NDArray[np.intp],
        code: npt.NDArray[np.int64],
        host: npt.NDArray[np.intp],
        base: Floats,
        part: npt.NDArray[np.intp] | slice,
        batch: int,
    ) -> None:
        """Keep every so many-th line, as `pipeline.hosts` has it: sorted by host."""
        chosen = np.arange(self._stride // 2, len(order), self._stride)
        lines = order[chosen]
        lines = lines + part.start if isinstance(part, slice) else part[lines]
        self._examples.append(
            _Example(lines, state[place_of[chosen]], code[chosen], base[host[chosen]])
        )

    def learn(self, ordinary: npt.NDArray[np.bool_]) -> None:
        """A few steps up the likelihood of the lines kept that are ordinary, (N,) of the batch."""
        examples, self._examples = self._examples, []
        if not examples:
            return
        lines, state, code, base = (np.concatenate(part) for part in zip(*examples, strict=True))
        may = np.flatnonzero(ordinary[lines])
        if not len(may):
            return
        hidden = self._dynamics.hide(state[may])
        inputs = np.hstack([hidden, np.ones((len(may), 1), np.float32)])  # (m, H + 1)
        for _ in range(STEPS):
            self._step(inputs, code[may], base[may])

    def _step(self, inputs: Floats, code: npt.NDArray[np.int64], base: Floats) -> None:
        """inputs: (m, H + 1) the hidden layer and a 1."""
        ratios = inputs[:, :-1] @ self.out + self.out_bias
        error = base * np.exp(ratios)
        error /= error.sum(axis=1, keepdims=True)
        own = np.arange(len(code)), code
        ratio = (1 - STRAY) * error[own] / base[own]
        error[own] -= 1
        error *= (ratio / (STRAY + ratio))[:, None]  # what strays teaches the less
        gradient = inputs.T @ error / np.float32(len(code))
        self._squares += gradient**2
        step = np.float32(RATE) * gradient / np.sqrt(self._squares)
        out = self.out - step[:-1] - PULL * (self.out - self._dynamics.out)
        bias = self.out_bias - step[-1] - PULL * (self.out_bias - self._dynamics.out_bias)
        self.out, self.out_bias = bounded(out.astype(np.float32), bias.astype(np.float32))

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        return {"out": self.out, "out_bias": self.out_bias, "squares": self._squares}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Raises ValueError or KeyError where what was kept is not whole."""
        own = self.kept()
        found = {name: kept[name].astype(np.float32) for name in own}
        if any(found[name].shape != value.shape for name, value in own.items()):
            raise ValueError("a read-out of another shape")
        self.out, self.out_bias = found["out"].copy(), found["out_bias"].copy()
        self._squares = found["squares"].copy()
