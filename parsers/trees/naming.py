"""What a node defines: by its grammar's own way of writing it, or by the name that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parsers.trees import c, script
from parsers.trees.names import Named, Special, bare, body_of, called, child_of, constants, one

if TYPE_CHECKING:
    from tree_sitter import Node

_ELIXIR_SCOPES: Final = frozenset({"defmodule", "defprotocol", "defimpl"})
_ELIXIR_LEAVES: Final = frozenset(
    {"def", "defp", "defmacro", "defmacrop", "defguard", "defguardp", "defdelegate", "defn"}
)
_ZIG_TYPES: Final = frozenset({"struct_declaration", "union_declaration", "enum_declaration"})


def named(grammar: str, kind: str, node: Node, data: bytes) -> Named | None:
    """What a node defines; None where it is nothing, for all that its kind says."""
    special = _SPECIAL.get((grammar, kind))
    if special is not None:
        return special(node, data)
    name = node.child_by_field_name("name")
    return None if name is None else one(name, data, body_of(node))


def _elixir(node: Node, data: bytes) -> Named | None:
    target = node.child_by_field_name("target")
    word = "" if target is None else called(target, data)
    if word not in _ELIXIR_SCOPES and word not in _ELIXIR_LEAVES:
        return None
    arguments = child_of(node, "arguments")
    head = arguments.named_children[0] if arguments and arguments.named_children else None
    while head is not None and head.type in ("binary_operator", "call"):  # go(a) when a > 1
        head = head.child_by_field_name("left" if head.type == "binary_operator" else "target")
    found = one(head, data, body_of(node))
    if found is None:
        return None
    names = () if word == "defimpl" else found.names
    return found._replace(names=names, members=word in _ELIXIR_SCOPES)


def _go_method(node: Node, data: bytes) -> Named | None:
    receiver = node.child_by_field_name("receiver")
    found = one(node.child_by_field_name("name"), data, node.child_by_field_name("body"))
    if found is None or receiver is None or not receiver.named_children:
        return found
    owner = receiver.named_children[0].child_by_field_name("type")
    if owner is None:
        return found
    return found._replace(symbol=f"{called(owner, data).lstrip('*')}.{found.symbol}")


def _declarations(node: Node, data: bytes) -> Named | None:
    """Constants and variables that are declared together, as Go, Java and PHP do."""
    names: list[Node] = []
    for child in node.named_children:
        for spec in child.named_children if child.type == "var_spec_list" else (child,):
            if spec.type in ("const_spec", "var_spec", "variable_declarator"):
                names += spec.children_by_field_name("name")
            elif spec.type == "const_element":
                names += spec.named_children[:1]
    return constants(names, data, loud=node.type == "field_declaration")


def _haskell_function(node: Node, data: bytes) -> Named | None:
    infix = child_of(node, "infix")
    name = node.child_by_field_name("name") or (infix and infix.child_by_field_name("operator"))
    return one(name, data)


def _instance(node: Node, data: bytes) -> Named | None:
    """What adds to a type that is defined elsewhere."""
    name = node.child_by_field_name("type") or node.child_by_field_name("name")
    if name is None:
        return None
    return Named(bare(called(name, data)), body=body_of(node), members=True)


def _kotlin_property(node: Node, data: bytes) -> Named | None:
    inner = child_of(node, "variable_declaration")
    return None if inner is None else constants(inner.named_children[:1], data, loud=True)


def _assignment(node: Node, data: bytes) -> Named | None:
    """A constant by the capital that it begins with."""
    name = next(filter(None, map(node.child_by_field_name, ("left", "pattern", "name"))), None)
    if name is None or name.type not in ("identifier", "constant", "variable_name"):
        return None
    found = constants([name], data, loud=True)
    value = node.child_by_field_name("right")
    block = value.child_by_field_name("block") if value is not None else None
    if found is None or block is None:
        return found
    body = block.child_by_field_name("body")  # Ruby's Struct.new(…) do
    return found._replace(body=body, members=True, constant=False)


def _python_alias(node: Node, data: bytes) -> Named | None:
    return one(node.child_by_field_name("left"), data)


def _ruby_call(node: Node, data: bytes) -> Named | None:
    arguments, block = node.child_by_field_name("arguments"), node.child_by_field_name("block")
    if block is not None:
        return Named("", body=block.child_by_field_name("body"))
    method = arguments and child_of(arguments, "method", "singleton_method")
    return named("ruby", method.type, method, data) if method else None  # private def …


def _lua_assignment(node: Node, data: bytes) -> Named | None:
    sides = node.named_children
    if len(sides) != 2 or not sides[0].named_children or not sides[1].named_children:
        return None
    name, value = sides[0].named_children[0], sides[1].named_children[0]
    if value.type == "function_definition":
        return one(name, data, value.child_by_field_name("body"))
    if value.type == "table_constructor":
        found = constants([name], data)
        return None if found is None else found._replace(body=value, members=True)
    return constants([name], data, loud=True)


def _lua_field(node: Node, data: bytes) -> Named | None:
    value = node.child_by_field_name("value")
    if value is None or value.type != "function_definition":
        return None
    return one(node.child_by_field_name("name"), data, value.child_by_field_name("body"))


def _constant(node: Node, data: bytes) -> Named | None:
    name = node.child_by_field_name("name")
    return None if name is None else constants([name], data)


def _sql(node: Node, data: bytes) -> Named | None:
    name = node.child_by_field_name("column") or child_of(node, "object_reference", "identifier")
    return one(name and (name.child_by_field_name("name") or name), data)


def _swift_type(node: Node, data: bytes) -> Named | None:
    name = node.child_by_field_name("name")
    if name is not None and name.type == "user_type":  # an extension
        return _instance(node, data)
    return one(name, data, body_of(node))


def _keyword(node: Node, data: bytes) -> Named | None:
    """What is called by the word that it begins with: init, deinit, subscript, constructor."""
    del data
    word = node.type.partition("_")[0]
    return Named(word, ((node.start_point[0], word),), body_of(node))


def _zig_test(node: Node, data: bytes) -> Named | None:
    name = child_of(node, "string", "identifier")
    return None if name is None else Named(f"test {called(name, data)}")


def _zig_variable(node: Node, data: bytes) -> Named | None:
    name, value = child_of(node, "identifier"), node.named_children[-1]
    if name is None or value.type == "builtin_function":  # @import
        return None
    if value.type in _ZIG_TYPES:
        found = one(name, data, value)
        return None if found is None else found._replace(members=True)
    return constants([name], data)


_SQL: Final = (
    *("database", "extension", "function", "index", "materialized_view", "policy", "procedure"),
    *("role", "schema", "sequence", "table", "trigger", "type", "view"),
)
_SPECIAL: Final[dict[tuple[str, str], Special]] = {
    **{(grammar, kind): how for grammar in ("c", "c++") for kind, how in c.SPECIAL.items()},
    **{
        (grammar, kind): how
        for grammar in ("javascript", "typescript", "tsx")
        for kind, how in script.SPECIAL.items()
    },
    **{("sql", f"create_{kind}"): _sql for kind in _SQL},
    ("elixir", "call"): _elixir,
    ("go", "method_declaration"): _go_method,
    ("go", "const_declaration"): _declarations,
    ("go", "var_declaration"): _declarations,
    ("haskell", "function"): _haskell_function,
    ("haskell", "instance"): _instance,
    ("java", "field_declaration"): _declarations,
    ("java", "constant_declaration"): _declarations,
    ("kotlin", "property_declaration"): _kotlin_property,
    ("kotlin", "secondary_constructor"): _keyword,
    ("lua", "assignment_statement"): _lua_assignment,
    ("lua", "field"): _lua_field,
    ("php", "const_declaration"): _declarations,
    ("python", "assignment"): _assignment,
    ("python", "type_alias_statement"): _python_alias,
    ("ruby", "assignment"): _assignment,
    ("ruby", "call"): _ruby_call,
    ("rust", "const_item"): _constant,
    ("rust", "static_item"): _constant,
    ("rust", "impl_item"): _instance,
    ("scala", "val_definition"): _assignment,
    ("shell", "variable_assignment"): _assignment,
    ("swift", "class_declaration"): _swift_type,
    ("swift", "init_declaration"): _keyword,
    ("swift", "deinit_declaration"): _keyword,
    ("swift", "subscript_declaration"): _keyword,
    ("zig", "test_declaration"): _zig_test,
    ("zig", "variable_declaration"): _zig_variable,
}
