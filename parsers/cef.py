r"""ArcSight's CEF and IBM's LEEF: a header between pipes, then an extension of ``key=value``.

CEF (Implementing ArcSight Common Event Format): ``CEF:0|vendor|product|version|id|name|severity|``
with ``\|`` and ``\\`` escaped, and an extension whose values have spaces and end where the next
key begins; ``\=`` is no key. A header parser takes "CEF" for the tag where a space or a hostname
comes before it, so the line may begin at ``0|``. LEEF separates its pairs by tabs, or, from 2.0
on, by the character its header names.
"""

from __future__ import annotations

import re

from parsers import keyvalue, mikrotik
from parsers.packet import (
    PORTLESS,
    Packet,
    action,
    direction_of,
    is_address,
    number,
    port,
    protocol,
    text,
    verb_in,
)

_PART = rb"([^|\\]*(?:\\.[^|\\]*)*)\|"
_CEF = re.compile(rb"(?:^|CEF: ?)\s{0,3}[01]\|" + _PART * 6, re.DOTALL)
_LEEF = re.compile(rb"LEEF: ?([12])\.0\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|")
_KEY = re.compile(rb"(?:^|\s)([\w.\[\]-]{1,100})=")
_ESCAPE = re.compile(rb"\\([\\=|])")
_RULE_LABELS = frozenset(
    {b"rule", b"rule name", b"policy", b"policy name", b"policyid", b"acl", b"access rule"}
)
_DIRECTIONS = {
    b"0": "in",
    b"inbound": "in",
    b"incoming": "in",
    b"in": "in",
    b"1": "out",
    b"outbound": "out",
    b"outgoing": "out",
    b"out": "out",
}
_BANDS = {b"low": 6, b"medium": 4, b"high": 3, b"very-high": 2}


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet that an event is about; None for events with no traffic in them."""
    header = _CEF.search(message)
    if header is None:
        return _leef(message)
    pairs = _extension(message[header.end() :])
    get = pairs.get
    src = get(b"src") or get(b"c6a2") or b""
    dst = get(b"dst") or get(b"c6a3") or b""
    src_ip = src.decode() if is_address(src) else None
    dst_ip = dst.decode() if is_address(dst) else None
    name = protocol(get(b"proto"))
    src_port, dst_port = port(get(b"spt")), port(get(b"dpt"))
    one_ended = src_ip is None or dst_ip is None
    if src_ip is None and dst_ip is None and b"->" in (sentence := get(b"msg", b"")):
        # RouterOS has no keys for a packet: what it writes without CEF stands in one
        return mikrotik.parse(sentence)
    if (src_ip is None and dst_ip is None) or (one_ended and name is None and dst_port is None):
        # an administrator's address, an update server …: no packet
        return None
    in_interface = text(get(b"deviceInboundInterface", b""))
    out_interface = text(get(b"deviceOutboundInterface", b""))
    direction = _DIRECTIONS.get((get(b"deviceDirection") or get(b"UNIFIdirection", b"")).lower())
    return Packet(
        action(get(b"act")) or verb_in(header[5]),
        direction or direction_of(in_interface, out_interface),
        name,
        src_ip,
        None if name in PORTLESS else src_port,
        dst_ip,
        None if name in PORTLESS else dst_port,
        in_interface,
        out_interface,
        text(_rule(pairs)),
        None,
        number(get(b"out")),
    )


def severity(message: bytes) -> int | None:
    """CEF's 0 … 10 (or its four names) as syslog severity: low 6, medium 4, high 3, highest 2."""
    header = _CEF.search(message)
    if header is None:
        return None
    word = header[6].strip().lower()
    if word.isdigit() and len(word) <= 2 and int(word) <= 10:
        value = int(word)
        return 6 if value <= 3 else 4 if value <= 6 else 3 if value <= 8 else 2
    return _BANDS.get(word)


def _extension(extension: bytes) -> dict[bytes, bytes]:
    """Pairs of a CEF extension, unescaped; of a key that comes twice, the first."""
    keys = list(_KEY.finditer(extension))
    pairs: dict[bytes, bytes] = {}
    for at, key in enumerate(keys):
        end = keys[at + 1].start() if at + 1 < len(keys) else len(extension)
        value = extension[key.end() : end].strip()
        pairs.setdefault(key[1], _ESCAPE.sub(rb"\1", value) if b"\\" in value else value)
    return pairs


def _rule(pairs: dict[bytes, bytes]) -> bytes:
    """Vendors keep it in a custom string, and say so in its label."""
    for key, value in pairs.items():
        if key.endswith(b"Label") and value.lower() in _RULE_LABELS:
            return pairs.get(key[:-5], b"")
    return pairs.get(b"FTNTFGTpolicyid") or pairs.get(b"UNIFIpolicyName") or b""


def _leef(message: bytes) -> Packet | None:
    header = _LEEF.search(message)
    if header is None:
        return None
    extension, separator = message[header.end() :], b"\t"
    if header[1] == b"2":
        named, pipe, rest = extension.partition(b"|")
        if pipe and len(named) <= 5:
            extension = rest
            separator = _separator(named)
    pairs: dict[bytes, bytes] = {}
    for pair in extension.split(separator):
        key, equals, value = pair.partition(b"=")
        if equals:
            pairs.setdefault(key.strip(), value.strip())
    return keyvalue.from_pairs(pairs)


def _separator(named: bytes) -> bytes:
    """LEEF 2.0: one character, or its code as ``x5E`` or ``0x5E``; a tab when left out."""
    code = re.fullmatch(rb"0?x([0-9A-Fa-f]{2})", named)
    if code is not None:
        return bytes([int(code[1], 16)])
    return named if len(named) == 1 else b"\t"
