"""`ltt-stream codesearch search`, `similar`, `status` and `serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli_codesearch import index_option, model_option
from pipeline.pipes import reader_may_leave

if TYPE_CHECKING:
    from pipeline.codesearch.search import Answer, Searcher


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("-k", "--top-k", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A list, best first.")
@click.option("--show-code", is_flag=True, help="Whole snippets, not only the lines that match.")
@click.option("--path", "glob", metavar="GLOB", help="Only files such as 'src/**' or '*.py'.")
@click.option("--lang", metavar="NAME", help="Only this language: py, go, c++ …")
@click.option("--update", is_flag=True, help="Bring the index up to date before.")
@index_option
@model_option
def search_command(
    words: tuple[str, ...],
    top_k: int,
    as_json: bool,
    show_code: bool,
    glob: str | None,
    lang: str | None,
    update: bool,
    index: Path | None,
    model: Path | None,
) -> None:
    """Find the places in the code that answer WORDS: plain words, or a name.

    \b
    Example:
      ltt-stream codesearch search "retry a failed upload" --path 'src/**' --show-code
    """
    from parsers.languages import language_named

    asked = " ".join(words)
    if not asked.strip():
        raise click.UsageError("nothing is asked: give some words")
    language = None
    if lang is not None and (language := language_named(lang)) is None:
        raise click.UsageError(f"--lang {lang}: no language that is indexed, e.g. py, ts, go, c++")
    searcher = _searcher(index, model, update=update)
    answer = searcher.search(asked, top_k=top_k, glob=glob, language=language)
    _print(answer, searcher, asked, as_json=as_json, show_code=show_code)


@click.command("similar")
@click.argument("place", metavar="FILE:LINE")
@click.option("-k", "--top-k", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A list, best first.")
@click.option("--show-code", is_flag=True, help="Whole snippets, not only their first lines.")
@index_option
@model_option
def similar_command(
    place: str, top_k: int, as_json: bool, show_code: bool, index: Path | None, model: Path | None
) -> None:
    """Find code like that about a line.

    \b
    Example:
      ltt-stream codesearch similar src/upload.py:120 --show-code
    """
    from pipeline.codesearch.place import relative

    file, _, line = place.rpartition(":")
    line = line.lstrip("0")[:10]  # more are as good as the end, and too many are no int
    if not file or not line.isdecimal():
        raise click.UsageError(f"{place}: want FILE:LINE, e.g. src/upload.py:120")
    searcher = _searcher(index, model)
    path = relative(Path(file), searcher.root)
    answer = searcher.similar(path, int(line), top_k=top_k)
    if answer is None:
        raise click.ClickException(
            f"{file}: not in the index; `ltt-stream codesearch update` looks for new files"
        )
    _print(answer, searcher, "", as_json=as_json, show_code=show_code)


@click.command("status")
@click.option("--json", "as_json", is_flag=True)
@index_option
def status_command(as_json: bool, index: Path | None) -> None:
    """Say what is indexed and what changed since."""
    from pipeline.codesearch.place import find_index
    from pipeline.codesearch.status import read_status

    status = read_status(index or find_index(Path.cwd()))
    with reader_may_leave():
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(status))
            return
        for name, value in status.lines():
            click.echo(f"{name:<11}{value}")


@click.command("serve")
@index_option
@model_option
def serve_command(index: Path | None, model: Path | None) -> None:
    """Serve search and similar to an MCP client over stdin and stdout.

    \b
    Example, in a client's configuration:
      {"command": "ltt-stream", "args": ["codesearch", "serve", "--index", "/src/.code_index"]}
    """
    from pipeline.codesearch.place import find_index

    where = index or find_index(Path.cwd())
    try:
        from pipeline.codesearch.serve import serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("mcp", "pydantic"):
            raise
        raise click.ClickException("serve: pip install 'ltt-stream[mcp]'") from error
    serve(where, model)


def _searcher(index: Path | None, model: Path | None, *, update: bool = False) -> Searcher:
    from pipeline.codesearch.actions import open_searcher, update_index
    from pipeline.codesearch.place import find_index

    where = index or find_index(Path.cwd())
    if update:
        update_index(where, model=model, progress=lambda done, total: None)
    return open_searcher(where, model=model)


def _print(
    answer: Answer, searcher: Searcher, words: str, *, as_json: bool, show_code: bool
) -> None:
    with reader_may_leave():
        if as_json:
            import msgspec

            sys.stdout.buffer.write(msgspec.json.encode(answer.results) + b"\n")
        else:
            from pipeline.codesearch.shown import shown

            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            for line in shown(
                answer.results, searcher.root, words, show_code=show_code, colour=colour
            ):
                click.echo(line, color=colour)
        sys.stdout.flush()
    if not answer.results:
        click.echo("nothing found", err=True)
    if answer.stale:
        click.echo(
            f"{answer.stale} of these files changed since they were indexed: "
            "`ltt-stream codesearch update`",
            err=True,
        )


ASK = (search_command, similar_command, status_command, serve_command)
"""Of the group `codesearch`."""
