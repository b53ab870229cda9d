import pytest
import torch

from models.drift import TwoTimescaleDrift
from models.solvers import solve_ode


@pytest.fixture
def drift() -> TwoTimescaleDrift:
    return TwoTimescaleDrift(6, 16).double()


def test_gradient_reaches_every_parameter(drift: TwoTimescaleDrift) -> None:
    z0 = torch.randn(5, 6, dtype=torch.float64)
    solve_ode(drift, z0, [0, 1], method="rk4", steps=4).path[-1].square().sum().backward()
    for name, parameter in drift.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_rate_is_what_the_slow_part_moves_by(drift: TwoTimescaleDrift) -> None:
    """Its velocity falls with ε, and with it the way; the fast part goes on."""
    z0 = torch.randn(50, 6, dtype=torch.float64)
    torch.testing.assert_close(drift.rate, torch.full((3,), 0.1, dtype=torch.float64))
    before = drift(z0, 0.3)
    with torch.no_grad():
        drift.rate_logit.fill_(-10.0)
    after = drift(z0, 0.3)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    torch.testing.assert_close(after[:, 3:], before[:, 3:] / 0.1 * drift.rate)
    way = (solve_ode(drift, z0, [0, 1], steps=8).path[-1] - z0).abs().amax(0)
    assert way[3:].max() < 1e-3
    assert way[:3].min() > 0.01


def test_what_is_fast_does_not_move_what_is_slow(drift: TwoTimescaleDrift) -> None:
    jacobian = torch.autograd.functional.jacobian(
        lambda z: drift(z, 0.5), torch.randn(6, dtype=torch.float64)
    )
    assert (jacobian[3:, :3] == 0).all()
    assert (jacobian[:3].abs() > 0).all()
    assert (jacobian[3:, 3:].abs() > 0).all()


def test_a_time_for_each_point_is_that_time(drift: TwoTimescaleDrift) -> None:
    z = torch.randn(4, 7, 6, dtype=torch.float64)
    times = torch.linspace(0, 1, 7, dtype=torch.float64)
    together = drift(z, times[:, None])
    for i, t in enumerate(times.tolist()):
        torch.testing.assert_close(together[:, i], drift(z[:, i], t))


def test_something_must_be_slow_and_not_all() -> None:
    assert TwoTimescaleDrift(4, 8, slow=1).rate.shape == (1,)
    for dim, slow in ((1, None), (4, 0), (4, 4)):
        with pytest.raises(ValueError, match="dimensions slow"):
            TwoTimescaleDrift(dim, 8, slow=slow)
