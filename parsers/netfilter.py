"""Linux netfilter: the packet lines of iptables, nftables, UFW, firewalld, Shorewall and kin.

The kernel writes ``<prefix>IN=… OUT=… [MAC=…] SRC=… DST=… LEN=… … PROTO=…`` in a fixed order
(net/netfilter/nf_log_syslog.c); ulogd's LOGEMU and Proxmox's pve-firewall write nearly the same.
The verdict is nowhere in it: what there is stands in the free prefix that the rule's author
chose, right up against ``IN=``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from parsers.packet import Packet, direction_of, number, port, protocol, tcp_flags, text, verb_in

# Anchored at SRC=, so that no part of the line is tried twice. Ports stand right behind PROTO=:
# an ICMP error quotes the packet it is about, ports and all, in brackets further on. UDP has a
# second LEN= (its own); the first is the packet's.
_PACKET = re.compile(
    rb"SRC=([0-9A-Fa-f]{0,4}[.:][0-9A-Fa-f:.]{1,44}) DST=([0-9A-Fa-f]{0,4}[.:][0-9A-Fa-f:.]{1,44})"
    rb"(?: LEN=(\d+))?"
    rb"(?:[^[\n]*? PROTO=([\w-]+)"
    rb"(?: SPT=(\d+) DPT=(\d+)"
    rb"(?: (?:SEQ=\d+ ACK=\d+ )?WINDOW=\d+ (?:RES=\w+ )?([A-Z ]{3,40})?)?)?)?"
)
_UPTIME = re.compile(rb"\s*(?:kernel: )?\[ *\d+\.\d+\] ?")
_PROXMOX = re.compile(rb"\d+ \d ([\w.-]+) \d\d/\w{3}/\d{4}:[\d:]+ [+-]\d{4} ")
_PAIR = re.compile(rb'\b\w+=(?:"[^"]*"|\S*)')
# EdgeOS, UniFi, VyOS: [chain-number-D], [chain-default-A], [chain-D-number]
_VYATTA = re.compile(rb"\[([^][]*-([ADR])(?:-\d+)?)\]")
_VYATTA_ACTIONS = {b"A": "allow", b"D": "block", b"R": "reject"}
_CACHED_BYTES = 256
"""A prefix is at most 127 bytes, an interface 15; longer heads are a sender's own making."""


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet of a kernel line; None when it has no ``SRC=… DST=…`` with addresses."""
    start = message.find(b"SRC=")
    while start >= 0 and (found := _PACKET.match(message, start)) is None:
        start = message.find(b"SRC=", start + 4)
    if start < 0 or found is None:
        return None
    src, dst, length, proto, src_port, dst_port, flags = found.groups()

    # What stands before MAC= is the same for line after line of a rule, but for the uptime.
    uptime = _UPTIME.match(message)
    begin = uptime.end() if uptime is not None else 0
    mac_at = message.find(b" MAC=", begin, start)
    head = message[begin : mac_at if mac_at >= 0 else start]
    action, direction, in_interface, out_interface, rule = (
        _head(head) if len(head) <= _CACHED_BYTES else _head.__wrapped__(head)
    )
    if rule is None and app_name is not None:
        # "DROP: IN=…" that lost its "kernel: " on the way: the prefix was taken for the tag
        tag_action, tag_rule = _verdict(app_name[:_CACHED_BYTES])
        if tag_action is not None:
            action, rule = tag_action, tag_rule
    return Packet(
        action,
        direction,
        protocol(proto),
        src.decode(),
        port(src_port),
        dst.decode(),
        port(dst_port),
        in_interface,
        out_interface,
        rule,
        tcp_flags(flags) if flags is not None else None,
        number(length),
    )


_Head = tuple[str | None, str | None, str | None, str | None, str | None]


@lru_cache(maxsize=1024)
def _head(head: bytes) -> _Head:
    """``<prefix>IN=… OUT=…`` as (action, direction, in interface, out interface, rule)."""
    # With the space in front, PHYSOUT= is no match; PHYSIN= comes after OUT=.
    out_at = head.rfind(b" OUT=")
    in_at = head.rfind(b"IN=", 0, out_at) if out_at >= 0 else head.find(b"IN=")
    in_interface = text(head[in_at + 3 :].partition(b" ")[0]) if in_at >= 0 else None
    out_interface = text(head[out_at + 5 :].partition(b" ")[0]) if out_at >= 0 else None
    begin = in_at if in_at >= 0 else out_at
    action, rule = _verdict(head[:begin] if begin >= 0 else head)
    return action, direction_of(in_interface, out_interface), in_interface, out_interface, rule


@lru_cache(maxsize=256)
def _verdict(prefix: bytes) -> tuple[str | None, str | None]:
    """What a rule's log prefix tells: (action, rule)."""
    vyatta = _VYATTA.search(prefix)
    if vyatta is not None:
        return _VYATTA_ACTIONS[vyatta[2]], text(vyatta[1])
    proxmox = _PROXMOX.match(prefix)
    if proxmox is not None:
        # the chain names the rule; "policy DROP: " follows, or nothing
        return verb_in(prefix[proxmox.end() :]), text(proxmox[1])
    words = _PAIR.sub(b"", prefix).strip(b' :-\t"')
    if words.startswith(b"[") and words.find(b"]") == len(words) - 1:
        words = words[1:-1]
    return verb_in(words), text(words)
