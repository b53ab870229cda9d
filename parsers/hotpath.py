"""The hot path of the whole program: one expression for each common header, hours out of a cache.

What none of them takes, and what is at fault in any way, goes to the careful path. Both give the
same answer; the quick one only declines more often.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from parsers import rfc3164, rfc5424
from parsers.fields import FieldTuple, StructuredData
from parsers.timestamps import (
    DAY_US,
    MINUTE_SECOND_US,
    MONTHS,
    Clock,
    fraction_us,
    iso_hour,
    offset_us,
)

MAX_BYTES: Final = 65_536
"""Longer messages are cut here and say so."""
BLANKS: Final = b" \t\r\n\0"
_CACHE_ENTRIES: Final = 4_096
_MINUTES: Final = MINUTE_SECOND_US
PRIORITIES: Final[dict[bytes | None, int]] = {
    None: -1, **{b"%d" % priority: priority for priority in range(192)}
}  # fmt: skip
_MILLIS: Final = {b".%03d" % milli: milli * 1_000 for milli in range(1_000)}
_SHORT_TAIL: Final = 6  # bytes after the seconds: `Z`, `.003Z`, `+01:00`; longer ones go in two
_SHORT_STAMP: Final = 19 + _SHORT_TAIL
_SPACE: Final = 32
_DIGIT_1: Final = 49
_BOM_LEAD: Final = rfc5424.BOM[0]
_PRIORITIES_1: Final = {b"<%d>1" % priority: priority for priority in range(192)}

# The quick expressions decline what the careful path reads in another way: a year or a zone after
# the stamp, a level where the hostname stands, a second header, tags without a blank after them.
# Without a hostname what looks like a tag may be a zone, or a hostname before a second header.
_NO_ZONE: Final = b"".join(rb"(?<! [A-Z]{%d}: )" % size for size in range(1, 5))
_NO_HEADER_NEXT: Final = rb"(?![ :%*.]|\d+: |\d{4} +[A-Z]|[A-Z][a-z][a-z] +\d)"
_HOST: Final = (
    rb"(?: (?![A-Z]+ |\d{4} |TZ[+-])"
    rb"(?P<host>[\w\x80-\xff][\w.\x80-\xff-]*+)(?= ))?+ "
)
_TAG: Final = (
    rb"(?:(?!CEF|LEEF)([A-Za-z_%%(/][%s]*+)(?:\[([^\]\[\s]*+)\])?+: (?(host)|%s%s)"
    # Without a tag only what cannot be taken for one, after a hostname.
    rb"|(?(host)|(?!))(?!(?:[Mm]essage|forwarded) |[A-Z][a-z][a-z] +\d)"
    rb"(?=CEF:|LEEF:|[A-Za-z][\w,=-]*+ ))"
) % (rfc3164.TAG_CHARS, _NO_ZONE, _NO_HEADER_NEXT)
_TAIL: Final = rb"(?:\xef\xbb\xbf)?+(.*[^ \t\r\n\0]|)"  # no BOM, no blanks at the end
_match_named: Final = re.compile(
    rb"(?:<(\d{1,3})>)?+([A-Z][a-z][a-z] [ \d]?\d (?:\d{4} )?\d\d:)(\d\d:\d\d):?+"
    + _HOST
    + _TAG
    + _TAIL,
    re.DOTALL,
).match
_match_iso: Final = re.compile(
    rb"(?:<(\d{1,3})>)?+(\d{4}-\d\d-\d\dT\d\d:)(\d\d:\d\d)((?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"
    + _HOST + _TAG + _TAIL,
    re.DOTALL,
).match  # fmt: skip
_match_stamp_tail: Final = re.compile(rb"(?:\.(\d+))?(Z|[+-]\d\d:\d\d)").fullmatch
# No header but what is a header of its own: FortiGate's key=value, CEF, LEEF.
_match_headless: Final = re.compile(rb"<(\d{1,3})>(?=\w+=|CEF:\d|LEEF:\d)").match
_match_bare_tag: Final = rfc3164.BARE_TAG.match
# Digits that begin a header: a date, a year before the month, Cisco's number, a version.
_match_digits: Final = re.compile(
    rb"\d{4}-\d\d-\d\d[Tt]|\d{4} +\w{3,9} |[\w:.-]+: |\d{1,3} +\d{4}-"
).match

_match_month: Final = re.compile(rb"(?i:%s)[A-Za-z]{0,6} " % b"|".join(MONTHS)).match

_MONTH, _PRI_LEAD, _DIGIT, _TAG_LEAD, _ODD, _NO_HEADER = range(6)


def _lead(byte: int) -> int:
    """What a line may be that begins with this byte."""
    character = bytes((byte,))
    if character == b"<":
        return _PRI_LEAD
    if character.isdigit():
        return _DIGIT
    if character in b"JFMASOND" or character in b"jfmasond":
        return _MONTH
    if character.isalpha() or character in b"_%(/":
        return _TAG_LEAD
    return _ODD if character.isspace() or character in b"*.:\0\xef" else _NO_HEADER


_LEADS: Final = tuple(map(_lead, range(256)))


def quick_reader(
    clock: Clock, careful: Callable[[bytes, int], FieldTuple]
) -> Callable[[bytes, int], FieldTuple]:
    """The hot path, as a closure: its caches are cells, which are cheaper than attributes."""
    named_hours: dict[bytes, int] = {}  # b"Oct 11 22:" → UTC µs, for what came in on one day
    day_begin = day_end = 0
    iso_hours: dict[bytes, int] = {}  # b"2026-11-21T10:" → µs, before its zone is taken off
    # What follows the seconds, as µs to add: whole (b".003Z", b"+01:00"), or what is left of a
    # longer one after its milliseconds (b"456+01:00").
    stamp_tails: dict[bytes, int] = {}
    after_millis: dict[bytes, int] = {}

    def learn_named(hour: bytes, received_us: int) -> bool:
        """True when the hour was unknown and is known now."""
        hour_us = None if hour in named_hours else clock.named_hour(hour, received_us)
        if hour_us is None:
            return False
        _bounded(named_hours)[hour] = hour_us
        return True

    def learn_iso(hour: bytes, tail: bytes) -> bool:
        """True when the hour or what follows the seconds was unknown and both are known now."""
        found = _match_stamp_tail(tail)
        hour_us = iso_hour(hour)
        offset = None if found is None else offset_us(found[2])
        if found is None or hour_us is None or offset is None:
            return False
        if len(tail) <= _SHORT_TAIL:
            cache, key, us = stamp_tails, tail, fraction_us(found[1]) - offset
        elif found[1] is not None and len(found[1]) in (3, 6):
            cache, key, us = after_millis, tail[4:], fraction_us(found[1][3:]) // 1_000 - offset
        else:
            return False
        if hour in iso_hours and key in cache:
            return False
        _bounded(iso_hours)[hour] = hour_us
        _bounded(cache)[key] = us
        return True

    def fields(data: bytes, received_us: int) -> FieldTuple:
        nonlocal day_begin, day_end
        if not data or len(data) > MAX_BYTES:
            return careful(data, received_us)
        lead = _LEADS[data[0]]
        if (
            lead == _PRI_LEAD
            and _DIGIT_1 in data[3:6]  # perhaps a version
            and len(parts := data.split(b" ", 6)) == 7
            and (priority := _PRIORITIES_1.get(parts[0])) is not None
        ):
            _, stamp, hostname, app_name, procid, msgid, message = parts
            try:
                if len(stamp) <= _SHORT_STAMP:
                    after = stamp_tails[stamp[19:]]
                else:
                    after = _MILLIS[stamp[19:23]] + after_millis[stamp[23:]]
                timestamp_us = iso_hours[stamp[:14]] + _MINUTES[stamp[14:19]] + after
            except KeyError:
                again = fields if learn_iso(stamp[:14], stamp[19:]) else careful
                return again(data, received_us)
            if not (hostname and app_name and procid and msgid and message):
                return careful(data, received_us)
            if message[-1] <= _SPACE:
                message = message.rstrip(BLANKS)
            structured_data: StructuredData | None = None
            errors: tuple[str, ...] = ()
            if message[:2] == b"- " and message[2] != _BOM_LEAD:
                message = message[2:]
            elif message[:1] == b"[":
                structured_data, message, errors = rfc5424.split_tail(message)
            else:
                return careful(data, received_us)
            return (
                "rfc5424", priority, 1, timestamp_us,
                None if hostname == b"-" else hostname, None if app_name == b"-" else app_name,
                None if procid == b"-" else procid, None if msgid == b"-" else msgid,
                structured_data, message, errors,
            )  # fmt: skip
        if lead <= _PRI_LEAD and (found := _match_named(data)):
            if not day_begin <= received_us < day_end:
                named_hours.clear()
                day_begin = received_us - received_us % DAY_US
                day_end = day_begin + DAY_US
            pri, hour, minute, hostname, app_name, procid, message = found.groups()
            try:
                return (
                    "rfc3164", PRIORITIES[pri], None, named_hours[hour] + _MINUTES[minute],
                    hostname, app_name, procid or None, None, None, message, (),
                )  # fmt: skip
            except KeyError:
                again = fields if learn_named(hour, received_us) else careful
                return again(data, received_us)
        if _PRI_LEAD <= lead <= _DIGIT:
            if found := _match_iso(data):
                pri, hour, minute, tail, hostname, app_name, procid, message = found.groups()
                try:
                    if len(tail) <= _SHORT_TAIL:
                        after = stamp_tails[tail]
                    else:
                        after = _MILLIS[tail[:4]] + after_millis[tail[4:]]
                    return (
                        "rfc3164", PRIORITIES[pri], None,
                        iso_hours[hour] + _MINUTES[minute] + after,
                        hostname, app_name, procid or None, None, None, message, (),
                    )  # fmt: skip
                except KeyError:
                    again = fields if learn_iso(hour, tail) else careful
                    return again(data, received_us)
            if lead == _PRI_LEAD and (found := _match_headless(data)) and found[1] in PRIORITIES:
                message = data[found.end() :].rstrip(BLANKS)
                return (
                    "rfc3164", PRIORITIES[found[1]], None, None, None, None, None, None, None,
                    message, (),
                )  # fmt: skip
            if lead == _PRI_LEAD or _match_digits(data):
                return careful(data, received_us)
        elif lead == _ODD or (lead == _MONTH and _match_month(data)):
            return careful(data, received_us)
        message = data.rstrip(BLANKS)
        if lead != _NO_HEADER and (found := _match_bare_tag(message)):
            app_name, procid = found.groups()
            if app_name not in rfc3164.NOT_TAGS:
                message = message[found.end() :].removeprefix(rfc5424.BOM)
                return (
                    "bare", -1, None, None, None, app_name, procid or None, None, None,
                    message, (),
                )  # fmt: skip
        return ("bare", -1, None, None, None, None, None, None, None, message, ())

    return fields


def _bounded(cache: dict[bytes, int]) -> dict[bytes, int]:
    if len(cache) >= _CACHE_ENTRIES:
        cache.clear()
    return cache
