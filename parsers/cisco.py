r"""Cisco: ASA, FTD, PIX and FWSM messages, and the access-list messages of IOS.

A header parser takes the mnemonic (``%ASA-4-106023``) for the tag, or leaves it in the message;
either way the text decides, by its first word and by where its two ends stand. Formats are those
of Cisco's "ASA Series Syslog Messages" guide. Which end is the source:

- a built connection names the less trusted end first, whoever began: an *outbound* one is turned
  round, so that `src_ip` is the end that opened it;
- teardowns do not say who began: their ends stand as written;
- a translation's `src_ip` is the real address, its `dst_ip` the mapped one.
"""

from __future__ import annotations

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
    tcp_flags,
    text,
    verb_in,
)

MNEMONIC = re.compile(rb"%[A-Z]\w{1,30}-(?:\w{0,30}-)?([0-7])-\w{1,30} ?:?\s*")

# Users, groups and mapped addresses follow an end in parentheses: "(LOCAL\alice)", "(any, 5)".
# 302024 forgets to close one of them: "(192.0.2.1(4000)".
_ASIDE = rb"(?: ?\([^()]{0,200}(?:\([^()]{0,200})?\)){0,4}"
# interface:address/port; the interface is split off later, as an IPv6 address has colons too.
# Interface names with a space or an access list behind them: "NP Identity Ifc", "outside(acl)".
_END = (
    rb" \(?((?:NP Identity Ifc)?[^\s/(),;]{1,300}(?:\([^\s()]{0,100}\):[^\s/(),;]{1,300})?)\)?"
    rb"(?:/([\w-]{1,40}))?" + _ASIDE
)
_ENDS = tuple(
    (first + b" ", re.compile(first + _END + second + _END))
    for first, second in (
        (b" src", rb" dst"),
        (b" src", rb" dest"),
        (b" for", rb"(?: \S{1,100})? to"),  # a teardown may name the user between its ends
        (b" from", rb" to(?: PAT address)?"),
        (b"packet:", rb" ==>"),
        (b" SRC", rb" DEST"),
    )
)
_URL = re.compile(
    rb"(?:[^\s@]{1,80}@)?([0-9A-Fa-f:.]{2,45})" + _ASIDE
    + rb" Accessed (?:JAVA )?URL (?:[^\s@:/]{1,80}@)?([0-9.]{7,15}|[0-9A-Fa-f:]{2,45}?):(?=[/h]|$)"
)  # fmt: skip
_FADDR = re.compile(
    rb" faddr ([^\s/(]{1,300})(?:/\d+)?" + _ASIDE
    + rb" gaddr [^\s(]{1,300}" + _ASIDE
    + rb" laddr ([^\s/(]{1,300})"
)  # fmt: skip
_ONE_END = re.compile(
    rb" from (?:laddr )?([^\s,]{2,60}) on interface [^\s]{1,80}(?: to (\S{2,60}?):? ?no )?"
)
_ARROW_END = rb" ?([^\s/]{1,80})/([^\s(]{1,300})\(([\w-]{1,40})\)" + _ASIDE
_ACCESS_LIST = re.compile(
    rb"access-list (\S{1,300}) (permitted|denied|est-allowed) ([\w.-]{1,30})"
    rb"(?: for user .{1,100}?)??" + _ARROW_END + rb" ?->" + _ARROW_END
)
_IOS_LIST = re.compile(
    rb"list (\S{1,300}) (permit(?:ted)?|den(?:y|ied))(?: ([a-z][a-z0-9-]{0,20}|\d{1,3}))?"
    rb"(?: [0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5})? ([0-9A-Fa-f:.]{2,45})(?:\((\d+)\))?"
    rb"(?: \(([^\s()]{1,80})[^()]{0,40}\)| ([A-Z][\w/.]{1,80})(?=->))?"
    rb"(?: ?-> ([0-9A-Fa-f:.]{2,45})(?:\((\d+)\))?)?(?: \(\d+(?:/\d+)?\))?,? \d+ packet"
)
# IOS's zone firewall: "Dropping tcp pkt from Gi1 192.0.2.1:4000 => 198.51.100.2:80(target:…",
# "Stop tcp session: initiator (192.0.2.1:4000) sent 48 bytes -- responder (198.51.100.2:80) …".
_COLON_END = rb"\[?([0-9A-Fa-f:.]{2,45}?)\]?:(\d{1,5})"
_ZONE_PACKET = re.compile(
    rb"(?:(Dropp|Pass)ing (\S{1,16}) (?:pkt|session)|packets? (?:was|were) (dropp|pass)ed)"
    rb"(?: from (\S{1,80}))? " + _COLON_END + rb" (?:=> )?" + _COLON_END
)
_ZONE_SESSION = re.compile(
    rb"(Start|Stop) (\S{1,16}) session: initiator \(" + _COLON_END + rb"\)(?: sent (\d+) bytes)?"
    rb" -- responder \(" + _COLON_END + rb"\)(?:[^\n]{0,80}? from (\S{1,80}))?"
)
_ZONE_VERBS = {b"dropp": "block", b"pass": "allow", b"start": "allow", b"stop": "close"}
_ZONE_PAIR = re.compile(rb"zone-pair (\S{1,80})|\)-?\(([^\s():]{1,80}):")
_PAIRS = re.compile(rb", (?=\w{1,40}: )")

