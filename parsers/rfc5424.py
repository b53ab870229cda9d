"""RFC 5424: header and structured data, read leniently and written strictly."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Final

from parsers.fields import FieldTuple, StructuredData
from parsers.message import SyslogMessage
from parsers.timestamps import Clock

BOM: Final = b"\xef\xbb\xbf"
NIL: Final = b"-"

# Seen in the wild and harmless, so let through: blanks around `=` and before `]`, and a `]` within
# quotes that is not escaped.
_PARAMETERS: Final = r'(?: +[^\s=\]"]+ ?= ?"(?:[^"\\]++|\\.)*+")*+'
_ELEMENTS: Final = re.compile(rf'(?:\[[^\s=\]"]+{_PARAMETERS} *\])++(?= |\Z)'.encode(), re.DOTALL)
_ELEMENT: Final = re.compile(rf'\[([^\s=\]"]+)({_PARAMETERS})', re.DOTALL)
_PARAMETER: Final = re.compile(r' +([^\s=\]"]+) ?= ?"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
# One parameter with nothing to unescape: what syslog-ng and OPNsense put before every message.
_SIMPLE: Final = re.compile(rb'\[([^\s=\]"]++) ([^\s=\]"]++)="([^"\\]*+)"\](?: |\Z)')
# `[meta sequenceId` → the two names, once `_SIMPLE` has found them so. Bounded.
_simple_names: Final[dict[bytes, tuple[str, str]]] = {}
_MOST_NAMES: Final = 1_024
_ESCAPED: Final = re.compile(r'\\(["\\\]])')

# VERSION and something that stands where TIMESTAMP stands: a year, or the NILVALUE.
_START: Final = re.compile(rb"([1-9]\d{0,2}) +(?:(\d{4}-\d\d?-\d\d?[Tt][^ ]*)|-)(?= |\Z)")
# With a PRI in front, anything may stand for TIMESTAMP if the rest of the line is as it should be;
# but Meraki's seconds since 1970 are no RFC 5424.
_BAD_STAMP: Final = re.compile(rb"([1-9]\d{0,2}) +((?!\d{9,10}(?:\.\d+)? )[^ ]+)(?= |\Z)")
_DATE: Final = re.compile(rb"\d+-\d+-[^ ]+")
_HEADER: Final = re.compile(rb" +([^ ]+) +([^ ]+) +([^ ]+) +([^ ]+)(?= |\Z) *")


def parse_structured_data(data: bytes) -> tuple[StructuredData, int, tuple[str, ...]] | None:
    """STRUCTURED-DATA that begins at `data[0]` (RFC 5424 section 6.3).

    Returns the elements, where they end, and errors that leave them readable; None when they are
    not well-formed. A parameter that repeats keeps its last value.
    """
    whole = _ELEMENTS.match(data)
    if whole is None:
        return None
    text = whole[0].decode("utf-8", "backslashreplace")
    escaped = "\\" in text
    found: StructuredData = {}
    errors: tuple[str, ...] = ()
    for sd_id, parameters in _ELEMENT.findall(text):
        values = dict(_PARAMETER.findall(parameters))
        if escaped:
            values = {name: _ESCAPED.sub(r"\1", value) for name, value in values.items()}
        if sd_id in found:
            errors = ("duplicate SD-ID",)
            found[sd_id].update(values)
        else:
            found[sd_id] = values
    return found, whole.end(), errors


def read(rest: bytes, priority: int, received_us: int, clock: Clock) -> FieldTuple | None:
    """What follows the PRI, when it is RFC 5424; None when it does not look like it."""
    start = _START.match(rest)
    if start is None and priority >= 0:
        start = _malformed(rest)
    if start is None or (priority < 0 and start[2] is None):
        return None
    errors: list[str] = []
    timestamp_us = None
    if start[2] is not None:
        stamp = clock.read(start[2], 0, received_us)
        if stamp is None or stamp[0] is None or stamp[1] != len(start[2]):
            errors.append("bad timestamp")
        else:
            timestamp_us = stamp[0]
    version = int(start[1])
    header = _HEADER.match(rest, start.end())
    if header is None:
        if priority < 0:
            return None
        errors.append("incomplete header")
        kept = start.start(2) if "bad timestamp" in errors else start.end()
        message = rest[kept:].lstrip(b" ").removeprefix(BOM)
        return (
            "rfc5424", priority, version, timestamp_us, None, None, None, None, None, message,
            tuple(errors),
        )  # fmt: skip
    hostname, app_name, procid, msgid = (
        None if value == NIL else value for value in header.groups()
    )
    structured_data, message, complaints = split_tail(rest[header.end() :])
    return (
        "rfc5424", priority, version, timestamp_us, hostname, app_name, procid, msgid,
        structured_data, message, (*errors, *complaints),
    )  # fmt: skip


def _malformed(rest: bytes) -> re.Match[bytes] | None:
    """VERSION and TIMESTAMP where the latter is none, but the line is like no other."""
    start = _BAD_STAMP.match(rest)
    if start is None:
        return None
    if start.end() == len(rest):
        return start if _DATE.fullmatch(start[2]) else None
    header = _HEADER.match(rest, start.end())
    if header is None or not (NIL in header.groups() or any(byte < 58 for byte in start[2])):
        return None
    tail = rest[header.end() : header.end() + 2]
    return start if tail in (b"- ", NIL) or tail[:1] == b"[" else None


def split_tail(tail: bytes) -> tuple[StructuredData | None, bytes, tuple[str, ...]]:
    """STRUCTURED-DATA and MSG → (elements, message, errors); bad data is all message."""
    if tail[:2] in (b"- ", NIL):
        return None, tail[2:].removeprefix(BOM), ()
    head, _, after = tail.partition(b'="')
    value, _, message = after.partition(b'"] ')
    if value.isalnum() and (names := _simple_names.get(head)) and message:
        return {names[0]: {names[1]: value.decode()}}, message.removeprefix(BOM), ()
    if simple := _SIMPLE.match(tail):
        sd_id, name, text = (part.decode("utf-8", "backslashreplace") for part in simple.groups())
        if len(_simple_names) >= _MOST_NAMES:
            _simple_names.clear()
        _simple_names[head] = sd_id, name
        return {sd_id: {name: text}}, tail[simple.end() :].removeprefix(BOM), ()
    parsed = parse_structured_data(tail)
    if parsed is None:
        return None, tail.removeprefix(BOM), ("bad structured data",)
    structured_data, end, errors = parsed
    return structured_data, tail[end + 1 :].removeprefix(BOM), errors


def format_rfc5424(message: SyslogMessage) -> bytes:
    """Serialise as RFC 5424 section 6, the inverse of `parse` on what the grammar can carry.

    A message without a PRI goes out as user.notice (RFC 3164 section 4.3.3), one without a version
    as version 1, and text outside ASCII with a BOM. Raises ValueError where a header field or a
    name holds what the grammar has no escape for (a blank, a control character, `=`, `"`, `]`).
    """
    facility = 1 if message.facility is None else int(message.facility)
    severity = 5 if message.severity is None else int(message.severity)
    if message.timestamp is None:
        stamp = "-"
    else:
        stamp = message.timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z")
    header = [f"<{facility * 8 + severity}>{message.version or 1}", stamp]
    for value in (message.hostname, message.app_name, message.procid, message.msgid):
        if value is not None and (value == "-" or not _is_token(value)):
            raise ValueError(f"not a header field of RFC 5424: {value!r}")
        header.append(value or "-")
    elements = "".join(
        f"[{_name(sd_id)}" + "".join(
            f' {_name(name)}="{_escape(value)}"' for name, value in parameters.items()
        ) + "]"
        for sd_id, parameters in message.structured_data.items()
    )  # fmt: skip
    out = " ".join([*header, elements or "-"]).encode()
    if message.message:
        out += b" " + (b"" if message.message.isascii() else BOM) + message.message.encode()
    return out


def _is_token(value: str) -> bool:
    return value != "" and not any(c.isspace() or ord(c) < 33 or ord(c) == 127 for c in value)


def _name(value: str) -> str:
    if not _is_token(value) or any(c in '="]' for c in value):
        raise ValueError(f"not an SD-NAME of RFC 5424: {value!r}")
    return value


def _escape(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", value)
