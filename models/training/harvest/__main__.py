"""`python -m models.training.harvest severity | codepairs | compare`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import pyarrow.parquet as pq
from tqdm import tqdm

from models.errors import CorpusError
from models.training.harvest import compare as comparing
from models.training.harvest.fetch import Fetcher, FetchError
from models.training.harvest.packages import Corpus, Package, Side, load, select
from models.training.harvest.pairs import PairCorpus
from models.training.harvest.severity import SeverityCorpus
from models.training.harvest.write import Line, report, write

_NAMES = click.option("--packages", metavar="A,B", help="These packages, not all of the side.")
_CACHE = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("~/.cache/ltt-stream/harvest"),
    show_default=True,
    help="Where the archives stay.",
)
_OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the Parquet files go.",
)
_SIDES = click.option(
    "--side",
    type=click.Choice(["dev", "train", "both"]),
    default="both",
    show_default=True,
    help="train leaves out what the dev file in --out holds.",
)
_SEED = click.option("--seed", default=0, show_default=True)
_LIMIT = click.option("--limit", type=click.IntRange(1), help="Rows a package gives at most.")


class _OneLineErrors(click.Group):
    """What is wrong with a corpus is said in one line, exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CorpusError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_OneLineErrors)
def main() -> None:
    """Rebuild the corpora from public packages, or hold a rebuilt one to a given one."""


@main.command()
@_OUT
@_SIDES
@_NAMES
@_LIMIT
@_CACHE
@_SEED
def severity(
    out: Path,
    side: str,
    packages: str | None,
    limit: int | None,
    cache: Path,
    seed: int,
) -> None:
    """Log statements with their severity: severity_dev.parquet, severity_train.parquet."""
    for name, chosen in _sides("severity", side, packages):
        held_out: list[tuple[str, int]] = []
        dev = out / "severity_dev.parquet"
        if name == "train" and dev.exists():
            rows = pq.read_table(dev, columns=["template", "severity"])
            held_out = list(
                zip(rows["template"].to_pylist(), rows["severity"].to_pylist(), strict=True)
            )
        corpus = SeverityCorpus(seed, held_out)
        _collect(chosen, cache, partial(corpus.add, limit=limit))
        write(corpus.table(), out / f"severity_{name}.parquet")


@main.command()
@_OUT
@_SIDES
@_NAMES
@_LIMIT
@_CACHE
@_SEED
def codepairs(
    out: Path,
    side: str,
    packages: str | None,
    limit: int | None,
    cache: Path,
    seed: int,
) -> None:
    """Docstring and code: codepairs_dev.parquet, codepairs_train.parquet."""
    for name, chosen in _sides("code", side, packages):
        held_out: set[bytes] = set()
        dev = out / "codepairs_dev.fingerprints"
        if name == "train" and dev.exists():
            held_out = set(map(bytes.fromhex, dev.read_text(encoding="ascii").split()))
        corpus = PairCorpus(name, seed, held_out)
        _collect(chosen, cache, partial(corpus.add, limit=limit))
        write(corpus.table(), out / f"codepairs_{name}.parquet")
        if name == "dev":
            # The Parquet file holds what the cap let through; equal code beyond it stays out too.
            dev.write_text("\n".join(sorted(f.hex() for f in corpus.fingerprints)), "ascii")


@main.command()
@click.option(
    "--with",
    "given",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    multiple=True,
    help="The severity corpus to hold to; repeatable.",
)
@click.option("--packages", metavar="A,B", required=True)
@_CACHE
def compare(given: tuple[Path, ...], packages: str, cache: Path) -> None:
    """Precision and recall of (template, severity) against a given severity corpus."""
    corpus = comparing.Given(given)
    rows: list[comparing.Agreement] = []

    def hold(package: Package, root: Path) -> int:
        rebuilt = SeverityCorpus(0)
        found = rebuilt.add(package, root)
        rows.append(corpus.agreement(package.name, set(rebuilt.keys())))
        return found

    wanted = packages.split(",")
    _collect([p for p in load("severity") if p.name in wanted], cache, hold)
    click.echo(comparing.table(rows))


def _sides(corpus: Corpus, side: str, names: str | None) -> list[tuple[Side, list[Package]]]:
    """What to collect, the held-out side first: what it has, train must not."""
    wanted = names.split(",") if names else None
    if side == "dev":
        return [("dev", select(corpus, "dev", wanted))]
    if side == "train":
        return [("train", select(corpus, "train", wanted))]
    known = {p.name: p.side for p in load(corpus)}
    both: tuple[Side, Side] = ("dev", "train")
    chosen = [
        (s, select(corpus, s, wanted and [n for n in wanted if known.get(n, s) == s]))
        for s in both
    ]
    return [(s, found) for s, found in chosen if found]


def _collect(
    packages: Sequence[Package], cache: Path, add: Callable[[Package, Path], int]
) -> None:
    """Fetches and reads the packages one by one; one that cannot be had is told, not fatal."""
    fetcher = Fetcher(cache.expanduser())
    lines: list[Line] = []
    for package in tqdm(packages, unit="package", disable=not sys.stderr.isatty()):
        started = time.monotonic()
        try:
            with fetcher.tree(package) as tree:
                rows = add(package, tree.root)
            version, note = tree.version, ""
            if version.rpartition(":")[2] != package.version.rpartition(":")[2]:
                note = f"listed: {package.version}"
        except FetchError as error:
            rows, version, note = 0, "-", str(error)
        lines.append(Line(package.name, version, rows, time.monotonic() - started, note))
    click.echo(report(lines))


if __name__ == "__main__":
    main(prog_name="python -m models.training.harvest")
