"""The grammars that source is parsed with: one package each, met when its language is."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from time import thread_time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_GRAMMARS: Final = {
    "c": ("tree_sitter_c", "language"),
    "c#": ("tree_sitter_c_sharp", "language"),
    "c++": ("tree_sitter_cpp", "language"),
    "elixir": ("tree_sitter_elixir", "language"),
    "go": ("tree_sitter_go", "language"),
    "haskell": ("tree_sitter_haskell", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "kotlin": ("tree_sitter_kotlin", "language"),
    "lua": ("tree_sitter_lua", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "python": ("tree_sitter_python", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "scala": ("tree_sitter_scala", "language"),
    "shell": ("tree_sitter_bash", "language"),
    "sql": ("tree_sitter_sql", "language"),
    "swift": ("tree_sitter_swift", "language"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "zig": ("tree_sitter_zig", "language"),
}
_CLASSES: Final = re.compile(
    rb"^[ \t]*(?:class \w+[ \w:,<>]*\{?$|namespace[ \w:]*\{?$|template *<)", re.MULTILINE
)
_MARKUP: Final = re.compile(rb"</|/>")

_CHUNK: Final = 1 << 16
_MOST_SECONDS: Final = 1.0
"""A megabyte takes a tenth; some grammars take for ever over what does not follow them."""


class Tree(NamedTuple):
    """A parsed file: its root node, under the grammar that fitted best."""

    grammar: str
    root: Node


def parse(language: str, data: bytes) -> Tree | None:
    """None where the language has no grammar here, or where parsing gets nowhere."""
    if language not in _GRAMMARS:
        return None
    if language == "c" and _CLASSES.search(data):  # a header that is called .h all the same
        language = "c++"
    root = _parsed(language, data)
    if language == "typescript" and root is not None and root.has_error and _MARKUP.search(data):
        language, root = "tsx", _parsed("tsx", data)
    return None if root is None else Tree(language, root)


def _parsed(grammar: str, data: bytes) -> Node | None:
    parser = _parser(grammar)
    if parser is None:
        return None
    end = thread_time() + _MOST_SECONDS
    views: list[memoryview] = []

    def read(position: int, _: object) -> memoryview:
        views.append(memoryview(data)[position : position + _CHUNK])
        return views[-1]

    try:
        return parser.parse(
            read,
            progress_callback=lambda _position, _wrong: thread_time() > end,
        ).root_node
    except ValueError:
        parser.reset()
        return None
    finally:
        # The binding never lets go of what it has read: of a view this keeps a few words alone.
        for view in views:
            view.release()


@lru_cache
def _parser(grammar: str) -> Parser | None:
    module, function = _GRAMMARS[grammar]
    try:
        from tree_sitter import Language, Parser

        return Parser(Language(getattr(import_module(module), function)()))
    except (ImportError, AttributeError, ValueError):  # a package missing or of another age
        return None
