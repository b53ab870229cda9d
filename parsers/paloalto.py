"""Palo Alto: the CSV of PAN-OS Traffic and Threat logs ("Syslog Field Descriptions")."""

from __future__ import annotations

import csv
import re

from parsers.packet import (
    PORTLESS,
    Packet,
    action,
    direction_of,
    is_address,
    number,
    port,
    protocol,
)

_START = re.compile(rb"(?:^|[ >:])\d*,[^,]{0,40},[^,]{0,40},(TRAFFIC|THREAT),")
_SRC, _DST, _RULE = 7, 8, 11
_IN_INTERFACE, _OUT_INTERFACE = 18, 19
_SRC_PORT, _DST_PORT, _PROTOCOL, _ACTION = 24, 25, 29, 30
_BYTES_SENT = 32
_MAX_BYTES = 16384
"""PAN-OS cuts its messages well below: more is a sender's own making."""


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The session of a TRAFFIC record, or the packet of a THREAT record."""
    start = _START.search(message, 0, 512)
    if start is None or len(message) > _MAX_BYTES:
        return None
    kind = start[1]
    line = message[start.start() :].lstrip(b" >:").decode("utf-8", "backslashreplace")
    line = line.replace("\n", " ").replace("\r", " ").replace("\0", " ")
    columns = next(csv.reader([line])) if '"' in line else line.split(",")
    if len(columns) <= _ACTION:
        return None
    src, dst = columns[_SRC].encode(), columns[_DST].encode()
    if not (is_address(src) and is_address(dst)):
        return None
    name = protocol(columns[_PROTOCOL].encode())
    portless = name in PORTLESS
    in_interface = columns[_IN_INTERFACE] or None
    out_interface = columns[_OUT_INTERFACE] or None
    sent = columns[_BYTES_SENT] if kind == b"TRAFFIC" and len(columns) > _BYTES_SENT else ""
    return Packet(
        action(columns[_ACTION].encode()),
        direction_of(in_interface, out_interface),
        name,
        src.decode(),
        None if portless else port(columns[_SRC_PORT].encode()),
        dst.decode(),
        None if portless else port(columns[_DST_PORT].encode()),
        in_interface,
        out_interface,
        columns[_RULE] or None,
        None,
        number(sent.encode()),
    )
