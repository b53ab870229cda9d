"""The linear expert: what n-grams and pairs of words say of a severity, each for itself.

A straight sum generalises where the deep network has learnt by heart, and the other way round:
their mean is better than either on programs that neither has seen.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import Groups, segment_sum, sizes
from models.ngrams import rehash


class Words(NamedTuple):
    """Words of a vocabulary, or the packed tokens of lines, as Raccoon takes them."""

    vectors: Tensor  # (V, d) what the blocks see
    votes: Tensor  # (V, C) the linear expert's sum over a word's features
    sizes: Tensor  # (V,) how many features a word has
    hashes: Tensor  # (V,) int64 a word's own hash, for pairs of neighbours

    def take(self, place: Tensor) -> Words:
        """The words at these numbers, (T,)."""
        return Words(*(field.index_select(0, place) for field in tuple(self)))


class LinearExpert(nn.Module):
    """Logistic regression on hashed features and pairs of neighbouring words."""

    SMOOTHING = 4.0
    """Features that a word counts for beyond its own: the pair it makes."""

    def __init__(self, buckets: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.votes = nn.Parameter(torch.zeros(buckets, classes))
        self.dropout = dropout

    def words(self, features: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Votes (V, C), sizes (V,) and hashes (V,) of words given as for Encoder.embed."""
        kept = (
            functional.dropout(self.votes.new_ones(len(features)), self.dropout)
            if self.training
            else None
        )
        rows = rehash(features, 2, len(self.votes))
        votes = functional.embedding_bag(
            rows, self.votes, offsets, mode="sum", per_sample_weights=kept
        )
        return votes, sizes(features, offsets), features[offsets]

    def forward(self, tokens: Words, groups: Groups) -> Tensor:
        """Logits (B, C) of packed lines."""
        before = torch.roll(tokens.hashes, 1)
        before[_firsts(groups)] = 0
        pairs = (tokens.hashes * 31 + before * 7) & 0xFFFFFFFF
        votes = functional.embedding(rehash(pairs, 3, len(self.votes)), self.votes)
        votes = tokens.votes + 2 * functional.dropout(votes, self.dropout / 2, self.training)
        lengths = segment_sum(tokens.sizes.unsqueeze(1) + self.SMOOTHING, groups)  # (B, 1)
        return segment_sum(votes, groups) * lengths.rsqrt()


def _firsts(groups: Groups) -> Tensor:
    """Places of the lines' first tokens, (B,)."""
    places, begin = [], 0
    for length, lines in groups:
        places.append(torch.arange(lines) * length + begin)
        begin += length * lines
    return torch.cat(places)
