"""The classifier as it is asked: the same maths as `Raccoon.forward`, laid out for speed.

No gradients, no dropout, no variance. Sums over lines are one call each, whatever their lengths;
constant factors sit in the weights; a mean goes before a product where that is linear, so that the
product is over lines and not over words. Weights are taken once: after training, make another.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import Block, Groups, Product
from models.flows import AffineCoupling, Coupling, Flow, SplineCoupling
from models.linear import LinearExpert, Words
from models.ngrams import rehash
from models.raccoon import LatentSDE, Raccoon, Scored

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Frozen:
    """Scores packed lines. In bf16 the products of the blocks are rounded."""

    def __init__(self, model: Raccoon, dtype: torch.dtype = torch.float32) -> None:
        """dtype: float32 or bfloat16, of the products in the blocks."""
        encoder = model.encoder
        self._position = encoder.position.detach().clone()
        self._blocks = [_Block(block, dtype) for block in encoder.blocks]
        self._norm, self._norm_bag = encoder.norm, encoder.norm_bag
        self._query = encoder.query.weight.detach()[0].clone()
        # The mean of a line's path is the path of its mean: one product of all that is pooled.
        self._to_z0 = _transposed(torch.cat((model.to_mean.weight, encoder.to_path.weight), 1))
        self._z0_bias = (model.to_mean.bias + encoder.to_path.bias).detach()
        self._sde, self._flow = _Drift(model.sde), _Density(model.flow)
        self._severity = model.severity
        self._linear = _Linear(model.linear)
        self._share = model.DEEP_SHARE

    def __call__(self, numbers: Tensor, words: Words, groups: Groups) -> Scored:
        """numbers (T,): of the lines' `words`, packed as `groups` says."""
        lengths = np.repeat(*np.array(groups, np.int64).T)  # (B,)
        begins = np.cumsum(lengths) - lengths
        starts = torch.from_numpy(begins)
        place = np.arange(len(numbers)) - np.repeat(begins, lengths)  # (T,) in its line
        x = words.vectors.index_select(0, numbers)
        x += self._position.index_select(0, torch.from_numpy(place))
        for block in self._blocks:
            x = block(x, groups)
        x = self._norm(x)
        every = torch.arange(len(x))
        share = torch.from_numpy(_softmax((x @ self._query).numpy(), begins, lengths))
        pooled = torch.cat(
            (
                self._norm_bag(
                    functional.embedding_bag(numbers, words.vectors, starts, mode="mean")
                ),
                functional.embedding_bag(every, x, starts, mode="sum", per_sample_weights=share),
                functional.embedding_bag(every, x, starts, mode="mean"),
            ),
            dim=1,
        )  # (B, 3d) bag, focus, mean
        z = self._sde(torch.addmm(self._z0_bias, pooled, self._to_z0))
        deep = self._severity(torch.cat((pooled[:, : 2 * x.shape[1]], z), dim=1))
        linear = self._linear(numbers, words, starts)
        logits = torch.lerp(linear.log_softmax(-1), deep.log_softmax(-1), self._share)
        return Scored(z, logits, self._flow(z))


