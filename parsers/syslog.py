"""Any line → its fields. Never raises; what cannot be understood is kept and marked."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from parsers import rfc3164, rfc5424
from parsers.expressions import BLANKS, PRIORITIES
from parsers.fields import FieldTuple
from parsers.hotpath import MAX_BYTES, quick_reader
from parsers.message import Facility, Severity, SyslogMessage
from parsers.timestamps import EPOCH, Clock

_MICROSECOND: Final = timedelta(microseconds=1)
# No sign, no leading zero (RFC 3164 section 4.1.1), at most 191: else it is a bad PRI.
_PRI: Final = re.compile(rb"<([+-]?\d*)>")


class Parser:
    """Reads messages; stamps without a zone are in `zone`. Not for use by two threads at once."""

    fields: Final[Callable[[bytes, int], FieldTuple]]
    """(data, received as UTC µs) → the fields, in the order of `parsers.fields.Fields`."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._clock = Clock(zone)
        self.fields = quick_reader(self._clock, self.careful)

    def careful(self, data: bytes, received_us: int) -> FieldTuple:
        """As `fields`, by the general rules alone: some microseconds a line."""
        errors: tuple[str, ...] = ()
        if len(data) > MAX_BYTES:
            data, errors = data[:MAX_BYTES], ("over-long",)
        data = data.rstrip(BLANKS).removeprefix(rfc5424.BOM)
        priority, rest = -1, data
        text = data.lstrip(BLANKS)
        if pri := _PRI.match(text):
            found = PRIORITIES.get(pri[1])
            if found is None:
                errors += ("bad PRI",)
                return ("bare", -1, None, None, None, None, None, None, None, data, errors)
            priority, rest = found, text[pri.end() :]
        row = rfc5424.read(rest.lstrip(BLANKS), priority, received_us, self._clock)
        if row is None:
            row = rfc3164.read(rest, priority, received_us, self._clock)
            row = (*row[:9], row[9].removeprefix(rfc5424.BOM), row[10])
        return (*row[:10], errors + row[10]) if errors else row

    def parse(self, data: bytes, *, received: datetime) -> SyslogMessage:
        """The message that came in at `received` (naive means UTC), decoded. Never raises."""
        if received.tzinfo is None:
            received = received.replace(tzinfo=UTC)
        return decode(self.fields(data, (received - EPOCH) // _MICROSECOND), data)


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
