"""A definition's name, as a reader writes it, and where its members are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tree_sitter import Node

_BODIES: Final = frozenset(
    {
        "class_body",
        "class_declarations",
        "declaration_list",
        "do_block",
        "enum_class_body",
        "field_declaration_list",
        "function_body",
        "instance_declarations",
        "protocol_body",
        "template_body",
    }
)
_SEPARATORS: Final = re.compile(r"::|->|[:\\#]")
_ARGUMENTS: Final = re.compile(r"(?<=\w)[\s<\[({].*", re.DOTALL)
_GENERIC: Final = re.compile(r"<[^<>]*>(?=.*\w)|\[[^\[\]]*\](?=\.)")
_LOUD: Final = re.compile(r"_*[A-Z]\w*")
_KEYWORDS: Final = frozenset(
    (
        *("class", "do", "else", "enum", "extern", "for", "if", "namespace", "public", "return"),
        *("struct", "switch", "template", "typedef", "union", "using", "while"),
    )
)
"""What is no name, but is taken for one where macros hide the grammar of C++."""
_MOST_CHARS: Final = 120


class Named(NamedTuple):
    """What a node defines."""

    symbol: str
    """As the source writes it, with points between its parts; "" has none."""
    names: tuple[tuple[int, str], ...] = ()
    """The row of each name and its last part."""
    body: Node | None = None
    """Where the members are, or what a function does."""
    members: bool = False
    """Whether what is defined in the body belongs to it, as to a class."""
    constant: bool = False
    """A name, but no place of its own unless it is tall."""


Special = Callable[["Node", bytes], Named | None]
"""What a node of one kind defines; None where it is nothing, for all that its kind says."""


def one(name: Node | None, data: bytes, body: Node | None = None) -> Named | None:
    """What is defined under one name."""
    symbol = "" if name is None else called(name, data)
    if name is None or not symbol:
        return None
    if symbol in _KEYWORDS:
        return Named("", body=body)
    return Named(symbol, ((name.start_point[0], bare(symbol)),), body)


def constants(names: list[Node], data: bytes, *, loud: bool = False) -> Named | None:
    """What is declared together; loud: of it those that begin with a capital."""
    rows = [(name.start_point[0], bare(called(name, data))) for name in names]
    kept = tuple((row, name) for row, name in rows if name and (not loud or _LOUD.match(name)))
    return Named(kept[0][1], kept, constant=True) if kept else None


def body_of(node: Node) -> Node | None:
    """Where the members or the statements of a definition are."""
    return node.child_by_field_name("body") or child_of(node, *_BODIES)


def child_of(node: Node, *kinds: str) -> Node | None:
    """The first child that is of one of these kinds."""
    return next((child for child in node.named_children if child.type in kinds), None)


def called(node: Node, data: bytes) -> str:
    """The name that a node spells, type arguments off: "std::vec<T>" is "std.vec"."""
    end = min(node.end_byte, node.start_byte + _MOST_CHARS)
    text = data[node.start_byte : end].decode("utf-8", "replace").strip("\"'`")
    if "operator" not in text:
        text = _ARGUMENTS.sub("", _GENERIC.sub("", _SEPARATORS.sub(".", text)))
    return " ".join(text.split())


def bare(symbol: str) -> str:
    """The last part of a name."""
    return symbol.rpartition(".")[2] or symbol
