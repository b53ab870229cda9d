import math

import pytest
import torch
import torchdiffeq
from torch import Tensor

from models.dopri5 import step
from models.solvers import Method, interpolate, solve_ode
from tests.models.problems import ORDINARY, Ordinary, order

METHODS: dict[Method, int] = {"euler": 1, "heun": 2, "rk4": 4}
every_problem = pytest.mark.parametrize("problem", ORDINARY.values(), ids=ORDINARY.keys())
every_method = pytest.mark.parametrize("method", [*METHODS, "dopri5"])


def decay(z: Tensor, t: float) -> Tensor:
    return -z


@every_problem
@pytest.mark.parametrize("method", METHODS)
def test_order_of_convergence(method: Method, problem: Ordinary) -> None:
    times = [0, 0.25, 0.5, 0.75, 1]
    exact = torch.stack([problem.exact(t) for t in times])
    errors = {}
    for steps in (32, 64, 128):
        path, _ = solve_ode(problem.drift, problem.z0, times, method=method, steps=steps)
        errors[steps] = (path - exact).square().mean().sqrt().item()
    assert order(errors) == pytest.approx(METHODS[method], abs=0.2)


@every_problem
def test_dopri5_has_order_five_at_its_steps_and_between(problem: Ordinary) -> None:
    """With equal steps; between them the error of a single step, h⁵, is what shows."""
    ends, between = {}, {}
    for steps in (16, 32, 64):
        z, h = problem.z0, 1 / steps
        slope = problem.drift(z, 0.0)
        at_steps, within = [], []
        for i in range(steps):
            done = step(problem.drift, z, i * h, h, slope)
            z, slope = done.end, done.slopes[-1]
            at_steps.append(z - problem.exact((i + 1) * h))
            within.append(done.at(0.4) - problem.exact((i + 0.4) * h))
        ends[steps] = torch.stack(at_steps).square().mean().sqrt().item()
        between[steps] = torch.stack(within).abs().max().item()
    assert order(ends) == pytest.approx(5, abs=0.2)
    assert order(between) == pytest.approx(5, abs=0.2)


def test_dense_output_meets_the_ends_of_its_step() -> None:
    problem = ORDINARY["pendulum"]
    done = step(problem.drift, problem.z0, 0.0, 0.1, problem.drift(problem.z0, 0.0))
    torch.testing.assert_close(done.at(0.0), problem.z0, rtol=0, atol=0)
    torch.testing.assert_close(done.at(1.0), done.end, rtol=1e-14, atol=1e-14)


@every_problem
@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
def test_dopri5_meets_its_tolerance_at_every_time(problem: Ordinary, tolerance: float) -> None:
    times = [0.0, 0.013, 0.5, 0.77, 1.9, 2.0]
    path, _ = solve_ode(
        problem.drift, problem.z0, times, method="dopri5", rtol=tolerance, atol=tolerance
    )
    for z, t in zip(path, times, strict=True):
        # The tolerance is a step's, and errors add up on the way.
        torch.testing.assert_close(z, problem.exact(t), rtol=10 * tolerance, atol=10 * tolerance)


@every_problem
def test_dopri5_agrees_with_torchdiffeq(problem: Ordinary) -> None:
    times = torch.linspace(0, 2, 21, dtype=torch.float64)
    path, _ = solve_ode(
        problem.drift, problem.z0, times.tolist(), method="dopri5", rtol=1e-8, atol=1e-8
    )
    expected = torchdiffeq.odeint(
        lambda t, z: problem.drift(z, t.item()),
        problem.z0,
        times,
        method="dopri5",
        rtol=1e-8,
        atol=1e-8,
    )
    torch.testing.assert_close(path, expected, rtol=1e-6, atol=1e-6)


def test_dopri5_works_harder_where_it_is_told_to_and_where_it_must() -> None:
    problem = ORDINARY["pendulum"]

    def calls(rtol: float, times: list[float]) -> int:
        return solve_ode(
            problem.drift, problem.z0, times, method="dopri5", rtol=rtol, atol=rtol
        ).evaluations

    assert calls(1e-4, [0, 2]) < calls(1e-7, [0, 2]) < calls(1e-10, [0, 2])
    many = [i / 500 for i in range(1001)]
    assert calls(1e-7, many) == calls(1e-7, [0, 2])  # times are read off the steps
    assert calls(1e-7, [0, 1e-9]) == 8  # a slope, a look ahead and one step


def test_no_line_is_solved_worse_for_being_among_others() -> None:
    """One line that is hard to solve among many that stand still."""
    z0 = torch.zeros(1000, 1, dtype=torch.float64)
    z0[0] = 1.0
    path, _ = solve_ode(
        lambda z, t: z * 40 * math.cos(40 * t), z0, [0, 1], method="dopri5", rtol=1e-8
    )
    torch.testing.assert_close(path[-1][0].item(), math.exp(math.sin(40)), rtol=1e-6, atol=0)


@every_method
def test_evaluations_are_the_calls_of_the_drift(method: Method) -> None:
    calls = 0

    def drift(z: Tensor, t: float) -> Tensor:
        nonlocal calls
        calls += 1
        return -z * math.cos(t)

    z0 = torch.ones(2, 3)
    solution = solve_ode(drift, z0, [0.0, 0.5, 2.0], method=method, steps=5)
    assert solution.evaluations == calls
    if method in METHODS:
        assert calls == {"euler": 1, "heun": 2, "rk4": 4}[method] * 2 * 5
    else:
        assert (calls - 2) % 6 == 0  # the last slope of a step is the first of the next one
    assert solution.path.shape == (3, 2, 3)
    assert torch.equal(solution.path[0], z0)


