"""What a firewall says of one packet or connection, and the words all its dialects share.

The vocabulary that users filter on:

action
    ``allow``   let through: passed, accepted, permitted; a connection or a translation was built
    ``block``   dropped without an answer: drop, deny, discard, shun
    ``reject``  refused with an answer (TCP reset, ICMP unreachable)
    ``close``   an allowed connection, or a translation, has ended: teardown, time-out
    None        the line has no verdict (``[UFW AUDIT]``, a log rule without a telling prefix)
direction
    ``in``, ``out``, ``forward``, as the device says it, else from which interfaces it names
protocol
    IANA's keyword in lower case (``tcp``, ``icmpv6``, ``esp`` …); a number that has none stays one
tcp_flags
    names apart by one space, in header order from the low bit: ``FIN SYN RST PSH ACK URG ECE CWR``
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec


class Packet(msgspec.Struct, gc=False):
    """One packet or connection as a firewall logged it; None where the line does not say.

    Addresses are the device's own text: a Cisco ASA writes the name of an object, or an FQDN,
    where one is configured. `length` counts bytes: the IP length of a packet, or what a finished
    connection carried (sent by its source, where the device counts both ways apart); it needs
    64 bits. Ports lie in 0…65535 and are None for protocols without them, ICMP included.
    """

    action: str | None = None
    direction: str | None = None
    protocol: str | None = None
    src_ip: str | None = None
    src_port: int | None = None
    dst_ip: str | None = None
    dst_port: int | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    rule: str | None = None
    tcp_flags: str | None = None
    length: int | None = None


_WORDS = {
    "allow": (
        "allow allowed accept accepted pass passed passthrough pass-through permit permitted "
        "est-allowed built build open opened start create created forward forwarded trust "
        "fastpath detected monitor monitored alert bypass ip-conn dns"
    ),
    "block": (
        "block blocked drop dropped dropping deny denied discard discarded discard-req shun "
        "shunned quarantine drop_session clear_session"
    ),
    "reject": (
        "reject rejected reset reset-both reset-client reset-server reset_client reset_server "
        "reset_both refused"
    ),
    "close": "close closed teardown timeout client-rst server-rst client-fin server-fin end",
}
_ACTIONS = {word.encode(): action for action, words in _WORDS.items() for word in words.split()}
_ACTIONS |= {b"connection opened": "allow", b"connection closed": "close"}

_VERB = re.compile(
    rb"(?P<reject>REJECT|with reset)"
    rb"|(?P<block>DROP|DENY|DENIED|BLOCK|DISCARD|DISALLOW)"
    # "bypass", "passwd" and "disallow" say nothing about passing; SuSEfirewall2 writes "ACC"
    rb"|(?P<allow>ACCEPT|PERMIT|MONITORED|(?<![A-Z])(?:ALLOW|(?:PASS(?:ED)?|ACC)(?![A-Z])))",
    re.IGNORECASE,
)

_PROTOCOLS = {
    0: "hopopt",
    1: "icmp",
    2: "igmp",
    4: "ipv4",
    6: "tcp",
    8: "egp",
    9: "igp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    43: "ipv6-route",
    44: "ipv6-frag",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    59: "ipv6-nonxt",
    60: "ipv6-opts",
    88: "eigrp",
    89: "ospf",
    94: "ipip",
    97: "etherip",
    98: "encap",
    103: "pim",
    108: "ipcomp",
    112: "vrrp",
    115: "l2tp",
    132: "sctp",
    136: "udplite",
    137: "mpls-in-ip",
}
_PROTOCOL_ALIASES = {
    "icmp6": "icmpv6",
    "icmp-v6": "icmpv6",
    "ipv6-icmp": "icmpv6",
    "icmpv4": "icmp",
    "ipencap": "ipv4",
    "ip-encap": "ipv4",
    "options": "hopopt",
    "ospfigp": "ospf",
}
PORTLESS = frozenset({"icmp", "icmpv6", "igmp"})

_FLAG_BITS = (b"FIN", b"SYN", b"RST", b"PSH", b"ACK", b"URG", b"ECE", b"CWR")
_FLAG_LETTERS = dict(zip(b"FSRPAUEWC", (*_FLAG_BITS, b"CWR"), strict=True))
_FLAG_ALIASES = {b"PUSH": b"PSH", b"RESET": b"RST", b"ECN": b"ECE"}
_FLAG_WORD = re.compile(rb"[A-Z]+")

_ICMP_WORDS = frozenset({b"icmp", b"icmpv6", b"icmp6", b"ipv6-icmp", b"ICMP", b"ICMPv6", b"ICMP6"})

# The caches below hold what few words repeat for ever (verbs, interfaces, flags). Longer ones are
# not worth keeping: a sender could fill them with 64 KiB each.
_CACHED_BYTES = 64


@lru_cache(maxsize=1024)
def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def text(raw: bytes) -> str | None:
    r"""Free text (an interface, a rule); bytes that are not UTF-8 as ``\xNN``; empty is None."""
    if not raw:
        return None
    return _text(raw) if len(raw) <= _CACHED_BYTES else _text.__wrapped__(raw)


@lru_cache(maxsize=1024)
def _action(raw: bytes) -> str | None:
    return _ACTIONS.get(raw.strip().lower()) or verb_in(raw)


def action(raw: bytes | None) -> str | None:
    """The action that a field holding the device's own verb means."""
    if not raw or len(raw) > _CACHED_BYTES:
        return None
    return _action(raw)


