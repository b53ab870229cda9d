"""The sample log: made by its generator, in order, in documentation addresses, oddities late."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import pipeline.sample
from pipeline.sample import oddities, sample_log
from pipeline.sample.generate import generate, scenarios

FOLDER = Path(pipeline.sample.__file__).parent
SCENARIOS = (FOLDER / "scenarios.txt").read_text(encoding="utf-8")
ALLOWED: list[IPv4Network | IPv6Network] = [
    ip_network(net)
    for net in (
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),  # RFC 5737, 3849
        *("127.0.0.0/8", "0.0.0.0/32", "224.0.0.0/4"),
    )
]
IPV4 = re.compile(rb"(?<![\w./])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
IPV6 = re.compile(rb"2001:[0-9a-f:]+[0-9a-f]")
STAMP = re.compile(rb"[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d ")


def test_regenerating_gives_the_same_bytes() -> None:
    assert generate(SCENARIOS) == sample_log()


def test_another_seed_gives_another_log() -> None:
    assert generate(SCENARIOS, seed=8) != sample_log()


def test_it_is_a_day_of_many_kinds_of_lines_in_order() -> None:
    lines = sample_log().splitlines()
    stamped = [m[0].decode() for line in lines if (m := STAMP.match(line))]
    times = [datetime.strptime(f"2026 {stamp}", "%Y %b %d %H:%M:%S ") for stamp in stamped]
    assert times == sorted(times)
    assert timedelta(hours=23) < times[-1] - times[0] <= timedelta(days=1)
    assert 2_400 <= len(lines) <= 3_000
    assert 120 <= len({template for s in scenarios(SCENARIOS) for _, template in s.lines}) <= 230
    assert len(lines) - len(stamped) == 8, "stack traces, RFC 5424, an ISO stamp, a stray line"
    assert any(b"\xe9" in line for line in lines), "a byte that is not UTF-8"


def test_addresses_are_those_kept_for_documentation() -> None:
    log = sample_log()
    found = {m[0].decode() for m in (*IPV4.finditer(log), *IPV6.finditer(log))}
    assert len(found) > 50
    strays = [a for a in found if not any(ip_address(a) in net for net in ALLOWED)]
    assert strays == []


def test_each_oddity_is_rare_and_late() -> None:
    lines = sample_log().splitlines()
    assert len(oddities()) >= 10
    for part, why in oddities():
        at = [i for i, line in enumerate(lines) if part in line]
        assert 1 <= len(at) <= 3, part
        assert at[0] > len(lines) / 3, part
        assert why
