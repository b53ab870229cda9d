"""What is asked: a name, or words about what code does (possibly with names in them)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pipeline.codesearch.terms import distinct, terms

_SEPARATOR: Final = re.compile(r"::|->|[.\\#/]")
_NAME: Final = re.compile(
    r"(?:[A-Za-z_]\w*(?:(?:::|->|[.\\#])[A-Za-z_]\w*)+"  # Session.request, std::sort
    r"|_\w*|[A-Za-z]\w*[A-Z_]\w*|[A-Z]\w*"  # _private, camelCase, snake_case, Title
    r")(?:\(\))?"
)
_WORD: Final = re.compile(r"\w+")
# Names among words: CamelCase, camelCase, snake_case, called(); not Title, which may be prose.
_EMBEDDED: Final = re.compile(
    r"\b(?:[A-Z][a-z]\w*[A-Z]\w*|[a-z]\w*[A-Z]\w+|\w+_\w+|[A-Za-z]\w*(?=\(\)))"
)


class Question(NamedTuple):
    text: str
    is_name: bool
    """Whether it is nothing but a name, as `Session.request` is; `session` may be a word."""
    names: tuple[str, ...]
    """Names whose definitions it may be after, most likely first; the bare last part of each."""
    terms: tuple[str, ...]
    """Distinct, in order."""
    qualified: str = ""
    """The whole name with points between its parts, where it has more than one."""


def read_question(text: str) -> Question:
    """What kind of question this is."""
    text = text.strip()
    is_name, qualified = _NAME.fullmatch(text) is not None, ""
    if is_name:
        parts = _SEPARATOR.split(text.removesuffix("()"))
        names = parts[-1:]
        qualified = ".".join(parts) if len(parts) > 1 else ""
    elif _WORD.fullmatch(text):
        names = [text]
    else:
        names = _EMBEDDED.findall(text)
    return Question(text, is_name, tuple(distinct(names)), tuple(distinct(terms(text))), qualified)
