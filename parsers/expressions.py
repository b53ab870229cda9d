"""What stands after a stamp, and lines without one, by expressions.

They serve the hot path for what it has not learnt yet, and decline what the careful path reads in
another way: a zone after the stamp, a level where the hostname stands, a second header, tags
without a blank after them. Without a hostname what looks like a tag may be a zone, or a hostname
before a second header.
"""

from __future__ import annotations

import re
from typing import Final

from parsers import rfc3164, rfc5424
from parsers.fields import FieldTuple
from parsers.timestamps import MONTHS

BLANKS: Final = b" \t\r\n\0"
PRIORITIES: Final = {b"%d" % priority: priority for priority in range(192)}
MONTH, PRI_LEAD, DIGIT, TAG_LEAD, ODD, NO_HEADER = range(6)
"""What a line may be, by its first byte."""

_NO_HEADER_NEXT: Final = rb"(?![ :%*.]|\d+: |\d{4} +[A-Z]|[A-Z][a-z][a-z] +\d)"
_BODY: Final = (
    rb"(?:(?!%(not_host)s)(?P<host>[\w\x80-\xff][\w.\x80-\xff-]*+) )?+"
    rb"(?:(?(host)|(?![A-Z]{1,4}(?:[+-][\d:]+)?: ))"
    rb"(?!CEF|LEEF)([A-Za-z_%%(/][%(tag)s]*+)(?:\[([^\]\[\s]*+)\])?+: (?(host)|%(no_header)s)"
    # Without a tag only what cannot be taken for one; without a hostname nor for that.
    rb"|(?(host)(?!(?:[Mm]essage|forwarded) |[A-Z][a-z][a-z] +\d|\*)"
    rb"(?=CEF:|LEEF:|[A-Za-z][\w,=-]*+ |(?:\[|[%(tag)s]*+[^%(tag)s\s:\[])[^ ]*+(?<!:) )"
    rb"|(?=\[[\w-]+\])))"
    rb"(?:\xef\xbb\xbf)?+(.*[^ \t\r\n\0]|)"  # no BOM, no blanks at the end
)
_PARTS: Final = {b"tag": rfc3164.TAG_CHARS, b"no_header": _NO_HEADER_NEXT}
_LEVELS: Final = sorted(level for level in rfc3164.LEVELS if level.isupper())
match_after_named: Final = re.compile(
    _BODY % (_PARTS | {b"not_host": rb"[A-Z]+ |\d{4} |(?:TZ|UTC|GMT)[+-]"}), re.DOTALL
).match
"""→ hostname, app name, procid, message of what stands after `Oct 11 22:14:15 `."""
match_after_iso: Final = re.compile(
    _BODY % (_PARTS | {b"not_host": rb"(?:%s) " % b"|".join(_LEVELS)}), re.DOTALL
).match
"""The same after `2026-11-21T10:00:00Z `, where neither a year nor a zone can follow."""

_match_bare_tag: Final = rfc3164.BARE_TAG.match
# No header but what is a header of its own: FortiGate's key=value, CEF, LEEF.
_match_format: Final = re.compile(rb"\w+=|CEF:\d|LEEF:\d").match
# Digits that begin a header: a date, a year before the month, Cisco's number, a version.
_match_digits: Final = re.compile(
    rb"\d{4}-\d\d-\d\d[Tt]|\d{4}:\d\d:\d\d-|1 \d{9,10}[ .]|"
    rb"\d{4} +\w{3,9} |[\w:.-]+: |\d{1,3} +\d{4}-"
).match
_match_month: Final = re.compile(rb"(?i:%s)[A-Za-z]{0,6} " % b"|".join(MONTHS)).match


def _lead(byte: int) -> int:
    character = bytes((byte,))
    if character == b"<":
        return PRI_LEAD
    if character.isdigit():
        return DIGIT
    if character in b"JFMASOND" or character in b"jfmasond":
        return MONTH
    if character.isalpha() or character in b"_%(/":
        return TAG_LEAD
    return ODD if character.isspace() or character in b"*.:\0\xef" else NO_HEADER


LEADS: Final = tuple(map(_lead, range(256)))


def without_stamp(data: bytes) -> FieldTuple | None:
    """A PRI and a message, a tag and a message, or a message alone; None when in doubt."""
    lead = LEADS[data[0]]
    if lead == PRI_LEAD:
        pri, _, text = data.partition(b">")
        priority = PRIORITIES.get(pri[1:])
        if priority is None or not text or not _is_plain(text):
            return None
        message = text.rstrip(BLANKS)
        return ("rfc3164", priority, None, None, None, None, None, None, None, message, ())
    if (
        (lead == MONTH and _is_month(data))
        or (lead == DIGIT and _match_digits(data))
        or (lead == ODD and not _is_indented(data))
    ):
        return None
    app_name = procid = None
    message = data.rstrip(BLANKS)
    if lead < ODD and (found := _match_bare_tag(message)) and found[1] not in rfc3164.NOT_TAGS:
        app_name, procid = found.groups()
        message = message[found.end() :].removeprefix(rfc5424.BOM)
    return ("bare", -1, None, None, None, app_name, procid or None, None, None, message, ())


def _is_plain(text: bytes) -> bool:
    """True when nothing in `text`, which follows a PRI, can be taken for a stamp or a tag."""
    lead = LEADS[text[0]]
    if lead == NO_HEADER:
        return not text.startswith(b"-")
    if lead == TAG_LEAD or (lead == MONTH and not _is_month(text)):
        word = text.partition(b" ")[0]
        return (b":" not in word and b"]" not in word) or _match_format(text) is not None
    return False


def _is_month(text: bytes) -> bool:
    return text[:3].lower() in MONTHS and _match_month(text) is not None


def _is_indented(data: bytes) -> bool:
    """True for a line of a stack trace and the like: blanks, and then no header."""
    text = data.lstrip(b" \t")
    if not text or text is data:
        return False
    lead = LEADS[text[0]]
    if lead == NO_HEADER:
        return not text.startswith(b"-")
    return text[:1].isalpha() and not (lead == MONTH and _is_month(text))
