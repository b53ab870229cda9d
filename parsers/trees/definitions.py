"""The definitions of a file in the order in which they stand, those inside after their owners.

Containers alone are descended into: of a function's body nothing is looked at, unless the
function is so long that it will be taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from parsers.trees.naming import named
from parsers.trees.shapes import SHAPES

if TYPE_CHECKING:
    from tree_sitter import Node

    from parsers.trees.grammars import Tree

_CLAUSES: Final = frozenset(("haskell", "elixir"))
"""Where one function may be written as a run of equations."""
_OF_OWNER: Final = b"@moduledoc"
"""What looks like the comment of the next definition and is that of the whole."""
_TALL_CONSTANT: Final = 4
_MOST_CHARS: Final = 200


class Definition(NamedTuple):
    """A definition's lines, from the comment above it to its end; rows count from 0."""

    first: int
    last: int
    symbol: str
    """Qualified: "Class.method"."""
    opened: bool
    """Whether what is in it follows as definitions of their own."""


@dataclass(slots=True)
class Defined:
    """All that a file defines."""

    places: list[Definition] = field(default_factory=list)
    names: list[tuple[int, str]] = field(default_factory=list)
    """The row of each bare name, those of places too small to be cut out included."""


class _Level(NamedTuple):
    children: Iterator[Node]
    scope: str
    small: bool
    """Whether the whole stays in one piece: names are asked for alone."""
    local: bool
    """Whether it is a function's: its variables are nobody else's."""
    last: int


def definitions(tree: Tree, data: bytes, *, small: int, tall: int) -> Defined:
    """What the tree of `data` defines.

    small: rows up to which a class is not opened. tall: rows beyond which a function is.
    """
    shape = SHAPES[tree.grammar]
    found = Defined()
    levels = [_Level(iter(tree.root.named_children), "", False, False, 0)]
    lead = lead_last = before = -1
    while levels:
        level = levels[-1]
        node = next(level.children, None)
        if node is None:
            levels.pop()
            before = max(before, level.last)
            continue
        kind = node.type
        first, last = node.start_point[0], _last_row(node)
        if kind in shape.leading and not data.startswith(_OF_OWNER, node.start_byte):
            if first > before:  # else it is the end of a line of code
                if lead_last < first - 2 or lead < 0:
                    lead = first
                lead_last = last
            continue
        if kind in shape.through:
            inner = node.named_children
            levels.append(level._replace(children=iter(inner), last=last))
            if not inner or inner[0].start_point != node.start_point:
                before = max(before, first)  # code of its own comes first
            continue
        one = None
        if kind in shape.leaves or kind in shape.scopes:
            one = named(tree.grammar, kind, node, data)
        start = lead if lead >= 0 and lead_last >= first - 2 else first
        lead = -1
        if one is None or (level.local and one.constant):
            before = last
            continue
        members = one.members or kind in shape.scopes
        symbol = _qualified(level.scope, one.symbol)
        found.names += one.names
        rows = last - start + 1
        opened = one.body is not None and rows > (small if members else tall)
        if not level.small and one.symbol and (not one.constant or rows >= _TALL_CONSTANT):
            _place(found, Definition(start, last, symbol, opened), tree.grammar)
        if one.body is not None and (opened or members):
            scope = symbol if one.symbol else level.scope
            small_too = level.small or not opened
            children = iter(one.body.named_children)
            levels.append(_Level(children, scope, small_too, not members, last))
            before = one.body.start_point[0]
        else:
            before = last
    return found


def _place(found: Defined, place: Definition, grammar: str) -> None:
    if grammar in _CLAUSES and found.places:
        above = found.places[-1]
        if above.symbol == place.symbol and not above.opened and not place.opened:
            found.places[-1] = above._replace(last=place.last)
            return
    found.places.append(place)


def _last_row(node: Node) -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row


def _qualified(scope: str, symbol: str) -> str:
    whole = f"{scope}.{symbol}" if scope and symbol else symbol or scope
    return whole if len(whole) <= _MOST_CHARS else whole[-_MOST_CHARS:]
