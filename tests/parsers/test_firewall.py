"""What a user would miss: each dialect's fields exactly, and nothing that raises or misleads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers import Fields, parse_fields
from parsers.firewall import (
    Kind,
    Packet,
    device_severity,
    packet_kind,
    parse_packet,
    parse_structured,
)
from tests.parsers.firewall_lines import NETFILTER, PF, Line, tcp
from tests.parsers.firewall_lines_cisco import CISCO
from tests.parsers.firewall_lines_vendors import VENDORS
from tests.support import shared

LINES = [*NETFILTER, *PF, *CISCO, *VENDORS]
KINDS: tuple[Kind, ...] = get_args(Kind)
RECEIVED_US = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000


def read(line: bytes) -> Packet | None:
    """Header and all, the way the pipeline does it."""
    fields = Fields(*parse_fields(line, RECEIVED_US))
    kind = packet_kind(fields.app_name, fields.message)
    return parse_packet(kind, fields.message, fields.app_name)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_yields_its_packet(line: Line) -> None:
    kind = packet_kind(line.app_name, line.message)

    assert kind == line.kind
    assert parse_packet(kind, line.message, line.app_name) == line.packet
    assert device_severity(kind, line.message, line.app_name) == line.severity


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_bare_line_with_its_tag_in_front_yields_the_same(line: Line) -> None:
    tag = b"" if line.app_name in (None, b"firewall,info", b"CEF") else b"%s: " % line.app_name
    whole = b"<134>Jun  1 10:00:00 fw " + tag + line.message
    if line.app_name == b"CEF":
        whole = b"<134>Jun  1 10:00:00 fw CEF: " + line.message

    assert read(whole) == line.packet


@pytest.mark.parametrize(
    "line",
    [
        b"Failed password for root from 192.0.2.1 port 4000 ssh2",
        b'GET /?src=192.0.2.1 HTTP/1.1" 200 | 50% -> "ok", done',
        b"system,error,critical login failure for user admin from 192.0.2.1 via winbox",
        b"session opened for user root by (uid=0)",
        b"",
    ],
)
def test_other_lines_are_no_firewalls(line: bytes) -> None:
    assert packet_kind(b"app", line) is None
    assert packet_kind(None, line) is None


def test_structured_data_of_a_header_yields_its_packet() -> None:
    pairs = {
        "source-address": "192.0.2.1",
        "source-port": "4000",
        "destination-address": "198.51.100.2",
        "destination-port": "443",
        "protocol-id": "6",
        "policy-name": "p1",
        "bytes-from-client": "400",
    }

    found = parse_structured({"junos@2636.1.1.1.2.40": pairs}, b"RT_FLOW_SESSION_CLOSE")

    assert found == tcp(action="close", rule="p1", length=400)
    assert parse_structured({"meta": {"sequenceId": "1"}}, None) is None


# --- vectors of another parser's tests

ACTIONS = {"DROP": "block", "REJECT": "reject", "PVEFW-reject": "reject", "pass": "allow"}
SECOND_LENGTH = {"crowdsec-hub/iptables-logs/s01-parse/crowdsecurity/iptables-logs[3]"}
VECTORS = "data/vectors/crowdsec_firewall.json"


def vectors() -> list[Any]:
    records: list[Any] = json.loads(shared(VECTORS).read_bytes())
    return records


def test_every_vector_yields_its_fields() -> None:
    """What a record names: ends, ports, protocol, action, direction, interface, rule, length.

    Differences, each on purpose: of two LEN= the vector took UDP's own, we the packet's;
    pve-firewall's chain is our rule; flags are named, not lettered.
    """
    compared = 0
    for record in vectors():
        parsed = record["parsed"]
        if "dst_ip" not in parsed:
            continue
        found = read(record["input"].encode())
        assert found is not None, record["id"]
        proto = parsed.get("proto") or parsed.get("ip4_proto") or parsed.get("ip6_proto")
        expected = {
            "src_ip": parsed.get("src_ip") or parsed.get("source_ip"),
            "dst_ip": parsed["dst_ip"],
            "src_port": int(parsed["src_port"]),
            "dst_port": int(parsed["dst_port"]),
            "protocol": proto.lower(),
        }
        if "action" in parsed:
            expected["action"] = ACTIONS.get(parsed["action"], parsed["action"])
        if "direction" in parsed:
            expected["direction"] = parsed["direction"]
        if "rule" in parsed:
            expected["rule"] = parsed["rule"]
        if "length" in parsed and record["id"] not in SECOND_LENGTH:
            expected["length"] = int(parsed["length"])
        interface = parsed.get("iface") or parsed.get("if_in") or parsed.get("int_eth")
        if interface is not None:
            outward = parsed.get("direction") == "out"
            expected["out_interface" if outward else "in_interface"] = interface
        if "vmid" in parsed:
            expected["rule"] = parsed["int_eth"] + "-IN"
        if "tcp_flags" in parsed:
            flags = parsed["tcp_flags"]
            letters = "S" if flags == "SYN" else flags
            assert found.tcp_flags is not None, record["id"]
            assert {name[0] for name in found.tcp_flags.split()} == set(letters), record["id"]
        assert {name: getattr(found, name) for name in expected} == expected, record["id"]
        compared += 1
    assert compared >= 25


def test_raw_vectors_yield_what_their_text_says() -> None:
    """The header-only records: all but logins and administration hold a packet."""
    without = set()
    for record in vectors():
        found = read(record["input"].encode())
        if found is None:
            without.add(record["input"].split("|")[5] if "|" in record["input"] else "login")
            continue
        assert found.src_ip is not None, record["id"]
        assert found.src_ip in record["input"], record["id"]
        assert found.dst_port is not None, record["id"]
        assert str(found.dst_port) in record["input"], record["id"]
    assert without == {"Admin Accessed UniFi Network", "login"}


# --- laws

line_bytes = st.sampled_from([line.message for line in LINES])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real line, cut, doubled, or with bytes of anything put over a part of it."""
    line = draw(line_bytes)
    begin, end = sorted(draw(st.tuples(*[st.integers(0, len(line))] * 2)))
    middle = draw(st.one_of(st.just(b""), st.binary(max_size=8), line_bytes, st.just(b"9" * 30)))
    return line[:begin] + middle + line[end:]


