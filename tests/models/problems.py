"""Equations whose solutions are known, for the laws of their solvers; all in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.dopri5 import Field


@dataclass(frozen=True)
class Ordinary:
    """dz/dt = drift(z, t), z(0) = z0 (B, D) and what it is at any t."""

    drift: Field
    z0: Tensor
    exact: Callable[[float], Tensor]


def _seasons() -> Ordinary:
    z0 = torch.tensor([[0.5, -1.0], [2.0, 1.5]], dtype=torch.float64)
    return Ordinary(
        lambda z, t: z * math.cos(3 * t), z0, lambda t: z0 * math.exp(math.sin(3 * t) / 3)
    )


def _pulses() -> Ordinary:
    """Not linear, and rough enough that no error term but the leading one shows."""
    z0 = torch.tensor([[0.2, 0.9], [1.5, 0.4]], dtype=torch.float64)
    return Ordinary(
        lambda z, t: z.square() * math.sin(8 * t),
        z0,
        lambda t: 1 / (1 / z0 - (1 - math.cos(8 * t)) / 8),
    )


def _pendulum() -> Ordinary:
    """A spring that is pulled: z'' = −z + sin 2t, its first dimension the place."""

    def drift(z: Tensor, t: float) -> Tensor:
        place, speed = z.unbind(-1)
        return torch.stack((speed, -place + math.sin(2 * t)), dim=-1)

    def exact(t: float) -> Tensor:
        # z = cos t + ⅔ sin t − ⅓ sin 2t has z(0) = 1, z'(0) = 0
        place = math.cos(t) + 2 / 3 * math.sin(t) - math.sin(2 * t) / 3
        speed = -math.sin(t) + 2 / 3 * math.cos(t) - 2 / 3 * math.cos(2 * t)
        return torch.tensor([[place, speed]], dtype=torch.float64)

    return Ordinary(drift, torch.tensor([[1.0, 0.0]], dtype=torch.float64), exact)


ORDINARY = {"seasons": _seasons(), "pulses": _pulses(), "pendulum": _pendulum()}


@dataclass(frozen=True)
class Stochastic:
    """dz = drift dt + diffusion dW; at t = 1 it is exact(dw) for increments (S, B, D)."""

    drift: Field
    diffusion: Field
    z0: Tensor
    exact: Callable[[Tensor], Tensor]


def geometric(paths: int, mu: float = 0.5, sigma: float = 1.0) -> Stochastic:
    """Geometric Brownian motion: z = z0 exp((μ − σ²/2) t + σ W), Kloeden & Platen 1992, 4.4."""
    z0 = torch.ones(paths, 1, dtype=torch.float64)
    return Stochastic(
        lambda z, t: mu * z,
        lambda z, t: sigma * z,
        z0,
        lambda dw: z0 * torch.exp((mu - 0.5 * sigma**2) + sigma * dw.sum(0)),
    )


def ornstein_uhlenbeck(paths: int, theta: float = 2.0, sigma: float = 1.0) -> Stochastic:
    """z = e^(−θ) z0 + σ ∫ e^(−θ (1 − s)) dW, the integral as W(1) − θ ∫ e^(−θ (1 − s)) W ds.

    That is ∫ by parts: no longer stochastic, so that the trapezoid rule on fine increments is
    good to their length.
    """
    z0 = torch.full((paths, 1), 1.5, dtype=torch.float64)

    def exact(dw: Tensor) -> Tensor:
        steps = len(dw)
        w = torch.cat((torch.zeros_like(dw[:1]), dw.cumsum(0)))  # (S + 1, B, D)
        s = torch.linspace(0, 1, steps + 1, dtype=torch.float64).view(-1, 1, 1)
        integral = torch.trapezoid(torch.exp(-theta * (1 - s)) * w, dx=1 / steps, dim=0)
        return math.exp(-theta) * z0 + sigma * (w[-1] - theta * integral)

    return Stochastic(lambda z, t: -theta * z, lambda z, t: torch.full_like(z, sigma), z0, exact)


def order(errors: dict[int, float]) -> float:
    """p of error = c steps^−p, by least squares over the logarithms; errors by steps."""
    x = torch.tensor(list(errors), dtype=torch.float64).log()
    y = torch.tensor(list(errors.values()), dtype=torch.float64).log()
    x, y = x - x.mean(), y - y.mean()
    return -((x * y).sum() / x.square().sum()).item()
