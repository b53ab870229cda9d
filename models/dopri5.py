"""The Dormand–Prince method of order 5(4) with steps of its own choice (1980; J. Comput. Appl.
Math. 6), its step control and dense output as in Hairer, Nørsett & Wanner 1993, II.4–II.6.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Field = Callable[[Tensor, float], Tensor]
"""(..., D), t → (..., D)."""

_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""The last row is the step itself: its slope is the next step's first."""
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""Weights of order 5 less those of order 4."""
_DENSE = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0
_MEMORY = 0.04
"""β of the PI controller: the share that the error of the step before has."""


@dataclass(frozen=True)
class Step:
    """From z at t to `end` at t + h, with what an error estimate and dense output need."""

    begin: Tensor  # (..., D)
    end: Tensor  # (..., D)
    h: float
    slopes: tuple[Tensor, ...]  # seven of (..., D), the last one at the end

    def error(self, rtol: float, atol: float) -> float:
        """Of the line that does worst, in units of what is allowed."""
        with torch.no_grad():
            allowed = atol + rtol * torch.maximum(self.begin.abs(), self.end.abs())
            return _size(_weigh(_ERROR, self.slopes) * self.h / allowed)

    def at(self, s: float) -> Tensor:
        """The path at t + s h, 0 ≤ s ≤ 1, of order 4: no further call of the drift."""
        change = self.end - self.begin
        first = self.h * self.slopes[0] - change
        last = change - self.h * self.slopes[-1] - first
        bend = self.h * _weigh(_DENSE, self.slopes)
        return self.begin + s * (change + (1 - s) * (first + s * (last + (1 - s) * bend)))


def step(drift: Field, z: Tensor, t: float, h: float, first: Tensor) -> Step:
    """One step; `first` is the slope at its beginning. Six calls."""
    slopes = [first]
    end = z
    for node, row in zip(_NODES, _STAGES, strict=True):
        end = z + h * _weigh(row, slopes)
        slopes.append(drift(end, t + node * h))
    return Step(z, end, h, tuple(slopes))


def adaptive_path(
    drift: Field, z0: Tensor, times: Sequence[float], rtol: float, atol: float
) -> Tensor:
    """The path at `times`, (T, ..., D). Steps end at the last of them; others are read off the
    steps they fall into, so that their number costs no calls.

    Raises ArithmeticError where no step is short enough.
    """
    path, z, t = [z0], z0, times[0]
    if len(times) == 1:
        return torch.stack(path)
    end = times[-1]
    way = math.copysign(1.0, end - t)
    shortest = 16 * sys.float_info.epsilon * max(abs(t), abs(end))
    slope = drift(z, t)
    h = _first_step(drift, z, t, end, slope, rtol, atol)
    error_before, rejected = 1e-4, False
    while len(path) < len(times):
        if not abs(h) > shortest:  # nor is a NaN
            raise ArithmeticError(
                f"dopri5: the steps vanish at t = {t:g}: end before it, loosen rtol and atol,"
                " or make the drift finite and smooth there"
            )
        final = abs(h) >= abs(end - t) - shortest
        if final:
            h = end - t
        tried = step(drift, z, t, h, slope)
        error = tried.error(rtol, atol)
        if error <= 1:
            after = end if final else t + h
            while len(path) < len(times) and (after - times[len(path)]) * way >= 0:
                asked = times[len(path)]
                path.append(tried.end if asked == after else tried.at((asked - t) / h))
            z, t, slope = tried.end, after, tried.slopes[-1]
            # Just after a step that failed the next one is not made longer.
            h *= min(_factor(error, error_before), 1.0 if rejected else _GROW)
            error_before, rejected = max(error, 1e-4), False
        else:
            h *= min(_factor(error, 1.0), 1.0)
            rejected = True
    return torch.stack(path)


def _factor(error: float, before: float) -> float:
    """What the step is multiplied by (Gustafsson's PI controller; Hairer & Wanner 1996, IV.2)."""
    if not math.isfinite(error):
        return _SHRINK
    now = math.pow(max(error, 1e-10), 0.75 * _MEMORY - 1 / 5)
    return min(max(_SAFETY * now * math.pow(before, _MEMORY), _SHRINK), _GROW)


def _first_step(
    drift: Field, z: Tensor, t: float, end: float, slope: Tensor, rtol: float, atol: float
) -> float:
    """From the sizes of z and of its first two derivatives; one call (Hairer et al., II.4)."""
    span = abs(end - t)
    with torch.no_grad():
        allowed = atol + rtol * z.abs()
        size, speed = _size(z / allowed), _size(slope / allowed)
        guess = 1e-6 if size < 1e-5 or speed < 1e-5 else 0.01 * size / speed
        guess = math.copysign(min(guess, span), end - t)
        if not guess:  # an infinite slope
            return 0.0
        bend = _size((drift(z + guess * slope, t + guess) - slope) / allowed) / abs(guess)
    most = max(speed, bend)
    long = max(1e-6, 1e-3 * abs(guess)) if most <= 1e-15 else (0.01 / most) ** (1 / 5)
    return math.copysign(min(100 * abs(guess), long, span), end - t)


def _weigh(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Σ weights slopes; a weight of zero costs nothing."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = total + weight * slope
    return total


def _size(x: Tensor) -> float:
    """Root mean square over D, the largest of all lines': no line is paid for by the others."""
    return x.square().mean(-1).max().sqrt().item() if x.numel() else 0.0
