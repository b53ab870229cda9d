"""Answers for people: where, how well, and the lines that speak for it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from pipeline.codesearch.search import Result
from pipeline.codesearch.terms import terms

_MATCHED: Final = 3
"""Lines that are shown of a snippet."""
_WIDEST: Final = 200
"""Characters of a line that are shown."""
_WORD: Final = re.compile(r"\w+")


def shown(
    results: list[Result], root: Path, words: str, *, show_code: bool, colour: bool
) -> Iterator[str]:
    """The lines of a terminal; paths are relative to the working directory, as ripgrep's are."""
    asked = frozenset(terms(words))
    for number, result in enumerate(results, 1):
        path = _styled(printable(os.path.relpath(root / result.path)), colour, fg="magenta")
        place = _styled(f":{result.start_line}-{result.end_line}", colour, fg="green")
        about = "  ".join(filter(None, (f"{result.score:.3f}", result.language, result.symbol)))
        yield f"{_styled(f'[{number}]', colour, dim=True)} {path}{place}  {printable(about)}"
        lines = list(enumerate(result.text.split("\n"), result.start_line))
        if not show_code:
            lines = _telling(lines, asked)
        for line, text in lines if result.text else ():
            marked = _marked(printable(text[:_WIDEST]), asked, colour)
            yield f"{_styled(f'{line:6}', colour, fg='green')}: {marked}"
        if show_code:
            yield ""


def _telling(lines: list[tuple[int, str]], asked: frozenset[str]) -> list[tuple[int, str]]:
    """The lines that say most of what was asked, in their order; else the first with words."""
    said = [(len(asked.intersection(terms(text))), line, text) for line, text in lines]
    best = sorted((row for row in said if row[0]), key=lambda row: (-row[0], row[1]))[:_MATCHED]
    if not best:
        best = [row for row in said if terms(row[2])][:1]
    return sorted((line, text) for _, line, text in best)


def _marked(text: str, asked: frozenset[str], colour: bool) -> str:
    """With the words that were asked for in red."""
    if not colour:
        return text
    return _WORD.sub(
        lambda found: (
            _styled(found[0], True, fg="red", bold=True)
            if asked.intersection(terms(found[0]))
            else found[0]
        ),
        text,
    )


def _styled(text: str, colour: bool, **style: str | bool) -> str:
    return click.style(text, **style) if colour else text  # type: ignore[arg-type]


def printable(text: str) -> str:
    """Without what a terminal would act upon, and with bytes that are not UTF-8 spelled out."""
    shown = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\t", "    ")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
