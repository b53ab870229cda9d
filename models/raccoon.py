"""Raccoon: encoder → μ, σ → latent SDE → flow → severity and log-density.

Latent SDE after Li et al. 2020 (Scalable gradients for stochastic differential equations), with
the prior dz = −θ z dt + g dW; heads, SDE and flow compute in fp32 whatever the encoder does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.encoder import Encoder, Groups, Product, segment_mean
from models.flows import Flow
from models.linear import LinearExpert, Words
from models.losses import gaussian_kl, path_kl
from models.sde import brownian, solve_sde
from models.search import SearchHead
from models.tokens import MAX_WORDS

CLASSES = 8


@dataclass(frozen=True)
class Architecture:
    """Everything that shapes the weights; stored beside them."""

    buckets: int = 1 << 16
    ngram_width: int = 128
    linear_buckets: int = 1 << 17
    weight_buckets: int = 1 << 16
    width: int = 96
    heads: int = 4
    inner: int = 192
    blocks: int = 1
    latent: int = 32
    max_words: int = MAX_WORDS
    sde_hidden: int = 64
    sde_steps: int = 4
    flow_hidden: int = 64
    couplings: int = 4
    coupling: str = "affine"
    """Of the flow: "affine" or "spline"."""
    head_hidden: int = 128
    dropout: float = 0.2
    ngram_dropout: float = 0.4

    def as_dict(self) -> dict[str, int | float | str]:
        return asdict(self)


class Scored(NamedTuple):
    latent: Tensor  # (B, D) z1
    logits: Tensor  # (B, 8) log-likelihood of each class up to a constant
    log_prob: Tensor  # (B,) log p(z1) under the flow, nats


class Experts(NamedTuple):
    """A pass without noise, the experts apart."""

    latent: Tensor  # (B, D) z1
    deep: Tensor  # (B, 8) logits of the deep network
    linear: Tensor  # (B, 8) of the linear expert
    logits: Tensor  # (B, 8) of both together


class Training(NamedTuple):
    """One noisy pass with what the losses need."""

    logits: Tensor  # (B, 8) of the deep network
    linear_logits: Tensor  # (B, 8) of the linear expert
    mean: Tensor  # (B, D) of z0
    latent: Tensor  # (B, D) z1, with gradient
    log_prob: Tensor  # (B,) of z1 held fixed: the flow follows the latent, never pulls it
    kl: Tensor  # of z0 from N(0, I), nats
    path_kl: Tensor  # of the SDE's path from its prior's, nats


class LatentSDE(nn.Module):
    """Learned drift and diagonal diffusion over t ∈ [0, 1]; the prior's drift at the start."""

    G_MIN, G_MAX, THETA = 0.05, 0.5, 0.5

    def __init__(self, dim: int, hidden: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        last = nn.Linear(hidden, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.first = nn.Linear(dim, hidden)
        self.time = nn.Parameter(torch.randn(hidden) * 0.1)
        self.last = last
        # g_i depends on z_i alone: what "diagonal" must mean for an Itô correction to be simple
        self.g_slope = nn.Parameter(torch.zeros(dim))
        self.g_time = nn.Parameter(torch.zeros(dim))
        self.g_bias = nn.Parameter(torch.full((dim,), -1.0))

    def prior_drift(self, z: Tensor) -> Tensor:
        return -self.THETA * z

    def drift(self, z: Tensor, t: float) -> Tensor:
        learned: Tensor = self.last(nn.functional.silu(self.first(z) + self.time * t))
        return self.prior_drift(z) + learned

    def diffusion(self, z: Tensor, t: float) -> Tensor:
        gate = torch.sigmoid(self.g_slope * z + self.g_time * t + self.g_bias)
        return self.G_MIN + (self.G_MAX - self.G_MIN) * gate

    def forward(self, z0: Tensor, dw: Tensor | None = None) -> Tensor:
        """The path (S + 1, B, D); without increments the noise-free one."""
        return solve_sde(self.drift, self.diffusion, z0, steps=self.steps, dw=dw).path

    def kl(self, path: Tensor) -> Tensor:
        """KL of this path's measure from the prior's, nats a line."""
        dt = 1 / self.steps
        drifts = [self.drift(z, i * dt) for i, z in enumerate(path[:-1])]
        diffusions = [self.diffusion(z, i * dt) for i, z in enumerate(path[:-1])]
        return path_kl(
            torch.stack(drifts), self.prior_drift(path[:-1]), torch.stack(diffusions), dt
        )


class Raccoon(nn.Module):
    """The classifier. Lines go in packed (see models.encoder), results come out in that order."""

    DEEP_SHARE = 0.5
    """Of the deep network in the severity; the linear expert has the rest."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.encoder = Encoder(
            buckets=a.buckets,
            ngram_width=a.ngram_width,
            width=a.width,
            heads=a.heads,
            inner=a.inner,
            blocks=a.blocks,
            latent=a.latent,
            max_words=a.max_words,
            dropout=a.dropout,
            ngram_dropout=a.ngram_dropout,
        )
        self.linear = LinearExpert(a.linear_buckets, CLASSES, a.ngram_dropout)
        self.search = SearchHead(a.weight_buckets)
        pooled = self.encoder.pooled_width
        self.to_mean = nn.Linear(pooled, a.latent)
        self.to_log_variance = nn.Linear(pooled, a.latent)
        self.sde = LatentSDE(a.latent, a.sde_hidden, a.sde_steps)
        self.flow = Flow(a.latent, a.flow_hidden, a.couplings, a.coupling)
        self.severity = nn.Sequential(
            nn.Linear(pooled + a.latent, a.head_hidden),
            nn.ReLU(),
            nn.Dropout(a.dropout),
            nn.Linear(a.head_hidden, CLASSES),
        )

    def set_product_dtype(self, dtype: torch.dtype) -> None:
        """Let the encoder's products compute in this type; everything else stays fp32."""
        for module in self.encoder.modules():
            if isinstance(module, Product):
                module.to(dtype)

    def words(self, features: Tensor, offsets: Tensor) -> Words:
        """Words of a vocabulary, ready to be looked up: as for Encoder.embed."""
        vectors = self.encoder.word_vectors(features, offsets)
        return Words(vectors, *self.linear.words(features, offsets))

    def _posterior(self, tokens: Tensor, groups: Groups) -> tuple[Tensor, Tensor, Tensor]:
        encoded = self.encoder(tokens, groups)
        # The latent of a line is its path's centre, corrected by what pooling saw.
        mean = segment_mean(encoded.path, groups) + self.to_mean(encoded.pooled)  # (B, D)
        log_variance = -3 + 3 * torch.tanh(self.to_log_variance(encoded.pooled))  # in (−6, 0)
        return encoded.pooled, mean, log_variance

    def _classify(self, pooled: Tensor, z: Tensor) -> Tensor:
        logits: Tensor = self.severity(torch.cat((pooled, z), dim=-1))
        return logits  # (B, 8)

    def _agree(self, deep: Tensor, linear: Tensor) -> Tensor:
        """The experts' log-likelihoods, weighed, (…, B, 8)."""
        share = self.DEEP_SHARE
        return share * deep.log_softmax(-1) + (1 - share) * linear.log_softmax(-1)

    def forward(self, tokens: Words, groups: Groups) -> Scored:
        """Score without noise: z0 = μ, the SDE's noise-free path."""
        found = self.experts(tokens, groups)
        return Scored(found.latent, found.logits, self.flow.log_prob(found.latent))

    def experts(self, tokens: Words, groups: Groups) -> Experts:
        """As `forward`, with each expert's own logits."""
        pooled, mean, _ = self._posterior(tokens.vectors, groups)
        z1 = self.sde(mean)[-1]
        deep, linear = self._classify(pooled, z1), self.linear(tokens, groups)
        return Experts(z1, deep, linear, self._agree(deep, linear))

    def sample(
        self, tokens: Words, groups: Groups, paths: int, generator: torch.Generator
    ) -> Scored:
        """Monte-Carlo: `paths` draws of z0 and of the SDE's noise, as (paths, B, …) tensors."""
        pooled, mean, log_variance = self._posterior(tokens.vectors, groups)
        draws = torch.randn((paths, *mean.shape), generator=generator)
        z0 = mean + draws * (0.5 * log_variance).exp()  # (P, B, D)
        z1 = self.sde(z0, brownian(z0, steps=self.sde.steps, generator=generator))[-1]
        pooled = pooled.expand(paths, *pooled.shape)
        logits = self._agree(self._classify(pooled, z1), self.linear(tokens, groups))
        return Scored(z1, logits, self.flow.log_prob(z1))

    def train_step(self, tokens: Words, groups: Groups) -> Training:
        """One reparameterised draw per line."""
        pooled, mean, log_variance = self._posterior(tokens.vectors, groups)
        z0 = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        path = self.sde(z0, brownian(z0, steps=self.sde.steps))
        z1 = path[-1]
        return Training(
            logits=self._classify(pooled, z1),
            linear_logits=self.linear(tokens, groups),
            mean=mean,
            latent=z1,
            log_prob=self.flow.log_prob(z1.detach()),
            kl=gaussian_kl(mean, log_variance),
            path_kl=self.sde.kl(path),
        )
