"""What training minimises: means over the batch, divergences in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def adjusted_cross_entropy(logits: Tensor, target: Tensor, log_prior: Tensor) -> Tensor:
    """Cross-entropy with the sampling prior added (Menon et al. 2021, eq. 10).

    logits (B, C), target (B,), log_prior (C,) or (B, C). What the logits learn is then the
    log-likelihood of a class up to a constant: the prior of the place where they are used can be
    added later.
    """
    return functional.cross_entropy(logits + log_prior, target)


def ranked_probability_score(
    log_probability: Tensor, target: Tensor, *, mean: bool = True
) -> Tensor:
    """Σ (P(Y ≤ k) − 1[y ≤ k])² over the ranks k (Epstein 1969): far misses cost more.

    log_probability (B, C) of ordered classes, target (B,). A proper score: unlike targets that
    are smeared over neighbours, it does not move what the probabilities should be. mean=False
    gives each line's, (B,).
    """
    below = log_probability.exp().cumsum(-1)  # (B, C)
    ranks = torch.arange(log_probability.shape[-1])
    scores = (below - (target.unsqueeze(1) <= ranks).float()).square().sum(-1)  # (B,)
    return scores.mean() if mean else scores


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL of the student's classes from the teacher's (Hinton et al. 2015); both (B, C) logits."""
    return functional.kl_div(
        student.log_softmax(-1), teacher.log_softmax(-1), reduction="batchmean", log_target=True
    )


def info_nce(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE (van den Oord et al. 2018): row i of a (B, H) belongs to row i of b.

    Rows are unit vectors; scale is the inverse temperature. All other rows are negatives.
    """
    likeness = scale * (a @ b.T)  # (B, B)
    own = torch.arange(len(a))
    return 0.5 * (
        functional.cross_entropy(likeness, own) + functional.cross_entropy(likeness.T, own)
    )


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(μ, σ²) from N(0, I), summed over D (Kingma & Welling 2014, appendix B)."""
    terms = mean.square() + log_variance.exp() - 1 - log_variance  # (B, D)
    return 0.5 * terms.sum(-1).mean()


def path_kl(drift: Tensor, prior_drift: Tensor, diffusion: Tensor, dt: float) -> Tensor:
    """KL between path measures, ½ ∫ ‖(f − h) / g‖² dt (Li et al. 2020, eq. 10).

    All (S, B, D), taken at the beginning of each step; g must be bounded away from zero.
    """
    u = (drift - prior_drift) / diffusion
    return 0.5 * dt * u.square().sum((0, -1)).mean()


def epps_pulley(
    z: Tensor,
    *,
    directions: int = 256,
    knots: int = 17,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Epps–Pulley statistic of random projections of z (B, D) against N(0, 1), averaged.

    T = N ∫ |φ̂(t) − e^(−t²/2)|² e^(−t²/2) dt over the real line, by the trapezoid rule on [0, 3]
    (the integrand is even), in fp32. About 1 for a normal sample of any size; grows with N else.
    """
    z = z.float()
    unit = torch.randn(z.shape[1], directions, generator=generator)
    unit = unit / unit.norm(dim=0, keepdim=True)
    t = torch.linspace(0.0, 3.0, knots)
    normal = torch.exp(-0.5 * t.square())  # (T,) both φ of N(0, 1) and the weight
    angles = (z @ unit).unsqueeze(-1) * t  # (B, K, T)
    real, imaginary = angles.cos().mean(0), angles.sin().mean(0)  # (K, T)
    integrand = ((real - normal).square() + imaginary.square()) * normal
    return 2 * z.shape[0] * torch.trapezoid(integrand, t, dim=-1).mean()


def bits_per_dimension(log_prob: Tensor, dim: int) -> Tensor:
    """Mean −log₂ p per dimension of the latent; log_prob (B,) in nats."""
    return -log_prob.mean() / (dim * math.log(2))
