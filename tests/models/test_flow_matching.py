"""Flow matching: exact likelihoods, straightness, and what training does."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from models.flow_matching import (
    TrajectoryFlow,
    VelocityNet,
    curriculum,
    log_likelihood,
    rectified_loss,
    reflow_pairs,
    sample,
)

MEANS = torch.tensor([[-1.5, 0.5], [1.0, 1.0], [0.5, -2.0]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
DEVIATION = 0.6


def mixture_log_prob(z: Tensor) -> Tensor:
    """log density of the mixture of three normals, (B, 2) → (B,)"""
    squares = (z[:, None] - MEANS).square().sum(-1) / DEVIATION**2
    normal = -0.5 * squares - 2 * math.log(DEVIATION) - math.log(2 * math.pi)
    return (normal + SHARES.log()).logsumexp(1)


def mixture_velocity(z: Tensor, t: Tensor | float) -> Tensor:
    """E[z₁ − z₀ | z_t = z], which rectified flow learns, in closed form for the mixture."""
    t = torch.as_tensor(t, dtype=z.dtype)
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    off = z[:, None] - (1 - t) * MEANS  # (B, 3, 2)
    weights = (SHARES.log() - 0.5 * off.square().sum(-1) / variance).softmax(1)
    gain = (t - (1 - t) * DEVIATION**2) / variance
    return (weights[..., None] * (gain * off - MEANS)).sum(1)


def draw_mixture(n: int, generator: torch.Generator) -> Tensor:
    which = torch.multinomial(SHARES, n, replacement=True, generator=generator)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return MEANS[which] + DEVIATION * noise


def test_log_likelihood_of_a_known_mixture_is_within_a_percent() -> None:
    data = draw_mixture(200, torch.Generator().manual_seed(0))
    found = log_likelihood(mixture_velocity, data, steps=100)
    torch.testing.assert_close(found, mixture_log_prob(data), rtol=0.01, atol=1e-3)


def test_hutchinsons_estimate_is_unbiased() -> None:
    data = draw_mixture(4, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    exact = log_likelihood(mixture_velocity, data, steps=20)
    estimate = log_likelihood(mixture_velocity, data, steps=20, probes=2000, generator=generator)
    torch.testing.assert_close(estimate, exact, rtol=0.0, atol=0.1)


def test_noise_flows_to_the_mixture() -> None:
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    data, evaluations = sample(mixture_velocity, noise, method="rk4", steps=40)
    assert evaluations == 160
    torch.testing.assert_close(data.mean(0), SHARES @ MEANS, rtol=0.0, atol=0.08)
    nearest = (data[:, None] - MEANS).norm(dim=-1).argmin(1)
    shares = torch.bincount(nearest, minlength=3) / len(nearest)
    torch.testing.assert_close(shares.double(), SHARES, rtol=0.0, atol=0.04)


def test_likelihood_and_sampling_are_inverse() -> None:
    noise = torch.randn(50, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    data, _ = sample(mixture_velocity, noise, method="rk4", steps=200)
    again, _ = sample(lambda z, t: -mixture_velocity(z, 1 - t), data, method="rk4", steps=200)
    torch.testing.assert_close(again, noise, rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("least_noise", [0.0, 0.1])
def test_training_finds_the_velocity(least_noise: float) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(5)
    net = VelocityNet(2, 64)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(400):
        data = draw_mixture(512, generator).float()
        noise = torch.randn(512, 2, generator=generator)
        loss = rectified_loss(net, data, noise, least_noise=least_noise, generator=generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        data, _ = sample(net, torch.randn(2000, 2, generator=generator), steps=50)
    gap = (
        mixture_log_prob(data.double()).mean()
        - mixture_log_prob(draw_mixture(2000, generator)).mean()
    )
    assert abs(float(gap)) < 0.25


def test_reflow_makes_one_step_do() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(6)

    def velocity(z: Tensor, t: Tensor | float) -> Tensor:
        return mixture_velocity(z.double(), t).float()

    data, noise = reflow_pairs(velocity, torch.randn(4096, 2, generator=generator))
    net = VelocityNet(2, 64)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(400):
        rows = torch.randint(len(data), (512,), generator=generator)
        loss = rectified_loss(net, data[rows], noise[rows], generator=generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        once, evaluations = sample(net, noise, steps=1)
        plain, _ = sample(velocity, noise, steps=1)
    assert evaluations == 1
    assert (once - data).norm(dim=1).mean() < 0.4 * (plain - data).norm(dim=1).mean()


def test_gradients_reach_every_parameter() -> None:
    net = VelocityNet(6, 16, condition=3)
    data, noise, condition = torch.randn(8, 6), torch.randn(8, 6), torch.randn(8, 3)
    rectified_loss(net, data, noise, condition=condition).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_paths_and_flat_numbers_are_inverse() -> None:
    flow = TrajectoryFlow(9, 3, hidden=8)
    knots = torch.randn(64, 3, 3) * 4 + 1
    halves = torch.tensor([0, 1, 2, 3]) / 4
    straight = [knots[:, i, None] + halves[:, None] * (knots[:, i + 1] - knots[:, i])[:, None]
                for i in (0, 1)]  # fmt: skip
    paths = torch.cat((*straight, knots[:, 2:]), dim=1)  # (64, 9, 3), straight between knots
    flow.measure(paths)
    torch.testing.assert_close(flow.paths(flow.flat(paths)), paths)
    assert flow.flat(paths).std(0).sub(1).abs().max() < 1e-5
    assert flow.noise(5).shape == (5, 9)


def test_curriculum_goes_from_the_ode_to_the_flow() -> None:
    shares = [curriculum(i / 100) for i in range(101)]
    assert shares[0] == (1.0, 0.0)
    assert shares[-1].flow == 1.0
    assert 0 < shares[-1].ode < 0.2
    assert all(a.ode >= b.ode and a.flow <= b.flow for a, b in pairwise(shares))
