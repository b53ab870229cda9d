"""`ltt-stream codesearch`: index, update, status, hook; what asks is in cli_codesearch_ask."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections import Counter

    from pipeline.codesearch.actions import Done
    from pipeline.codesearch.indexing import Progress

FOLDER = click.Path(file_okay=False, path_type=Path)
index_option = click.option(
    "--index",
    "index",
    type=FOLDER,
    metavar="DIR",
    help="The index; without it .code_index here or in the nearest folder above.",
)
learn_option = click.option(
    "--learn",
    is_flag=True,
    help="Learn from the docstrings of what changed how this code is asked about; kept only if "
    "those held out are found no worse.",
)
model_option = click.option(
    "--model", type=FOLDER, metavar="DIR", help="A checkpoint; without it the one that ships."
)


@click.group()
def codesearch() -> None:
    """Ask in plain words, get the place in the code.

    \b
    Example:
      ltt-stream codesearch index .
      ltt-stream codesearch search "where is the session cookie opened"
    """


@codesearch.command("index")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--output", type=FOLDER, metavar="DIR", help="[DIR/.code_index]")
@click.option("--snippet-lines", type=click.IntRange(4, 400), default=20, show_default=True)
@click.option(
    "--overlap",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Lines that two snippets share where a language is not parsed.",
)
@learn_option
@model_option
def index_command(
    folder: Path,
    output: Path | None,
    snippet_lines: int,
    overlap: int,
    learn: bool,
    model: Path | None,
) -> None:
    """Index the source files below a folder, or go on with its index.

    What .gitignore and .ignore say, hidden, vendored, generated, binary and very large files are
    left out.
    """
    if overlap >= snippet_lines:
        raise click.UsageError("--overlap: must be less than --snippet-lines")
    from pipeline.codesearch.actions import make_index
    from pipeline.codesearch.place import FOLDER as NAME

    where = output or folder / NAME
    began_s = time.monotonic()
    with _progress("indexing") as progress:
        done = make_index(
            folder,
            where,
            lines=snippet_lines,
            overlap=overlap,
            model=model,
            progress=progress,
            learn=learn,
        )
    if done.replaced:
        click.echo(f"{done.replaced}: made afresh", err=True)
    _say(done, where, time.monotonic() - began_s)
    if not done.files:
        raise click.ClickException(
            f"{folder}: no source files{_skipped(done.report.skipped)}; the index is empty"
        )


@codesearch.command("update")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Say nothing but what went wrong.")
@click.option(
    "--wait-s",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Wait so long for another update to end.",
)
@learn_option
@index_option
@model_option
def update_command(
    files: tuple[Path, ...],
    quiet: bool,
    wait_s: float,
    learn: bool,
    index: Path | None,
    model: Path | None,
) -> None:
    """Bring an index up to date: what changed, was added, renamed or deleted.

    FILES, or folders: look at these alone.
    """
    from pipeline.codesearch.actions import update_index
    from pipeline.codesearch.manifest import read_manifest
    from pipeline.codesearch.place import find_index, relative, root_of

    where = index or find_index(Path.cwd())
    root = root_of(where, os.fsdecode(read_manifest(where).root))
    paths = [relative(path, root) for path in files]
    began_s = time.monotonic()
    with _progress("updating") as progress:
        done = update_index(
            where, paths, model=model, progress=progress, learn=learn, wait_s=wait_s
        )
    if not quiet:
        _say(done, where, time.monotonic() - began_s)


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm

    with tqdm(unit="file", desc=what, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _say(done: Done, where: Path, seconds: float) -> None:
    from pipeline.codesearch.actions import folder_bytes
    from pipeline.codesearch.index import Index

    report = done.report
    changed = report.added + report.changed
    size = folder_bytes(where)
    index = Index.open(where, model=None)
    click.echo(
        f"files      {done.files:,} ({report.added:,} added, {report.changed:,} changed, "
        f"{report.removed:,} removed, {report.unchanged:,} as they were)"
        f"{_skipped(report.skipped)}"
    )
    click.echo(f"snippets   {index.alive:,} ({report.snippets:,} new)")
    click.echo(f"model      {done.engine.version}, {done.engine.parameters:,} parameters")
    if done.learnt:
        click.echo(f"learnt     {done.learnt}")
    share = f", {size / done.source_bytes:.2f} of the source" if done.source_bytes else ""
    click.echo(f"index      {where}, {size / 1e6:.1f} MB{share}")
    rate = f", {changed / seconds:,.0f} files a second" if changed > 1 else ""
    click.echo(f"seconds    {seconds:.2f}{rate}")


def _skipped(skipped: Counter[str]) -> str:
    """What was left out, the most first."""
    if not skipped:
        return ""
    return "; left out: " + ", ".join(f"{n:,} {reason}" for reason, n in skipped.most_common())


@codesearch.group("hook")
def hook_group() -> None:
    """Let git bring the index up to date after each commit and merge, in the background."""


@hook_group.command("install")
@index_option
def hook_install(index: Path | None) -> None:
    """Add a line to the hooks post-commit and post-merge; what they do stays."""
    from pipeline.codesearch.hook import install
    from pipeline.codesearch.place import find_index

    for path in install(index or find_index(Path.cwd())):
        click.echo(f"installed {path}")


@hook_group.command("remove")
@index_option
def hook_remove(index: Path | None) -> None:
    """Take the line out again."""
    from pipeline.codesearch.hook import remove
    from pipeline.codesearch.place import find_index

    removed = remove(index or find_index(Path.cwd()))
    for path in removed:
        click.echo(f"removed from {path}")
    if not removed:
        click.echo("no hook was installed")
