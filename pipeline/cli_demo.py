"""`ltt-stream trajectory demo`: the character task, learned while one looks on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from models.training.characters import Step
    from models.trajectory import Trajectory

SHOWN = 4
"""Samples of a kind that are printed at a look."""


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep what was learned there, and pictures of it.",
)
@click.option("--steps", type=click.IntRange(1), help="Of the first stage; fewer learn less.")
@click.option(
    "--prior",
    type=click.Choice(["trajectory", "summary"]),
    default="trajectory",
    show_default=True,
    help="What the flow is over: whole paths, or the starts that the ODE goes on from.",
)
@click.option("--look-every", type=click.IntRange(1), default=400, show_default=True)
@click.option(
    "--samples",
    type=click.IntRange(2),
    default=1000,
    show_default=True,
    help="That the figures at the end are of.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def demo(
    out: Path | None,
    steps: int | None,
    prior: Literal["trajectory", "summary"],
    look_every: int,
    samples: int,
    seed: int,
    threads: int,
) -> None:
    """Learn the character task, nine minutes of a core, and show samples on the way.

    A sequence is a prompt with a letter and 64 characters with a block of eight of that letter
    somewhere. Shared z are samples that begin in the same latent and differ by the decoder's
    dice; random z begin anywhere. At the end come the figures of both priors, ODE and flow.

    \b
    Example:
      ltt-stream trajectory demo --out demo
    """
    from models.training import characters as training
    from models.training.demo_report import STEPS, Watch, report
    from models.trajectory_file import save

    plan = training.Plan(seed=seed, prior=prior)
    if steps is not None:
        share = steps / plan.path_steps
        plan = replace(
            plan,
            path_steps=steps,
            flow_steps=max(int(plan.flow_steps * share), 2),
            reflow_steps=max(int(plan.reflow_steps * share), 2),
            bank=max(int(plan.bank * share), 2048),
        )
    watch = Watch()

    def look(model: Trajectory, step: Step) -> None:
        watch.say(watch.samples(model, step, SHOWN))

    trained = training.train(
        plan, threads=threads, tell=watch.saw, look=look, look_every=look_every
    )
    watch.close()
    click.echo(f"trained in {trained.seconds:.0f} s")
    click.echo(report(trained.model, trained.flow, samples, STEPS, seed))
    if out is not None:
        save(out, trained.model, trained.flow)
        click.echo(f"wrote {out}")
        from models.training.demo_pictures import draw

        for path in draw(out, trained, watch.history):
            click.echo(f"wrote {path}")
