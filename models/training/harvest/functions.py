"""Documented functions out of source files: Python by `ast`, the others by tree-sitter."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from models.errors import CorpusError
from models.training.harvest.trees import SourceFile

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_GRAMMARS = {
    "c": ("tree_sitter_c", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "ruby": ("tree_sitter_ruby", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}
LANGUAGES = frozenset({"python", *_GRAMMARS})
_FUNCTIONS = frozenset(
    {
        "function_definition",
        "function_declaration",
        "generator_function_declaration",
        "method_declaration",
        "method_definition",
        "function_item",
        "method",
        "singleton_method",
    }
)
_VALUES = frozenset({"function_expression", "arrow_function", "generator_function"})
_WRAPPERS = frozenset({"export_statement"})
_BETWEEN = frozenset({"attribute_item", "decorator", "attribute_list"})
_DOC_OPENING = {
    "c": ("/*", "//"),
    "go": ("//", "/*"),
    "java": ("/**",),
    "javascript": ("/**",),
    "typescript": ("/**",),
    "php": ("/**",),
    "ruby": ("#",),
    "rust": ("///", "/**"),
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function with its documentation as it stands in the source."""

    name: str
    doc: str
    code: str
    """Dedented, from the signature to the end, the docstring taken out."""
    start_line: int
    """Of the signature, counted from 1."""


def functions(file: SourceFile) -> Iterator[Function]:
    """The documented functions of one file.

    Raises CorpusError when the grammar of its language is not installed.
    """
    if file.language == "python":
        yield from _python(file.text)
    elif file.language in _GRAMMARS:
        yield from _grammatical(file)


def _python(text: str) -> Iterator[Function]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    yield from _python_scope(tree, "", text.splitlines())


def _python_scope(scope: ast.AST, prefix: str, lines: list[str]) -> Iterator[Function]:
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef):
            yield from _python_scope(node, f"{prefix}{node.name}.", lines)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc and not re.fullmatch(r"__\w+__", node.name):
                yield Function(
                    f"{prefix}{node.name}", doc, _without_docstring(node, lines), node.lineno
                )
        else:
            yield from _python_scope(node, prefix, lines)


def _without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> str:
    doc = node.body[0]
    head = lines[node.lineno - 1 : doc.lineno - 1]
    body = lines[doc.end_lineno or doc.lineno : node.end_lineno]
    return textwrap.dedent("\n".join([*head, *body])).strip("\n")


@lru_cache
def _parser(language: str) -> Parser:
    module, function = _GRAMMARS[language]
    try:
        from tree_sitter import Language, Parser

        return Parser(Language(getattr(import_module(module), function)()))
    except ImportError as error:
        raise CorpusError(
            f"{language} needs {module.replace('_', '-')}: pip install -e ."
        ) from error


def _grammatical(file: SourceFile) -> Iterator[Function]:
    data = file.text.encode()
    stack = [_parser(file.language).parse(data).root_node]
    while stack:
        node = stack.pop()
        stack.extend(reversed(node.named_children))
        function = _function_of(node)
        if function is None:
            continue
        whole = node.parent if node.parent and node.parent.type in _WRAPPERS else node
        doc = _comment_before(whole, file.language)
        name = _name(function if function.child_by_field_name("name") else node)
        if doc and name and not name.startswith("__"):
            start = _line_start(data, whole.start_byte)
            code = data[start : whole.end_byte].decode(errors="replace")
            yield Function(name, doc, textwrap.dedent(code).strip(), whole.start_point[0] + 1)


def _function_of(node: Node) -> Node | None:
    """The function that a node defines: itself, or what is assigned to a name."""
    if node.type in _FUNCTIONS:
        return node if node.child_by_field_name("body") else None
    value = None
    if node.type == "lexical_declaration" and node.named_children:
        value = node.named_children[0].child_by_field_name("value")
    elif node.type == "expression_statement" and node.named_children:
        value = node.named_children[0].child_by_field_name("right")
    elif node.type in ("pair", "field_definition", "public_field_definition"):
        value = node.child_by_field_name("value")
    return value if value is not None and value.type in _VALUES else None


def _name(node: Node) -> str:
    """The name nearest to the head of a definition, through C's declarators and assignments."""
    if node.type == "setter":
        return (node.text or b"").decode(errors="replace")
    for field in ("name", "declarator", "left", "property", "key"):
        inner = node.child_by_field_name(field)
        if inner is not None:
            return _name(inner)
    if node.type in ("lexical_declaration", "expression_statement", "parenthesized_declarator"):
        return _name(node.named_children[0]) if node.named_children else ""
    text = (node.text or b"").decode(errors="replace")
    return (
        re.split(r"::|\.", text)[-1]
        if re.fullmatch(r"[\w$.:~?!=#]+|[\[\]=<>+*/%^&|!~-]+", text)
        else ""
    )


def _comment_before(node: Node, language: str) -> str:
    """The comment, or run of line comments, that ends on the line before the node."""
    parts: list[str] = []
    at, above = node.prev_named_sibling, node.start_point[0]
    if at is None and node.parent and node.parent.type == "body_statement":
        at = node.parent.prev_named_sibling  # Ruby: the comment in front of a class's first method
    while at is not None:
        if at.type in _BETWEEN:
            above, at = at.start_point[0], at.prev_named_sibling
            continue
        text = (at.text or b"").decode(errors="replace")
        end = at.end_point[0] - (1 if text.endswith("\n") else 0)
        blank_lines = 1 if text.startswith("/*") else 0
        if "comment" not in at.type or end < above - 1 - blank_lines:
            break
        if not text.startswith(_DOC_OPENING[language]):
            break
        parts.insert(0, text.rstrip("\n"))
        if text.startswith("/*"):
            break
        above, at = at.start_point[0], at.prev_named_sibling
    return "\n".join(parts)


def _line_start(data: bytes, position: int) -> int:
    """Back over the indentation, so that the block can be dedented."""
    start = data.rfind(b"\n", 0, position) + 1
    return start if not data[start:position].strip() else position
