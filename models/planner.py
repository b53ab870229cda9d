"""Planning in latent space: where to begin and how to steer, so that a path ends where it should.

A plan is a start z(0) and controls u, constant over equal stretches of time, that are added to the
learned drift: dz/dt = f(z, t) + u(t). What a plan is worth is what its path costs, how unlikely
its start is under N(0, I) and how hard it steers: one that needs no steering is a path that the
prior itself would take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Rollout = Callable[[Tensor, Tensor], Tensor]
"""starts (N, D), controls (N, K, D) → paths (N, L, D)."""
Cost = Callable[[Tensor], Tensor]
"""paths (N, L, D) → (N,), the less the better; differentiable where `refine` is used."""
Decode = Callable[[Tensor], list[str]]
"""paths (N, L, D) → N texts."""


class Plan(NamedTuple):
    start: Tensor  # (D,)
    controls: Tensor  # (K, D)
    path: Tensor  # (L, D)
    score: float
    """Minus the cost of the path, the start and the controls."""
    rollouts: int
    """Paths that were looked at to find it."""
    text: str = ""
    """What is said along the path, where the planner can decode."""


class Mode(NamedTuple):
    """One kind of outcome among several."""

    members: list[int]
    representative: int
    """The member nearest to their mean."""
    share: float


def toward(goal: Tensor) -> Cost:
    """The squared distance of a path's end from a goal (D,)."""
    return lambda paths: (paths[:, -1] - goal).square().sum(-1)


class Planner:
    """Three ways to search, for one rollout and one cost."""

    def __init__(
        self,
        rollout: Rollout,
        cost: Cost,
        *,
        latent: int,
        knots: int = 4,
        start_weight: float = 0.002,
        control_weight: float = 0.01,
        decode: Decode | None = None,
    ) -> None:
        """knots: K, stretches of time with a control of their own. The weights are of ½‖z(0)‖²
        and of the mean of ½‖u‖². decode: says the text of a plan."""
        self._decode = decode
        self._rollout, self._cost = rollout, cost
        self._shape = (1 + knots, latent)
        self._weights = torch.tensor([start_weight, *[control_weight / knots] * knots])

    def random_shooting(self, budget: int, generator: torch.Generator | None = None) -> Plan:
        """The best of `budget` plans drawn from the prior, with small controls."""
        drawn = self._scale() * torch.randn(budget, *self._shape, generator=generator)
        costs, paths = self._judge(drawn)
        best = int(costs.argmin())
        return self._told(self._plan(drawn[best], paths[best], costs[best], budget))

    def cross_entropy(
        self,
        budget: int,
        *,
        generations: int = 10,
        elite: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> Plan:
        """The cross-entropy method (Rubinstein 1999): each generation is drawn around the best
        share `elite` of the one before; `budget` plans in all."""
        each = max(budget // generations, 2)
        kept = max(int(each * elite), 2)
        mean, deviation = torch.zeros(self._shape), self._scale().expand(self._shape).clone()
        best: Plan | None = None
        for _ in range(generations):
            drawn = mean + deviation * torch.randn(each, *self._shape, generator=generator)
            costs, paths = self._judge(drawn)
            order = costs.argsort()
            if best is None or -float(costs[order[0]]) > best.score:
                best = self._plan(drawn[order[0]], paths[order[0]], costs[order[0]], budget)
            elites = drawn[order[:kept]]
            mean = 0.1 * mean + 0.9 * elites.mean(0)
            deviation = 0.1 * deviation + 0.9 * elites.std(0)
        assert best is not None
        return self._told(best._replace(rollouts=each * generations))

    def refine(self, plan: Plan, *, steps: int = 50, rate: float = 0.05) -> Plan:
        """Follow the gradient of the cost through the dynamics from a plan; never worse."""
        variables = torch.cat((plan.start[None], plan.controls)).clone().requires_grad_()
        optimizer = torch.optim.Adam([variables], lr=rate)
        best = plan
        for _ in range(steps):
            with torch.enable_grad():
                costs, paths = self._costs(variables[None])
                optimizer.zero_grad()
                torch.autograd.backward(costs.sum())
            if -float(costs[0].detach()) > best.score:
                best = self._plan(variables.detach().clone(), paths[0].detach(), costs[0], 0)
            optimizer.step()
        return self._told(best._replace(rollouts=plan.rollouts + steps))

    def _told(self, plan: Plan) -> Plan:
        if self._decode is None:
            return plan
        return plan._replace(text=self._decode(plan.path[None])[0])

    def _scale(self) -> Tensor:  # (1 + K, 1)
        return torch.tensor([[1.0], *[[0.3]] * (self._shape[0] - 1)])

    @torch.no_grad()
    def _judge(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        return self._costs(drawn)

    def _costs(self, variables: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1 + K, D) → costs (N,), paths (N, L, D)"""
        paths = self._rollout(variables[:, 0], variables[:, 1:])
        effort = 0.5 * (variables.square().sum(-1) * self._weights).sum(1)
        return self._cost(paths) + effort, paths

    def _plan(self, variables: Tensor, path: Tensor, cost: Tensor, rollouts: int) -> Plan:
        return Plan(variables[0], variables[1:], path, -float(cost.detach()), rollouts)


def modes(points: Tensor, radius: float) -> list[Mode]:
    """Outcomes (N, D) that lie together, the commonest first.

    Each point joins the first group whose founder is within `radius`, or founds one (leader
    clustering, Hartigan 1975): how many kinds of outcome there are need not be known.
    """
    founders: list[int] = []
    groups: list[list[int]] = []
    for i, point in enumerate(points):
        if founders:
            far = (points[founders] - point).norm(dim=-1)
            nearest = int(far.argmin())
            if far[nearest] <= radius:
                groups[nearest].append(i)
                continue
        founders.append(i)
        groups.append([i])
    found = []
    for members in groups:
        mine = points[members]
        middle = int((mine - mine.mean(0)).norm(dim=-1).argmin())
        found.append(Mode(members, members[middle], len(members) / len(points)))
    return sorted(found, key=lambda mode: -len(mode.members))
