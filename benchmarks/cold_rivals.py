"""Other ways to run the same weights: plain modules over padded batches, and what PyTorch offers.

Lines are padded in the order they come in, to the longest of their batch, and attention has a
mask; every word is hashed and summed anew each time it stands somewhere.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.checkpoint import Checkpoint
from models.encoder import Block, Product
from models.inference import Scores
from models.ngrams import rehash
from models.raccoon import Raccoon
from models.tokens import bags, known_app, words

BLOCKS = "model.encoder.blocks"


class Plain(nn.Module):
    """A Raccoon over padded lines."""

    def __init__(self, model: Raccoon) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for block in self.model.encoder.blocks:
            for name, product in list(block.named_children()):
                if isinstance(product, Product):
                    setattr(block, name, _linear(product))

    def forward(
        self, features: Tensor, offsets: Tensor, place: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latent (B, D), logits (B, 8) and log-density (B,).

        features (F,) and offsets (T,) of all words, place (T,) of each in the mask (B, L).
        """
        model, encoder = self.model, self.model.encoder
        lines, length = mask.shape
        vectors = encoder.word_vectors(features, offsets)  # (T, d)
        tokens = vectors.new_zeros((lines * length, vectors.shape[1]))
        tokens = tokens.index_copy(0, place, vectors).view(lines, length, -1)
        x = tokens + encoder.position[:length]
        for block in encoder.blocks:
            x = _block(cast(Block, block), x, mask)
        x = encoder.norm(x)
        there = mask.unsqueeze(-1)  # (B, L, 1)
        share = encoder.query(x).masked_fill(~there, -torch.inf).softmax(1)
        number = there.sum(1)  # (B, 1)
        bag = encoder.norm_bag(tokens.sum(1) / number)
        pooled = torch.cat((bag, (share * x).sum(1)), dim=-1)
        path = encoder.to_path(x) * there
        z = model.sde(path.sum(1) / number + model.to_mean(pooled))[-1]
        deep = model._classify(pooled, z)
        linear = self._linear(features, offsets, place, lines, length)
        return z, model._agree(deep, linear), model.flow.log_prob(z)

    def _linear(
        self, features: Tensor, offsets: Tensor, place: Tensor, lines: int, length: int
    ) -> Tensor:
        """models.linear.LinearExpert over words that are not looked up."""
        expert = self.model.linear
        votes, sizes, hashes = expert.words(features, offsets)
        before = torch.where(place % length == 0, 0, torch.roll(hashes, 1))
        pairs = rehash((hashes * 31 + before * 7) & 0xFFFFFFFF, 3, len(expert.votes))
        votes = votes + 2 * functional.embedding(pairs, expert.votes)
        line = place // length
        total = sizes.new_zeros(lines).index_add(0, line, sizes + expert.SMOOTHING)
        summed = votes.new_zeros((lines, votes.shape[1])).index_add(0, line, votes)
        return summed * total.rsqrt().unsqueeze(1)


class WeightOnly(nn.Module):
    """A linear layer that stores bf16 and computes in fp32."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().bfloat16())
        self.bias = nn.Parameter(layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight.float(), self.bias)


class Rival(NamedTuple):
    """A way to run the model, as Engine.encode is called."""

    name: str
    encode: Callable[[Sequence[str], Sequence[str]], Scores]


def rival(
    name: str,
    checkpoint: Checkpoint,
    module: Callable[..., tuple[Tensor, Tensor, Tensor]],
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Rival:
    """The plain way with this module in its place, run inside `around()`."""
    apps = frozenset(checkpoint.card.apps)
    temperature = checkpoint.card.temperature

    def encode(names: Sequence[str], texts: Sequence[str]) -> Scores:
        split = [
            words(known_app(app, apps), -1, text) for app, text in zip(names, texts, strict=True)
        ]
        features, offsets = bags([word for line in split for word in line])
        lengths = np.fromiter(map(len, split), np.int64, len(split))
        mask = np.arange(lengths.max()) < lengths[:, None]  # (B, L)
        tensors = (features, offsets, np.flatnonzero(mask), mask)
        with torch.no_grad(), around():
            latent, logits, log_prob = module(*map(torch.from_numpy, tensors))
            logits = (logits.float() / temperature).log_softmax(-1)
        return Scores(latent.float().numpy(), logits.numpy(), -log_prob.float().numpy())

    return Rival(name, encode)


def rivals(checkpoint: Checkpoint, *, compiled: bool) -> tuple[list[Rival], list[str]]:
    """All that run here, plain eager fp32 first, and why others don't.

    checkpoint: in fp32; it is not changed.
    """
    plain = Plain(checkpoint.model).eval()
    autocast = lambda: torch.autocast("cpu", torch.bfloat16)  # noqa: E731 (needs no name)
    found = [
        rival("plain, eager fp32", checkpoint, plain),
        rival("plain, eager bf16 (autocast)", checkpoint, plain, autocast),
    ]
    missing = []
    if compiled:
        for name, around in (("fp32", nullcontext), ("bf16 (autocast)", autocast)):
            made = rival(
                f"plain, torch.compile {name}",
                checkpoint,
                torch.compile(Plain(checkpoint.model).eval(), dynamic=True),
                around,
            )
            try:
                made.encode(["sshd"] * 3, ["a b <num>", "c", "d e"])
            except Exception as error:  # no compiler, or one that does not know this
                reason = str(error).strip().splitlines()
                missing.append(f"torch.compile {name}: {reason[0] if reason else type(error)}")
                continue
            found.append(made)
    narrow = Plain(checkpoint.model).eval()
    for block in narrow.model.encoder.blocks:
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(block, name, WeightOnly(layer))
    found.append(rival("plain, weights of the block in bf16", checkpoint, narrow))
    try:
        found.append(rival("plain, dynamic int8 in the block", checkpoint, _int8(plain)))
    except (ImportError, AttributeError, RuntimeError) as error:
        missing.append(f"dynamic int8: {str(error).splitlines()[0]}")
    return found, missing


def _int8(plain: Plain) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and all that this PyTorch has
        from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

        names = {
            name
            for name, layer in plain.named_modules()
            if name.startswith(BLOCKS) and isinstance(layer, nn.Linear)
        }
        chosen = dict.fromkeys(names, default_dynamic_qconfig)
        quantise = cast(Callable[..., nn.Module], quantize_dynamic)
        return quantise(plain, chosen, dtype=torch.qint8)


def _block(block: Block, x: Tensor, mask: Tensor) -> Tensor:
    """models.encoder.Block over padded lines, (B, L, d)."""
    qkv = block.qkv(block.norm_attention(x)).unflatten(-1, (3, block.heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, L, d / heads) each
    attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
    x = x + block.out(attended.transpose(1, 2).flatten(2))
    inner: Tensor = block.down(functional.relu(block.up(block.norm_inner(x))))
    return x + inner


def _linear(product: Product) -> nn.Linear:
    layer = nn.Linear(product.in_features, product.out_features)
    layer.weight, layer.bias = product.weight, product.bias
    return layer
