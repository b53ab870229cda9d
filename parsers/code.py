"""Source files in snippets: what is found, shown and ranked when code is searched.

A snippet is a definition, or a few small ones side by side, or a part of one that is too long to
be read at a glance. Where a language has no grammar, or a file does not follow it, snippets are
windows over the lines.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from parsers.markdown import headings
from parsers.pieces import Lines
from parsers.segments import segments
from parsers.trees.definitions import Defined, definitions
from parsers.trees.grammars import parse


class Snippet(NamedTuple):
    """Lines of a file that are found as one."""

    start_line: int
    """Counted from 1, as editors do."""
    end_line: int
    """Of the last line in it."""
    symbol: str
    """What it is shown as: "Session.request", a heading; "" where there is no name for it."""
    defines: tuple[str, ...]
    """The bare names whose definitions begin here."""
    text: str


def snippets(text: str, language: str, *, lines: int = 20, overlap: int = 5) -> list[Snippet]:
    """The snippets of a file, in order; every line that is not blank is in one.

    lines: about how many a snippet has; a definition is kept whole up to three times that.
    overlap: how many a window repeats, where there is nothing to go by.
    """
    split = Lines(text)
    defined = _defined(split, language, lines)
    if not defined.places and not defined.names:
        windows = split.windows(lines=lines, overlap=overlap)
        return [one for first, stop in windows for one in _snippet(split, first, stop, "", ())]
    names = sorted(set(defined.names))
    rows = [row for row, _ in names]
    found = []
    for part in segments(defined.places, split, small=lines, most=3 * lines):
        pieces = split.cut(part.first, part.stop, most=3 * lines, target=2 * lines)
        for first, stop in pieces:
            here = names[bisect_left(rows, first) : bisect_left(rows, stop)]
            defines = tuple(dict.fromkeys(name for _, name in here))
            found += _snippet(split, first, stop, part.symbol, defines)
    return found


def _defined(split: Lines, language: str, lines: int) -> Defined:
    if language == "markdown":
        return Defined(headings(split.lines))
    # A NUL sends some scanners round for ever.
    data = "\n".join(split.lines).replace("\0", " ").encode("utf-8", "replace")
    tree = parse(language, data)
    if tree is None:
        return Defined()
    return definitions(tree, data, small=lines, tall=3 * lines)


def _snippet(
    split: Lines, first: int, stop: int, symbol: str, defines: tuple[str, ...]
) -> list[Snippet]:
    first, stop = split.trimmed(first, stop)
    if first == stop:
        return []
    return [Snippet(first + 1, stop, symbol, defines, split.text(first, stop))]
