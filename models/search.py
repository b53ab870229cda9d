"""The search head: texts as weighted bags of word vectors, compared by their cosine.

Questions and code share the encoder's table; what a word weighs is learnt for each side.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

QUERY, CODE = 0, 1
"""The sides."""


class Bags(NamedTuple):
    """The distinct words of N texts, one text after the other."""

    place: Tensor  # (T,) int64 which word of the vocabulary
    hashes: Tensor  # (T,) int64 the word's own hash
    counts: Tensor  # (T,) float how often it stands in the text
    header: Tensor  # (T,) float 1 where it stands in a definition's header, else 0
    offsets: Tensor  # (N,) int64 where each text begins


class SearchHead(nn.Module):
    """Weights of words on either side, and how repetition and headers count."""

    def __init__(self, buckets: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, buckets))
        self.header = nn.Parameter(torch.tensor(1.0))
        self.saturation = nn.Parameter(torch.tensor(0.5))
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        """Inverse temperature of the contrastive loss; training alone uses it."""

    def forward(self, vectors: Tensor, bags: Bags, side: int) -> Tensor:
        """Unit vectors of texts: vocabulary (V, H) and N bags → (N, H)."""
        weight = functional.softplus(4 * self.weight[side][bags.hashes % self.weight.shape[1]]) / 4
        # A word said often counts for more, but never for much more (as in BM25).
        weight = weight * bags.counts / (bags.counts + self.saturation.abs() + 0.1)
        if side == CODE:
            weight = weight * (1 + self.header * bags.header)
        sums = functional.embedding_bag(
            bags.place, vectors, bags.offsets, mode="sum", per_sample_weights=weight
        )
        return functional.normalize(sums, dim=1)
