"""Flow matching: a velocity that carries noise to data along nearly straight lines.

Time runs from data to noise: z_t = (1 − t) z₀ + t z₁ with data z₀ and z₁ ~ N(0, I), and the
velocity to be learned is z₁ − z₀ (Liu et al. 2023, rectified flow; Lipman et al. 2023, whose
optimal-transport form keeps a grain of noise at the data). Sampling runs back from t = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.solvers import ATOL, RTOL, Method, interpolate, solve_ode

Velocity = Callable[[Tensor, Tensor | float], Tensor]
"""v(z, t): (B, M), t a number or (B, 1) → (B, M)."""
_SHORTEST = 0.05
"""Times below are not told apart: there the data is in sight, and its error is divided by t."""


class VelocityNet(nn.Module):
    """v(z, t) of vectors (B, M), a whole trajectory in one; with a condition (B, C) or without.

    The network says where the data is, and the velocity points away from it: v = (z − ẑ₀) / t.
    Data lies on a thin sheet of R^M, noise does not: a network narrower than M can say the first
    and not the second.
    """

    def __init__(
        self, size: int, hidden: int = 256, *, blocks: int = 2, condition: int = 0
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(size, hidden)
        self.time = nn.Linear(2 * _FREQUENCIES, hidden)
        self.condition = nn.Linear(condition, hidden) if condition else None
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden),
                nn.Linear(hidden, hidden),
                nn.SiLU(),
                nn.Linear(hidden, hidden),
            )
            for _ in range(blocks)
        )
        self.leave = nn.Linear(hidden, size)

    def forward(self, z: Tensor, t: Tensor | float, condition: Tensor | None = None) -> Tensor:
        t = torch.as_tensor(t, dtype=z.dtype).expand(len(z), 1)
        bounded = t.clamp_min(_SHORTEST)
        return (z - self.data(z, bounded, condition)) / bounded

    def data(self, z: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """ẑ₀, the data that z at t is expected to come from: (B, M), t (B, 1) → (B, M)."""
        x = self.enter(z) + self.time(_waves(t))
        if self.condition is not None and condition is not None:
            x = x + self.condition(condition)
        for block in self.blocks:
            x = x + block(x)
        found: Tensor = self.leave(nn.functional.silu(x))
        return found


def rectified_loss(
    net: VelocityNet,
    data: Tensor,
    noise: Tensor,
    *,
    least_noise: float = 0.0,
    condition: Tensor | None = None,
    auxiliary: Callable[[Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """‖v(z_t, t) − (z₁ − z₀)‖², mean of numbers, at one random t a line; data, noise (B, M).

    With `least_noise` σ the path is z_t = (1 − t) z₀ + (σ + (1 − σ) t) z₁ and the velocity
    (1 − σ) z₁ − z₀: the conditional optimal-transport path of Lipman et al. 2023, eq. 22, whose
    end at the data is N(z₀, σ²) and not a point. Velocities count by t², which makes the error
    that of ẑ₀ and keeps short times from counting for more than all others. auxiliary: what else
    is asked of ẑ₀ = z_t − t v, (B, M) → a number that is added.
    """
    t = torch.rand(len(data), 1, generator=generator)
    scale = least_noise + (1 - least_noise) * t
    z = (1 - t) * data + scale * noise
    target = (1 - least_noise) * noise - data
    velocity = net(z, t, condition)
    wrong: Tensor = (velocity - target) * t.clamp_min(_SHORTEST)
    loss = wrong.square().mean()
    return loss if auxiliary is None else loss + auxiliary(z - t * velocity)


def sample(
    velocity: Velocity, noise: Tensor, *, method: Method = "euler", steps: int = 4
) -> tuple[Tensor, int]:
    """Data from noise (B, M), from t = 1 back to 0, and how often the velocity was asked."""
    grid = [1 - i / steps for i in range(steps + 1)] if method != "dopri5" else [1.0, 0.0]
    solution = solve_ode(velocity, noise, grid, method=method, rtol=RTOL, atol=ATOL)
    return solution.path[-1], solution.evaluations


def log_likelihood(
    velocity: Velocity,
    data: Tensor,
    *,
    method: Method = "rk4",
    steps: int = 50,
    probes: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """log p of data (B, M) under the flow, (B,) nats.

    d log p / dt = −tr ∂v/∂z (Chen et al. 2018, theorem 1), from the data at t = 0 to the noise at
    t = 1. The trace is exact, by M products; with `probes` it is estimated by so many (Hutchinson;
    Grathwohl et al. 2019), whose mean is the exact one.
    """
    size = data.shape[1]
    directions = None
    if probes:
        signs = torch.randint(2, (probes, *data.shape), generator=generator)
        directions = signs.to(data.dtype) * 2 - 1  # (P, B, M)

    def both(state: Tensor, t: float) -> Tensor:  # (B, M + 1) → (B, M + 1)
        with torch.enable_grad():
            z = state[:, :size].detach().requires_grad_()
            v = velocity(z, t)
            if directions is None:
                trace = sum(
                    torch.autograd.grad(v[:, i].sum(), z, retain_graph=True)[0][:, i]
                    for i in range(size)
                )
            else:
                products = [
                    (torch.autograd.grad(v, z, e, retain_graph=True)[0] * e).sum(1)
                    for e in directions
                ]
                trace = torch.stack(products).mean(0)
        return torch.cat((v.detach(), torch.as_tensor(trace).unsqueeze(1)), dim=1)

    state = torch.cat((data, data.new_zeros(len(data), 1)), dim=1)
    grid = [i / steps for i in range(steps + 1)]
    end = solve_ode(both, state, grid, method=method).path[-1]
    noise, change = end[:, :size], end[:, size]
    normal = -0.5 * (noise.square().sum(1) + size * math.log(2 * math.pi))
    return normal + change


@torch.no_grad()
def reflow_pairs(velocity: Velocity, noise: Tensor, *, steps: int = 50) -> tuple[Tensor, Tensor]:
    """Where the flow takes this noise: data and noise (B, M) that belong together.

    A flow that learns such pairs is straighter than the one they come from (Liu et al. 2023,
    section 3). Once is enough: what is learned from one's own samples again drifts.
    """
    data, _ = sample(velocity, noise, method="heun", steps=steps // 2)
    return data, noise


class TrajectoryFlow(nn.Module):
    """A prior of whole paths (L, D): noise, carried to a path in a few steps.

    Paths of the ODE are smooth: the flow is over their points at some knots, one in `STRIDE`
    tokens, and between them they are straight.
    """

    STRIDE = 4

    def __init__(self, length: int, latent: int, hidden: int = 160, blocks: int = 2) -> None:
        super().__init__()
        self.length, self.latent = length, latent
        self.knots = (length - 1) // self.STRIDE + 1
        size = self.knots * latent
        self.net = VelocityNet(size, hidden, blocks=blocks)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def measure(self, paths: Tensor) -> None:
        """Take mean and deviation of paths (n, L, D): the flow works on numbers of unit size."""
        flat = self._at_knots(paths)
        self.mean = flat.mean(0)
        self.deviation = flat.std(0).clamp_min(1e-3)

    def noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, K·D)"""
        return torch.randn(n, self.knots * self.latent, generator=generator)

    def flat(self, paths: Tensor) -> Tensor:
        """(n, L, D) → (n, K·D), of unit size."""
        return (self._at_knots(paths) - self.mean) / self.deviation

    def paths(self, flat: Tensor) -> Tensor:
        """(n, K·D) → (n, L, D): the inverse of `flat` for paths straight between knots."""
        whole = (flat * self.deviation + self.mean).view(-1, self.knots, self.latent)
        return self._resampled(whole, self.knots, self.length)

    @torch.no_grad()
    def sample(
        self, noise: Tensor, *, method: Method = "euler", steps: int = 4
    ) -> tuple[Tensor, int]:
        """Paths (n, L, D) from noise (n, K·D), and how often the velocity was asked."""
        data, evaluations = sample(self.net, noise, method=method, steps=steps)
        return self.paths(data), evaluations

    def _at_knots(self, paths: Tensor) -> Tensor:
        return self._resampled(paths, self.length, self.knots).flatten(1)

    @staticmethod
    def _resampled(paths: Tensor, points: int, wanted: int) -> Tensor:
        """(n, S, D) at equal times → (n, T, D) at equal times, the ends the same."""
        if points == 1:
            return paths.expand(-1, wanted, -1)
        times = [i / (points - 1) for i in range(points)]
        asked = [i / max(wanted - 1, 1) for i in range(wanted)]
        return interpolate(times, paths.transpose(0, 1), asked).transpose(0, 1)


class Share(NamedTuple):
    """How much each prior counts at a point of the training."""

    ode: float
    flow: float


def curriculum(progress: float, *, begin: float = 0.3, end: float = 0.6) -> Share:
    """ODE alone, then the flow in a ramp, then mostly the flow; progress from 0 to 1.

    For a flow on summary latents that are still being learned: it would run after a latent space
    that moves, and the ODE settles first.
    """
    ramp = min(max((progress - begin) / (end - begin), 0.0), 1.0)
    return Share(ode=1.0 - 0.9 * ramp, flow=ramp)


_FREQUENCIES = 8


def _waves(t: Tensor) -> Tensor:
    """(B, 1) → (B, 2F): times as waves of rising frequency."""
    angles = t * math.pi * 2.0 ** torch.arange(_FREQUENCIES, dtype=t.dtype) / 2
    return torch.cat((angles.sin(), angles.cos()), dim=1)
