"""What C and C++ define: names inside declarators, types that are not just spoken of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parsers.trees.names import Named, Special, constants, one

if TYPE_CHECKING:
    from tree_sitter import Node


def _declared(node: Node) -> Node | None:
    """The name inside a declarator."""
    while True:
        inner = node.child_by_field_name("declarator")
        if inner is None and node.type.endswith("_declarator") and node.named_children:
            inner = node.named_children[-1]
        if inner is None:
            return None if node.type.endswith(("definition", "declaration")) else node
        node = inner


def _function(node: Node, data: bytes) -> Named | None:
    return one(_declared(node), data, node.child_by_field_name("body"))


def _type(node: Node, data: bytes) -> Named | None:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if body is None:
        return None
    found = Named("") if name is None else one(name, data)
    members = node.type != "enum_specifier"
    return None if found is None else found._replace(body=body, members=members)


def _declaration(node: Node, data: bytes) -> Named | None:
    """Of variables those with a value: others are declared, not defined."""
    of = node.child_by_field_name("type")
    typed = _type(of, data) if of is not None and of.type.endswith("_specifier") else None
    names = [
        name
        for child in node.children_by_field_name("declarator")
        if node.type == "type_definition" or child.type == "init_declarator"
        if (name := _declared(child)) is not None
    ]
    found = constants(names, data)
    if found is None:
        return typed
    if typed is None:
        return found
    return found._replace(
        names=(*typed.names, *found.names), body=typed.body, members=True, constant=False
    )


def _define(node: Node, data: bytes) -> Named | None:
    name = node.child_by_field_name("name")
    if name is None or node.child_by_field_name("value") is None:  # it guards a header
        return None
    return constants([name], data)


SPECIAL: Final[dict[str, Special]] = {
    "class_specifier": _type,
    "declaration": _declaration,
    "enum_specifier": _type,
    "function_definition": _function,
    "preproc_def": _define,
    "struct_specifier": _type,
    "type_definition": _declaration,
    "union_specifier": _type,
}
