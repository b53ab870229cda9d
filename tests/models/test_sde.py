from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torchsde
from torch import Tensor, nn

from models.sde import Method, brownian, solve_sde
from tests.models.problems import Stochastic, geometric, order, ornstein_uhlenbeck

every_method = pytest.mark.parametrize("method", ["euler_maruyama", "milstein"])


def one(z: Tensor, t: float) -> Tensor:
    return torch.ones_like(z)


def decay(z: Tensor, t: float) -> Tensor:
    return -z


@pytest.mark.parametrize(
    ("problem", "method", "expected"),
    [
        (geometric, "euler_maruyama", 0.5),
        (geometric, "milstein", 1.0),
        (ornstein_uhlenbeck, "euler_maruyama", 1.0),  # where the noise is additive
        (ornstein_uhlenbeck, "milstein", 1.0),
    ],
)
def test_strong_order(
    problem: Callable[[int], Stochastic], method: Method, expected: float
) -> None:
    paths, finest = 2000, 1024
    made = problem(paths)
    fine = brownian(made.z0, steps=finest)
    exact = made.exact(fine)
    errors = {}
    for steps in (8, 16, 32, 64):
        dw = fine.view(steps, finest // steps, paths, 1).sum(1)
        path = solve_sde(
            made.drift, made.diffusion, made.z0, steps=steps, method=method, dw=dw
        ).path
        errors[steps] = (path[-1] - exact).abs().mean().item()
    assert order(errors) == pytest.approx(expected, abs=0.2)


class Learned(nn.Module):
    """A learned drift and a diagonal diffusion, as torchsde wants them and as we do."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
        self.slope = nn.Parameter(torch.randn(3))

    def drift(self, z: Tensor, t: float) -> Tensor:
        found: Tensor = self.net(z) - z * t
        return found

    def diffusion(self, z: Tensor, t: float) -> Tensor:
        return 0.1 + torch.sigmoid(self.slope * z + t)

    def f(self, t: Tensor, z: Tensor) -> Tensor:
        return self.drift(z, t.item())

    def g(self, t: Tensor, z: Tensor) -> Tensor:
        return self.diffusion(z, t.item())


@pytest.mark.parametrize(
    ("method", "theirs"), [("euler_maruyama", "euler"), ("milstein", "milstein")]
)
def test_agrees_with_torchsde_on_the_same_increments(method: Method, theirs: str) -> None:
    sde, steps = Learned().double(), 64  # a power of two: all times are exact in binary
    z0 = torch.randn(5, 3, dtype=torch.float64)
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    motion = torchsde.BrownianInterval(0.0, 1.0, size=(5, 3), dtype=torch.float64, entropy=7)
    dw = torch.stack([motion(a, b) for a, b in pairwise(times)])
    path = solve_sde(sde.drift, sde.diffusion, z0, steps=steps, method=method, dw=dw).path
    expected = torchsde.sdeint(sde, z0, times, bm=motion, method=theirs, dt=1 / steps)
    torch.testing.assert_close(path, expected, rtol=1e-9, atol=1e-9)
    assert (path[-1] - z0).abs().max() > 0.1


def test_milstein_is_the_same_with_and_without_gradients() -> None:
    sde = Learned()
    z0 = torch.randn(4, 3)
    dw = brownian(z0, steps=6)

    def solve() -> Tensor:
        return solve_sde(sde.drift, sde.diffusion, z0, steps=6, method="milstein", dw=dw).path

    followed = solve()
    with torch.no_grad():
        silent = solve()
    with torch.inference_mode():
        inferred = solve()
    assert followed.requires_grad
    assert not silent.requires_grad
    assert torch.equal(followed, silent)
    assert torch.equal(followed, inferred)


@every_method
def test_gradients_go_through_the_steps(method: Method) -> None:
    """Against finite differences, through the correction as well."""
    sde = Learned().double()
    z0 = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    dw = brownian(z0.detach(), steps=3)

    def end(z: Tensor, slope: Tensor) -> Tensor:
        def diffusion(z: Tensor, t: float) -> Tensor:
            return 0.1 + torch.sigmoid(slope * z + t)

        return solve_sde(sde.drift, diffusion, z, steps=3, method=method, dw=dw).path[-1]

    slope = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(end, (z0, slope))


@every_method
def test_noise_free_path_is_the_ordinary_equation(method: Method) -> None:
    z0 = torch.tensor([[1.0, -2.0]], dtype=torch.float64)

    def never(z: Tensor, t: float) -> Tensor:
        raise AssertionError("diffusion has no part in a noise-free path")

    path, evaluations = solve_sde(
        lambda z, t: -z + t, never, z0, steps=4000, method=method, end=2.0
    )
    exact = 1 + (z0 + 1) * torch.tensor(-2.0).double().exp()  # t − 1 + (z0 + 1) e^(−t)
    torch.testing.assert_close(path[-1], exact, rtol=0, atol=5e-4)
    assert path.shape == (4001, 1, 2)
    assert evaluations == 4000


def test_zero_increments_equal_no_noise() -> None:
    z0 = torch.randn(3, 2)
    quiet = solve_sde(decay, one, z0, steps=5).path
    zeros = solve_sde(decay, one, z0, steps=5, dw=torch.zeros(5, 3, 2)).path
    assert torch.equal(quiet, zeros)


@every_method
def test_calls_of_the_drift_are_counted(method: Method) -> None:
    calls = 0

    def drift(z: Tensor, t: float) -> Tensor:
        nonlocal calls
        calls += 1
        return -z

    z0 = torch.ones(2, 2)
    solution = solve_sde(drift, one, z0, steps=7, method=method, dw=brownian(z0, steps=7))
    assert solution.evaluations == calls == 7


def test_increments_have_the_variance_of_their_step() -> None:
    dw = brownian(torch.zeros(20000, 1), steps=4, end=2.0)
    assert abs(dw.var().item() - 0.5) < 0.02


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        solve_sde(decay, one, torch.zeros(1, 1), steps=0)
    with pytest.raises(ValueError, match="expected"):
        solve_sde(decay, one, torch.zeros(2, 1), steps=3, dw=torch.zeros(2, 2, 1))
    with pytest.raises(ValueError, match="'heun': one of euler_maruyama, milstein"):
        solve_sde(decay, one, torch.zeros(2, 1), steps=3, method="heun")  # type: ignore[arg-type]