def check(found: Packet | None) -> None:
    """A packet that any sink can store."""
    if found is None:
        return
    msgspec.json.encode(found)
    assert found.action in ("allow", "block", "reject", "close", None)
    assert found.direction in ("in", "out", "forward", None)
    assert found.src_ip is not None or found.dst_ip is not None
    for value in (found.src_port, found.dst_port):
        assert value is None or 0 <= value <= 0xFFFF
    assert found.length is None or 0 <= found.length < 2**63
    for word in (found.protocol, found.src_ip, found.in_interface, found.rule, found.tcp_flags):
        assert word != ""


@given(st.sampled_from(KINDS), st.one_of(damaged(), st.binary()), st.none() | st.binary())
def test_no_bytes_make_it_raise(kind: Kind, message: bytes, app_name: bytes | None) -> None:
    packet_kind(app_name, message)
    check(parse_packet(kind, message, app_name))
    severity = device_severity(kind, message, app_name)
    assert severity is None or 0 <= severity <= 7


@given(damaged())
def test_a_damaged_line_is_read_by_its_own_kind_without_raising(message: bytes) -> None:
    check(parse_packet(packet_kind(None, message), message))


@given(
    damaged(),
    st.none() | st.sampled_from([line.app_name for line in LINES]),
    st.lists(st.sampled_from(b"0123456789"), min_size=1, max_size=10),
    st.data(),
)
def test_digits_never_change_the_kind(
    message: bytes, app_name: bytes | None, digits: list[int], data: st.DataObject
) -> None:
    kind = packet_kind(app_name, message)
    others = bytes(digits * (len(message) + 1))
    changed = bytes(
        other if 48 <= byte <= 57 else byte for byte, other in zip(message, others, strict=False)
    )
    at = data.draw(st.integers(0, len(message)))

    assert packet_kind(app_name, changed) == kind
    assert packet_kind(app_name, message.translate(None, b"0123456789")) == kind
    assert packet_kind(app_name, message[:at] + bytes(digits) + message[at:]) == kind
