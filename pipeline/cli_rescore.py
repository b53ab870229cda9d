"""`ltt-stream rescore`: the gaps that an overload has left, filled afterwards."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.config import Dtype
    from pipeline.process import Processor
    from pipeline.rescore import Gaps


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--model", "model_dir", metavar="DIR", help="A checkpoint; without it the one that ships."
)
@click.option("--dtype", default="auto", type=click.Choice(["auto", "bf16", "fp32"]))
@click.option("--threads", default=1, type=click.IntRange(1, 256), metavar="N")
@click.option(
    "--state-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Of the stream that wrote DIR, which may be running: what it has learnt and counted is "
    "used, and left as it is.",
)
def rescore(
    directory: Path, model_dir: str | None, dtype: Dtype, threads: int, state_dir: Path | None
) -> None:
    """Score what an overload left unscored in DIR, the `--out` of a stream.

    Rows with `scored` false in its finished files get the scores that the stream had no time for;
    all others stay as they are. They are flagged as the stream would have: with --state-dir by
    all that it has seen until now, else by the rows of their file. What a live stream is writing
    is left alone; what a dead one has left is finished first.

    \b
    Example:
      ltt-stream rescore /var/lib/ltt-stream/out --state-dir /var/lib/ltt-stream
    """
    started_s = time.perf_counter()
    if not directory.is_dir():
        raise click.BadParameter(f"{directory}: no such directory", param_hint="DIR")
    from pipeline.rescore import alone
    from pipeline.state import FILE, StateError

    past = state_dir is not None and (state_dir / FILE).exists()
    if state_dir is not None and not past and not (state_dir / "snapshots").exists():
        raise click.ClickException(
            f"--state-dir {state_dir}: no stream has kept anything there; name the one that the "
            "stream runs with, or leave it out"
        )
    problems: list[str] = []
    done: list[int] = []
    with alone(directory):
        found = _look(directory, problems)
        gaps = [file for file in found if file.unscored]
        if gaps:
            try:
                fresh = _processors(model_dir, dtype, threads, state_dir)
                _fill(gaps, fresh, gaps_only=past, problems=problems, done=done)
            except StateError as error:
                raise click.ClickException(str(error)) from error
    for problem in problems:
        _say(problem)
    _say(
        f"rescored {sum(done):,} of {sum(file.rows for file in found):,} rows in "
        f"{len(done):,} files ({time.perf_counter() - started_s:.1f} s)"
    )
    if problems:
        raise SystemExit(1)


def _processors(
    model_dir: str | None, dtype: Dtype, threads: int, state_dir: Path | None
) -> Callable[[], Processor]:
    """Load the model once; makes a Processor for each file, with what the stream knows if asked.

    state_dir: read and never locked, so that the stream may be running: its learnt model, what it
    has counted, and what people have said. Raises CheckpointError, StateError and FeedbackError.
    """
    from pipeline.feedback import FILE, Feedback
    from pipeline.learning import VERDICTS
    from pipeline.process import Processor
    from pipeline.scorer import Scorer, shipped_model
    from pipeline.snapshots import Snapshots
    from pipeline.state import load_state

    base = Path(model_dir) if model_dir else shipped_model()
    scorer = Scorer.load(base, dtype=dtype, threads=threads)
    said: dict[int, tuple[int, int]] = {}
    if state_dir is not None:
        learnt = Snapshots(state_dir).current_of(scorer.model_version)
        if learnt is not None:
            scorer = Scorer.load(learnt, dtype=dtype, threads=threads)
        for template, by_people in Feedback.load(state_dir / FILE).standing().items():
            severity = -1 if by_people.severity is None else by_people.severity
            said[template] = severity, VERDICTS[by_people.verdict]
    engine = scorer.engine

    def fresh() -> Processor:
        processor = Processor(Scorer(engine))
        if state_dir is not None:
            load_state(state_dir, processor)
            assert processor.scorer is not None
            processor.scorer.take_feedback(said)
        return processor

    return fresh


def _look(directory: Path, problems: list[str]) -> list[Gaps]:
    """What is in the finished files, after those of a dead writer are finished as well."""
    from pipeline.config import Config
    from pipeline.rescore import finished_files, look
    from pipeline.sinks.openfile import OPEN_SUFFIX
    from pipeline.sinks.opening import recover_output

    files = finished_files(directory)
    parquet = bool(files) and files[-1].suffix == ".parquet"
    if directory.stat().st_uid == os.geteuid():  # else the stream could not write into our folders
        config = Config(out=str(directory), file_format="parquet" if parquet else "arrow")
        recover_output(config, _say)
    files = finished_files(directory)
    live = len(list(directory.glob(f"*{OPEN_SUFFIX}")))
    if live:
        _say(
            f"{directory}: {live} open files are left to their stream, which finishes them at "
            "SIGHUP or when it starts"
        )
    if not files:
        raise click.ClickException(
            f"{directory}: no finished Arrow files (date=*/*.arrow or *.parquet); name the --out "
            "of a stream"
        )
    found = []
    for path in files:
        with _noted(path, problems):
            found.append(look(path))
    return found


def _fill(
    gaps: list[Gaps],
    fresh: Callable[[], Processor],
    *,
    gaps_only: bool,
    problems: list[str],
    done: list[int],
) -> None:
    """Rescore each file; where the disk is full the rest is left for the next time."""
    from pipeline.rescore import rescore

    with _progress(sum(f.unscored if gaps_only else f.rows for f in gaps)) as advance:
        for file in gaps:
            with _noted(file.path, problems):
                done.append(rescore(file.path, fresh(), gaps_only=gaps_only, advance=advance))


@contextmanager
def _noted(path: Path, problems: list[str]) -> Iterator[None]:
    """Note what is wrong with one file, and let the others have their turn.

    Raises SinkFull where the disk is full: that is wrong with all of them.
    """
    import pyarrow as pa

    from pipeline.rescore import UnfitError
    from pipeline.sinks import SinkFull, explained

    try:
        yield
    except FileNotFoundError:
        pass  # cleared away meanwhile
    except UnfitError as error:
        problems.append(str(error))
    except (OSError, pa.ArrowException) as error:
        reason = explained(error, path) if isinstance(error, OSError) else f"{path}: {error}"
        if isinstance(reason, SinkFull):
            raise reason from error
        problems.append(str(reason))


@contextmanager
def _progress(lines: int) -> Iterator[Callable[[int], object]]:
    """A bar for people, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda n: None
        return
    with click.progressbar(length=lines, label="rescoring", file=sys.stderr) as bar:
        yield bar.update


def _say(text: str) -> None:
    click.echo(f"ltt-stream: {' '.join(text.split())}", err=True)
