"""A file's lines dealt out to its definitions: the small put together, the long taken apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from parsers.pieces import Lines
from parsers.trees.definitions import Definition

_CLOSING: Final = re.compile(
    r"\s*(?:(?:[)}\];,]+|end\b[\w.]*|fi|done|esac|#endif\b.*)[)}\];,\s]*(?://.*|/\*.*\*/)?)?"
)


@dataclass(slots=True)
class Segment:
    """Rows first … stop − 1, and the definition that they are shown as."""

    first: int
    stop: int
    symbol: str
    scope: str
    """What the rows are a part of: only the parts of one thing are put together."""
    weight: int
    """Rows of the definition that `symbol` names; 0 stands for code between definitions."""
    header: bool = False


def segments(
    places: Sequence[Definition], lines: Lines, *, small: int, most: int
) -> list[Segment]:
    """The segments that hold all lines but blank ones, in order.

    small: lines up to which neighbours are put together. most: lines up to which leftovers are
    given to a neighbour.
    """
    cut = _absorbed(_cut(places, len(lines)), lines)
    return _leftovers(_together(cut, small, small // 4), most, small // 4)


def _cut(places: Sequence[Definition], rows: int) -> list[Segment]:
    found = [Segment(0, 0, "", "", 0)]
    open_places: list[Definition] = []

    def begin(row: int, symbol: str, scope: str, weight: int, *, header: bool = False) -> None:
        found[-1].stop = row
        found.append(Segment(row, row, symbol, scope, weight, header))

    def close(before: int) -> None:
        while open_places and open_places[-1].last < before:
            ended = open_places.pop()
            scope = open_places[-1].symbol if open_places else ""
            if ended.last + 1 > found[-1].first:
                begin(ended.last + 1, scope, scope, 0)
            elif ended.last + 1 == found[-1].first and not found[-1].weight:
                found[-1].symbol = found[-1].scope = scope

    for place in places:
        close(place.first)
        scope = open_places[-1].symbol if open_places else ""
        inner = place.symbol if place.opened else scope
        if place.first > found[-1].first or not found[-1].weight:
            first = max(place.first, found[-1].first)
            weight = place.last - place.first + 1
            begin(first, place.symbol, inner, weight, header=place.opened)
        open_places.append(place)
    close(rows)
    found[-1].stop = rows
    return found


def _absorbed(parts: list[Segment], lines: Lines) -> list[Segment]:
    """What only closes belongs to what stands before it, and blank lines to nobody."""
    found: list[Segment] = []
    for part in parts:
        part.first, part.stop = lines.trimmed(part.first, part.stop)
        closing = not part.weight and all(
            _CLOSING.fullmatch(line) for line in lines.lines[part.first : part.stop]
        )
        if part.first == part.stop:
            continue
        if found and closing:
            found[-1].stop = part.stop
        else:
            found.append(part)
    return found


def _together(parts: list[Segment], small: int, tiny: int) -> list[Segment]:
    """Neighbours of one scope; a class's header stands alone unless there is little of it."""
    found: list[Segment] = []
    for part in parts:
        above = found[-1] if found else None
        if part.header and part.stop - part.first <= tiny:
            part.header, part.weight = False, 1
        if (
            above is not None
            and above.scope == part.scope
            and not above.header
            and not part.header
            and part.stop - above.first <= small
        ):
            _join(above, part)
        else:
            found.append(part)
    return found


def _leftovers(parts: list[Segment], most: int, tiny: int) -> list[Segment]:
    """A few lines between definitions go to the one after or before, if that can take them."""
    found: list[Segment] = []
    for at, part in enumerate(parts):
        above = found[-1] if found else None
        if above is None or part.stop - above.first > most:
            found.append(part)
            continue
        leads = above.weight <= 1 and above.stop - above.first <= tiny
        trails = not part.weight and part.stop - part.first <= tiny
        alone = at + 1 == len(parts) or parts[at + 1].scope != part.scope
        if (leads and above.scope == part.scope) or (trails and alone):
            _join(above, part)
        else:
            found.append(part)
    return found


def _join(above: Segment, below: Segment) -> None:
    above.stop = below.stop
    if below.weight > above.weight:
        above.symbol, above.weight = below.symbol, below.weight
        above.header = below.header
