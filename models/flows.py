"""Normalising flow of couplings (Dinh et al. 2017, Real NVP): exact density of a latent."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.splines import Knots, inverse_spline, knots, spline


class Flowed(NamedTuple):
    value: Tensor  # (B, D)
    log_det: Tensor  # (B,) log |det of the Jacobian of this map|


class Coupling(nn.Module):
    """One half says how the numbers of the other are moved; identity at the start of training."""

    def __init__(self, dim: int, hidden: int, each: int, *, swap: bool) -> None:
        """each: how many parameters the map of one number has."""
        super().__init__()
        if dim % 2:
            raise ValueError(f"dimension {dim}: couplings need an even one")
        self.swap, self.each = swap, each
        last = nn.Linear(hidden, dim // 2 * each)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(dim // 2, hidden), nn.SiLU(), last)

    def forward(self, z: Tensor) -> Flowed:
        """Latent → base."""
        kept, moved = self._split(z)
        value, log_det = self.move(moved, self.net(kept))
        return Flowed(self._join(kept, value), log_det)

    def inverse(self, u: Tensor) -> Flowed:
        """Base → latent."""
        kept, moved = self._split(u)
        value, log_det = self.move_back(moved, self.net(kept))
        return Flowed(self._join(kept, value), log_det)

    def move(self, moved: Tensor, numbers: Tensor) -> Flowed:
        """moved (B, D/2), numbers (B, D/2 · each) → (B, D/2) and (B,)."""
        raise NotImplementedError

    def move_back(self, moved: Tensor, numbers: Tensor) -> Flowed:
        """The inverse of `move`."""
        raise NotImplementedError

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, dim=-1)
        return (second, first) if self.swap else (first, second)

    def _join(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat((moved, kept) if self.swap else (kept, moved), dim=-1)


class AffineCoupling(Coupling):
    """Scales and shifts (Dinh et al. 2017, eq. 7), the log-scale within ± bound."""

    def __init__(self, dim: int, hidden: int, *, swap: bool, bound: float = 2.0) -> None:
        super().__init__(dim, hidden, 2, swap=swap)
        self.bound = bound

    def _scale_shift(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = numbers.chunk(2, dim=-1)  # (B, D/2) each
        return self.bound * torch.tanh(log_scale / self.bound), shift

    def move(self, moved: Tensor, numbers: Tensor) -> Flowed:
        log_scale, shift = self._scale_shift(numbers)
        return Flowed(moved * log_scale.exp() + shift, log_scale.sum(-1))

    def move_back(self, moved: Tensor, numbers: Tensor) -> Flowed:
        log_scale, shift = self._scale_shift(numbers)
        return Flowed((moved - shift) * (-log_scale).exp(), -log_scale.sum(-1))


class SplineCoupling(Coupling):
    """A rational-quadratic spline within ± bound, the identity outside (Durkan et al. 2019)."""

    def __init__(
        self, dim: int, hidden: int, *, swap: bool, bins: int = 8, bound: float = 4.0
    ) -> None:
        super().__init__(dim, hidden, 3 * bins - 1, swap=swap)
        self.bound = bound

    def knots(self, moved: Tensor, numbers: Tensor) -> Knots:
        return knots(numbers.view(*moved.shape, self.each), self.bound)  # (B, D/2, K + 1)

    def move(self, moved: Tensor, numbers: Tensor) -> Flowed:
        value, log_slope = spline(moved, self.knots(moved, numbers), self.bound)
        return Flowed(value, log_slope.sum(-1))

    def move_back(self, moved: Tensor, numbers: Tensor) -> Flowed:
        value, log_slope = inverse_spline(moved, self.knots(moved, numbers), self.bound)
        return Flowed(value, log_slope.sum(-1))


_COUPLINGS: dict[str, type[AffineCoupling | SplineCoupling]] = {
    "affine": AffineCoupling,
    "spline": SplineCoupling,
}


class Flow(nn.Module):
    """Couplings in a row, each moving the half that the one before kept."""

    def __init__(
        self, dim: int, hidden: int, couplings: int = 4, coupling: str = "affine"
    ) -> None:
        """coupling: "affine" or "spline"."""
        super().__init__()
        if coupling not in _COUPLINGS:
            raise ValueError(f"coupling {coupling!r}: one of {', '.join(_COUPLINGS)}")
        self.dim = dim
        self.couplings = nn.ModuleList(
            _COUPLINGS[coupling](dim, hidden, swap=bool(i % 2)) for i in range(couplings)
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
            assert isinstance(coupling, Coupling)
            u, part = coupling.inverse(u)
            log_det = log_det + part
        return Flowed(u, log_det)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) = log N(u; 0, I) + log |det ∂u/∂z|, in nats, (B,)."""
        u, log_det = self(z)
        log_prob: Tensor = log_det - 0.5 * (u.square().sum(-1) + self.dim * math.log(2 * math.pi))
        return log_prob
