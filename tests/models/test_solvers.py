import math

import pytest
import torch
from torch import Tensor

from models.solvers import brownian, euler_maruyama


def test_strong_order_one_half_on_geometric_brownian_motion() -> None:
    mu, sigma, paths, finest = 0.5, 1.0, 4000, 512
    z0 = torch.ones(paths, 1, dtype=torch.float64)
    fine = brownian(z0, steps=finest)
    exact = torch.exp((mu - 0.5 * sigma**2) + sigma * fine.sum(0))

    def error(steps: int) -> float:
        dw = fine.view(steps, finest // steps, paths, 1).sum(1)
        path = euler_maruyama(lambda z, t: mu * z, lambda z, t: sigma * z, z0, steps=steps, dw=dw)
        return (path[-1] - exact).abs().mean().item()

    coarse, fine_error = error(8), error(128)
    order = math.log(coarse / fine_error) / math.log(16)
    assert 0.4 < order < 0.65


def test_noise_free_path_is_the_ordinary_equation() -> None:
    z0 = torch.tensor([[1.0, -2.0]], dtype=torch.float64)

    def never(z: Tensor, t: float) -> Tensor:
        raise AssertionError("diffusion has no part in a noise-free path")

    path = euler_maruyama(lambda z, t: -z + t, never, z0, steps=4000)
    exact = (z0 + 1) * math.exp(-1)  # z' = t − z has z = t − 1 + (z0 + 1) e^(−t)
    torch.testing.assert_close(path[-1], exact, rtol=0, atol=5e-4)
    assert path.shape == (4001, 1, 2)


def test_zero_increments_equal_no_noise() -> None:
    z0 = torch.randn(3, 2)
    quiet = euler_maruyama(lambda z, t: -z, lambda z, t: z.abs() + 1, z0, steps=5)
    zeros = euler_maruyama(
        lambda z, t: -z, lambda z, t: z.abs() + 1, z0, steps=5, dw=torch.zeros(5, 3, 2)
    )
    assert torch.equal(quiet, zeros)


def test_increments_have_the_variance_of_their_step() -> None:
    dw = brownian(torch.zeros(20000, 1), steps=4, span=2.0)
    assert abs(dw.var().item() - 0.5) < 0.02


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        euler_maruyama(lambda z, t: z, lambda z, t: z, torch.zeros(1, 1), steps=0)
    with pytest.raises(ValueError, match="expected"):
        euler_maruyama(
            lambda z, t: z, lambda z, t: z, torch.zeros(2, 1), steps=3, dw=torch.zeros(2, 2, 1)
        )
