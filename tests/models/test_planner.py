"""The planner against dynamics whose best plan is known."""

from __future__ import annotations

import torch
from torch import Tensor

from models.planner import Planner, modes, toward


def drifting(start: Tensor, controls: Tensor) -> Tensor:
    """dz/dt = 0.5 + u over [0, 1] in four steps: (N, D), (N, K, D) → (N, 5, D)"""
    moves = (0.5 + controls) / controls.shape[1]
    return torch.cat((start[:, None], start[:, None] + moves.cumsum(1)), dim=1)


def planner(goal: Tensor) -> Planner:
    return Planner(drifting, toward(goal), latent=len(goal))


def test_cross_entropy_ends_nearer_than_random_shooting() -> None:
    nearer = 0
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        goal = torch.randn(6, generator=generator)
        search = planner(goal)
        shot = search.random_shooting(500, generator)
        found = search.cross_entropy(500, generator=generator)
        assert found.rollouts == shot.rollouts == 500
        nearer += (found.path[-1] - goal).norm() < (shot.path[-1] - goal).norm()
    assert nearer >= 95


def test_the_gradient_refines_and_never_harms() -> None:
    goal = torch.tensor([1.0, -0.5, 0.3])
    search = planner(goal)
    shot = search.random_shooting(50, torch.Generator().manual_seed(0))
    refined = search.refine(shot, steps=100)
    assert refined.score > shot.score
    assert (refined.path[-1] - goal).norm() < 0.1
    assert search.refine(refined, steps=20).score >= refined.score


def test_a_plan_is_the_path_of_its_start_and_controls() -> None:
    plan = planner(torch.ones(3)).cross_entropy(200, generator=torch.Generator().manual_seed(1))
    again = drifting(plan.start[None], plan.controls[None])[0]
    torch.testing.assert_close(plan.path, again)


def test_a_plan_says_its_text() -> None:
    search = Planner(
        drifting, toward(torch.ones(3)), latent=3, decode=lambda paths: [f"{len(paths)} path"]
    )
    shot = search.random_shooting(20, torch.Generator().manual_seed(2))
    assert shot.text == "1 path"
    assert search.refine(shot, steps=2).text == "1 path"
    assert planner(torch.ones(3)).random_shooting(20).text == ""


def test_a_start_that_is_free_is_used_before_steering() -> None:
    plan = planner(torch.full((3,), 0.8)).refine(
        planner(torch.full((3,), 0.8)).random_shooting(10), steps=300
    )
    assert plan.controls.abs().mean() < 0.2 * plan.start.abs().mean() + 0.1


def test_modes_are_found_without_being_counted_before() -> None:
    generator = torch.Generator().manual_seed(2)
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    which = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    points = centres[which] + 0.2 * torch.randn(100, 2, generator=generator)
    found = modes(points, radius=2.0)
    assert [mode.share for mode in found] == [0.5, 0.3, 0.2]
    for mode, centre in zip(found, centres, strict=True):
        assert (points[mode.representative] - centre).norm() < 0.3
        assert len({int(which[i]) for i in mode.members}) == 1
