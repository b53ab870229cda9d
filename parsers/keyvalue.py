"""Firewalls that write ``key=value``: FortiGate, Sophos, SonicWall, Meraki, Check Point.

One reader for all: values bare or in quotes (with backslash escapes and spaces), and a table of
what each vendor calls a field. The first of a key counts, and nothing inside a quoted value is
read as a key, so that a URL or a user name can't put an address of its own into the record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from parsers.packet import (
    PORTLESS,
    Packet,
    action,
    direction_of,
    is_address,
    number,
    port,
    protocol,
    tcp_flags,
    text,
    verb_in,
)

# Check Point puts a colon for the equals sign, and always quotes.
_PAIR = re.compile(
    rb'(?<![\w.-])([A-Za-z][\w.-]{0,60})(?:=|:(?="))(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s",;|\]]*))',
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)

_SRC = (b"srcip", b"src_ip", b"src", b"source-address", b"srcV6")
_DST = (b"dstip", b"dst_ip", b"dst", b"destination-address", b"dstV6")
SOURCE_NAMES = frozenset(name.decode() for name in _SRC)
"""Without one of them there is no packet."""
_SRC_PORT = (b"srcport", b"src_port", b"sport", b"s_port", b"spt", b"srcPort", b"source-port")
_DST_PORT = (
    b"dstport", b"dst_port", b"dport", b"d_port", b"dpt", b"dstPort", b"destination-port",
    b"service",
)  # fmt: skip
_PROTOCOL = (b"proto", b"protocol", b"protocol-id")
_ACTION = (
    b"action", b"act", b"fw_action", b"status", b"log_subtype", b"msg", b"reason",
    b"decision",
)  # fmt: skip
_IN_INTERFACE = (
    b"srcintf", b"src_int", b"initf", b"in_interface", b"packet-incoming-interface",
    b"interface-name", b"deviceInboundInterface",
)  # fmt: skip
_OUT_INTERFACE = (b"dstintf", b"dst_int", b"outitf", b"out_interface", b"deviceOutboundInterface")
_RULE = (
    b"policyid",
    b"fwrule",
    b"fw_rule_id",
    b"rule_name",
    b"rule",
    b"policy-name",
    b"policy_id",
    b"policy",
)
_FLAGS = (b"tcpflags", b"tcp_flags")
_LENGTH = (b"sentbyte", b"sent_bytes", b"length", b"bytes-from-client", b"sent")
_DIRECTION = (b"direction", b"ifdir", b"dir")
_DIRECTIONS = {
    b"in": "in",
    b"inbound": "in",
    b"incoming": "in",
    b"ingress": "in",
    b"out": "out",
    b"outbound": "out",
    b"outgoing": "out",
    b"egress": "out",
}
_FLOW = re.compile(rb"\bip_flow_(start|end) ")
_LEVELS = {
    b"emergency": 0,
    b"emerg": 0,
    b"alert": 1,
    b"critical": 2,
    b"crit": 2,
    b"error": 3,
    b"err": 3,
    b"warning": 4,
    b"warn": 4,
    b"notice": 5,
    b"notification": 5,
    b"information": 6,
    b"informational": 6,
    b"info": 6,
    b"debug": 7,
}
_LEVEL = re.compile(rb'\b(?:level|pri|severity|priority)="?(\w{1,16})', re.IGNORECASE)


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet or session of a line; None for events that name addresses but no traffic."""
    pairs: dict[bytes, bytes] = {}
    for key, quoted, bare in reversed(_PAIR.findall(message)):
        pairs[key] = quoted or bare
    packet = from_pairs(pairs)
    if packet is not None and packet.action is None:
        # Meraki: "flows allow src=…", "firewall src=… pattern: deny …", "ip_flow_end src=…"
        head, _, tail = message.partition(b"src=")
        packet.action = verb_in(head[-40:]) or verb_in(tail.partition(b"pattern: ")[2][:40])
        if packet.action is None and (flow := _FLOW.search(head[-40:])) is not None:
            packet.action = action(flow[1])
    return packet


def severity(message: bytes) -> int | None:
    """The device's own level: by name, or a syslog number."""
    found = _LEVEL.search(message)
    if found is None:
        return None
    word = found[1].lower()
    return int(word) if word in b"01234567" and len(word) == 1 else _LEVELS.get(word)


def from_pairs(pairs: Mapping[bytes, bytes]) -> Packet | None:
    """The packet of fields under any vendor's names, or None without an end and its traffic."""
    src, src_port, src_interface = _end(_first(pairs, _SRC))
    dst, dst_port, dst_interface = _end(_first(pairs, _DST))
    # SonicWall over IPv6: the addresses apart from "src=:port:interface"
    src = src or _end(pairs.get(b"srcV6", b""))[0]
    dst = dst or _end(pairs.get(b"dstV6", b""))[0]
    if src is None or dst is None or pairs.get(b"type") == b"event":
        return None
    name = protocol(_first(pairs, _PROTOCOL))
    in_interface = _text(_first(pairs, _IN_INTERFACE) or src_interface)
    out_interface = _text(_first(pairs, _OUT_INTERFACE) or dst_interface)
    direction = _DIRECTIONS.get(_first(pairs, _DIRECTION).lower())
    if direction is None:
        # FortiGate's "local" traffic ends at the device, whatever interface it calls "root"
        local = pairs.get(b"subtype") == b"local"
        direction = "in" if local else direction_of(in_interface, out_interface)
    if b"ifname" in pairs:
        # Check Point names one interface, and on which way through it the packet was seen
        if direction == "out":
            out_interface = _text(pairs[b"ifname"])
        else:
            in_interface = _text(pairs[b"ifname"])
    portless = name in PORTLESS
    flags = _first(pairs, _FLAGS)
    return Packet(
        next((known for key in _ACTION if (known := action(pairs.get(key)))), None),
        direction,
        name,
        src,
        None if portless else port(_first(pairs, _SRC_PORT) or src_port),
        dst,
        None if portless else port(_first(pairs, _DST_PORT) or dst_port),
        in_interface,
        out_interface,
        _text(_first(pairs, _RULE)),
        tcp_flags(flags) if flags else None,
        number(_first(pairs, _LENGTH)),
    )


def _first(pairs: Mapping[bytes, bytes], names: tuple[bytes, ...]) -> bytes:
    for name in names:
        if value := pairs.get(name):
            return value
    return b""


def _text(raw: bytes) -> str | None:
    if raw == b"N/A":
        return None
    return text(_ESCAPE.sub(rb"\1", raw) if b"\\" in raw else raw)


def _end(token: bytes) -> tuple[str | None, bytes, bytes]:
    """An address, alone or as SonicWall's ``address:port:interface:name``."""
    if is_address(token):
        return token.decode(), b"", b""
    if token.startswith(b"["):
        address, _, rest = token[1:].partition(b"]")
        rest = rest[1:]
    else:
        address, _, rest = token.partition(b":")
    if address and not is_address(address):
        return None, b"", b""
    number_, _, rest = rest.partition(b":")
    return address.decode() or None, number_, rest.partition(b":")[0]
