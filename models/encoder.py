"""The encoder: words → latent path and pooled line.

Lines are packed, not padded: the tokens of a batch lie one after the other, lines of equal length
together. Products, norms and activations run over all tokens at once; only attention and pooling
look at one length at a time, as dense (n, L, …) views. So no mask, no wasted work, and a line's
result doesn't depend on the lines beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from models.ngrams import rehash

Groups = tuple[tuple[int, int], ...]
"""(length, lines) of each run of lines of equal length, in packed order."""


class Encoded(NamedTuple):
    path: Tensor  # (T, D) latent path of every token, packed
    pooled: Tensor  # (B, H)
    groups: Groups

    def padded_path(self) -> tuple[Tensor, Tensor]:
        """The path as (B, L, D), zero after each line's end, and the mask (B, L) of its tokens."""
        lengths = torch.tensor([length for length, n in self.groups for _ in range(n)])
        mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)  # (B, L)
        padded = self.path.new_zeros((*mask.shape, self.path.shape[-1]))
        padded[mask] = self.path
        return padded, mask


class Product(nn.Linear):
    """A linear layer that computes in its weights' type and returns fp32.

    The residual stream and the norms stay fp32; in bf16 only the products are rounded.
    """

    def forward(self, x: Tensor) -> Tensor:  # (T, in) → (T, out)
        if self.weight.dtype == x.dtype:
            return functional.linear(x, self.weight, self.bias)
        # oneDNN prepares a bf16 product anew for each number of rows, at a cost near the
        # product's own: rounded up, the row counts are few and stay prepared.
        rows = len(x)
        granule = max(16, 1 << max(0, rows.bit_length() - 4))
        narrow = x.new_zeros((-(-rows // granule) * granule, x.shape[1]), dtype=self.weight.dtype)
        narrow[:rows] = x
        return functional.linear(narrow, self.weight, self.bias)[:rows].float()


class Block(nn.Module):
    """Pre-norm transformer block, bidirectional (Vaswani et al. 2017; Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = Product(width, 3 * width)
        self.out = Product(width, width)
        self.norm_inner = nn.LayerNorm(width)
        self.up = Product(width, inner)
        self.down = Product(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, groups: Groups) -> Tensor:  # (T, d)
        x = x + self.dropout(self.out(self._attend(self.qkv(self.norm_attention(x)), groups)))
        inner = functional.relu(self.up(self.norm_inner(x)))
        result: Tensor = x + self.dropout(self.down(inner))
        return result

    def _attend(self, qkv: Tensor, groups: Groups) -> Tensor:  # (T, 3d) → (T, d)
        width = qkv.shape[-1] // 3
        mixed, begin = [], 0
        for length, lines in groups:
            end = begin + length * lines
            part = qkv[begin:end].view(lines, length, 3, self.heads, width // self.heads)
            q, k, v = part.permute(2, 0, 3, 1, 4)  # (n, heads, L, d / heads) each
            attended = functional.scaled_dot_product_attention(q, k, v)
            mixed.append(attended.transpose(1, 2).reshape(-1, width))
            begin = end
        return torch.cat(mixed)


class Encoder(nn.Module):
    """Words as sums of hashed n-gram vectors, transformer blocks, pooling with a bag beside it."""

    def __init__(
        self,
        *,
        buckets: int,
        ngram_width: int,
        width: int,
        heads: int,
        inner: int,
        blocks: int,
        latent: int,
        max_words: int,
        dropout: float,
        ngram_dropout: float,
    ) -> None:
        super().__init__()
        self.ngram_dropout = ngram_dropout
        self.checkpoint_blocks = False
        """Keep for its gradient a block's input alone, and compute it twice; not the last one."""
        self.pooled_width = 2 * width
        self.ngrams = nn.Parameter(torch.randn(buckets, ngram_width) * 0.05)
        self.project = nn.Linear(2 * ngram_width, width)
        self.position = nn.Parameter(torch.randn(max_words, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, inner, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.norm_bag = nn.LayerNorm(width)
        self.query = nn.Linear(width, 1, bias=False)
        self.to_path = nn.Linear(width, latent)
        self.dropout = nn.Dropout(dropout)

    def embed(self, features: Tensor, offsets: Tensor) -> Tensor:
        """Words as sums of n-gram vectors, before the projection: what code search compares.

        features (F,) int64 32-bit hashes and where each word's begin, (V,) → (V, 2e). A feature
        is two rows of the table side by side, so that two features share both by chance only.
        """
        # A word must be known by any part of it: whole words are what a corpus is overfitted by.
        weights = (
            functional.dropout(self.ngrams.new_ones(len(features)), self.ngram_dropout)
            if self.training
            else None
        )
        sums = torch.cat(
            [
                functional.embedding_bag(
                    rows, self.ngrams, offsets, mode="sum", per_sample_weights=weights
                )
                for rows in (
                    rehash(features, 0, len(self.ngrams)),
                    rehash(features, 1, len(self.ngrams)),
                )
            ],
            dim=1,
        )  # (V, 2e)
        return sums * sizes(features, offsets).rsqrt().unsqueeze(1)

    def word_vectors(self, features: Tensor, offsets: Tensor) -> Tensor:
        """What the blocks see of each word: (F,) and (V,) as for `embed` → (V, d)."""
        projected: Tensor = self.project(self.embed(features, offsets))
        return projected

    def forward(self, tokens: Tensor, groups: Groups) -> Encoded:
        """tokens (T, d): word vectors of all lines, packed as `groups` says."""
        positions = torch.cat([torch.arange(length).repeat(n) for length, n in groups])
        x = self.dropout(tokens + self.position[positions])
        for number, block in enumerate(self.blocks, 1):
            # Of the last block all is needed as soon as gradients are.
            if self.checkpoint_blocks and number < len(self.blocks) and torch.is_grad_enabled():
                x = checkpoint(block, x, groups, use_reentrant=False)
            else:
                x = block(x, groups)
        x = self.norm(x)
        shares = [part.softmax(1) for part in segments(self.query(x), groups)]  # (n, L, 1)
        focus = [
            (share * part).sum(1) for share, part in zip(shares, segments(x, groups), strict=True)
        ]
        bag = self.norm_bag(segment_mean(tokens, groups))
        pooled = torch.cat((bag, torch.cat(focus)), dim=-1)
        return Encoded(self.to_path(x), pooled, groups)


def sizes(features: Tensor, offsets: Tensor) -> Tensor:
    """How many features each word has, (V,) float."""
    ends = torch.cat((offsets[1:], offsets.new_tensor([len(features)])))
    return (ends - offsets).float()


def group(lengths: list[int]) -> Groups:
    """The groups of lines that are already sorted by length."""
    groups: list[tuple[int, int]] = []
    for length in lengths:
        if groups and groups[-1][0] == length:
            groups[-1] = (length, groups[-1][1] + 1)
        else:
            groups.append((length, 1))
    return tuple(groups)


def segment_mean(x: Tensor, groups: Groups) -> Tensor:
    """Mean over each line's tokens, (T, D) → (B, D)."""
    return torch.cat([part.mean(1) for part in segments(x, groups)])


def segment_sum(x: Tensor, groups: Groups) -> Tensor:
    """Sum over each line's tokens, (T, D) → (B, D)."""
    return torch.cat([part.sum(1) for part in segments(x, groups)])


def segments(x: Tensor, groups: Groups) -> list[Tensor]:
    """The lines of each group as (n, L, D) views of x (T, D)."""
    counts = [length * lines for length, lines in groups]
    parts = zip(torch.split(x, counts), groups, strict=True)
    return [part.view(lines, length, -1) for part, (length, lines) in parts]
