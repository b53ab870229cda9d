import math
from collections.abc import Callable

import pytest
import torch

from models.losses import (
    adjusted_cross_entropy,
    epps_pulley,
    gaussian_kl,
    info_nce,
    path_kl,
    ranked_probability_score,
)


@pytest.mark.parametrize("size", [64, 512, 4096])
def test_epps_pulley_is_small_for_a_normal_sample_of_any_size(size: int) -> None:
    assert epps_pulley(torch.randn(size, 16)).item() < 2.5


@pytest.mark.parametrize(
    "strange",
    [
        torch.zeros_like,
        lambda z: z + 1.0,
        lambda z: z * 3.0,
        lambda z: z[:, :1].expand_as(z),
        torch.sign,
    ],
    ids=["collapsed", "shifted", "spread", "one dimension", "right mean and variance"],
)
def test_epps_pulley_is_large_for_others(strange: Callable[[torch.Tensor], torch.Tensor]) -> None:
    z = torch.randn(512, 4)
    normal = epps_pulley(z, generator=torch.Generator().manual_seed(1))
    statistic = epps_pulley(strange(z), generator=torch.Generator().manual_seed(1))
    assert statistic > 3 * normal


def test_epps_pulley_of_normal_samples_has_its_expected_value() -> None:
    """∫ (1 − e^(−t²)) e^(−t²/2) dt = √2π (1 − 1/√3), since N E|φ̂ − φ|² = 1 − |φ|²."""
    found = [epps_pulley(torch.randn(400, 16)).item() for _ in range(50)]
    expected = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))  # 1.06
    assert sum(found) / len(found) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    "strange",
    [
        lambda z, much: z + much,
        lambda z, much: z * (1 + much),
        lambda z, much: z / (1 + much),
        # mean 0 and variance 1 still: two heaps that part
        lambda z, much: z * (1 - much**2) ** 0.5 + much * torch.randn_like(z).sign(),
    ],
    ids=["shifted", "spread", "narrowed", "two heaps"],
)
def test_epps_pulley_grows_with_the_distance(
    strange: Callable[[torch.Tensor, float], torch.Tensor],
) -> None:
    z = torch.randn(1000, 1)
    found = [epps_pulley(strange(z, much)).item() for much in (0.0, 0.6, 0.8, 0.95)]
    assert found == sorted(found)
    assert found[-1] > 10 * found[0]


def test_epps_pulley_is_invariant_to_order_and_in_law_to_rotation() -> None:
    z = torch.randn(400, 8) * 1.5 + 0.3
    seed = torch.Generator
    first = epps_pulley(z, generator=seed().manual_seed(2))
    shuffled = epps_pulley(z[torch.randperm(400)], generator=seed().manual_seed(2))
    torch.testing.assert_close(first, shuffled, rtol=1e-4, atol=1e-4)
    rotation, _ = torch.linalg.qr(torch.randn(8, 8))
    rotated = epps_pulley(z @ rotation, directions=4096)
    torch.testing.assert_close(epps_pulley(z, directions=4096), rotated, rtol=0.1, atol=0.1)


def test_epps_pulley_agrees_with_a_fine_quadrature() -> None:
    x = torch.randn(300, 1) * 1.3
    t = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    angles = x.double() * t
    normal = torch.exp(-0.5 * t**2)
    difference = (angles.cos().mean(0) - normal) ** 2 + angles.sin().mean(0) ** 2
    exact = 300 * torch.trapezoid(difference * normal, t)
    torch.testing.assert_close(epps_pulley(x).double(), exact, rtol=0.05, atol=0.01)


def test_gaussian_kl_is_zero_only_for_the_standard_normal() -> None:
    assert gaussian_kl(torch.zeros(4, 3), torch.zeros(4, 3)).item() == 0
    assert gaussian_kl(torch.ones(4, 3), torch.zeros(4, 3)).item() == pytest.approx(1.5)
    mean, log_variance = torch.tensor([[0.4]]), torch.tensor([[-1.0]])
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    p = torch.distributions.Normal(torch.zeros(1, 1), torch.ones(1, 1))
    expected = torch.distributions.kl_divergence(q, p).sum()
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)


