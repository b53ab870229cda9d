"""MikroTik RouterOS: ``firewall,info <prefix> <chain>: in:ether1 out:…, proto TCP (SYN), …``.

Like netfilter's, its verdict is only in the prefix that the rule's author chose.
"""

from __future__ import annotations

import re

from parsers.packet import (
    PORTLESS,
    Packet,
    direction_of,
    number,
    port,
    protocol,
    tcp_flags,
    text,
    verb_in,
)

# an end: 192.0.2.1:80, [2001:db8::1]:80, or without a port, 2001:db8::1 as well
_END = (
    rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}(?![0-9A-Fa-f:.]*::)|[0-9A-Fa-f:.]{2,45}))"
    rb"(?::(\d{1,5}))?"
)
# Names of interfaces may have blanks; early versions put no comma behind the second.
_PACKET = re.compile(
    rb"in:(\(unknown \d+\)|[^,]{0,60}?) out:(\(unknown \d+\)|[^,]{0,60}(?=, )|[^,]{0,60}?),? "
    rb"[^\n]{0,300}?(?:eth-proto \w{4}, |proto )([\w-]{1,20})(?: \(([^)]{0,60})\))?, "
    + _END + rb"->" + _END
    + rb"(?:[^\n]{0,200}?len (\d+))?"
)  # fmt: skip
_TOPICS = re.compile(rb"^\s*firewall(?:,\w+)*:? ?")
_CHAINS = {b"input": "in", b"output": "out", b"forward": "forward"}


def parse(message: bytes, app_name: bytes | None = None) -> Packet | None:
    """The packet of a firewall log line; None for RouterOS's other topics."""
    out_at = message.find(b" out:")
    in_at = message.rfind(b"in:", 0, out_at) if out_at >= 0 else -1
    found = _PACKET.match(message, in_at) if in_at >= 0 else None
    if found is None:
        return None
    in_if, out_if, proto, detail, *ends = found.groups()
    src6, src4, src_port, dst6, dst4, dst_port, length = ends
    prefix, chain = _TOPICS.sub(b"", message[: found.start()]).strip(), b""
    if prefix.endswith(b":"):
        prefix, _, chain = prefix[:-1].rpartition(b" ")
        prefix = prefix.rstrip(b": ")
    in_interface, out_interface = _interface(in_if), _interface(out_if)
    name = protocol(proto)
    portless = name in PORTLESS
    return Packet(
        verb_in(prefix),
        _CHAINS.get(chain) or direction_of(in_interface, out_interface),
        name,
        text(src6 or src4),
        None if portless else port(src_port),
        text(dst6 or dst4),
        None if portless else port(dst_port),
        in_interface,
        out_interface,
        text(prefix),
        tcp_flags(detail) if detail and name == "tcp" else None,
        number(length),
    )


def _interface(raw: bytes) -> str | None:
    return None if raw.startswith(b"(") else text(raw)