_PROTOCOLS = frozenset(
    b"TCP UDP ICMP ICMPv6 ICMP6 IPv6-ICMP SCTP GRE ESP AH IGMP PIM VRRP EIGRP OSPF IP tcp udp "
    b"icmp icmp6 sctp gre esp ah igmp ip".split()
)
_PROTOCOL_FIELD = re.compile(rb"protocol[ =]{1,2}(\w{1,16})")
_INTERFACE = re.compile(rb" on (?:interface (\S{1,80})|(\S{1,80}) interface)")
_GROUP = re.compile(rb'access-group (?:"([^"]{1,300})"|(\S{1,300}))')
_FLAGS = re.compile(rb"flags:? ([A-Z][A-Z ]{2,40})")
_BYTES = re.compile(rb" bytes (\d+)")

_FIRST_WORDS = {
    b"Built": "allow",
    b"FTP": "allow",
    b"Teardown": "close",
    **dict.fromkeys(
        b"Access Asymmetric Bad Deny Denied Dropped Dropping Failed HTTP Inbound Invalid No "
        b"Routing Shunned Terminating Through-the-device identity outbound portmap regular "
        b"static".split(),
        "block",
    ),
    # these say further on what was done, if anything
    **dict.fromkeys(
        b"Duplicate Dynamic EIGRP ESP GRE ICMP ICMPv6 IGMP IPSEC: OSPF Offloaded PIM Received "
        b"SCTP SFR TCP UDP VRRP icmp tcp udp".split(),
        None,
    ),
}
_SERVICES = {
    b"ftp-data": 20,
    b"ftp": 21,
    b"ssh": 22,
    b"telnet": 23,
    b"smtp": 25,
    b"time": 37,
    b"tacacs": 49,
    b"domain": 53,
    b"bootps": 67,
    b"bootpc": 68,
    b"tftp": 69,
    b"gopher": 70,
    b"finger": 79,
    b"www": 80,
    b"http": 80,
    b"kerberos": 88,
    b"pop3": 110,
    b"sunrpc": 111,
    b"ident": 113,
    b"nntp": 119,
    b"ntp": 123,
    b"netbios-ns": 137,
    b"netbios-dgm": 138,
    b"netbios-ssn": 139,
    b"imap4": 143,
    b"snmp": 161,
    b"snmptrap": 162,
    b"bgp": 179,
    b"irc": 194,
    b"ldap": 389,
    b"https": 443,
    b"isakmp": 500,
    b"rsh": 514,
    b"syslog": 514,
    b"lpd": 515,
    b"rip": 520,
    b"ldaps": 636,
    b"sqlnet": 1521,
    b"h323": 1720,
    b"pptp": 1723,
    b"radius": 1645,
    b"radius-acct": 1646,
    b"nfs": 2049,
    b"sip": 5060,
}


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet or connection of a message; None for the many that are about neither."""
    if (app_name is not None and app_name.startswith(b"%FW-")) or b"%FW-" in message:
        return _zone_firewall(message)
    mnemonic = MNEMONIC.search(message)
    body = message[mnemonic.end() :] if mnemonic is not None else message.lstrip(b": ")
    first = body[: body.find(b" ")]
    if first in (b"access-list", b"list", b"access"):
        return _access_list(body)
    if b"SrcIP: " in body:
        return _connection_event(body)
    if first in _FIRST_WORDS or first.startswith((b"IPS:", b"IDS:")):
        return _ended(body, _FIRST_WORDS.get(first))
    visit = _URL.match(body)
    if visit is not None and is_address(visit[1]) and is_address(visit[2]):
        return Packet("allow", None, None, text(visit[1]), None, text(visit[2]))
    # IOS XE names the part that it comes from: "R0/0: fman_fp_image: list 102 denied …"
    return _access_list(body) if b" list " in body else None


def _ended(body: bytes, verdict: str | None) -> Packet | None:
    """A sentence with two ends: src … dst …, for … to …, from … to …, faddr … laddr …"""
    for first, ends in _ENDS:
        at = body.find(first)
        if at >= 0 and (found := ends.match(body, at)) is not None:
            break
    else:
        return _peerless(body, verdict)
    head = body[: found.start()]
    src_token, src_port, dst_token, dst_port = found.groups()
    src_interface, src = _split(src_token)
    dst_interface, dst = _split(dst_token)
    inward, outward = b"nbound" in head, b"utbound" in head
    if outward and verdict == "allow":
        src, src_port, src_interface, dst, dst_port, dst_interface = (
            dst, dst_port, dst_interface, src, src_port, src_interface,
        )  # fmt: skip
    tail = body[found.end() :]
    interface = _INTERFACE.search(tail) if tail else None
    if interface is not None:
        src_interface = interface[1] or interface[2]
    elif not src_interface:
        # traffic to the device itself names the interface that took it
        src_interface, dst_interface = dst_interface, b""
    name = _protocol(body, head, found.start())
    flags = _FLAGS.search(tail) if tail else None
    group = _GROUP.search(tail) if tail else None
    carried = _BYTES.search(tail) if tail else None
    in_interface, out_interface = text(src_interface), text(dst_interface)
    return Packet(
        verdict or verb_in(head),
        "out" if outward else "in" if inward else direction_of(in_interface, out_interface),
        name,
        text(src),
        _port(src_port, name),
        text(dst),
        _port(dst_port, name),
        in_interface,
        out_interface,
        text(group[1] or group[2]) if group is not None else None,
        tcp_flags(flags[1]) if flags is not None else None,
        number(carried[1]) if carried is not None else None,
    )


def _peerless(body: bytes, verdict: str | None) -> Packet | None:
    """ICMP: connections by faddr, gaddr, laddr (302020, 302021); denials (313001, 313004)."""
    found = _FADDR.search(body)
    if found is not None:
        src, dst = found[1], found[2]
        inward, outward = b"nbound" in body[:16], b"utbound" in body[:16]
        if outward and verdict == "allow":
            src, dst = dst, src
        direction = "out" if outward else "in" if inward else None
        return Packet(verdict, direction, "icmp", text(src), None, text(dst))
    found = _ONE_END.search(body)
    if found is None or not is_address(found[1]):
        return None
    interface = _INTERFACE.search(body)
    return Packet(
        verdict,
        "in",
        _protocol(body, body[: found.start()], 0),
        text(found[1]),
        None,
        text(found[2].rstrip(b":")) if found[2] else None,
        None,
        text(interface[1] or interface[2]) if interface is not None else None,
    )


def _access_list(body: bytes) -> Packet | None:
    """106100, 106102, 106103 of ASA; IPACCESSLOGP, DP, RP, NP, S and IPV6 ACCESSLOG of IOS."""
    found = _ACCESS_LIST.match(body)
    if found is not None:
        rule, verb, proto, in_if, src, src_port, out_if, dst, dst_port = found.groups()
    else:
        found = _IOS_LIST.search(body)
        if found is None:
            return None
        rule, verb, proto, src, src_port, aside, glued, dst, dst_port = found.groups()
        in_if, out_if = aside or glued, None
    name = protocol(proto)
    in_interface = text(in_if) if in_if else None
    out_interface = text(out_if) if out_if else None
    return Packet(
        action(verb),
        direction_of(in_interface, out_interface),
        name,
        text(src),
        _port(src_port, name),
        text(dst) if dst else None,
        _port(dst_port, name),
        in_interface,
        out_interface,
        text(rule),
    )


def _zone_firewall(message: bytes) -> Packet | None:
    """DROP_PKT, PASS_PKT, LOG_SUMMARY and the audit trail of IOS's zone-based firewall."""
    found = _ZONE_PACKET.search(message)
    sent = None
    if found is not None:
        verb, proto, passive, in_if, *ends = found.groups()
        src, src_port, dst, dst_port = ends
        verb = verb or passive
    elif (found := _ZONE_SESSION.search(message)) is not None:
        verb, proto, src, src_port, sent, dst, dst_port, in_if = found.groups()
    else:
        return None
    # a session may be named for its application
    name = protocol(proto) if proto in _PROTOCOLS else None
    pair = _ZONE_PAIR.search(message)
    return Packet(
        _ZONE_VERBS[verb.lower()],
        "in" if in_if else None,
        name,
        text(src),
        _port(src_port, name),
        text(dst),
        _port(dst_port, name),
        text(in_if) if in_if else None,
        None,
        text(pair[1] or pair[2]) if pair is not None else None,
        None,
        number(sent),
    )


