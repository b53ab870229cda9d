"""`ltt-stream train`, `evaluate` and `model info`: torch is imported inside, when they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from models.precision import DType
    from models.training.loop import Report

_CORPUS = click.Path(exists=True, dir_okay=False, path_type=Path)
_MODEL = click.Path(file_okay=False, path_type=Path)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What is wrong with a file is said in one line, exit code 1."""
    from models.errors import CheckpointError, CorpusError, StateError

    try:
        yield
    except (CheckpointError, CorpusError, StateError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from error


@click.command()
@click.option(
    "--corpus",
    type=_CORPUS,
    required=True,
    help="Parquet (sample or template, severity, perhaps program and package), or text "
    "with a line severity<TAB>text each.",
)
@click.option(
    "--out",
    type=_MODEL,
    required=True,
    help="Gets the checkpoint raccoon/, metrics.json and the state to resume from.",
)
@click.option("--dev", type=_CORPUS, help="A corpus to choose the best epoch by; else a part.")
@click.option(
    "--pairs",
    type=_CORPUS,
    help="Parquet (doc, code, package): teaches code search, and words their meaning.",
)
@click.option(
    "--teacher",
    type=_CORPUS,
    help="What `python -m models.training.teacher` made of the corpus; needs --dev.",
)
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--pair-epochs",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Over the pairs, before the first message is seen.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="End after so many epochs without a better one.",
)
@click.option("--batch-size", type=click.IntRange(2), default=512, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on where a run that was stopped had come to.",
)
@click.option(
    "--state-every-s",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Keep the state of the run this often.",
)
@click.option(
    "--checkpoint-blocks/--no-checkpoint-blocks",
    default=False,
    show_default=True,
    help="Less memory, more time, where the encoder has several blocks: compute all but the last "
    "again for their gradients.",
)
def train(
    corpus: Path,
    out: Path,
    dev: Path | None,
    pairs: Path | None,
    teacher: Path | None,
    epochs: int,
    pair_epochs: int,
    patience: int,
    batch_size: int,
    seed: int,
    threads: int,
    resume: bool,
    state_every_s: float,
    checkpoint_blocks: bool,
) -> None:
    """Train a Raccoon on labelled messages; a stopped run goes on when it is started again."""
    from models.training.loop import Options
    from models.training.loop import train as run

    options = Options(
        epochs=epochs,
        pair_epochs=pair_epochs,
        patience=patience,
        seed=seed,
        batch_size=batch_size,
        threads=threads,
        state_every_s=state_every_s,
        checkpoint_blocks=checkpoint_blocks,
    )
    with _one_line_errors(), _progress() as report:
        result = run(
            corpus,
            out,
            options,
            pairs=pairs,
            dev=dev,
            teacher=teacher,
            resume=resume,
            report=report,
            say=_say,
        )
    for name in ("held_out", "dev"):
        if name in result:
            click.echo(f"{name}:\n{_table(result[name])}")
    click.echo(f"{result['model']} is in {out / 'raccoon'}")


@click.command()
@click.option("--corpus", type=_CORPUS, help="As for train.")
@click.option(
    "--logs",
    type=_CORPUS,
    multiple=True,
    help="A log whose lines say their severity: X.structured.csv (columns Content, Level, "
    "perhaps Component) or lines with PRIs; repeatable.",
)
@click.option(
    "--train",
    "learn",
    type=_CORPUS,
    help="A corpus to train the baselines on: majority, lookup per template, and n-grams with "
    "logistic regression, which needs scikit-learn.",
)
@click.option("--plots", type=_MODEL, help="Gets PNGs; needs matplotlib.")
@click.option("--model", "path", type=_MODEL, help="A checkpoint; else the one that ships.")
@click.option(
    "--dtype", type=click.Choice(["auto", "bf16", "fp32"]), default="auto", show_default=True
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def evaluate(
    corpus: Path | None,
    logs: tuple[Path, ...],
    learn: Path | None,
    plots: Path | None,
    path: Path | None,
    dtype: DType,
    threads: int,
    as_json: bool,
) -> None:
    """Measure a checkpoint on a labelled corpus and on real logs, with each prior.

    Example: ltt-stream evaluate --corpus dev.parquet --train train.parquet --logs a.log
    """
    from models.checkpoint import pretrained_path
    from models.inference import Engine
    from models.training.corpus import read_corpus
    from models.training.evaluate import EXTRA, Baselines, evaluate_corpus
    from pipeline.evaluate_logs import evaluate_log, mean_of_logs
    from pipeline.evaluate_report import draw, report
    from pipeline.labelled_lines import read_labelled

    if corpus is None and not logs:
        raise click.UsageError("nothing to measure on: name --corpus or --logs")
    if plots is not None and find_spec("matplotlib") is None:
        raise click.UsageError(f"--plots: needs matplotlib: {EXTRA}")
    with _one_line_errors():
        engine = Engine.load(path or pretrained_path(), dtype=dtype, threads=threads)
        rows = read_corpus(corpus) if corpus else None
        labelled = [read_labelled(log) for log in logs]
        if len({log.name for log in labelled}) < len(labelled):
            raise click.UsageError("--logs: two logs of one name")
        baselines = Baselines.learn(read_corpus(learn), _say) if learn else None
        result: dict[str, Any] = {"model": engine.version, "dtype": engine.dtype}
        if rows is not None:
            result["corpus"] = evaluate_corpus(engine, rows, baselines)
        if labelled:
            result["logs"] = {x.name: evaluate_log(engine, x, baselines) for x in labelled}
            result["logs_mean"] = mean_of_logs(result["logs"])
        drawn = draw(result, plots) if plots else []
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    click.echo("\n\n".join(report(result)))
    for picture in drawn:
        click.echo(f"drawn: {picture}")


@click.group()
def model() -> None:
    """What is known of a checkpoint."""


@model.command()
@click.argument("path", type=_MODEL, required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def info(path: Path | None, as_json: bool) -> None:
    """Show the facts of the checkpoint PATH; without it, of the one that ships."""
    from models.checkpoint import load_checkpoint, pretrained_path

    with _one_line_errors():
        checkpoint = load_checkpoint(path or pretrained_path())
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    facts = {
        "version": checkpoint.version,
        "parameters": parameters,
        "architecture": checkpoint.model.architecture.as_dict(),
        **vars(checkpoint.card),
        "reference_scores": len(checkpoint.reference_surprise),
    }
    if as_json:
        click.echo(msgspec.json.encode(facts).decode())
        return
    facts["apps"] = f"{len(checkpoint.card.apps)} known"
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = " ".join(f"{v:.4g}" for v in value)
        click.echo(f"{name.replace('_', ' '):18} {value}")


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def _progress() -> Iterator[Report | None]:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(unit="step", dynamic_ncols=True) as bar:

        def report(step: int, steps: int, loss: float) -> None:
            bar.total = steps
            if bar.n == 0:
                bar.initial = step - 1
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(step - bar.n)

        yield report


def _table(result: Mapping[str, Mapping[str, object]]) -> str:
    """Figures as rows, priors as columns."""
    priors = list(result)
    lines = [f"{'':20}" + "".join(f"{name.replace('_', ' '):>16}" for name in priors)]
    for figure in result[priors[0]]:
        cells = [result[prior][figure] for prior in priors]
        shown = (f"{c:16.3f}" if isinstance(c, float) else f"{c:>16}" for c in cells)
        lines.append(f"{figure.replace('_', ' '):20}" + "".join(shown))
    return "\n".join(lines)
