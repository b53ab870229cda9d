"""Solvers of stochastic differential equations dz = f(z, t) dt + g(z, t) dW with diagonal g (Itô).

Diagonal means that each dimension has a noise of its own and g_i depends on z through z_i alone.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from models.dopri5 import Field
from models.solvers import Solution

Method = Literal["euler_maruyama", "milstein"]


def solve_sde(
    drift: Field,
    diffusion: Field,
    z0: Tensor,
    *,
    steps: int,
    method: Method = "euler_maruyama",
    end: float = 1.0,
    dw: Tensor | None = None,
) -> Solution:
    """The path over [0, end] in equal steps, (steps + 1, *z0.shape), z0 first.

    Strong order ½ by euler_maruyama, 1 by milstein (Kloeden & Platen 1992, §10.2 and §10.3), and
    1 by both where g does not depend on z. `dw` holds the Brownian increments, (steps, *z0.shape),
    each of variance end / steps; without it the path is the noise-free one, Euler's of
    dz = f dt whatever the method, and `diffusion` is not called.
    """
    if method not in get_args(Method):
        raise ValueError(f"method {method!r}: one of {', '.join(get_args(Method))}")
    if steps < 1:
        raise ValueError(f"steps {steps}: at least one")
    if dw is not None and dw.shape != (steps, *z0.shape):
        raise ValueError(f"dw has shape {tuple(dw.shape)}, expected {(steps, *z0.shape)}")
    dt = end / steps
    path = [z0]
    for i in range(steps):
        z, t = path[-1], i * dt
        step = drift(z, t) * dt
        if dw is not None and method == "euler_maruyama":
            step = step + diffusion(z, t) * dw[i]
        elif dw is not None:
            g, slope = _with_slope(diffusion, z, t)
            step = step + g * dw[i] + 0.5 * g * slope * (dw[i].square() - dt)
        path.append(z + step)
    return Solution(torch.stack(path), steps)  # (S + 1, ..., D)


def brownian(
    like: Tensor, *, steps: int, end: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Independent increments of a Brownian motion over [0, end], (steps, *like.shape)."""
    shape = (steps, *like.shape)
    noise = torch.randn(shape, dtype=like.dtype, generator=generator)
    return noise * math.sqrt(end / steps)


def _with_slope(diffusion: Field, z: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """g and ∂g_i/∂z_i at z, (..., D) each; also where gradients are switched off."""
    keep = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        point = z if z.requires_grad else z.clone().detach().requires_grad_()
        g = diffusion(point, t)
        found = None
        if g.requires_grad:
            # g is diagonal: the gradient of the sum has nothing in it but ∂g_i/∂z_i.
            (found,) = torch.autograd.grad(g.sum(), point, create_graph=keep, allow_unused=True)
    slope = torch.zeros_like(z) if found is None else found
    return (g, slope) if keep else (g.detach(), slope)
