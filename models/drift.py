"""A learned drift on two time scales: dx/dt = f(x, y, t) and dy/dt = ε s(y, t), 0 < ε < 1.

A fast–slow system (Kuehn 2015, Multiple Time Scale Dynamics, ch. 1): the slow part y of z = (x, y)
is what a path is about, and moves the less the smaller ε; the fast part x is what happens along
it. The slow drives the fast and never the reverse, so that what is fast cannot wear y away.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_FIRST_RATE = 0.1


class TwoTimescaleDrift(nn.Module):
    """dz/dt at z (..., D) and t; the last `slow` dimensions are y, half of them unless told."""

    def __init__(self, dim: int, hidden: int, *, slow: int | None = None) -> None:
        super().__init__()
        self.slow_dim = dim // 2 if slow is None else slow
        if not 0 < self.slow_dim < dim:
            raise ValueError(f"{self.slow_dim} of {dim} dimensions slow: some must be, not all")
        self.fast = _net(dim, hidden, dim - self.slow_dim)
        self.slow = _net(self.slow_dim, hidden, self.slow_dim)
        first = math.log(_FIRST_RATE / (1 - _FIRST_RATE))
        self.rate_logit = nn.Parameter(torch.full((self.slow_dim,), first))

    @property
    def rate(self) -> Tensor:
        """ε of each slow dimension, (slow,)."""
        return torch.sigmoid(self.rate_logit)

    def forward(self, z: Tensor, t: Tensor | float) -> Tensor:
        """z (..., D), t a number or of a shape that goes with (..., 1) → (..., D)."""
        time = torch.as_tensor(t, dtype=z.dtype).expand(*z.shape[:-1], 1)
        y = z[..., -self.slow_dim :]
        fast = self.fast(torch.cat((z, time), dim=-1))  # (..., D - slow)
        slow = self.slow(torch.cat((y, time), dim=-1))  # (..., slow)
        return torch.cat((fast, self.rate * slow), dim=-1)


def _net(width: int, hidden: int, out: int) -> nn.Sequential:
    """Of so many numbers and the time."""
    return nn.Sequential(
        nn.Linear(width + 1, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, out),
    )
