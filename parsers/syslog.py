"""Any line → its fields. Never raises; what cannot be understood is kept and marked.

`Parser.fields` is the hot path of the whole program: one compiled expression for each of the three
common headers, hours out of a cache. What none of them takes goes the careful way through
`rfc5424.read` and `rfc3164.read`, which know the variants and the faults. Both ways give the same
answer; the quick one only declines more often.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from parsers import rfc3164, rfc5424
from parsers.fields import FieldTuple, StructuredData
from parsers.message import Facility, Severity, SyslogMessage
from parsers.timestamps import (
    DAY_US,
    EPOCH,
    MINUTE_SECOND_US,
    MONTHS,
    Clock,
    fraction_us,
    iso_hour,
    offset_us,
)

MAX_BYTES: Final = 65_536
"""Longer messages are cut here and say so."""
_BLANKS: Final = b" \t\r\n\0"
_CACHE_ENTRIES: Final = 4_096
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTES: Final = MINUTE_SECOND_US
_PRIORITIES: Final[dict[bytes | None, int]] = {
    None: -1, **{b"%d" % priority: priority for priority in range(192)}
}  # fmt: skip
_MILLIS: Final = {b".%03d" % milli: milli * 1_000 for milli in range(1_000)}
_SHORT_TAIL: Final = 6  # bytes after the seconds: `Z`, `.003Z`, `+01:00`; longer ones go in two
_SHORT_STAMP: Final = 19 + _SHORT_TAIL
_SPACE: Final = 32
_DIGIT_1: Final = 49
_BOM_LEAD: Final = rfc5424.BOM[0]
_PRIORITIES_1: Final = {b"<%d>1" % priority: priority for priority in range(192)}
# No sign, no leading zero (RFC 3164 section 4.1.1), at most 191: else it is a bad PRI.
_PRI: Final = re.compile(rb"<([+-]?\d*)>")

# The quick expressions decline what the careful path reads in another way: a year or a zone after
# the stamp, a level where the hostname stands, a second header, tags without a blank after them.
_HOST: Final = (
    rb"(?: (?![A-Z]+ |\d{4} |TZ[+-])"
    rb"(?P<host>[\w\x80-\xff][\w.\x80-\xff-]*+)(?= ))?+ "
)
_TAG: Final = (
    rb"(?:(?!CEF|LEEF)([A-Za-z_%%(/][%s]*+)(?:\[([^\]\[\s]*+)\])?+: (?(host)|(?!%%))"
    # Without a tag only what cannot be taken for one, after a hostname.
    rb"|(?(host)|(?!))(?!(?:[Mm]essage|forwarded) |[A-Z][a-z][a-z] +\d)"
    rb"(?=CEF:|LEEF:|[A-Za-z][\w,=-]*+ ))"
) % rfc3164.TAG_CHARS
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
    rb"\d{4}-\d\d-\d\d[Tt]|\d{4} +\w{3} |[\w:.-]+: |\d{1,3} +\d{4}-"
).match

_match_month: Final = re.compile(rb"(?i:%s) " % b"|".join(MONTHS)).match

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


class Parser:
    """Reads messages; stamps without a zone are in `zone`. Not for use by two threads at once."""

    fields: Final[Callable[[bytes, int], FieldTuple]]
    """(data, received as UTC µs) → the fields, in the order of `parsers.fields.Fields`."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._clock = Clock(zone)
        self.fields = _quick(self._clock, self.careful)

    def careful(self, data: bytes, received_us: int) -> FieldTuple:
        """As `fields`, by the general rules alone: some microseconds a line."""
        errors: tuple[str, ...] = ()
        if len(data) > MAX_BYTES:
            data, errors = data[:MAX_BYTES], ("over-long",)
        data = data.rstrip(_BLANKS).removeprefix(rfc5424.BOM)
        priority, rest = -1, data
        text = data.lstrip(_BLANKS)
        if pri := _PRI.match(text):
            found = _PRIORITIES.get(pri[1])
            if found is None:
                errors += ("bad PRI",)
                return ("bare", -1, None, None, None, None, None, None, None, data, errors)
            priority, rest = found, text[pri.end() :]
        row = rfc5424.read(rest.lstrip(_BLANKS), priority, received_us, self._clock)
        if row is None:
            row = rfc3164.read(rest, priority, received_us, self._clock)
        message = row[9].removeprefix(rfc5424.BOM)
        return (*row[:9], message, errors + row[10])

    def parse(self, data: bytes, *, received: datetime) -> SyslogMessage:
        """The message that came in at `received` (naive means UTC), decoded. Never raises."""
        if received.tzinfo is None:
            received = received.replace(tzinfo=UTC)
        return decode(self.fields(data, (received - EPOCH) // _MICROSECOND), data)


def _quick(
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
                message = message.rstrip(_BLANKS)
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
                    "rfc3164", _PRIORITIES[pri], None, named_hours[hour] + _MINUTES[minute],
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
                        "rfc3164", _PRIORITIES[pri], None,
                        iso_hours[hour] + _MINUTES[minute] + after,
                        hostname, app_name, procid or None, None, None, message, (),
                    )  # fmt: skip
                except KeyError:
                    again = fields if learn_iso(hour, tail) else careful
                    return again(data, received_us)
            if lead == _PRI_LEAD and (found := _match_headless(data)) and found[1] in _PRIORITIES:
                message = data[found.end() :].rstrip(_BLANKS)
                return (
                    "rfc3164", _PRIORITIES[found[1]], None, None, None, None, None, None, None,
                    message, (),
                )  # fmt: skip
            if lead == _PRI_LEAD or _match_digits(data):
                return careful(data, received_us)
        elif lead == _ODD or (lead == _MONTH and _match_month(data)):
            return careful(data, received_us)
        message = data.rstrip(_BLANKS)
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


def decode(row: FieldTuple, raw: bytes) -> SyslogMessage:
    """The fields as text."""
    form, priority, version, us, hostname, app_name, procid, msgid, data, message, errors = row
    return SyslogMessage(
        format=form,
        facility=None if priority < 0 else Facility(priority >> 3),
        severity=None if priority < 0 else Severity(priority & 7),
        version=version,
        timestamp=None if us is None else EPOCH + us * _MICROSECOND,
        hostname=_text(hostname),
        app_name=_text(app_name),
        procid=_text(procid),
        msgid=_text(msgid),
        structured_data=data or {},
        message=message.decode("utf-8", "backslashreplace"),
        raw=raw,
        errors=errors,
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


_parser: Final = Parser()
parse_fields: Final = _parser.fields
parse: Final = _parser.parse
