"""Calls with their arguments out of C, C++, Go and Java text, by hand.

A scanner on purpose, not a parser: log statements sit inside macros, half-configured #if branches
and dialects that a grammar gives up on, while quotes and brackets stay balanced in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LONGEST_CALL = 4000

_LITERAL = r'"(?:\\.|[^"\\\n])*"'
_LEXEMES = {
    False: re.compile(
        rf"//[^\n]*|/\*.*?\*/|{_LITERAL}|'(?:\\.[^'\n]{{0,8}}|[^'\\\n])'", re.DOTALL
    ),
    True: re.compile(
        rf"//[^\n]*|/\*.*?\*/|{_LITERAL}|'(?:\\.[^'\n]{{0,8}}|[^'\\\n])'|`[^`]*`", re.DOTALL
    ),
}
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)
_WORDS = re.compile(r"[^\n]")
_CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_STREAM = re.compile(r"\b(\w+)\s*<<\s*(\w+::\w+)\s*<<")
_BRACKETS = re.compile(r"[()\[\]{},;]")
_STATEMENT_WORDS = frozenset(
    ("if", "for", "while", "switch", "return", "sizeof", "catch", "func", "defined")
)


@dataclass(frozen=True, slots=True)
class Call:
    """`chain.name(arguments)`: source text throughout, comments blanked."""

    name: str
    chain: str
    arguments: tuple[str, ...]
    tail: str
    """What follows up to the end of the statement: `<< "text" << value` of a C++ stream."""


class Source:
    """A file's text with its comments blanked, beside a shadow with its literals blanked too.

    Both have the length of the original, so one position means the same in all three.
    """

    def __init__(self, text: str, language: str) -> None:
        lexemes = _LEXEMES[language == "go"]
        self.text = lexemes.sub(_without_comment, text)
        if language in ("c", "c++"):
            self.text = _DIRECTIVE.sub(_blank, self.text)
        self.shadow = lexemes.sub(_hollow, self.text)

    def calls(self, wanted: re.Pattern[str]) -> Iterator[Call]:
        """The calls whose name, or the text just behind the bracket, matches `wanted`.

        `wanted` sees lower case.
        """
        lowered = self.shadow.lower()
        for match in _CALL.finditer(self.shadow):
            name = match[1]
            if name in _STATEMENT_WORDS:
                continue
            end = match.end()
            called = lowered[match.start() : match.end(1)]
            if not (wanted.search(called) or wanted.search(lowered, end, end + 80)):
                continue
            pieces, close = self._arguments(end)
            if pieces is None:
                continue
            yield Call(
                name=name,
                chain=self._chain(match.start()),
                arguments=pieces,
                tail=self._tail(close),
            )

    def streams(self) -> Iterator[Call]:
        """`log << Level::Name << …` as the call `log(Level::Name) << …`."""
        for match in _STREAM.finditer(self.shadow):
            tail = self._tail(match.end() - 1)
            yield Call(match[1], "", (match[2],), "<<" + tail)

    def _arguments(self, start: int) -> tuple[tuple[str, ...] | None, int]:
        """The text of each argument from behind the opening bracket on, and where it closes."""
        return _split(self.text, self.shadow, start)

    def _chain(self, start: int) -> str:
        """What a method is called on: `log.G(ctx).WithError(err)` of `….Warnf(`."""
        at = start
        shadow = self.shadow
        while True:
            before = shadow[max(0, at - 200) : at].rstrip()
            mark = next((m for m in (".", "->", "::") if before.endswith(m)), None)
            if mark is None or start - at > 400:
                return " ".join(self.text[at:start].split())
            cut = at - (min(200, at) - len(before)) - len(mark)
            before = shadow[max(0, cut - 400) : cut].rstrip()
            end = cut - (min(400, cut) - len(before))
            if before.endswith(")"):
                end = self._opening(end - 1)
            owner = re.search(r"[A-Za-z_]\w*$", shadow[max(0, end - 80) : end])
            if owner is None:
                return " ".join(self.text[end:start].split())
            at = end - len(owner[0])

    def _opening(self, close: int) -> int:
        """The position of the bracket that `close` closes, or of nothing within reach."""
        depth = 0
        for i in range(close, max(-1, close - _LONGEST_CALL), -1):
            depth += {")": 1, "(": -1}.get(self.shadow[i], 0)
            if depth == 0:
                return i
        return close

    def _tail(self, close: int) -> str:
        stop = self.shadow.find(";", close, close + _LONGEST_CALL)
        return self.text[close + 1 : stop] if stop > 0 else ""


def split_arguments(text: str) -> tuple[str, ...]:
    """The arguments inside `(…)` given as text, outer brackets taken off."""
    inner = text.strip()[1:-1] + ")"
    shadow = _LEXEMES[False].sub(_hollow, inner)
    return _split(inner, shadow, 0)[0] or ()


def _split(text: str, shadow: str, start: int) -> tuple[tuple[str, ...] | None, int]:
    depth, begin, pieces = 0, start, []
    for match in _BRACKETS.finditer(shadow, start, start + _LONGEST_CALL):
        sign = match[0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth < 0:
                pieces.append(text[begin : match.start()].strip())
                return (tuple(pieces) if sign == ")" else None), match.start()
        elif sign == "," and depth == 0:
            pieces.append(text[begin : match.start()].strip())
            begin = match.end()
        elif sign == ";" and depth == 0:
            break
    return None, start


def _without_comment(match: re.Match[str]) -> str:
    return match[0] if match[0][0] in "\"'`" else _blank(match)


def _blank(match: re.Match[str]) -> str:
    return _WORDS.sub(" ", match[0])


def _hollow(match: re.Match[str]) -> str:
    """A literal with nothing in it, of the same length."""
    text = match[0]
    return text[0] + _WORDS.sub(" ", text[1:-1]) + text[-1]