def _connection_event(body: bytes) -> Packet | None:
    """430001 … 430003 of FTD: "Key: value, Key: value"; the first of a key counts."""
    pairs: dict[bytes, bytes] = {}
    for pair in _PAIRS.split(body):
        key, _, value = pair.partition(b": ")
        pairs.setdefault(key, value.strip())
    get = pairs.get
    src, dst = get(b"SrcIP", b""), get(b"DstIP", b"")
    if not (is_address(src) and is_address(dst)):
        return None
    name = protocol(get(b"Protocol"))
    in_interface = text(get(b"IngressInterface", b""))
    out_interface = text(get(b"EgressInterface", b""))
    return Packet(
        action(get(b"AccessControlRuleAction") or get(b"InlineResult")),
        direction_of(in_interface, out_interface),
        name,
        text(src),
        _port(get(b"SrcPort"), name),
        text(dst),
        _port(get(b"DstPort"), name),
        in_interface,
        out_interface,
        text(get(b"AccessControlRuleName", b"")),
        None,
        number(get(b"InitiatorBytes")),
    )


def _split(token: bytes) -> tuple[bytes, bytes]:
    """An end without its port as (interface, address)."""
    if not is_address(token):
        interface, colon, address = token.partition(b":")
        # an IPv6 address has colons too, and some names of interfaces: "vlan1:outside"
        inner, _, last = address.rpartition(b":")
        if inner and not is_address(address) and is_address(last):
            interface, address = interface + b":" + inner, last
        if colon and address:
            return interface.partition(b"(")[0], address
    return b"", token.rstrip(b".")


def _protocol(body: bytes, head: bytes, at: int) -> str | None:
    if body.startswith(b" src ", at) and b" list " not in head and head != b"Deny":
        # "Deny tcp src", "Deny inbound protocol 47 src": always the word before
        return protocol(head[head.rfind(b" ") + 1 :])
    for word in head.split(None, 12):
        if word in _PROTOCOLS:
            return protocol(word)
    found = _PROTOCOL_FIELD.search(head)
    return protocol(found[1]) if found is not None else None


def _port(raw: bytes | None, name: str | None) -> int | None:
    """A port by number or by Cisco's keyword; ICMP's type and code stand there, and are none."""
    if raw is None or name in PORTLESS:
        return None
    return port(raw) if raw.isdigit() else _SERVICES.get(raw)
