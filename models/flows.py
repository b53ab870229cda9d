"""Normalising flow of affine couplings (Dinh et al. 2017, Real NVP): exact density of a latent."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Flowed(NamedTuple):
    value: Tensor  # (B, D)
    log_det: Tensor  # (B,) log |det of the Jacobian of this map|


class AffineCoupling(nn.Module):
    """One half scales and shifts the other; identity at the start of training."""

    def __init__(self, dim: int, hidden: int, *, swap: bool, bound: float = 2.0) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"dimension {dim}: couplings need an even one")
        self.swap = swap
        self.bound = bound
        last = nn.Linear(hidden, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(dim // 2, hidden), nn.SiLU(), last)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, dim=-1)
        return (second, first) if self.swap else (first, second)

    def _join(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat((moved, kept) if self.swap else (kept, moved), dim=-1)

    def _scale_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.net(kept).chunk(2, dim=-1)  # (B, D/2) each
        return self.bound * torch.tanh(log_scale / self.bound), shift

    def forward(self, z: Tensor) -> Flowed:
        """Latent → base."""
        kept, moved = self._split(z)
        log_scale, shift = self._scale_shift(kept)
        return Flowed(self._join(kept, moved * log_scale.exp() + shift), log_scale.sum(-1))

    def inverse(self, u: Tensor) -> Flowed:
        """Base → latent."""
        kept, moved = self._split(u)
        log_scale, shift = self._scale_shift(kept)
        return Flowed(self._join(kept, (moved - shift) * (-log_scale).exp()), -log_scale.sum(-1))


class Flow(nn.Module):
    """Couplings in a row, each moving the half that the one before kept."""

    def __init__(self, dim: int, hidden: int, couplings: int = 4) -> None:
        super().__init__()
        self.dim = dim
        self.couplings = nn.ModuleList(
            AffineCoupling(dim, hidden, swap=bool(i % 2)) for i in range(couplings)
        )

    def forward(self, z: Tensor) -> Flowed:
        """Latent → base, (B, D) → (B, D) and (B,)."""
        log_det = z.new_zeros(z.shape[:-1])
        for coupling in self.couplings:
            z, part = coupling(z)
            log_det = log_det + part
        return Flowed(z, log_det)

    def inverse(self, u: Tensor) -> Flowed:
        """Base → latent, the exact inverse of `forward`."""
        log_det = u.new_zeros(u.shape[:-1])
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, AffineCoupling)
            u, part = coupling.inverse(u)
            log_det = log_det + part
        return Flowed(u, log_det)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) = log N(u; 0, I) + log |det ∂u/∂z|, in nats, (B,)."""
        u, log_det = self(z)
        log_prob: Tensor = log_det - 0.5 * (u.square().sum(-1) + self.dim * math.log(2 * math.pi))
        return log_prob
