"""What `trajectory demo` prints: progress, samples on the way, figures at the end."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from models import characters
from models.flow_matching import TrajectoryFlow
from models.redflags import RedFlags, identical
from models.solvers import Method
from models.training.characters import Step
from models.trajectory import Trajectory

STEPS = (1, 2, 4, 8, 16, 50)
"""Evaluations that both priors are judged at."""
LEAST = 0.05
"""Characters less likely than this share of the likeliest are not drawn; noise is at 0.067."""
OF_GROUP = 25
"""Samples of a shared start."""
Result = TypeVar("Result")


class Watch:
    """Keeps the losses, warns of red flags, and draws a bar where someone looks."""

    def __init__(self) -> None:
        self.history: defaultdict[str, list[float]] = defaultdict(list)
        self._flags = RedFlags()
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def saw(self, step: Step) -> None:
        """A step was made."""
        for name, value in step.losses.items():
            self.history[name if step.stage == "path" else step.stage].append(value)
        if self._bar is None or step.stage != self._stage:
            self.close()
            self._stage = step.stage
            self._bar = tqdm(total=step.of, desc=step.stage, unit="step", disable=None)
        self._bar.set_postfix({n: f"{v:.4f}" for n, v in step.losses.items()}, refresh=False)
        self._bar.update()
        if step.stage == "path":
            for warning in self._flags.saw(step.losses):
                self.say(f"warning: {warning}")

    def say(self, text: str) -> None:
        """Print without breaking the bar."""
        tqdm.write(text)
        sys.stdout.flush()

    def close(self) -> None:
        """The bar is done with."""
        if self._bar is not None:
            self._bar.close()

    def samples(self, model: Trajectory, step: Step, shown: int) -> str:
        """Samples of one start and of several, and the losses now."""
        losses = "  ".join(f"{name} {value:.4f}" for name, value in step.losses.items())
        generator = torch.Generator().manual_seed(step.done)
        shared = decoded(model, model.start(1, generator).expand(shown, -1), generator)
        random = decoded(model, model.start(max(shown, 8), generator), generator)
        lines = [f"step {step.done}  {losses}", "  shared z"]
        lines += [f"    {line}" for line in shared]
        lines.append("  random z")
        lines += [f"    {line}" for line in random[:shown]]
        warning = identical(random)
        if warning is not None:
            lines.append(f"  warning: {warning}")
        return "\n".join(lines)


@torch.no_grad()
def decoded(model: Trajectory, z0: Tensor, generator: torch.Generator) -> list[str]:
    """Sequences of the ODE prior from z0 (n, D)."""
    return spoken(model, model.prior_path(z0).path, generator)


def spoken(
    model: Trajectory, path: Tensor, generator: torch.Generator, *, least: float = LEAST
) -> list[str]:
    """Sequences decoded along paths (n, L, D), without what is hardly ever meant (min-p)."""
    return characters.text(model.sample(path, least=least, generator=generator))


@torch.no_grad()
def flowed(
    model: Trajectory,
    flow: TrajectoryFlow,
    noise: Tensor,
    *,
    method: Method = "euler",
    steps: int = 4,
) -> tuple[Tensor, int]:
    """Paths (n, L, D) of the flow prior; of one over summaries the ODE goes on from there."""
    paths, evaluations = flow.sample(noise, method=method, steps=steps)
    if flow.length > 1:
        return paths, evaluations
    solution = model.prior_path(paths[:, 0])
    return solution.path, evaluations + solution.evaluations


@torch.no_grad()
def report(
    model: Trajectory, flow: TrajectoryFlow, n: int, steps: Sequence[int], seed: int
) -> str:
    """The figures of n samples: the ODE prior's, shared against random starts, the flow's."""
    generator = torch.Generator().manual_seed(seed + 1)
    ode = characters.summary(decoded(model, model.start(n, generator), generator))
    starts = model.start(max(n // OF_GROUP, 1), generator).repeat_interleave(OF_GROUP, 0)
    shared = decoded(model, starts, generator)
    groups = [shared[i : i + OF_GROUP] for i in range(0, len(shared), OF_GROUP)]
    agreements = [a for a in map(characters.agreement, groups) if a == a]
    random = decoded(model, model.start(n, generator), generator)
    paths = model.prior_path(model.start(n, generator)).path
    whole = characters.summary(spoken(model, paths, generator, least=0.0))
    paths, _ = flowed(model, flow, flow.noise(n, generator))
    flow_whole = characters.summary(spoken(model, paths, generator, least=0.0))
    lines = [
        f"{n} samples of the ODE prior, 50 evaluations: {_figures(ode)}",
        f"blocks that begin within one place of each other: "
        f"{sum(agreements) / max(len(agreements), 1):.1%} of pairs with a shared start, "
        f"{characters.agreement(random):.1%} of pairs with random starts",
        f"these leave out characters below {LEAST} of the likeliest (min-p); with all of them "
        f"{whole['valid']:.1%} of the ODE's are valid and {flow_whole['valid']:.1%} of the flow's "
        "at 4 steps",
        "",
        "| prior | evaluations | valid | letters | positions | distance to dopri5 | ms a 1,000 |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += _rows(model, flow, n, steps, generator, flow.noise(n, generator))
    return "\n".join(lines)


def _rows(
    model: Trajectory,
    flow: TrajectoryFlow,
    n: int,
    steps: Sequence[int],
    generator: torch.Generator,
    noise: Tensor,
) -> list[str]:
    """Both priors at so many evaluations, beside dopri5 from the same starts."""
    z0 = model.start(n, generator)
    reference_ode = model.prior_path(z0, method="dopri5")
    reference_flow, asked = flowed(model, flow, noise, method="dopri5")
    rows = []
    for count in steps:
        took_s, (path, evaluations) = _timed(partial(model.prior_path, z0, steps=count))
        far = _distance(path, reference_ode.path)
        rows.append(_row("ODE", str(evaluations), model, path, far, took_s / n, generator))
    rows.append(
        _row("ODE dopri5", str(reference_ode.evaluations), model, reference_ode.path, 0.0, None,
             generator)
    )  # fmt: skip
    for count in steps:
        took_s, (path, evaluations) = _timed(partial(flowed, model, flow, noise, steps=count))
        far = _distance(path, reference_flow)
        rows.append(_row("flow", str(evaluations), model, path, far, took_s / n, generator))
    rows.append(_row("flow dopri5", str(asked), model, reference_flow, 0.0, None, generator))
    return rows


def _row(
    name: str,
    evaluations: str,
    model: Trajectory,
    path: Tensor,
    far: float,
    took_s: float | None,
    generator: torch.Generator,
) -> str:
    found = characters.summary(spoken(model, path, generator))
    took = "–" if took_s is None else f"{took_s * 1e6:.1f}"
    return (
        f"| {name} | {evaluations} | {found['valid']:.1%} | {found['letters']:.0f} "
        f"| {found['positions']:.0f} | {far:.3f} | {took} |"
    )


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds, the median of five, and what it gave."""
    times = []
    for _ in range(5):
        began_s = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began_s)
    return sorted(times)[2], result


def _distance(path: Tensor, reference: Tensor) -> float:
    """Root mean square of a number of the path."""
    return float((path - reference).square().mean().sqrt())


def _figures(found: dict[str, float]) -> str:
    return (
        f"{found['valid']:.1%} valid, {found['letters']:.0f} letters, "
        f"{found['positions']:.0f} positions"
    )