def verb_in(words: bytes) -> str | None:
    """The action that running text names: its last verb, since dispositions come last."""
    last = None
    for found in _VERB.finditer(words):
        last = found.lastgroup
    return last


@lru_cache(maxsize=1024)
def _protocol(raw: bytes) -> str | None:
    name = raw.strip().lower().decode("utf-8", "backslashreplace")
    # SonicWall appends the service: "udp/dns"
    name = name.partition("/")[0]
    if name.isascii() and name.isdigit():
        return _PROTOCOLS.get(int(name), name) if len(name) <= 3 else None
    return _PROTOCOL_ALIASES.get(name, name) or None


def protocol(raw: bytes | None) -> str | None:
    """IANA's keyword for a protocol's name or number."""
    if not raw or len(raw) > _CACHED_BYTES:
        return None
    return _protocol(raw)


@lru_cache(maxsize=512)
def tcp_flags(raw: bytes) -> str | None:
    """Flags by name ("ACK SYN", "SYN,ACK") or pf's letters ("SA"), as names in header order."""
    words = {_FLAG_ALIASES.get(word, word) for word in _FLAG_WORD.findall(raw)}
    named = words.intersection(_FLAG_BITS)
    if not named and len(words) == 1:
        letters = words.pop()
        if all(letter in _FLAG_LETTERS for letter in letters):
            named = {_FLAG_LETTERS[letter] for letter in letters}
    return " ".join(flag.decode() for flag in _FLAG_BITS if flag in named) or None


def number(raw: bytes | None) -> int | None:
    """A decimal count that fits 63 bits, or None."""
    if not raw or len(raw) > 18 or not raw.isdigit():
        return None
    return int(raw)


def port(raw: bytes | None) -> int | None:
    """A decimal TCP or UDP port, or None."""
    if not raw or len(raw) > 5 or not raw.isdigit():
        return None
    value = int(raw)
    return value if value <= 0xFFFF else None


def is_address(raw: bytes) -> bool:
    """Whether this is written like an IPv4 or IPv6 address (a scope after "%" is allowed)."""
    return _ADDRESS.fullmatch(raw) is not None


_ADDRESS = re.compile(
    rb"\d{1,3}(?:\.\d{1,3}){3}"
    rb"|(?=(?:[0-9A-Fa-f]*:){2})[0-9A-Fa-f:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?:%[\w.-]{1,15})?"
)


def direction_of(in_interface: str | None, out_interface: str | None) -> str | None:
    """The direction that the interfaces imply: both named, the packet was forwarded."""
    if in_interface:
        return "forward" if out_interface else "in"
    return "out" if out_interface else None
