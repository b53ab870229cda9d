"""Log statements out of Python source, by its own grammar."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from models.training.harvest import levels
from models.training.harvest.statements import Statement, is_template, tidy
from models.training.harvest.trees import SourceFile

_METHODS = {
    **{
        word: levels.WORDS[word] for word in ("critical", "fatal", "error", "exception", "failure")
    },
    **{word: levels.WORDS[word] for word in ("warning", "warn", "notice", "info", "debug")},
    **{word: levels.WORDS[word] for word in ("trace", "verbose", "deprecated")},
    "blather": levels.DEBUG,
    "err": levels.ERR,
}
_CAUSE_FIRST = frozenset({"err"})
"""Methods that take the exception in front of the message, or the message alone."""
_LOGGER = re.compile(r"log|display|syslog|\bmsg\b|status", re.IGNORECASE)


def python_statements(file: SourceFile, package: str) -> Iterator[Statement]:
    """The log statements of one Python 3 file; Python 2 files give none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(file.text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        level = _level(node, package)
        if level is None:
            continue
        arguments = node.args[1:] if _names_its_level(node) else node.args
        if _name(node) in _CAUSE_FIRST and len(arguments) > 1:
            arguments = arguments[1:]
        found = _text(arguments[0]) if arguments else None
        if found is None:
            continue
        text, inside = found
        values = (*inside, *(ast.unparse(argument) for argument in _values(arguments[1:])))
        template = tidy(text)
        if is_template(template):
            yield Statement(template, values, *level, _name(node), file.path, "python")


def _level(call: ast.Call, package: str) -> tuple[int, str] | None:
    """`log.error(…)`, `log.log(logging.ERROR, …)`, `syslog.syslog(LOG_ERR, …)`."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    owner = ast.unparse(function.value)
    if not _LOGGER.search(owner) or owner.endswith("math"):
        return None
    if _names_its_level(call):
        return levels.of_argument(ast.unparse(call.args[0]).rpartition(".")[2], package)
    own = levels.EXCEPTIONS.get(package, levels.Exceptions())
    if function.attr in own.functions:
        return own.functions[function.attr], function.attr
    if function.attr in _METHODS:
        return _METHODS[function.attr], function.attr
    return None


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _names_its_level(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and _name(call) in ("log", "syslog")
        and len(call.args) > 1
    )


def _values(arguments: list[ast.expr]) -> list[ast.expr]:
    """`log.error("…", (a, b))` and `"…" % (a, b)` hand over the values in a tuple."""
    if len(arguments) == 1 and isinstance(arguments[0], ast.Tuple):
        return arguments[0].elts
    return arguments


def _text(node: ast.expr) -> tuple[str, tuple[str, ...]] | None:
    """A message's template and the values that stand in the expression itself."""
    match node:
        case ast.Constant(value=str(text)):
            return text, ()
        case ast.JoinedStr(values=pieces):
            return _formatted(pieces)
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            found = _text(left)
            return found and (found[0], (*found[1], *map(ast.unparse, _values([right]))))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _text(left), _text(right)
            if first is None and second is None:
                return None
            first = first or ("{}", (ast.unparse(left),))
            second = second or ("{}", (ast.unparse(right),))
            return first[0] + second[0], (*first[1], *second[1])
        case ast.Call(func=ast.Attribute(value=inner, attr="format"), args=arguments):
            found = _text(inner)
            return found and (found[0], tuple(map(ast.unparse, arguments)))
        case ast.Call(func=ast.Name(id="_" | "_LE" | "_LW" | "_LI" | "_LC"), args=[inner, *_]):
            return _text(inner)
        case ast.Call(func=ast.Attribute(attr="dedent" | "strip"), args=[inner]):
            return _text(inner)
        case _:
            return None


def _formatted(pieces: list[ast.expr]) -> tuple[str, tuple[str, ...]]:
    """An f-string: short expressions stay as {expression}, others become {}."""
    text, values = "", []
    for piece in pieces:
        if isinstance(piece, ast.FormattedValue):
            source = ast.unparse(piece.value)
            text += "{" + (source if re.fullmatch(r"[^{}]{1,60}", source) else "") + "}"
            values.append(source)
        elif isinstance(piece, ast.Constant):
            text += str(piece.value)
    return text, tuple(values)