class _Block:
    """models.encoder.Block; between the inner products nothing goes back to fp32."""

    def __init__(self, block: nn.Module, dtype: torch.dtype) -> None:
        assert isinstance(block, Block)
        self._heads = block.heads
        self._norm_attention, self._norm_inner = block.norm_attention, block.norm_inner
        self._dtype = dtype
        self._qkv, self._out, self._up, self._down = (
            _Product(product, dtype) for product in (block.qkv, block.out, block.up, block.down)
        )

    def __call__(self, x: Tensor, groups: Groups) -> Tensor:  # (T, d), changed in place
        rows = len(x)
        qkv = self._qkv(self._narrow(self._norm_attention(x)))[:rows].float()
        x += self._out(self._narrow(self._attend(qkv, groups)))[:rows]
        x += self._down(self._up(self._narrow(self._norm_inner(x))).relu_())[:rows]
        return x

    def _narrow(self, x: Tensor) -> Tensor:
        """x as the products take it, in bf16 with more rows."""
        if x.dtype == self._dtype:
            return x
        # oneDNN prepares a bf16 product anew for each number of rows, at a cost near the
        # product's own: rounded up, the row counts are few and stay prepared.
        rows = len(x)
        granule = max(16, 1 << max(0, rows.bit_length() - 4))
        narrow = x.new_zeros((-(-rows // granule) * granule, x.shape[1]), dtype=self._dtype)
        narrow[:rows] = x
        return narrow

    def _attend(self, qkv: Tensor, groups: Groups) -> Tensor:  # (T, 3d) → (T, d)
        width = qkv.shape[1] // 3
        mixed = []
        parts = torch.split(qkv, [length * lines for length, lines in groups])
        for part, (length, lines) in zip(parts, groups, strict=True):
            q, k, v = part.view(lines, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            attended = functional.scaled_dot_product_attention(q, k, v)
            mixed.append(attended.transpose(1, 2).reshape(-1, width))
        return torch.cat(mixed)


class _Product:
    def __init__(self, product: Product, dtype: torch.dtype) -> None:
        self._weight = product.weight.detach().to(dtype, copy=True)
        self._bias = product.bias.detach().to(dtype, copy=True)

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight, self._bias)


class _Linear:
    """models.linear.LinearExpert."""

    def __init__(self, expert: LinearExpert) -> None:
        self._votes, self._smoothing = expert.votes.detach(), expert.SMOOTHING

    def __call__(self, numbers: Tensor, words: Words, starts: Tensor) -> Tensor:
        hashes = words.hashes.index_select(0, numbers)
        before = torch.roll(hashes, 1)
        before[starts] = 0
        pairs = rehash((hashes * 31 + before * 7) & 0xFFFFFFFF, 3, len(self._votes))
        votes = functional.embedding_bag(pairs, self._votes, starts, mode="sum")
        votes = functional.embedding_bag(numbers, words.votes, starts, mode="sum").add_(
            votes, alpha=2
        )
        sizes = words.sizes.index_select(0, numbers).add_(self._smoothing).numpy()
        total = torch.from_numpy(np.add.reduceat(sizes, starts.numpy()))  # (B,)
        return votes.mul_(total.rsqrt_().unsqueeze(1))


class _Drift:
    """The noise-free path of models.raccoon.LatentSDE, to its end."""

    def __init__(self, sde: LatentSDE) -> None:
        steps, dt = sde.steps, 1 / sde.steps
        self._first = _transposed(sde.first.weight)
        self._biases = [
            (sde.first.bias + sde.time * (step * dt)).detach() for step in range(steps)
        ]
        self._last = _transposed(sde.last.weight * dt)
        self._constant = (sde.last.bias * dt).detach()
        self._decay = 1 - sde.THETA * dt

    def __call__(self, z: Tensor) -> Tensor:  # (B, D)
        for bias in self._biases:
            hidden = functional.silu(torch.addmm(bias, z, self._first), inplace=True)
            z = torch.addmm(self._constant, hidden, self._last).add_(z, alpha=self._decay)
        return z


class _Density:
    """models.flows.Flow.log_prob; the halves stay apart."""

    def __init__(self, flow: Flow) -> None:
        self._couplings = [_coupling(coupling) for coupling in flow.couplings]
        self._constant = 0.5 * flow.dim * math.log(2 * math.pi)

    def __call__(self, z: Tensor) -> Tensor:  # (B, D) → (B,)
        first, second = z.chunk(2, dim=1)
        found = z.new_full((len(z),), -self._constant)
        for coupling in self._couplings:
            if coupling.swap:
                first, log_det = coupling(second, first)
            else:
                second, log_det = coupling(first, second)
            found += log_det
        for half in (first, second):
            found.sub_(half.square().sum(1), alpha=0.5)
        return found


class _Numbers:
    """The network of a models.flows.Coupling; the first half of what it says times `shrink`."""

    def __init__(self, coupling: Coupling, shrink: float = 1.0) -> None:
        first, last = coupling.net[0], coupling.net[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        factor = torch.ones(len(last.bias))
        factor[: len(factor) // 2] *= shrink
        self._first, self._first_bias = _transposed(first.weight), first.bias.detach().clone()
        self._last = _transposed(last.weight * factor.unsqueeze(1))
        self._last_bias = (last.bias * factor).detach()

    def __call__(self, kept: Tensor) -> Tensor:  # (B, D / 2) → (B, D / 2 · each)
        hidden = functional.silu(torch.addmm(self._first_bias, kept, self._first), inplace=True)
        return torch.addmm(self._last_bias, hidden, self._last)


class _Affine:
    """models.flows.AffineCoupling."""

    def __init__(self, coupling: AffineCoupling) -> None:
        self.swap, self._bound = coupling.swap, coupling.bound
        self._numbers = _Numbers(coupling, shrink=1 / coupling.bound)

    def __call__(self, kept: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:  # (B, D / 2) each
        log_scale, shift = self._numbers(kept).chunk(2, dim=1)
        log_scale = log_scale.tanh().mul_(self._bound)
        log_det = log_scale.sum(1)
        return torch.addcmul(shift, moved, log_scale.exp_()), log_det


class _Spline:
    """models.flows.SplineCoupling."""

    def __init__(self, coupling: SplineCoupling) -> None:
        self.swap, self._move = coupling.swap, coupling.move
        self._numbers = _Numbers(coupling)

    def __call__(self, kept: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:  # (B, D / 2) each
        return self._move(moved, self._numbers(kept))


def _coupling(coupling: nn.Module) -> _Affine | _Spline:
    if isinstance(coupling, SplineCoupling):
        return _Spline(coupling)
    assert isinstance(coupling, AffineCoupling)
    return _Affine(coupling)


def _softmax(scores: Floats, begins: Ints, lengths: Ints) -> Floats:
    """Over each line's words, (T,) → (T,)."""
    weights = np.exp(scores - np.repeat(np.maximum.reduceat(scores, begins), lengths))
    shares: Floats = weights / np.repeat(np.add.reduceat(weights, begins), lengths)
    return shares


def _transposed(weight: Tensor) -> Tensor:
    return weight.detach().T.clone(memory_format=torch.contiguous_format)
