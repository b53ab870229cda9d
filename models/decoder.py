"""The decoder: a causal transformer that reads a latent path and the tokens before.

Attention looks at a window of the last tokens and at the first few, the anchors (Xiao et al.
2024, "Efficient streaming language models with attention sinks"). Of all that was said in between
there is a sum. So the memory of decoding is the same for a long sequence and a short one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoder import Block

_A_FEW = 8
"""Tokens whose sum is of the size of one."""
Cache = tuple[Tensor, Tensor]
"""Keys and values of what a block may still look at, (B, heads, W, d / heads) each."""


class CausalBlock(Block):
    """The encoder's block, looking back only."""

    def forward_causal(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, L, d), mask (L, L) of what each may see → (B, L, d)."""
        q, k, v = self._qkv(x)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self._rest(x, attended)

    def step(self, x: Tensor, cache: Cache | None, keep: Tensor) -> tuple[Tensor, Cache]:
        """One token on: x (B, 1, d). keep: which of the cache's entries may still be seen."""
        q, k, v = self._qkv(x)
        if cache is not None:
            k = torch.cat((cache[0].index_select(2, keep), k), dim=2)
            v = torch.cat((cache[1].index_select(2, keep), v), dim=2)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self._rest(x, attended), (k, v)

    def _qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, L, d) → (B, heads, L, ·)
        lines, length, _ = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(lines, length, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return q, k, v

    def _rest(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        inner = functional.relu(self.up(self.norm_inner(x)))
        result: Tensor = x + self.dropout(self.down(inner))
        return result


class Decoder(nn.Module):
    """p(token i | path up to i, tokens before i)."""

    def __init__(
        self,
        *,
        vocabulary: int,
        length: int,
        latent: int,
        width: int,
        heads: int,
        inner: int,
        blocks: int,
        window: int,
        anchors: int,
    ) -> None:
        super().__init__()
        self.window, self.anchors = window, anchors
        self.vocabulary = vocabulary
        self.symbols = nn.Embedding(vocabulary + 1, width)  # and what stands before the first
        self.position = nn.Parameter(waves(length, width))
        self.from_path = nn.Linear(latent, width)
        self.from_sum = nn.Linear(width, width)
        self.blocks = nn.ModuleList(CausalBlock(width, heads, inner, 0.0) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.to_symbols = nn.Linear(width, vocabulary)

    def forward(self, path: Tensor, tokens: Tensor) -> Tensor:
        """path (B, L, D), tokens (B, L) → logits (B, L, V) of each given those before."""
        lines, length = tokens.shape
        before = torch.cat((tokens.new_full((lines, 1), self.vocabulary), tokens[:, :-1]), dim=1)
        said = self.symbols(before)
        x = said + self.from_path(path) + self.position[:length] + self._recall(said.cumsum(1))
        mask = self.mask(length)
        for block in self.blocks:
            assert isinstance(block, CausalBlock)
            x = block.forward_causal(x, mask)
        logits: Tensor = self.to_symbols(self.norm(x))
        return logits

    def mask(self, length: int) -> Tensor:
        """(L, L) whether token i may look at token j."""
        i, j = torch.arange(length)[:, None], torch.arange(length)
        return (j <= i) & ((i - j < self.window) | (j < self.anchors))

    @torch.no_grad()
    def sample(
        self,
        path: Tensor,
        *,
        temperature: float = 1.0,
        least: float = 0.0,
        prefix: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Tokens (B, L) along paths (B, L, D); temperature 0 takes the likeliest.

        least: tokens less likely than this share of the likeliest are not drawn (min-p; Nguyen et
        al. 2024). prefix: (B, P) tokens that the sequences begin with, instead of drawn ones.
        """
        lines, length, _ = path.shape
        token = torch.full((lines,), self.vocabulary)
        caches: list[Cache | None] = [None] * len(self.blocks)
        drawn: list[Tensor] = []
        total = torch.zeros(lines, self.position.shape[1])
        for i in range(length):
            said = self.symbols(token)
            total = total + said
            x = said + self.from_path(path[:, i]) + self.position[i] + self._recall(total)
            x = x.unsqueeze(1)  # (B, 1, d)
            first = caches[0]
            keep = self._kept(0 if first is None else first[0].shape[2])
            for n, block in enumerate(self.blocks):
                assert isinstance(block, CausalBlock)
                x, caches[n] = block.step(x, caches[n], keep)
            logits = self.to_symbols(self.norm(x[:, 0]))  # (B, V)
            if prefix is not None and i < prefix.shape[1]:
                token = prefix[:, i]
            elif temperature == 0:
                token = logits.argmax(-1)
            else:
                shares = (logits / temperature).softmax(-1)
                shares = shares * (shares >= least * shares.amax(-1, keepdim=True))
                token = torch.multinomial(shares, 1, generator=generator).squeeze(1)
            drawn.append(token)
        return torch.stack(drawn, dim=1)

    def _recall(self, total: Tensor) -> Tensor:
        """What the sum of all tokens so far tells, (…, d) → (…, d); bounded however long."""
        recalled: Tensor = torch.tanh(self.from_sum(total / _A_FEW))
        return recalled

    def _kept(self, cached: int) -> Tensor:
        """Which of the cached entries the next token may look at: the anchors and the window."""
        at = torch.arange(cached)
        return at[(at < self.anchors) | (at >= cached - self.window + 1)]


def waves(length: int, width: int) -> Tensor:
    """Places as sines and cosines (Vaswani et al. 2017, section 3.5) to begin with, (L, d).

    From random ones it takes a model long to learn which places are neighbours.
    """
    rates = torch.exp(-math.log(2.0 * length) * torch.arange(width // 2) / (width // 2))
    angles = torch.arange(length)[:, None] * rates  # (L, d / 2)
    return torch.cat((angles.sin(), angles.cos()), dim=1)
