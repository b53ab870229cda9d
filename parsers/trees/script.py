"""What JavaScript and TypeScript define: functions and classes under what they are given to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from parsers.trees.names import Named, Special, one

if TYPE_CHECKING:
    from tree_sitter import Node

_FUNCTIONS: Final = frozenset(
    ("function_expression", "arrow_function", "generator_function", "function_definition")
)
_OWNERS: Final = re.compile(r"^(?:module\.)?exports\.|\.prototype\b")


def _value(name: Node, value: Node | None, data: bytes) -> Named | None:
    """JavaScript's functions, classes and objects under the name that they are given."""
    found = one(name, data)
    if found is None or value is None:
        return None
    if value.type in _FUNCTIONS:
        return found._replace(body=value.child_by_field_name("body"))
    if value.type == "class":
        return found._replace(body=value.child_by_field_name("body"), members=True)
    if value.type == "object":
        return found._replace(body=value, members=True, constant=True)
    if data.startswith((b"require(", b"await import("), value.start_byte):
        return None
    return found._replace(constant=True)


def _declaration(node: Node, data: bytes) -> Named | None:
    found = [
        one
        for child in node.named_children
        if (name := child.child_by_field_name("name")) is not None and name.type == "identifier"
        if (one := _value(name, child.child_by_field_name("value"), data)) is not None
    ]
    if len(found) < 2:
        return found[0] if found else None
    return found[0]._replace(names=tuple(name for one in found for name in one.names))


def _assignment(node: Node, data: bytes) -> Named | None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    while right is not None and right.type == "assignment_expression":
        right = right.child_by_field_name("right")
    if left is None or right is None:
        return None
    if right.type not in _FUNCTIONS and right.type not in ("class", "object"):
        return None
    found = _value(left, right, data)
    if found is None:
        return None
    symbol = _OWNERS.sub("", found.symbol)
    if symbol == "module.exports":
        return found._replace(symbol="", names=(), constant=False)
    return found._replace(symbol=symbol)


def _member(node: Node, data: bytes) -> Named | None:
    """A field of a class, a pair of an object: of interest where it is a function."""
    name = node.child_by_field_name("key") or node.child_by_field_name("name")
    name = name or node.child_by_field_name("property")
    value = node.child_by_field_name("value")
    if name is None or value is None or value.type not in _FUNCTIONS:
        return None
    return _value(name, value, data)


def _call(node: Node, data: bytes) -> Named | None:
    """The functions that are called in place, or handed over: what they hold is the file's."""
    called = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    inner = [*(called.named_children if called else ())]
    inner += arguments.named_children if arguments else ()
    for value in reversed(inner):
        if value.type in _FUNCTIONS:
            body = value.child_by_field_name("body")
            return one(value.child_by_field_name("name"), data, body) or Named("", body=body)
    return None


SPECIAL: Final[dict[str, Special]] = {
    "assignment_expression": _assignment,
    "call_expression": _call,
    "field_definition": _member,
    "lexical_declaration": _declaration,
    "pair": _member,
    "public_field_definition": _member,
    "variable_declaration": _declaration,
}
