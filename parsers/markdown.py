"""Where the sections of a Markdown file begin, and what they are headed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from parsers.trees.definitions import Definition

_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_UNDERLINE: Final = re.compile(r" {0,3}(?:=+|--+)[ \t]*")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKUP: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[`*]|<[^>]*>|\{#[^}]*\}")
_MOST_CHARS: Final = 120


def headings(lines: Sequence[str]) -> list[Definition]:
    """The sections, each up to the next heading of whatever rank; code between fences has none."""
    starts: list[tuple[int, str]] = []
    fence, first = "", 0
    if lines and lines[0].rstrip() == "---":  # a preamble of YAML
        first = next((n + 1 for n, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    for row in range(first, len(lines)):
        line = lines[row]
        opening = _FENCE.match(line)
        if fence:
            if opening is not None and opening[1].startswith(fence):
                fence = ""
        elif opening is not None:
            fence = opening[1]
        elif (found := _HEADING.fullmatch(line)) is not None:
            starts.append((row, _plain(found[1])))
        elif row > first and _UNDERLINE.fullmatch(line) and _is_paragraph(lines, row - 1, first):
            starts.append((row - 1, _plain(lines[row - 1])))
    stops = [*(row for row, _ in starts[1:]), len(lines)]
    return [
        Definition(row, stop - 1, symbol, False)
        for (row, symbol), stop in zip(starts, stops, strict=False)
    ]


def _is_paragraph(lines: Sequence[str], row: int, first: int) -> bool:
    """Whether the line is one of text and the only one: else the marks below it are a rule."""
    line = lines[row]
    blank_above = row == first or not lines[row - 1].strip()
    return blank_above and bool(line.strip()) and line.lstrip()[0] not in "#|>-*+"


def _plain(heading: str) -> str:
    return " ".join(_MARKUP.sub(r"\1", heading).split())[:_MOST_CHARS]
