"""Solvers of ordinary differential equations dz/dt = f(z, t), and their paths between the steps.

One call for all methods, `solve_ode`; the stochastic equations are in models.sde. Autograd goes
through the steps, and everything computes in the dtype of where it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from models.dopri5 import Field, adaptive_path

Method = Literal["euler", "heun", "rk4", "dopri5"]
RTOL, ATOL = 1e-4, 1e-5
"""Of dopri5 for what a network computes in fp32: less would be lost in its rounding."""


class Solution(NamedTuple):
    path: Tensor  # (T, ..., D), z0 first
    evaluations: int
    """How often the drift was called."""


def solve_ode(
    drift: Field,
    z0: Tensor,
    times: Sequence[float],
    *,
    method: Method = "rk4",
    steps: int = 1,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> Solution:
    """The path at `times`, (len(times), ..., D), of what begins at times[0] in z0 (..., D).

    times rise or fall throughout. euler, heun and rk4 (order 1, 2 and 4; Hairer, Nørsett & Wanner
    1993, II.1) take `steps` equal steps from each time to the next. dopri5 chooses its own, so
    that the local error of each line stays below atol + rtol |z| (see models.dopri5).
    Raises ValueError for arguments that make no sense, ArithmeticError where dopri5 cannot go on.
    """
    if method not in get_args(Method):
        raise ValueError(f"method {method!r}: one of {', '.join(get_args(Method))}")
    if steps < 1:
        raise ValueError(f"steps {steps}: at least one")
    if not (rtol > 0 and atol > 0):
        raise ValueError(f"rtol {rtol}, atol {atol}: both must be above zero")
    times = _one_way(times)
    counted = _Counted(drift)
    if method == "dopri5":
        return Solution(adaptive_path(counted, z0, times, rtol, atol), counted.calls)
    advance, z, path = _FIXED[method], z0, [z0]
    for begin, end in pairwise(times):
        h = (end - begin) / steps
        for i in range(steps):
            z = advance(counted, z, begin + i * h, h)
        path.append(z)
    return Solution(torch.stack(path), counted.calls)


def interpolate(
    times: Sequence[float],
    path: Tensor,
    t: float | Sequence[float] | Tensor,
    slopes: Tensor | None = None,
) -> Tensor:
    """A path (S, ..., D), known at `times`, at any t between the first and the last of them.

    t is a number, which gives (..., D), or T of them, which give (T, ..., D). With the path's
    slopes dz/dt at `times`, of its shape, by cubic Hermite polynomials, whose error falls with
    the fourth power of the distance of the times; without them by lines, with the second.
    Differentiable in all three. Raises ValueError for a t outside.
    """
    times = _one_way(times)
    if len(times) < 2 or len(times) != len(path):
        raise ValueError(f"{len(times)} times, {len(path)} points: as many, and at least two")
    if slopes is not None and slopes.shape != path.shape:
        raise ValueError(f"slopes {tuple(slopes.shape)}: of the path's shape {tuple(path.shape)}")
    known = torch.tensor(times, dtype=torch.float64)
    asked = torch.as_tensor(t, dtype=torch.float64)
    along = (asked - known[0]) / (known[-1] - known[0])  # in [0, 1], whichever way times run
    if ((along < -1e-9) | (along > 1 + 1e-9)).any():
        raise ValueError(f"t outside of [{min(times):g}, {max(times):g}], where the path is known")
    shares = (known - known[0]) / (known[-1] - known[0])
    left = torch.searchsorted(shares, along.detach(), right=True) - 1
    left = left.clamp(0, len(times) - 2)
    width = known[left + 1] - known[left]
    shape = (*asked.shape, *[1] * (path.dim() - 1))
    s = ((asked - known[left]) / width).to(path.dtype).view(shape)
    begin, end = path[left], path[left + 1]  # (T, ..., D)
    if slopes is None:
        return begin + s * (end - begin)
    h = width.to(path.dtype).view(shape)
    ahead, back = h * slopes[left], h * slopes[left + 1]
    rest = 1 - s
    return rest**2 * ((1 + 2 * s) * begin + s * ahead) + s**2 * (
        (1 + 2 * rest) * end - rest * back
    )


class _Counted:
    """A drift that knows how often it was called."""

    def __init__(self, drift: Field) -> None:
        self._drift = drift
        self.calls = 0

    def __call__(self, z: Tensor, t: float) -> Tensor:
        self.calls += 1
        return self._drift(z, t)


def _one_way(times: Sequence[float]) -> list[float]:
    times = [float(t) for t in times]
    steps = [after - before for before, after in pairwise(times)]
    if not times or not (all(h > 0 for h in steps) or all(h < 0 for h in steps)):
        raise ValueError("times must rise from each to the next, or fall")
    return times


def _euler(drift: Field, z: Tensor, t: float, h: float) -> Tensor:
    return z + h * drift(z, t)


def _heun(drift: Field, z: Tensor, t: float, h: float) -> Tensor:
    """The explicit trapezoid rule."""
    first = drift(z, t)
    return z + h / 2 * (first + drift(z + h * first, t + h))


def _rk4(drift: Field, z: Tensor, t: float, h: float) -> Tensor:
    """Kutta's classical method."""
    k1 = drift(z, t)
    k2 = drift(z + h / 2 * k1, t + h / 2)
    k3 = drift(z + h / 2 * k2, t + h / 2)
    k4 = drift(z + h * k3, t + h)
    return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


_FIXED: dict[str, Callable[[Field, Tensor, float, float], Tensor]] = {
    "euler": _euler,
    "heun": _heun,
    "rk4": _rk4,
}
