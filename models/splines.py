"""Monotone rational-quadratic splines with linear tails (Durkan et al. 2019, Neural Spline Flows).

Between knots the spline is a quotient of two quadratics (Gregory & Delbourgo 1982), with an
inverse in closed form; outside [−B, B] it is the identity, which it joins with slope 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LEAST_SIZE, LEAST_SLOPE = 1e-2, 1e-3
"""Of a bin, as a share of [−B, B], and of the spline at a knot: what keeps it invertible."""
_LIMIT = 1.5
"""Of what the numbers can say. Without it a network whose input is far away says bins so steep
that their inverse is lost in rounding, and gives a line any density it likes."""


class Splined(NamedTuple):
    value: Tensor  # (...)
    log_slope: Tensor  # (...) log of the derivative of this map


class Knots(NamedTuple):
    """Of one spline for each number; K bins."""

    x: Tensor  # (..., K + 1)
    y: Tensor  # (..., K + 1)
    slopes: Tensor  # (..., K + 1)


def knots(numbers: Tensor, bound: float) -> Knots:
    """Knots out of any numbers (..., 3K − 1): K widths, K heights, K − 1 slopes.

    All zero is the identity.
    """
    bins = (numbers.shape[-1] + 1) // 3
    numbers = numbers / (1 + numbers.abs() / _LIMIT)
    widths, heights, slopes = torch.split(numbers, [bins, bins, bins - 1], dim=-1)
    # Where softplus is 1 − least: the slope is 1 for a number of 0.
    at_one = math.log(math.expm1(1 - LEAST_SLOPE))
    inner = functional.softplus(slopes + at_one) + LEAST_SLOPE
    ends = functional.pad(inner, (1, 1), value=1.0)
    return Knots(_edges(widths, bound), _edges(heights, bound), ends)


def spline(x: Tensor, at: Knots, bound: float) -> Splined:
    """x (...) → y (...), Durkan et al., eqs. 4 and 5."""
    inside = x.clamp(-bound, bound)  # at the ends the slope is 1, and gradients are finite
    x0, y0, width, height, s, d0, d1 = _bin(inside, at.x, at)
    place = (inside - x0) / width  # (...) in [0, 1]
    rest = 1 - place
    both = place * rest
    below = s + (d1 + d0 - 2 * s) * both
    y = y0 + height * (s * place.square() + d0 * both) / below
    within, log_slope = inside == x, _log_slope(place, s, d0, d1)
    return Splined(torch.where(within, y, x), torch.where(within, log_slope, 0.0))


def inverse_spline(y: Tensor, at: Knots, bound: float) -> Splined:
    """y (...) → x (...), Durkan et al., eqs. 6 to 8."""
    inside = y.clamp(-bound, bound)
    x0, y0, width, height, s, d0, d1 = _bin(inside, at.y, at)
    up = inside - y0
    bend = up * (d1 + d0 - 2 * s)
    a, b, c = height * (s - d0) + bend, height * d0 - bend, -s * up
    # This form of the root loses nothing where a is near zero. What is below zero is rounding.
    root = (b.square() - 4 * a * c).clamp_min(0).sqrt()
    place = 2 * c / (-b - root)
    x = x0 + place * width
    within, log_slope = inside == y, _log_slope(place, s, d0, d1)
    return Splined(torch.where(within, x, y), torch.where(within, -log_slope, 0.0))


def _edges(sizes: Tensor, bound: float) -> Tensor:
    """(..., K) → (..., K + 1) from −bound to bound, the ends exact."""
    bins = sizes.shape[-1]
    # A softmax; what is small already need not be shifted first, which is most of its cost.
    weights = sizes.exp()
    shares = LEAST_SIZE + (1 - LEAST_SIZE * bins) * (weights / weights.sum(-1, keepdim=True))
    inner = 2 * bound * shares[..., :-1].cumsum(-1) - bound
    return functional.pad(functional.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


def _bin(value: Tensor, edges: Tensor, at: Knots) -> tuple[Tensor, ...]:
    """Begin in x and y, width, height, its mean slope and those at its ends, (...) each."""
    which = (value.unsqueeze(-1) >= edges[..., 1:-1]).sum(-1, keepdim=True)  # (..., 1) in 0 … K−1
    ends = [(part.gather(-1, which), part.gather(-1, which + 1)) for part in at]
    (x0, x1), (y0, y1), (d0, d1) = ((a.squeeze(-1), b.squeeze(-1)) for a, b in ends)
    width, height = x1 - x0, y1 - y0
    return x0, y0, width, height, height / width, d0, d1


def _log_slope(place: Tensor, s: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    """Of the map x → y."""
    rest = 1 - place
    both = place * rest
    above = d1 * place.square() + 2 * s * both + d0 * rest.square()
    below = s + (d1 + d0 - 2 * s) * both
    return 2 * s.log() + above.log() - 2 * below.log()
