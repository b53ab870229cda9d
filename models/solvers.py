"""Solvers of stochastic differential equations dz = f(z, t) dt + g(z, t) dW with diagonal g."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor, float], Tensor]
"""(..., D), t → (..., D)."""


def euler_maruyama(
    drift: Field,
    diffusion: Field,
    z0: Tensor,
    *,
    steps: int,
    span: float = 1.0,
    dw: Tensor | None = None,
) -> Tensor:
    """Itô solution over [0, span] in equal steps; strong order ½ (Kloeden & Platen 1992, §10.2).

    `dw` holds the Brownian increments, (steps, *z0.shape), each of variance span / steps; without
    it the path is the noise-free one, Euler's of dz = f dt, and `diffusion` is not called.
    Returns the path, (steps + 1, *z0.shape), z0 first.
    """
    if steps < 1:
        raise ValueError(f"steps {steps}: at least one")
    if dw is not None and dw.shape != (steps, *z0.shape):
        raise ValueError(f"dw has shape {tuple(dw.shape)}, expected {(steps, *z0.shape)}")
    dt = span / steps
    path = [z0]
    for i in range(steps):
        z, t = path[-1], i * dt
        step = drift(z, t) * dt
        if dw is not None:
            step = step + diffusion(z, t) * dw[i]
        path.append(z + step)
    return torch.stack(path)  # (S + 1, ..., D)


def brownian(
    like: Tensor, *, steps: int, span: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Independent increments of a Brownian motion, (steps, *like.shape)."""
    shape = (steps, *like.shape)
    noise = torch.randn(shape, dtype=like.dtype, generator=generator)
    return noise * math.sqrt(span / steps)
