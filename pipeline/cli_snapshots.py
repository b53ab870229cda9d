"""`ltt-stream model history` and `model rollback`: what was learnt, and the way back."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

_STATE = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="LTT_STREAM_STATE_DIR",
    required=True,
    help="As for run.",
)


@click.command()
@_STATE
@click.option("-n", "--last", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
def history(state_dir: Path, last: int, as_json: bool) -> None:
    """The models of a stream that learns: when, why, and what the gate measured.

    A candidate is published only where the held-out templates are predicted no worse by it.
    """
    from pipeline.snapshots import CHECKPOINT, Snapshots

    snapshots = Snapshots(state_dir)
    rows = snapshots.history()[-last:]
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
        return
    if not rows:
        click.echo(f"{state_dir}: nothing was learnt here yet (run with --learn)")
        return
    current = snapshots.current()
    in_use = "" if current is None else f"{CHECKPOINT}-{current.parent.name}"
    click.echo(
        f"{'when (UTC)':25} {'what':11} {'model':18} {'held out':>8} "
        f"{'accuracy':>16} {'log-loss':>16}  why"
    )
    for row in rows:
        mark = " *" if row.version == in_use and row.action == "published" else ""
        click.echo(
            f"{row.at:25} {row.action:11} {row.version:18} {row.held_out or '':>8} "
            f"{_change(row.accuracy_before, row.accuracy):>16} "
            f"{_change(row.log_loss_before, row.log_loss):>16}  {row.why}{mark}"
        )
    click.echo(f"in use: {in_use}" if in_use else "in use: the model that the program starts with")


@click.command()
@_STATE
@click.option(
    "--to",
    metavar="VERSION",
    help="A version of the history, or `base` for the model that the program starts with; "
    "else what was in use before the one in use.",
)
def rollback(state_dir: Path, to: str | None) -> None:
    """Go back to an older model; a stream that runs takes it up within a second."""
    from pipeline.snapshots import CHECKPOINT, Row, SnapshotError, Snapshots, now

    snapshots = Snapshots(state_dir)
    try:
        if to == "base":
            snapshots.forget_current()
            version = "base"
        else:
            version = f"{CHECKPOINT}-{snapshots.roll_back(to).parent.name}"
    except SnapshotError as error:
        raise click.ClickException(str(error)) from error
    snapshots.record(Row(at=now(), action="rolled back", version=version, why="asked for"))
    click.echo(f"in use from now on: {version}")


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    return f"{before:.3f} → {after:.3f}"
