"""BSD pf: the CSV of pfSense and OPNsense (filterlog), and tcpdump's text of a pflog interface.

The columns are those of Netgate's "Raw Filter Log Format": nine common ones, then others by IP
version, then others by protocol. OPNsense writes a rule's label (a hash) where pfSense writes its
tracker number.
"""

from __future__ import annotations

import re

from parsers.packet import (
    PORTLESS,
    Packet,
    action,
    is_address,
    number,
    port,
    protocol,
    tcp_flags,
    text,
)

_DIRECTIONS = {b"in": "in", b"out": "out"}
_TRANSLATIONS = frozenset({b"nat", b"rdr", b"binat", b"scrub", b"match"})
"""pf's actions that are no verdict."""

_TEXT = re.compile(
    rb"rule (?P<rule>[\w.-]{1,60})/[^\s(]{0,20}\([\w -]{1,20}\)(?: \[[^]]{0,80}\])?: "
    rb"(?P<action>\w+) (?P<direction>in|out) on (?P<interface>[\w.-]+): (?P<packet>.*)",
    re.DOTALL,
)
# tcpdump writes a port behind a dot: 10.0.0.1.1234, 2001:db8::1.1234
_TEXT_ENDS = re.compile(
    rb"(?:\([^\n]{0,300}?\) ?)?(?:IP6? )?"
    rb"(?P<src>(?:\d+\.){3}\d+|[0-9A-Fa-f:]{2,45})(?:\.(?P<src_port>\d+))? > "
    rb"(?P<dst>(?:\d+\.){3}\d+|[0-9A-Fa-f:]{2,45})(?:\.(?P<dst_port>\d+))?(?:: ?|\Z)"
    rb"(?P<rest>.{0,200})",
    re.DOTALL,
)
_TEXT_PROTOCOL = re.compile(rb"\([^\n]{0,200}?\bproto:? ([\w-]{1,20}) \(\d+\)")
_TEXT_WORD = re.compile(rb"(IGMP|VRRP|CARP|PIM|OSPF|ESP|AH|GRE)", re.IGNORECASE)
_TEXT_FLAGS = re.compile(rb"(?:Flags \[([A-Z.]{1,9})\]|([SFRPUEW.]{1,8}) )")


def parse_filterlog(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet of a filterlog line; None when the columns are not there."""
    start = message.find(b"filterlog")
    if start >= 0:
        message = message[message.find(b" ", start) + 1 :]
    fields = message.strip().split(b",", 40)
    if len(fields) < 17:
        return None
    verb, version = fields[6], fields[8]
    if version == b"4" and len(fields) >= 20:
        # tos, ecn, ttl, id, offset, flags, protocol id, protocol, length, source, destination
        number_at, name_at, length_at = 15, 16, 17
    elif version == b"6":
        # class, flow label, hop limit, protocol, protocol id, length, source, destination
        number_at, name_at, length_at = 13, 12, 14
    else:
        return None
    src, dst = fields[length_at + 1], fields[length_at + 2]
    if not (is_address(src) and is_address(dst)):
        return None
    name = protocol(fields[name_at])
    if name is None or name.isdigit():
        name = protocol(fields[number_at])
    rest = fields[length_at + 3 :]
    ports = name in ("tcp", "udp", "sctp") and len(rest) >= 2
    return Packet(
        None if verb in _TRANSLATIONS else action(verb),
        _DIRECTIONS.get(fields[7]),
        name,
        src.decode(),
        port(rest[0]) if ports else None,
        dst.decode(),
        port(rest[1]) if ports else None,
        text(fields[4]) if fields[7] != b"out" else None,
        text(fields[4]) if fields[7] == b"out" else None,
        # a header of RFC 5424 that a relay took for part of the message stands before it
        text(fields[0].rpartition(b" ")[2]),
        tcp_flags(rest[3]) if name == "tcp" and len(rest) > 3 and rest[3] else None,
        number(fields[length_at]),
    )


def parse_tcpdump(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet of ``rule 5/0(match): block in on em0: 10.0.0.1.99 > 10.0.0.2.80: …``."""
    head = _TEXT.search(message)
    ends = _TEXT_ENDS.match(head["packet"]) if head is not None else None
    if head is None or ends is None:
        return None
    rest, name, flags = ends["rest"], None, None
    lower = rest.lower()
    if b"icmp6" in lower:
        name = "icmpv6"
    elif b"icmp" in lower:
        name = "icmp"
    elif (found := _TEXT_FLAGS.match(rest)) is not None:
        name = "tcp"
        # tcpdump's dot is ACK
        flags = tcp_flags((found[1] or found[2]).replace(b".", b"A"))
    elif ends["dst_port"] is not None:
        name = "udp"
    elif (said := _TEXT_PROTOCOL.match(head["packet"]) or _TEXT_WORD.match(rest)) is not None:
        name = protocol(said[1])
    inward = head["direction"] == b"in"
    interface = text(head["interface"])
    ports = name not in PORTLESS
    return Packet(
        None if head["action"] in _TRANSLATIONS else action(head["action"]),
        "in" if inward else "out",
        name,
        ends["src"].decode(),
        port(ends["src_port"]) if ports else None,
        ends["dst"].decode(),
        port(ends["dst_port"]) if ports else None,
        interface if inward else None,
        None if inward else interface,
        text(head["rule"]),
        flags,
        None,
    )
