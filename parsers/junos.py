"""Juniper: the RT_FLOW session records of SRX, and what packet filters log.

The plain form is positional, and later releases put more columns in; what is looked for is what
stays in order: ``a/port->b/port … [nat->nat …] protocol policy zone zone …``.
"""

from __future__ import annotations

import re

from parsers import keyvalue
from parsers.packet import PORTLESS, Packet, direction_of, number, port, protocol, text

_END = rb"([0-9A-Fa-f:.]{2,45})/(\d{1,5})"
_SESSION = re.compile(
    rb"session (created|closed|denied)\b[^\n]{0,120}? " + _END + rb"->" + _END + rb"\b"
)
# "PFE_FW_SYSLOG_IP: FW: ge-0/0/1.0  A  tcp 192.0.2.1 198.51.100.2  4000 443 (2 packets)"
_FILTERED = re.compile(
    rb"PFE_FW_SYSLOG_\w{1,30}: (?:FW: )?([^\s]{1,60}) +([ADR]) +([\w-]{1,20})"
    rb" +(?:SA )?([0-9A-Fa-f:.]{2,45}) +(?:DA )?([0-9A-Fa-f:.]{2,45})"
    rb"(?: +(?:sport:? )?(\d{1,5}) +(?:dport:? )?(\d{1,5}))?"
)
_VERDICTS = {b"A": "allow", b"D": "block", b"R": "reject"}
_PORTED = frozenset({"tcp", "udp", "sctp", "dccp", "udplite"})
_ACTIONS = {b"created": "allow", b"closed": "close", b"denied": "block"}
_COUNTED = re.compile(rb"(\d{1,18})\((\d{1,18})\)")
_INTERFACE = re.compile(rb"(?:[a-z]{2,4}-\d+/\d+/\d+|reth\d+|ae\d+|irb|vlan|st\d+|lo\d+)\.\d+")
_EVENTS = {b"CREATE": "allow", b"CLOSE": "close", b"DENY": "block"}
_EVENT = re.compile(rb"[A-Z_]{1,40}_SESSION_[A-Z]{1,10}")
_MAX_COLUMNS = 60


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The session of an RT_FLOW line; its structured form too, where it was left as text."""
    found = _SESSION.search(message)
    if found is None and (filtered := _FILTERED.search(message)) is not None:
        return _filtered(filtered)
    if found is None:
        packet, event = keyvalue.parse(message), _EVENT.search(message)
        if packet is not None and packet.action is None and event is not None:
            packet.action = event_action(event[0])
        return packet
    what, src, src_port, dst, dst_port = found.groups()
    columns = message[found.end() :].split(None, _MAX_COLUMNS)[:_MAX_COLUMNS]
    proto, rule, carried = _denied(columns) if what == b"denied" else _allowed(columns)
    name = protocol(proto)
    portless = name in PORTLESS
    interface = next((column for column in columns if _INTERFACE.fullmatch(column)), b"")
    return Packet(
        _ACTIONS[what],
        None,
        name,
        text(src),
        None if portless else port(src_port),
        text(dst),
        None if portless else port(dst_port),
        text(interface),
        None,
        text(rule),
        None,
        number(carried),
    )


def _filtered(found: re.Match[bytes]) -> Packet:
    interface, verdict, proto, src, dst, src_port, dst_port = found.groups()
    name = protocol(proto)
    # of other protocols type and code stand there, or noughts
    ports = name in _PORTED
    in_interface = text(interface)
    return Packet(
        _VERDICTS[verdict],
        direction_of(in_interface, None),
        name,
        text(src),
        port(src_port) if ports else None,
        text(dst),
        port(dst_port) if ports else None,
        in_interface,
    )


def event_action(msgid: bytes) -> str | None:
    """What ``RT_FLOW_SESSION_DENY`` says: the structured form has no field for the action."""
    return _EVENTS.get(msgid.rpartition(b"_")[2])


def _denied(columns: list[bytes]) -> tuple[bytes, bytes, bytes]:
    """Service, ``protocol(icmp type)``, policy, zones: (protocol, policy, nothing carried)."""
    for at, column in enumerate(columns[:-1]):
        counted = _COUNTED.fullmatch(column)
        if counted is not None:
            return counted[1], columns[at + 1], b""
    return b"", b"", b""


def _allowed(columns: list[bytes]) -> tuple[bytes, bytes, bytes]:
    """Service, translated ends, NAT rules, protocol, policy …: (protocol, policy, bytes sent)."""
    translated = next((at for at, column in enumerate(columns) if b"->" in column), None)
    if translated is None:
        return b"", b"", b""
    proto = rule = b""
    for at in range(translated + 1, len(columns) - 1):
        if not proto and columns[at].isdigit():
            proto, rule = columns[at], columns[at + 1]
        elif proto and (counted := _COUNTED.fullmatch(columns[at])) is not None:
            return proto, rule, counted[2]
    return proto, rule, b""
