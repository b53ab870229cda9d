"""`ltt-stream trajectory sample` and `trajectory train`: log lines that nobody has written."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import click

from parsers.message import KEYWORDS
from pipeline.pipes import reader_may_leave
from pipeline.synthesis import Format, nearest, writable, written

if TYPE_CHECKING:
    from models.training.synthesis import Step

_FOLDER = click.Path(file_okay=False, path_type=Path)
_SEED_BITS = 31


@click.command("sample")
@click.option(
    "--severity",
    type=click.Choice(KEYWORDS),
    help="Of all lines; without it they are as common as running machines have them.",
)
@click.option("--app", metavar="NAME", help="The program that says it; without it, many.")
@click.option("-n", "--lines", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="The same seed writes the same lines.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "syslog", "jsonl"]),
    default="text",
    show_default=True,
)
@click.option(
    "--candidates",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Written for each line; the one is kept that reads most like the severity.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0.05, 4),
    default=0.7,
    show_default=True,
    help="Higher: more various, less likely to make sense.",
)
@click.option("--host", default="web-1", show_default=True, help="In syslog lines.")
@click.option(
    "--start",
    type=click.DateTime(),
    help="The stamp of the first syslog line, UTC; without it, now.",
)
@click.option("--model", "path", type=_FOLDER, help="What `train` made; else the one that ships.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def sample_lines(
    severity: str | None,
    app: str | None,
    lines: int,
    seed: int | None,
    form: Format,
    candidates: int,
    temperature: float,
    host: str,
    start: datetime | None,
    path: Path | None,
    threads: int,
) -> None:
    """Write plausible log lines of a severity: for load tests, demos and rehearsal.

    The lines are made up, and so is every value in them.

    \b
    Example:
      ltt-stream trajectory sample --severity err --app sshd -n 20
      ltt-stream trajectory sample -n 1000 --format syslog | ltt-stream --anomalies-only
    """
    cannot = "cannot stand in a syslog header"
    if not writable("app", host):
        raise click.BadParameter(f"{host!r} {cannot}", param_hint="--host")
    if app is not None and not writable(app, host):
        raise click.BadParameter(f"{app!r} {cannot}", param_hint="--app")
    from models.checkpoint import pretrained_path
    from models.inference import Engine
    from models.synthesis import Settings, Synthesiser

    judge = Engine.load(pretrained_path(), threads=threads)
    writer = Synthesiser.load(path, judge=judge, threads=threads)
    conditioned = app
    if app is not None and app not in writer.vocabulary.apps:
        conditioned = nearest(app, writer.vocabulary.apps)
        how = f"as {conditioned} would" if conditioned else "as no program in particular would"
        click.echo(f"ltt-stream: the model has not met {app!r}, and writes {how}", err=True)
    seed = secrets.randbits(_SEED_BITS) if seed is None else seed
    common = [float(share) for share in judge.emission_prior]
    severities = (
        Random(seed).choices(range(len(KEYWORDS)), common, k=lines)
        if severity is None
        else [KEYWORDS.index(severity)] * lines
    )
    drawn = writer.draw(
        severities,
        # A name that is no known program's is that of none in particular.
        None if app is None else conditioned or app,
        seed=seed,
        settings=Settings(temperature=temperature, candidates=candidates),
    )
    named = (line if app is None else line._replace(app=app) for line in drawn)
    begin = start or datetime.now(UTC)
    with reader_may_leave():
        count = 0
        for line in written(named, form, host=host, start=begin, seed=seed):
            click.echo(line)
            count += 1
    if count < lines:
        click.echo(f"ltt-stream: {lines - count} of {lines} came to nothing", err=True)


@click.command("train")
@click.option(
    "--corpus",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="As for `ltt-stream train`: Parquet (sample, template, severity, program, package), or "
    "text with a line severity<TAB>text each.",
)
@click.option("--out", type=_FOLDER, required=True, help="Gets the model.")
@click.option(
    "--lines", type=click.IntRange(256), help="Statements drawn in all; fewer learn less."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def train_trajectory(corpus: Path, out: Path, lines: int | None, seed: int, threads: int) -> None:
    """Teach a Latent Trajectory Transformer to write log statements: half an hour of one core.

    \b
    Example:
      ltt-stream trajectory train --corpus severity_train.parquet --out trajectory
    """
    from models.checkpoint import pretrained_path
    from models.inference import Engine
    from models.synthesis_parts import extras
    from models.training.statements import read_statements
    from models.training.synthesis import Plan, train
    from models.trajectory_file import save

    statements = read_statements(corpus)
    engine = Engine.load(pretrained_path(), threads=threads)
    plan = Plan(seed=seed) if lines is None else Plan(seed=seed, lines=lines)
    with _progress() as tell:
        trained = train(statements, engine, plan, tell=tell, say=_say)
    save(
        out,
        trained.model,
        **extras(trained.vocabulary, trained.head, trained.runs, training=trained.facts),
    )
    losses = "  ".join(f"{name} {value}" for name, value in trained.facts["losses"].items())
    click.echo(f"{losses}\ntrained in {trained.facts['seconds']} s; {out}")


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """A bar on a terminal, nothing in a pipe."""
    from tqdm import tqdm

    with tqdm(unit="step", dynamic_ncols=True, disable=None) as bar:

        def tell(step: Step) -> None:
            bar.total = step.of
            shown = {name: f"{value:.3f}" for name, value in step.losses.items()}
            bar.set_postfix(shown, refresh=False)
            bar.update()

        yield tell
