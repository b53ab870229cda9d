"""Teaches a Latent Trajectory Transformer the character task: path, ODE prior, flow prior.

First encoder, drift and decoder together; then a rectified flow over whole paths, and that flow
once more on its own samples (reflow), after which a few steps do what took fifty. The alternative
is a flow over summaries alone, the z(0) that the ODE goes on from, learned along with the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from models import characters
from models.flow_matching import TrajectoryFlow, curriculum, rectified_loss, reflow_pairs
from models.trajectory import Terms, Trajectory, TrajectoryArchitecture, Weights

Stage = str
"""path, flow or reflow."""
Prior = Literal["trajectory", "summary"]


@dataclass(frozen=True)
class Plan:
    """How long each stage takes, and what the parts of the loss weigh."""

    path_steps: int = 2600
    flow_steps: int = 2500
    reflow_steps: int = 1500
    batch: int = 96
    flow_batch: int = 512
    rate: float = 2e-3
    jitter: float = 0.6
    bank: int = 32_768
    """Paths that the flow learns from; the reflow has half as many pairs."""
    seed: int = 0
    prior: Prior = "trajectory"
    """What the flow is over."""
    flow_ode: float = 0.1
    """Weight of ODE matching beside the flow over trajectories; 0: none."""
    weights: Weights = field(default_factory=Weights)


_FOLLOWED = 64
"""Paths of a batch whose ODE error is looked at."""


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
    threads: int = 1,
    tell: Callable[[Step], None] = lambda step: None,
    look: Callable[[Trajectory, Step], None] = lambda model, step: None,
    look_every: int = 400,
) -> Trained:
    """All stages; seeded. tell hears of each step, look comes every so many of the first stage."""
    began_s = time.monotonic()
    torch.set_num_threads(threads)
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    model = Trajectory(TrajectoryArchitecture(len(characters.SYMBOLS), characters.LENGTH))
    summary = plan.prior == "summary"
    length = 1 if summary else characters.LENGTH
    flow = TrajectoryFlow(length, model.architecture.latent)
    _learn_paths(model, flow if summary else None, plan, generator, tell, look, look_every)
    model.eval()
    if not summary:
        _learn_flow(model, flow, plan, generator, tell)
    flow.eval()
    return Trained(model, flow, time.monotonic() - began_s)


def _learn_paths(
    model: Trajectory,
    summary: TrajectoryFlow | None,
    plan: Plan,
    generator: torch.Generator,
    tell: Callable[[Step], None],
    look: Callable[[Trajectory, Step], None],
    look_every: int,
) -> None:
    """summary: a flow over z(0) that is to be learned along, by the curriculum."""
    parameters = [*model.parameters(), *(() if summary is None else summary.net.parameters())]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.path_steps, pct_start=0.05
    )
    for done in range(1, plan.path_steps + 1):
        tokens = characters.draw(plan.batch, generator)
        terms: Terms = model(tokens, jitter=plan.jitter, generator=generator)
        weights, losses = plan.weights, named(terms)
        if summary is None:
            loss = terms.total(weights)
        else:
            share = curriculum(done / plan.path_steps)
            start = terms.path[:, 0]
            noise = summary.noise(len(start), generator)
            matching = rectified_loss(summary.net, start, noise, generator=generator)
            loss = terms.total(replace(weights, ode=weights.ode * share.ode))
            loss = loss + share.flow * matching
            losses["flow"] = float(matching.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        step = Step("path", done, plan.path_steps, losses)
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

    def follows(data: Tensor) -> Tensor:
        """Whether paths are such as the ODE makes; of a few, for it costs more than the flow."""
        return plan.flow_ode * model.ode_matching(flow.paths(data[:_FOLLOWED]))

    auxiliary = follows if plan.flow_ode else None
    _fit(flow, flow.flat(paths), None, "flow", plan, generator, tell, auxiliary)
    pairs = [reflow_pairs(flow.net, flow.noise(1024, generator)) for _ in range(plan.bank // 2048)]
    data, noise = (torch.cat(part) for part in zip(*pairs, strict=True))
    _fit(flow, data, noise, "reflow", plan, generator, tell, None)


def _fit(
    flow: TrajectoryFlow,
    data: Tensor,
    noise: Tensor | None,
    stage: Stage,
    plan: Plan,
    generator: torch.Generator,
    tell: Callable[[Step], None],
    auxiliary: Callable[[Tensor], Tensor] | None,
) -> None:
    """noise: that belongs to the data, row by row; without it is drawn."""
    steps = plan.flow_steps if stage == "flow" else plan.reflow_steps
    optimizer = torch.optim.AdamW(flow.net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, total_steps=steps, pct_start=0.05
    )
    for done in range(1, steps + 1):
        rows = torch.randint(len(data), (plan.flow_batch,), generator=generator)
        drawn = flow.noise(len(rows), generator) if noise is None else noise[rows]
        loss = rectified_loss(
            flow.net, data[rows], drawn, auxiliary=auxiliary, generator=generator
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
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
