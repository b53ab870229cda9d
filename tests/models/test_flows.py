import pytest
import torch
from torch import Tensor

from models.flows import Flow


@pytest.fixture
def flow() -> Flow:
    made = Flow(6, 16, 4).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return made


def test_inverse_undoes_forward(flow: Flow) -> None:
    z = 3 * torch.randn(200, 6, dtype=torch.float64)
    there = flow(z)
    back = flow.inverse(there.value)
    torch.testing.assert_close(back.value, z, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(back.log_det, -there.log_det, rtol=1e-9, atol=1e-9)
    assert (there.value - z).abs().mean() > 0.1


def test_log_det_is_that_of_the_jacobian(flow: Flow) -> None:
    def one(z: Tensor) -> Tensor:
        return flow(z.unsqueeze(0)).value.squeeze(0)

    for z in torch.randn(10, 6, dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(one, z)
        torch.testing.assert_close(flow(z.unsqueeze(0)).log_det[0], jacobian.slogdet()[1])


def test_every_dimension_is_moved_and_scale_is_bounded(flow: Flow) -> None:
    z = torch.randn(50, 6, dtype=torch.float64)
    assert ((flow(z).value - z).abs().amax(0) > 1e-3).all()
    far = flow(1e6 * z)
    assert far.log_det.abs().max() <= 4 * 3 * 2.0  # couplings x moved half x bound


def test_density_integrates_to_one() -> None:
    flow = Flow(2, 8, 4).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    side = torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    mass = flow.log_prob(grid).exp().sum() * (24 / 600) ** 2
    assert abs(mass.item() - 1) < 0.01
