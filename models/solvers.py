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

from typing import Literal, NamedTuple, Sequence
Method = Literal["euler", "heun", "rk4", "dopri5"]
class Solution(NamedTuple):
    path: Tensor
    evaluations: int
def solve_ode(drift, z0, times, *, method="rk4", steps=1, rtol=1e-6, atol=1e-8):
    n=0; z=z0; out=[z0]
    for a,b in zip(times, times[1:]):
        h=(b-a)/steps
        for i in range(steps):
            t=a+i*h
            if method=="euler": z=z+h*drift(z,t); n+=1
            elif method=="heun":
                k=drift(z,t); k2=drift(z+h*k,t+h); z=z+h/2*(k+k2); n+=2
            else:
                k1=drift(z,t);k2=drift(z+h/2*k1,t+h/2);k3=drift(z+h/2*k2,t+h/2);k4=drift(z+h*k3,t+h); z=z+h/6*(k1+2*k2+2*k3+k4); n+=4
        out.append(z)
    return Solution(torch.stack(out), n)
def interpolate(times, path, t, slopes=None):
    times=torch.tensor(times,dtype=path.dtype); t=torch.tensor(t,dtype=path.dtype)
    i=(torch.searchsorted(times,t,right=True)-1).clamp(0,len(times)-2)
    w=((t-times[i])/(times[i+1]-times[i])).view(-1,*[1]*(path.dim()-1))
    return path[i]*(1-w)+path[i+1]*w