@every_problem
@every_method
def test_back_in_time_leads_to_the_beginning(method: Method, problem: Ordinary) -> None:
    there = solve_ode(problem.drift, problem.z0, [0, 0.4, 1], method=method, steps=2000).path
    back = solve_ode(problem.drift, there[-1], [1, 0.4, 0], method=method, steps=2000).path
    tolerance = 2e-2 if method == "euler" else 1e-5
    torch.testing.assert_close(back.flip(0), there, rtol=tolerance, atol=tolerance)


@every_method
def test_gradients_are_those_of_the_solution(method: Method) -> None:
    """∂z(1)/∂z0 = e^(−a) and ∂z(1)/∂a = −z0 e^(−a) of dz/dt = −a z."""
    z0 = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    path, _ = solve_ode(lambda z, t: -rate * z, z0, [0, 0.3, 1], method=method, steps=100)
    by_start, by_rate = torch.autograd.grad(path[-1].sum(), (z0, rate))
    tolerance = 1e-2 if method == "euler" else 1e-5
    assert by_start.item() == pytest.approx(math.exp(-0.7), rel=tolerance)
    assert by_rate.item() == pytest.approx(-1.5 * math.exp(-0.7), rel=tolerance)


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_that_of_the_beginning(method: Method, dtype: torch.dtype) -> None:
    z0 = torch.ones(2, 2, dtype=dtype)
    path, _ = solve_ode(decay, z0, [0, 1], method=method, steps=50)
    assert path.dtype == dtype
    torch.testing.assert_close(path[-1], z0 * math.exp(-1), rtol=2e-2, atol=0)


@every_method
def test_one_time_is_the_beginning_alone(method: Method) -> None:
    solution = solve_ode(decay, torch.ones(2, 2), [0.5], method=method)
    assert solution.path.tolist() == [[[1, 1], [1, 1]]]
    assert solution.evaluations == 0


def test_what_makes_no_sense_is_refused() -> None:
    z0 = torch.ones(1, 1)
    with pytest.raises(ValueError, match=r"'rk5': one of euler, heun, rk4, dopri5"):
        solve_ode(decay, z0, [0, 1], method="rk5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps 0"):
        solve_ode(decay, z0, [0, 1], steps=0)
    with pytest.raises(ValueError, match="atol 0"):
        solve_ode(decay, z0, [0, 1], method="dopri5", atol=0)
    for times in ([], [0, 1, 1], [0, 1, 0.5], [0, math.nan]):
        with pytest.raises(ValueError, match="times must rise"):
            solve_ode(decay, z0, times)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "drift",
    [
        lambda z, t: z.square(),  # z = 1 / (1 − t)
        lambda z, t: z * math.nan,
        lambda z, t: z * (math.nan if t > 0.3 else 1),
        lambda z, t: z * math.inf,
    ],
    ids=["blows up", "is no number", "is no number later", "is infinite"],
)
def test_a_path_without_an_end_is_told_in_one_line(drift: object, dtype: torch.dtype) -> None:
    with pytest.raises(ArithmeticError, match=r"vanish at t = .*: end before it") as caught:
        solve_ode(drift, torch.ones(1, 1, dtype=dtype), [0, 2], method="dopri5")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(("hermite", "expected"), [(False, 2), (True, 4)])
def test_a_path_between_its_points(hermite: bool, expected: int, falling: bool) -> None:
    problem = ORDINARY["pendulum"]
    asked = torch.linspace(0, 1, 301, dtype=torch.float64)
    exact = torch.stack([problem.exact(t) for t in asked.tolist()])
    errors = {}
    for steps in (8, 16, 32):
        times = [i / steps for i in range(steps + 1)][:: -1 if falling else 1]
        path = torch.stack([problem.exact(t) for t in times])
        slopes = torch.stack([problem.drift(z, t) for z, t in zip(path, times, strict=True)])
        known = slopes if hermite else None
        found = interpolate(times, path, asked, known)
        errors[steps] = (found - exact).abs().max().item()
        own = interpolate(times, path, times, known)
        torch.testing.assert_close(own, path, rtol=1e-14, atol=1e-14)
    assert order(errors) == pytest.approx(expected, abs=0.2)
    assert torch.equal(interpolate(times, path, asked.tolist(), known), found)
    assert torch.equal(interpolate(times, path, asked[123].item(), known), found[123])


def test_hermite_is_exact_for_cubics_and_knows_its_slope() -> None:
    times = [-1.0, 0.5, 2.0]
    grid = torch.tensor(times, dtype=torch.float64)

    def cubic(t: Tensor) -> Tensor:
        return torch.stack((t**3 - 2 * t, 1 - t**2), dim=-1)  # (T, 2)

    slopes = torch.stack((3 * grid**2 - 2, -2 * grid), dim=-1)
    asked = torch.linspace(-1, 2, 31, dtype=torch.float64, requires_grad=True)
    found = interpolate(times, cubic(grid), asked, slopes)
    torch.testing.assert_close(found, cubic(asked), rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(found[:, 0].sum(), asked)
    torch.testing.assert_close(slope, 3 * asked**2 - 2, rtol=1e-12, atol=1e-12)


def test_a_path_is_not_known_outside_its_times() -> None:
    path = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"outside of \[0, 1\]"):
        interpolate([0, 0.5, 1], path, [0.2, 1.1])
    with pytest.raises(ValueError, match=r"outside of \[0, 1\]"):
        interpolate([1, 0.5, 0], path, -0.1)
    with pytest.raises(ValueError, match="2 times, 3 points"):
        interpolate([0, 1], path, 0.5)
    with pytest.raises(ValueError, match="slopes"):
        interpolate([0, 0.5, 1], path, 0.5, torch.zeros(2, 2))
