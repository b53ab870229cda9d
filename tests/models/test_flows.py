from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.flows import AffineCoupling, Flow, SplineCoupling
from models.splines import inverse_spline, knots, spline

KINDS = ("affine", "spline")


def random_flow(kind: str, dim: int = 6, spread: float = 0.3) -> Flow:
    made = Flow(dim, 16, 4, kind).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += spread * torch.randn_like(parameter)
    return made


@pytest.fixture(params=KINDS)
def flow(request: pytest.FixtureRequest) -> Flow:
    return random_flow(request.param)


def test_training_begins_with_the_identity() -> None:
    z = 2 * torch.randn(50, 6, dtype=torch.float64)
    for kind in KINDS:
        value, log_det = Flow(6, 16, 4, kind).double()(z)
        torch.testing.assert_close(value, z, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(log_det, torch.zeros_like(log_det), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0])
def test_inverse_undoes_forward(flow: Flow, scale: float) -> None:
    z = scale * torch.randn(200, 6, dtype=torch.float64)
    there = flow(z)
    back = flow.inverse(there.value)
    torch.testing.assert_close(back.value, z, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(back.log_det, -there.log_det, rtol=1e-10, atol=1e-10)
    assert (there.value - z).abs().mean() > 0.02


@pytest.mark.parametrize("way", ["forward", "inverse"])
def test_log_det_is_that_of_the_jacobian(flow: Flow, way: str) -> None:
    def one(z: Tensor) -> Tensor:
        value: Tensor = getattr(flow, way)(z.unsqueeze(0)).value.squeeze(0)
        return value

    for z in 2 * torch.randn(10, 6, dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(one, z)
        log_det = getattr(flow, way)(z.unsqueeze(0)).log_det[0]
        torch.testing.assert_close(log_det, jacobian.slogdet()[1], rtol=1e-10, atol=1e-10)


def test_every_dimension_is_moved(flow: Flow) -> None:
    z = torch.randn(50, 6, dtype=torch.float64)
    assert ((flow(z).value - z).abs().amax(0) > 1e-3).all()


def test_gradient_reaches_every_parameter(flow: Flow) -> None:
    flow.log_prob(torch.randn(50, 6, dtype=torch.float64)).sum().backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_on_the_edges_and_far_away(kind: str) -> None:
    flow = random_flow(kind)
    bound = 4.0
    z = torch.tensor([-1e6, -bound, 0.0, bound, 1e6, bound + 1e-9], dtype=torch.float64)
    z = torch.stack([z.roll(i) for i in range(6)]).requires_grad_()
    flow.log_prob(z).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (z, *flow.parameters()))


def test_scale_is_bounded() -> None:
    far = random_flow("affine")(1e6 * torch.randn(50, 6, dtype=torch.float64))
    assert far.log_det.abs().max() <= 4 * 3 * AffineCoupling(6, 16, swap=False).bound


def test_beyond_its_bound_a_spline_leaves_all_as_it_is() -> None:
    far = torch.tensor([[5.0, -7.0, 1e4, -4.1, 6.0, 100.0]], dtype=torch.float64)
    flow = random_flow("spline")
    value, log_det = flow(far)
    assert torch.equal(value, far)
    assert log_det.item() == 0
    assert torch.equal(flow.inverse(far).value, far)


@pytest.mark.parametrize("bins", [2, 5, 8])
def test_a_spline_rises_from_end_to_end_through_its_knots(bins: int) -> None:
    bound, numbers = 3.0, 4 * torch.randn(20, 3 * bins - 1, dtype=torch.float64)
    at = knots(numbers, bound)
    assert torch.equal(at.x[:, 0], torch.full((20,), -bound, dtype=torch.float64))
    assert torch.equal(at.y[:, -1], torch.full((20,), bound, dtype=torch.float64))
    for edge in range(bins + 1):
        value, log_slope = spline(at.x[:, edge], at, bound)
        torch.testing.assert_close(value, at.y[:, edge], rtol=1e-12, atol=1e-12)
        if 0 < edge < bins:
            torch.testing.assert_close(log_slope.exp(), at.slopes[:, edge])
        there = inverse_spline(at.y[:, edge], at, bound).value
        torch.testing.assert_close(there, at.x[:, edge], rtol=1e-10, atol=1e-10)
    line = torch.linspace(-4, 4, 2001, dtype=torch.float64)
    for one in numbers:
        value = spline(line, knots(one.expand(2001, -1), bound), bound).value
        assert (value.diff() > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_density_integrates_to_one(kind: str) -> None:
    flow = random_flow(kind, dim=2, spread=0.15)
    side = torch.linspace(-12, 12, 301, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        mass = flow.log_prob(grid).exp().sum() * (24 / 300) ** 2
    assert abs(mass.item() - 1) < 0.01


def test_splines_learn_what_scales_and_shifts_cannot() -> None:
    """Two heaps in each dimension, the dimensions independent: no affine map knows of two."""
    z = 0.4 * torch.randn(600, 2) + 1.5 * torch.sign(torch.randn(600, 2))
    found = {}
    for kind in KINDS:
        torch.manual_seed(1)
        flow = Flow(2, 16, 2, kind)
        optimiser = torch.optim.Adam(flow.parameters(), lr=0.02)
        for _ in range(150):
            optimiser.zero_grad()
            loss = -flow.log_prob(z).mean()
            loss.backward()
            optimiser.step()
        found[kind] = loss.item()
    assert found["spline"] < found["affine"] - 0.5  # nats


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"coupling 'cubic': one of affine, spline"):
        Flow(4, 8, 2, "cubic")
    make: Callable[..., object]
    for make in (AffineCoupling, SplineCoupling):
        with pytest.raises(ValueError, match="even"):
            make(5, 8, swap=False)
