"""Teaches a Latent Trajectory Transformer the character task: path, ODE prior, flow prior.

First encoder, drift and decoder together; then a rectified flow over whole paths, and that flow
once more on its own samples (reflow), after which a few steps do what took fifty.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from models import characters
from models.flow_matching import TrajectoryFlow, rectified_loss, reflow_pairs
from models.trajectory import Terms, Trajectory, TrajectoryArchitecture, Weights

Stage = str
"""path, flow or reflow."""


@dataclass(frozen=True)
class Plan:
    """How long each stage takes, and what the parts of the loss weigh."""

    path_steps: int = 2400
    flow_steps: int = 4000
    reflow_steps: int = 2500
    batch: int = 128
    flow_batch: int = 512
    rate: float = 2e-3
    jitter: float = 0.1
    bank: int = 65_536
    """Paths, and pairs of the reflow, that the flows learn from."""
    seed: int = 0
    weights: Weights = Weights()


class Step(NamedTuple):
    """What is told of a step: the losses of it, by name, unweighed."""

    stage: Stage
    done: int
    of: int
    losses: dict[str, float]


class Trained(NamedTuple):
    model: Trajectory
    flow: TrajectoryFlow
    seconds: float


def train(
    plan: Plan,
    *,
    tell: Callable[[Step], None] = lambda step: None,
    look: Callable[[Trajectory, Step], None] = lambda model, step: None,
    look_every: int = 400,
) -> Trained:
    """All stages; seeded. tell is called after each step, look every so many of the first stage."""
    began_s = time.monotonic()
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    model = Trajectory(TrajectoryArchitecture(len(characters.SYMBOLS), characters.LENGTH))
    _learn_paths(model, plan, generator, tell, look, look_every)
    model.eval()
    flow = TrajectoryFlow(characters.LENGTH, model.architecture.latent)
    _learn_flow(model, flow, plan, generator, tell)
    flow.eval()
    return Trained(model, flow, time.monotonic() - began_s)


def _learn_paths(
    model: Trajectory,
    plan: Plan,
    generator: torch.Generator,
    tell: Callable[[Step], None],
    look: Callable[[Trajectory, Step], None],
    look_every: int,
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.path_steps, pct_start=0.05
    )
    for done in range(1, plan.path_steps + 1):
        tokens = characters.draw(plan.batch, generator)
        terms = model(tokens, jitter=plan.jitter, generator=generator)
        loss = terms.total(plan.weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        step = Step("path", done, plan.path_steps, named(terms))
        tell(step)
        if done % look_every == 0:
            look(model, step)


def _learn_flow(
    model: Trajectory,
    flow: TrajectoryFlow,
    plan: Plan,
    generator: torch.Generator,
    tell: Callable[[Step], None],
) -> None:
    with torch.no_grad():
        parts = [model.encoder(characters.draw(1024, generator)) for _ in range(plan.bank // 1024)]
    paths = torch.cat(parts)  # (bank, L, D)
    flow.measure(paths)
    _fit(flow, flow.flat(paths), None, "flow", plan.flow_steps, plan, generator, tell)
    pairs = [
        reflow_pairs(flow.net, flow.noise(1024, generator)) for _ in range(plan.bank // 1024)
    ]
    data, noise = (torch.cat(part) for part in zip(*pairs, strict=True))
    _fit(flow, data, noise, "reflow", plan.reflow_steps, plan, generator, tell)


def _fit(
    flow: TrajectoryFlow,
    data: torch.Tensor,
    noise: torch.Tensor | None,
    stage: Stage,
    steps: int,
    plan: Plan,
    generator: torch.Generator,
    tell: Callable[[Step], None],
) -> None:
    """noise: that belongs to the data, row by row; without it is drawn."""
    optimizer = torch.optim.AdamW(flow.net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, total_steps=steps, pct_start=0.05
    )
    for done in range(1, steps + 1):
        rows = torch.randint(len(data), (plan.flow_batch,), generator=generator)
        drawn = flow.noise(len(rows), generator) if noise is None else noise[rows]
        loss = rectified_loss(flow.net, data[rows], drawn, generator=generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        tell(Step(stage, done, steps, {"flow": float(loss.detach())}))


def named(terms: Terms) -> dict[str, float]:
    """The terms by the names that people are shown."""
    return {
        "reconstruction": float(terms.reconstruction.detach()),
        "epps-pulley": float(terms.epps_pulley.detach()),
        "ode": float(terms.ode.detach()),
    }
