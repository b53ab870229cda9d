"""Another lenient parser's own cases, byte for byte; where we differ, the reason."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from parsers.syslog import Parser
from tests.support import shared

CASES: list[dict[str, Any]] = json.loads(shared("data/vectors/syslog_loose.json").read_text())

_SD_IN_3164 = "RFC 3164 has no structured data: what looks like it is message"
_BAD_SD = "bad structured data is kept: everything after the header is message, and errors say so"
_NO_COLON = "a word without a colon or a pid is no tag: it is message"
# Case → (why, the fields that differ).
EXCEPTIONS = {
    "tests.rs::parse_rsyslog#0": (_SD_IN_3164, {"structured_data", "message"}),
    "tests.rs::rsyslog_omfwd_tcp_default#0": (_SD_IN_3164, {"structured_data", "message"}),
    "tests.rs::rsyslog_omfwd_tcp_forward_format#0": (_SD_IN_3164, {"structured_data", "message"}),
    "tests.rs::parse_3164_invalid_structured_data#0": (
        "of the two blanks after the tag one is dropped, not both",
        {"message"},
    ),
    "tests.rs::handles_incorrect_sd_element#0": (_BAD_SD, {"message"}),
    "tests.rs::handles_incorrect_sd_element#1": (_BAD_SD, {"message"}),
    "tests.rs::parse_european_chars#0": (_NO_COLON, {"app_name", "message"}),
    "rfc3164.rs::parse_3164_3339_datetime_in_message#0": (_NO_COLON, {"app_name", "message"}),
    "rfc3164.rs::parse_3164_timestamp_host#0": (
        "a lone `name:` after the stamp is a tag: syslog(3) writes no hostname, and a bare line's "
        "`name: ` is read so too",
        {"hostname", "app_name"},
    ),
}


def short(case: dict[str, Any]) -> str:
    return str(case["id"]).rpartition("/")[2]


def zone_of(case: dict[str, Any]) -> tzinfo:
    for note in case["notes"]:
        if note.startswith("default tz"):
            name = note.rpartition(": ")[2]
            return timezone(timedelta(seconds=int(name))) if name.isdigit() else ZoneInfo(name)
    return UTC


@pytest.mark.parametrize("case", [c for c in CASES if c["expected"]], ids=short)
def test_agrees_but_for_the_listed_fields(case: dict[str, Any]) -> None:
    expected = case["expected"]
    zone = zone_of(case)
    stamp = None
    received = datetime(2020, 1, 1, tzinfo=UTC)
    if expected["timestamp"]:
        stamp = datetime.fromisoformat(expected["timestamp"])
        stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)
        received = stamp + timedelta(days=20)  # a year-less stamp is then of the vector's year
    raw = base64.b64decode(case["input_b64"])
    got = Parser(zone).parse(raw, received=received)
    ours = {
        "facility": got.facility,
        "severity": got.severity,
        "version": got.version,
        "timestamp": got.timestamp,
        "hostname": got.hostname,
        "app_name": got.app_name,
        "procid": got.procid,
        "msgid": got.msgid,
        "structured_data": got.structured_data,
        "message": got.message,
    }
    theirs = {
        **{name: expected[name] for name in ours if name in expected},
        "timestamp": stamp,
        "app_name": expected["appname"],
        "structured_data": {sd_id: dict(pairs) for sd_id, pairs in expected["structured_data"]},
    }
    differing = {name for name in ours if ours[name] != theirs[name]}
    _, allowed = EXCEPTIONS.get(short(case), ("", set()))
    assert differing == allowed
    assert got.raw == raw


@pytest.mark.parametrize("case", [c for c in CASES if not c["expected"]], ids=short)
def test_what_the_peer_refuses_is_kept(case: dict[str, Any]) -> None:
    raw = base64.b64decode(case["input_b64"])
    got = Parser().parse(raw, received=datetime(2020, 1, 1, tzinfo=UTC))
    assert got.raw == raw
    assert got.message
    assert got.message.encode() in raw


def test_every_exception_is_a_case() -> None:
    assert set(EXCEPTIONS) <= {short(case) for case in CASES}
