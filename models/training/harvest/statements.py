"""Log statements out of C, C++, Go and Java: severity, template, the arguments' source text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from models.training.harvest import levels
from models.training.harvest.clike import Call, Source, split_arguments
from models.training.harvest.trees import SourceFile

_LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"|`([^`]*)`')
_PLACEHOLDER = re.compile(
    r"%(?:\([^)]*\))?[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t|q|L)?[A-Za-z]|\{[^{}]*\}|%%"
)
_TRANSLATED = re.compile(
    r"^(?:_|N_|Q_|gettext|dgettext|_w|T_|tr|XO|G_|fmt\.Sprintf|errmsg\w*|errdetail)\s*\("
)
_FORMAT_MACROS = {
    **{f"PRI{c}{w}": f"{'l' if w in ('64', 'MAX') else ''}{c}"
       for c in "diuxXo" for w in ("8", "16", "32", "64", "MAX", "PTR")},
    "PRIdMAX": "jd", "INT64_FORMAT": "%ld", "UINT64_FORMAT": "%lu",
}  # fmt: skip
_PREFIX_MACRO = re.compile(r"(?:KERN|XENLOG|APLOG|SD)_[A-Z]+$|APLOGNO$")
"""Put before the text to say how bad it is, or to number it."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "", "a": "", "b": "", "f": ""}
_LOGGERS = re.compile(r"log|lgr|\bl\b|\btrace\w*\b|sugar|entry|console|\bdisplay\b", re.IGNORECASE)
_GO_NAME = re.compile(
    r"(?P<word>Fatal|Panic|Error|Warn|Warning|Info|Notice|Debug|Trace|Critical|Crit)"
    r"(?:f|ln|S|w|l|Depth|Context)?"
)
_JAVA_NAME = re.compile(r"(?:fatal|severe|error|warn|warning|info|config|debug|trace|fine[rs]?t?)")
_EXTRA_NAMES = sorted(
    name.lower()
    for own in levels.EXCEPTIONS.values()
    for name in (*own.functions, *own.verbosity, *own.constants)
)
# Lower case, without IGNORECASE: that is what lets the expression engine skip quickly.
_WANTED = re.compile(
    "|".join(word for word in (*levels.WORDS, "config") if len(word) > 2)
    + rf"|^log(?:f|p|rb)?$|\b(?:{'|'.join(map(re.escape, _EXTRA_NAMES))})\b"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One log statement as the developer wrote it."""

    template: str
    arguments: tuple[str, ...]
    """Source text of the values, in the order of the placeholders."""
    severity: int
    level: str
    function: str
    path: str
    language: str


def statements(file: SourceFile, package: str) -> Iterator[Statement]:
    """The log statements of one C, C++, Go or Java file."""
    source = Source(file.text, file.language)
    calls = source.calls(_WANTED)
    if file.language == "c++":
        calls = chain(calls, source.streams())
    for call in calls:
        found = _READERS[file.language](call, package)
        if found is None:
            continue
        (severity, level), text, values = found
        template = tidy(text)
        if is_template(template):
            yield Statement(template, values, severity, level, call.name, file.path, file.language)


def tidy(text: str) -> str:
    """White space folded and trimmed, as a log line shows it."""
    return " ".join(text.split())


def is_template(text: str) -> bool:
    """Whether two words or more are left when the placeholders are out."""
    words = re.findall(r"[A-Za-z]+", _PLACEHOLDER.sub(" ", text))
    return len(text) >= 5 and len(words) >= 2 and sum(map(len, words)) >= 4


_Found = tuple[tuple[int, str], str, tuple[str, ...]]


def _read_c(call: Call, package: str) -> _Found | None:
    if call.tail.lstrip().startswith("<<"):
        return _read_stream(call, package)
    arguments = call.arguments
    while len(arguments) == 1 and arguments[0].startswith("("):
        arguments = split_arguments(arguments[0])  # DEBUGMSGTL(("token", "format", value))
    level = levels.of_verbosity(call.name, arguments[0], package) if arguments else None
    where = None
    for i, argument in enumerate(arguments):
        if argument.startswith("(") and i:  # DEBUG(3, ("format", value))
            nested = split_arguments(argument)
            first = next((k for k, piece in enumerate(nested) if joined(piece) is not None), None)
            if first is not None:
                arguments = (*arguments[:i], *nested[first:])
                argument = arguments[i]
        text = joined(argument)
        if text is not None:
            where = i
            break
        if (level is None or "_LEVEL_" in argument) and len(argument) <= 80:
            level = levels.of_argument(argument, package) or level
    if where is None:
        return None
    if level is None and (kernel := re.match(r"\s*(KERN_[A-Z]+)\b", arguments[where])):
        level = levels.of_argument(kernel[1], package)
    level = level or levels.of_function(call.name, package)
    if level is None:
        return None
    where += _is_token(call.name) or not is_template(tidy(joined(arguments[where]) or ""))
    if where == len(arguments):
        return None
    found = with_macros(arguments[where], arguments[where + 1 :])
    return (level, *found) if found else None


def _is_token(name: str) -> bool:
    """net-snmp's debug macros put a token before the format; others, a single word."""
    return name.startswith("DEBUGMSG")


def _read_stream(call: Call, package: str) -> _Found | None:
    """`Log(LogWarning, "x") << "text"`, `ib::error() << "text"`, `g_log << Logger::Error << …`."""
    level = None
    for argument in call.arguments:
        level = level or levels.of_argument(argument, package)
    level = level or levels.of_function(call.name, package)
    if level is None:
        return None
    text, values = _concatenated(call.tail.strip().removeprefix("<<"), "<<")
    return level, text, values


def _read_go(call: Call, package: str) -> _Found | None:
    if re.search(r"fmt\.$|errors\.$|status\.$|\bt\.$|\bb\.$|tb\.$", call.chain):
        return None
    verbosity = re.search(r"\bV\((\d+)\)\.$", call.chain)
    own = levels.EXCEPTIONS.get(package, levels.Exceptions())
    named = _GO_NAME.fullmatch(call.name)
    level: tuple[int, str] | None = None
    if verbosity:
        severity = levels.DEBUG if int(verbosity[1]) >= 4 else levels.INFO
        level = severity, f"V({verbosity[1]}).{call.name}"
    elif call.name in own.functions:
        level = own.functions[call.name], call.name
    elif call.name == "Log" and (kit := re.search(r"level\.(\w+)\(.*\)\.$", call.chain)):
        level = levels.of_function(kit[1], package)
        for key, value in zip(call.arguments, call.arguments[1:], strict=False):
            if key == '"msg"' and level and (text := joined(value)):
                return level, text, ()
        return None
    elif named and (not call.chain or _LOGGERS.search(call.chain) or len(call.chain) <= 3):
        level = levels.of_function(call.name, package) or (
            levels.WORDS[named["word"].lower()],
            call.name,
        )
        level = level[0], call.name
    if level is None:
        return None
    if call.name.endswith("ln"):
        return level, *_spaced(call.arguments)
    for i, argument in enumerate(call.arguments):
        if text := joined(argument):
            return level, text, call.arguments[i + 1 :]
    return None


def _spaced(arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What Println makes of its arguments: all of them, a space between each two."""
    texts = [joined(argument) for argument in arguments]
    values = [a for a, text in zip(arguments, texts, strict=True) if text is None]
    return " ".join("%v" if text is None else text for text in texts), tuple(values)


def _read_java(call: Call, package: str) -> _Found | None:
    if not _LOGGERS.search(call.chain):
        return None
    level, arguments = None, call.arguments
    if call.name in ("log", "logp", "logrb") and arguments:
        level = levels.of_argument(arguments[0], package)
        arguments = arguments[1:]
    elif _JAVA_NAME.fullmatch(call.name):
        level = (6 if call.name == "config" else levels.WORDS[call.name]), call.name
    if level is None or not arguments:
        return None
    for i, argument in enumerate(arguments):
        if '"' in argument:
            text, values = _concatenated(argument, "+")
            return level, text, (*values, *arguments[i + 1 :])
    return None


_READERS = {"c": _read_c, "c++": _read_c, "go": _read_go, "java": _read_java}


def joined(argument: str) -> str | None:
    """The text of adjacent literals, macros between them included; None if it is no text."""
    found = with_macros(argument, ())
    return found[0] if found else None


def with_macros(argument: str, values: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """The text of adjacent literals, and the values with the macros among the literals added.

    PRIu64 and its like are part of a placeholder; another macro becomes a %s, its name a value.
    """
    rest = argument.strip()
    while translated := _TRANSLATED.match(rest):
        if not rest.endswith(")"):
            return None
        inner = split_arguments(rest[translated.end() - 1 :])
        rest = next((piece for piece in inner if '"' in piece), "")
    text, filled = "", list(values)
    if not ('"' in rest or "`" in rest):
        return None
    while rest:
        literal = _LITERAL.match(rest)
        macro = re.match(r"([A-Za-z_]\w*)(?:\s*\([^()\"]*\))?", rest)
        if literal:
            text += unescaped(literal[1]) if literal[1] is not None else literal[2]
            rest = rest[literal.end() :].lstrip(" \t\n+")
        elif macro:
            if macro[1] in _FORMAT_MACROS:
                text += _FORMAT_MACROS[macro[1]]
            elif not _PREFIX_MACRO.match(macro[1]):
                filled.insert(len(_PLACEHOLDER.findall(text.replace("%%", ""))), macro[0])
                text += "%s"
            rest = rest[macro.end() :].lstrip()
        else:
            return None
    return text, tuple(filled)


def _concatenated(expression: str, operator: str) -> tuple[str, tuple[str, ...]]:
    """Literals joined by an operator, a {} for each value between them, and the values."""
    text, values = "", []
    for piece in _operands(expression, operator):
        literal = joined(piece)
        if literal is not None:
            text += literal
        elif not re.fullmatch(r"(?:std::)?(?:endl|flush|hex|dec|setw\(.*\))", piece):
            text += "{}"
            values.append(piece)
    return text, tuple(values)


def _operands(expression: str, operator: str) -> Iterator[str]:
    """The operands of a left-to-right expression, split outside of brackets and literals."""
    depth, begin, i = 0, 0, 0
    while i < len(expression):
        literal = _LITERAL.match(expression, i)
        if literal:
            i = literal.end()
            continue
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(expression[i], 0)
        if depth == 0 and expression.startswith(operator, i):
            yield expression[begin:i].strip()
            i += len(operator)
            begin = i
            continue
        i += 1
    yield expression[begin:].strip()


def unescaped(literal: str) -> str:
    """The text that a C-like literal stands for."""
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), literal)
