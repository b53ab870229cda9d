"""A doc comment boiled down to the plain sentence that a search would be for."""

from __future__ import annotations

import re
from html import unescape

SHORTEST, LONGEST = 10, 400

_FENCE = re.compile(r"^\s*(?:/\*[*!]*|\*/|\*|///?!?|#+)[ \t]?|\s*\*+/\s*$")
_SECTION = re.compile(
    r"^\s*(?:@(?!brief|summary|desc|function|method|see\b\s|\w+/)\w+|[:\\](?:param|returns?|type"
    r"|throws|raises|arg|sa|see|note|rtype|since|deprecated)\b"
    r"|(?:Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?|Usage|Panics)\s*:?\s*$"
    r"|(?:NOTE|WARNING)s?:|-{3,}|={3,}|```|>>>|\.\. )",
    re.IGNORECASE,
)
_TAGS = (
    "a|b|i|p|u|s|br|em|tt|ul|ol|li|code|pre|strong|sub|sup|span|div|h[1-6]|table|t[rdh]|kbd|var"
)
_ROLES = (
    (re.compile(r":[\w:.+-]+:`~?([^`<]+?)(?:\s*<[^`]*>)?`"), r"\1"),
    (re.compile(r"\{@(?:\w+)\s+([^}]*)\}"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[`?([^\]`]+)`?\]"), r"\1"),
    (re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE), ""),
    (re.compile(r"`+([^`]*)`+_?"), r"\1"),
    (re.compile(r"(?<![\w/])~(?=[\w.])"), ""),
    (re.compile(r"[@\\](?:brief|summary|desc(?:ription)?|since|short|function|method)\s+"), ""),
    (re.compile(r"\*\*([^*]+)\*\*"), r"\1"),
)
_UNWANTED = re.compile(
    r"copyright|licen[sc]ed? under|\bTODO\b|\bFIXME\b|\bXXX\b|SPDX|@generated|eslint-|nolint"
    r"|inheritdoc|^non-javadoc",
    re.IGNORECASE,
)


def summary(doc: str, name: str, language: str) -> str:
    """The first paragraph of a docstring or doc comment, without markup and the own name."""
    lines: list[str] = []
    for line in doc.splitlines():
        bare = _FENCE.sub("", _FENCE.sub("", line.strip())).strip()
        if not bare or _SECTION.match(bare) or bare.rstrip(":()") == name:
            if lines:
                break
            continue
        lines.append(bare)
    text = unescape(" ".join(" ".join(lines).split()))
    for pattern, plain in _ROLES:
        text = pattern.sub(plain, text)
    own = re.escape(name.rpartition(".")[2])
    # Go's docs begin with the name; elsewhere "Parse the header." of parse() is a sentence.
    flags = re.IGNORECASE if language == "go" else re.NOFLAG
    head = rf"^(?:func |fn )?{own}\b(?:\(\))?\s*(?:[-–—:]+\s+)?(?=\S)"
    return re.sub(head, "", " ".join(text.split()), flags=flags).strip()


def is_wanted(doc: str) -> bool:
    """Three words or more, 10 to 400 characters, mostly ASCII letters, no boilerplate."""
    if not SHORTEST <= len(doc) <= LONGEST or len(doc.split()) < 3:
        return False
    letters = sum(c.isascii() and (c.isalpha() or c == " ") for c in doc)
    return letters / len(doc) >= 0.7 and not _UNWANTED.search(doc)
