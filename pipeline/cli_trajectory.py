"""`ltt-stream trajectory`: how hosts go from line to line, learnt from logs, and where they go."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from models.training.hosts import Report
    from pipeline.host_heading import Heading

_DIR = click.Path(file_okay=False, path_type=Path)


@click.group()
def trajectory() -> None:
    """How hosts go from one line to the next: learn it from logs, and see where they are going."""


@trajectory.command()
@click.argument(
    "logs", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--out",
    required=True,
    type=_DIR,
    help="Gets the dynamics; `trajectories` in the stream's --state-dir is where it looks.",
)
@click.option("--model", "model_dir", metavar="DIR", help="As for run: whose latents are used.")
@click.option("--zone", default="UTC", metavar="NAME", help="Time zone of stamps that name none.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--steps", type=click.IntRange(1), metavar="N", help="At most so many.  [1500]")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The facts as JSON.")
def fit(
    logs: tuple[Path, ...],
    out: Path,
    model_dir: str | None,
    zone: str,
    seed: int,
    steps: int | None,
    threads: int,
    as_json: bool,
) -> None:
    """Learn from LOGS, plain log files, what their hosts write after what.

    Hosts are told apart by the hostname in the header; lines without one are of a host of their
    file's name. Every sixth stretch of a host's lines chooses when to stop.

    \b
    Example:
      ltt-stream trajectory fit /var/log/syslog /var/log/syslog.1 \\
          --out /var/lib/ltt-stream/state/trajectories
    """
    from models.errors import CheckpointError
    from pipeline.host_fit import fit_logs

    started_s = time.perf_counter()
    try:
        with _progress() as report:
            facts = fit_logs(
                logs,
                out,
                model_dir=model_dir,
                zone=zone,
                seed=seed,
                steps=steps,
                threads=threads,
                report=report,
            )
    except (CheckpointError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from error
    if as_json:
        click.echo(msgspec.json.encode({"out": str(out), **facts}).decode())
        return
    click.echo(
        f"{facts['lines']:,} lines of {facts['hosts']:,} host{'s' * (facts['hosts'] != 1)} in "
        f"{time.perf_counter() - started_s:.0f} s; on {facts['held_out_lines']:,} lines held out "
        f"the order makes a line {math.exp(-facts['held_out_nats']):.2f} times as likely as its "
        f"share ({-facts['held_out_nats']:.2f} nats)"
    )
    click.echo(f"{facts['version']} is in {out}")


@trajectory.command()
@click.option(
    "--state-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="LTT_STREAM_STATE_DIR",
    required=True,
    help="Of a stream that runs, or has run.",
)
@click.option("--trajectories", type=_DIR, help="As for run; else what is in the state directory.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, 7 * 1440, min_open=True),
    default=15.0,
    show_default=True,
    help="Within how many.",
)
@click.option("--host", multiple=True, metavar="NAME", help="Only these; repeatable.")
@click.option("--top", type=click.IntRange(1), default=50, show_default=True, metavar="N")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a host.")
def forecast(
    state_dir: Path,
    trajectories: Path | None,
    minutes: float,
    host: tuple[str, ...],
    top: int,
    as_json: bool,
) -> None:
    """Where each host is heading: the probability of each severity in the next minutes.

    As of the last line in the state directory, which a running stream writes every five minutes.
    Those that are most likely to say err or worse come first.

    \b
    Example:
      ltt-stream trajectory forecast --state-dir /var/lib/ltt-stream/state --minutes 5
    """
    from models.errors import CheckpointError
    from pipeline.host_heading import headings
    from pipeline.state import StateError

    try:
        found = headings(state_dir, trajectories, minutes * 60)
    except (CheckpointError, StateError) as error:
        raise click.ClickException(str(error)) from error
    shown = [h for h in found if not host or h.hostname in host][:top]
    if as_json:
        for heading in shown:
            click.echo(
                msgspec.json.encode(
                    {**msgspec.structs.asdict(heading), "minutes": minutes}
                ).decode()
            )
        return
    if not shown:
        click.echo(f"{state_dir}: no host is known there yet")
        return
    _table(shown, minutes, hidden=len(found) - len(shown) if not host else 0)


def _table(shown: Sequence[Heading], minutes: float, hidden: int) -> None:
    from pipeline.feedback import SEVERITIES

    as_of = max(h.heard_s for h in shown)
    at = datetime.fromtimestamp(as_of, UTC).strftime("%Y-%m-%d %H:%M:%S")
    click.echo(f"within {minutes:g} min of {at} UTC")
    names = [h.hostname or h.source for h in shown]
    width = min(max(len("host"), *map(len, names)), 40)
    click.echo(f"{'host':{width}}  " + " ".join(f"{name:>8}" for name in SEVERITIES))
    for heading, name in zip(shown, names, strict=True):
        cells = [f"{p:8.1%}" if p >= 0.0005 else f"{'·':>8}" for p in heading.probability]
        click.echo(f"{name[:width]:{width}}  " + " ".join(cells))
    if hidden:
        click.echo(f"… and {hidden:,} more (--top)")


@contextmanager
def _progress() -> Iterator[Report | None]:
    """A line that is written over, on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return

    def report(step: int, loss: float, held_out: float) -> None:
        click.echo(f"\rstep {step}: {loss:.3f}, held out {held_out:.3f} nats", err=True, nl=False)

    yield report
    click.echo("", err=True)