def test_path_kl_is_zero_for_the_prior_and_has_the_right_size() -> None:
    h, g = torch.randn(4, 5, 3), torch.full((4, 5, 3), 0.5)
    assert path_kl(h, h, g, 0.25).item() == 0
    # a constant difference of 0.1 in 3 dimensions over t in [0, 1]: ½ · 3 · (0.1 / 0.5)²
    assert path_kl(h + 0.1, h, g, 0.25).item() == pytest.approx(0.06, rel=1e-4)


def test_adjusted_logits_learn_the_likelihood_not_the_prior() -> None:
    log_prior = torch.tensor([0.9, 0.1]).log()
    target = torch.tensor([0] * 90 + [1] * 10)  # nothing to tell the classes apart by
    logits = torch.zeros(2, requires_grad=True)
    loss = adjusted_cross_entropy(logits.expand(100, 2), target, log_prior)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.zeros(2), atol=1e-6, rtol=0)


def test_each_line_may_have_a_prior_of_its_own() -> None:
    logits, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    log_prior = torch.randn(6, 3).log_softmax(-1)
    alone = [
        adjusted_cross_entropy(logits[i : i + 1], target[i : i + 1], log_prior[i])
        for i in range(6)
    ]
    together = adjusted_cross_entropy(logits, target, log_prior)
    torch.testing.assert_close(together, torch.stack(alone).mean())
    by_hand = -(logits + log_prior).log_softmax(-1)[torch.arange(6), target].mean()
    torch.testing.assert_close(together, by_hand)


def test_ranked_probability_score_by_hand() -> None:
    probability = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    score = ranked_probability_score(probability.log(), torch.tensor([0, 2]))
    first = (0.5 - 1) ** 2 + (0.8 - 1) ** 2  # at most rank 0, at most rank 1
    second = 0.5**2 + 0.8**2
    assert score.item() == pytest.approx((first + second) / 2)
    sure = torch.tensor([[0.0, 1.0, 0.0]]).log()
    assert ranked_probability_score(sure, torch.tensor([1])).item() == 0
    misses = [ranked_probability_score(sure.roll(i, 1), torch.tensor([0])).item() for i in (0, 1)]
    assert misses == [1, 2]  # the farther the worse


def test_ranked_probability_score_is_least_at_the_truth() -> None:
    """It is proper: descending on it finds the probabilities that the targets are drawn with."""
    truth = torch.tensor([0.1, 0.5, 0.15, 0.25])
    target = torch.repeat_interleave(torch.arange(4), (truth * 1000).int())
    logits = torch.zeros(4, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        predicted = logits.log_softmax(-1).expand(len(target), 4)
        ranked_probability_score(predicted, target).backward()
        optimiser.step()
    torch.testing.assert_close(logits.softmax(-1).detach(), truth, atol=1e-3, rtol=0)


def test_info_nce_is_least_when_each_finds_its_own() -> None:
    a = torch.nn.functional.normalize(torch.randn(20, 50), dim=1)
    aligned = info_nce(a, a, 20.0)
    assert info_nce(a, a.roll(1, 0), 20.0) > aligned + 5
    for _ in range(20):
        near = torch.nn.functional.normalize(a + 0.3 * torch.randn_like(a), dim=1)
        assert info_nce(a, near, 20.0) > aligned
    b = torch.nn.functional.normalize(torch.randn(20, 50), dim=1)
    torch.testing.assert_close(info_nce(a, b, 5.0), info_nce(b, a, 5.0))
    assert info_nce(a, b, 0.0).item() == pytest.approx(math.log(20))  # pure chance
