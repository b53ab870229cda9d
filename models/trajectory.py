"""The Latent Trajectory Transformer: a sequence as a path through a latent space.

A bidirectional encoder lays a sequence out as a path z(t), t ∈ [0, 1], one point a token. A
learned ODE, dz/dt = f(z, t), is the prior of such paths: what a path will be is settled by where
it begins, z(0) ~ N(0, I). A causal decoder reads the path and the last few tokens before, so that
its context does not grow with the trajectory: what is far away it knows from z(t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.decoder import Decoder, waves
from models.drift import TwoTimescaleDrift
from models.encoder import Block
from models.losses import epps_pulley
from models.solvers import ATOL, RTOL, Method, Solution, interpolate, solve_ode


@dataclass(frozen=True)
class TrajectoryArchitecture:
    """Everything that shapes the weights; stored beside them."""

    vocabulary: int
    length: int
    """L, tokens of a sequence."""
    latent: int = 8
    width: int = 64
    heads: int = 4
    inner: int = 192
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    drift_hidden: int = 128
    window: int = 24
    """Tokens that the decoder looks back on, beside the first `anchors`."""
    anchors: int = 3

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Weights:
    """Of the terms of the loss."""

    reconstruction: float = 1.0
    epps_pulley: float = 0.05
    ode: float = 1.0


class Terms(NamedTuple):
    """The terms of the loss, not yet weighed, and the path they are of."""

    reconstruction: Tensor  # nats a token
    epps_pulley: Tensor  # about 1 where z(0) ~ N(0, I)
    ode: Tensor  # squared error of the increments, summed over a path, mean of the dimensions
    path: Tensor  # (B, L, D)

    def total(self, weights: Weights) -> Tensor:
        return (
            weights.reconstruction * self.reconstruction
            + weights.epps_pulley * self.epps_pulley
            + weights.ode * self.ode
        )


class PathEncoder(nn.Module):
    """Tokens → path, without noise: the same blocks that read log lines."""

    def __init__(self, a: TrajectoryArchitecture) -> None:
        super().__init__()
        self.symbols = nn.Embedding(a.vocabulary, a.width)
        self.position = nn.Parameter(waves(a.length, a.width))
        self.blocks = nn.ModuleList(
            Block(a.width, a.heads, a.inner, 0.0) for _ in range(a.encoder_blocks)
        )
        self.norm = nn.LayerNorm(a.width)
        self.to_path = nn.Linear(2 * a.width, a.latent)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, L) → (B, L, D)
        lines, length = tokens.shape
        x = (self.symbols(tokens) + self.position[:length]).flatten(0, 1)  # (B·L, d)
        for block in self.blocks:
            x = block(x, ((length, lines),))
        x = self.norm(x).view(lines, length, -1)
        # What the whole is about stands beside each token: a path is mostly about the whole.
        whole = x.mean(1, keepdim=True).expand_as(x)
        path: Tensor = self.to_path(torch.cat((x, whole), dim=-1))
        return path


class Trajectory(nn.Module):
    """Encoder, prior and decoder."""

    def __init__(self, architecture: TrajectoryArchitecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.encoder = PathEncoder(a)
        self.drift = TwoTimescaleDrift(a.latent, a.drift_hidden)
        self.decoder = Decoder(
            vocabulary=a.vocabulary,
            length=a.length,
            latent=a.latent,
            width=a.width,
            heads=a.heads,
            inner=a.inner,
            blocks=a.decoder_blocks,
            window=a.window,
            anchors=a.anchors,
        )

    @property
    def times(self) -> list[float]:
        """(L,) where on the path each token is."""
        last = max(self.architecture.length - 1, 1)
        return [i / last for i in range(self.architecture.length)]

    def forward(
        self, tokens: Tensor, *, jitter: float = 0.0, generator: torch.Generator | None = None
    ) -> Terms:
        """The terms of the loss on sequences, (B, L).

        jitter: the largest standard deviation of what is added to the path that the decoder sees;
        each line has its own. A ripple of the path could spell the tokens one by one, and the
        prior's paths, which are smooth, could not: what the noise drowns is no way to tell
        anything. And between two sequences lie points that tell of neither clearly: there the
        decoder must settle by itself what it says.
        """
        path = self.encoder(tokens)
        seen = path
        if jitter:
            strength = jitter * torch.rand(len(path), 1, 1, generator=generator).square()
            ripple = torch.randn(path.shape, generator=generator)
            shift = torch.randn(len(path), 1, path.shape[-1], generator=generator)
            seen = path + (0.1 + strength) * ripple + strength * shift
        logits = self.decoder(seen, tokens)  # (B, L, V)
        reconstruction = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        normal = epps_pulley(path[:, 0], generator=generator)
        return Terms(reconstruction, normal, self.ode_matching(path), path)

    def ode_matching(self, path: Tensor) -> Tensor:
        """Σ (z(t + h) − z(t) − h f(z(t), t))² over a path (B, L, D), mean of lines and dimensions.

        A sum over time: errors of the increments add up on the way.
        """
        times = torch.tensor(self.times[: path.shape[1]], dtype=path.dtype)
        h = times[1:] - times[:-1]  # (L-1,)
        predicted = self.drift(path[:, :-1], times[:-1, None]) * h[:, None]
        wrong: Tensor = path[:, 1:] - path[:, :-1] - predicted
        return wrong.square().sum(1).mean()

    def start(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent z(0) of the prior, (n, D)."""
        return torch.randn(n, self.architecture.latent, generator=generator)

    def prior_path(self, z0: Tensor, *, method: Method = "euler", steps: int = 50) -> Solution:
        """The paths (n, L, D) that the ODE leads to from z0 (n, D), by `steps` steps of a method.

        Between the steps the path is interpolated by the slopes that the drift has there.
        """
        if method == "dopri5":
            solution = solve_ode(self.drift, z0, self.times, method=method, rtol=RTOL, atol=ATOL)
            return Solution(solution.path.transpose(0, 1), solution.evaluations)
        grid = [i / steps for i in range(steps + 1)]
        solution = solve_ode(self.drift, z0, grid, method=method)
        path = self.at(solution.path, self.times, grid=grid)  # (L, n, D)
        return Solution(path.transpose(0, 1), solution.evaluations)

    def steered_path(self, z0: Tensor, controls: Tensor, *, steps: int = 50) -> Tensor:
        """The paths (n, L, D) of dz/dt = f(z, t) + u(t) from z0 (n, D).

        controls: (n, K, D), each in force over one K-th of the time.
        """
        knots = controls.shape[1]

        def steered(z: Tensor, t: float) -> Tensor:
            step: Tensor = self.drift(z, t) + controls[:, min(int(t * knots + 1e-6), knots - 1)]
            return step

        grid = [i / steps for i in range(steps + 1)]
        solution = solve_ode(steered, z0, grid, method="euler")
        return self.at(solution.path, self.times, grid=grid).transpose(0, 1)

    def at(
        self, path: Tensor, t: Sequence[float], *, grid: Sequence[float] | None = None
    ) -> Tensor:
        """A path at any times t: (S, …, D) at the times `grid`, or of the tokens → (T, …, D)."""
        return interpolate(grid or self.times, path, t)

    def sample(
        self,
        path: Tensor,
        *,
        temperature: float = 1.0,
        least: float = 0.0,
        prefix: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Tokens (n, L) decoded along paths (n, L, D), token by token; see `Decoder.sample`."""
        return self.decoder.sample(
            path, temperature=temperature, least=least, prefix=prefix, generator=generator
        )
