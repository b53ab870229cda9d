"""The laws of `parse` on any bytes, and its policies."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parsers import Facility, Fields, Parser, Severity, SyslogMessage, parse, parse_fields
from parsers.hotpath import MAX_BYTES
from parsers.timestamps import EPOCH

RECEIVED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
RECEIVED_US = (RECEIVED - EPOCH) // timedelta(microseconds=1)


def read(line: bytes | str) -> SyslogMessage:
    return parse(line.encode() if isinstance(line, str) else line, received=RECEIVED)


SEEDS = [
    b"<34>Oct 11 22:14:15 host sshd[123]: Failed password for root",
    b"Oct 11 22:14:15 host kernel: [12.5] usb 1-1: disconnect",
    b"<133>Jan 13 16:33:35 haproxy[73411]: Proxy started.",
    b"2026-11-21T10:00:00.123456+01:00 host app[1]: text",
    b"<34>1 2026-11-21T10:00:00.123Z host app 1 ID47 - text",
    b'<34>1 2026-11-21T10:00:00Z host app - - [a@1 b="c\\"]"][d] \xef\xbb\xbftext',
    b"<189>123: router1: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured",
    b"<166>Oct 11 2026 22:14:15: %ASA-6-302013: Built outbound",
    b"<189>date=2026-10-11 time=22:14:15 devname=FG",
    b"<134>Oct 11 22:14:15 fw CEF:0|a|b|1|2|name|5|src=10.0.0.1",
    b"sshd[123]: text",
    b"2015-07-29 19:04:12,394 - INFO [main] text",
]
PIECES = [
    b" ", b"  ", b":", b"[", b"]", b"<", b">", b"-", b"=", b",", b"\t", b"\n", b"\0", b"\xff",
    b"\xef\xbb\xbf", b"1 ", b"123: ", b"2026 ", b"UTC ", b"INFO ", b"host ", b"app: ", b"a[1] ",
    b"0826 ", b"/: ", b"EDT: ", b"*Mar  1 18:46:11: ",
    b"::1 ", b".5", b"+01:00", b"CEF:0|", b"Oct 11 22:14:15 ", b"<34>", b"2026-11-21T10:00:00Z ",
    b"%ASA-6-302013: ", b'[a b="c"] ', b"last message repeated 3 times",
    b"Message forwarded from ", b"user.info ", b"a,b: ", b"a<b>: ", b"October 11 22:14:15 ",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real line with a few of its bytes cut, replaced, or joined by what parsers trip over."""
    line = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, min(len(line), 60)))
        cut = draw(st.integers(0, 4))
        line[at : at + cut] = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    return bytes(line)


ANY_LINE = st.binary(max_size=200) | mutated()


@given(ANY_LINE)
@example(b"")
@example(b"4\0  ")
@example(b"<4444444444444444444444444444444444>x")
def test_never_raises_and_keeps_raw(data: bytes) -> None:
    got = read(data)
    assert got.raw == data
    assert got.format in ("rfc5424", "rfc3164", "bare")
    assert (got.facility is None) == (got.severity is None)
    assert got.timestamp is None or got.timestamp.tzinfo is not None
    json.loads(msgspec.json.encode(got))


@given(ANY_LINE)
@example(b"Nov 20 0820 11:22:35 host app[1]: text")
@example(b"May 16 12:11:51 /: text")
@example(b"2025/03/18:%ASA-6-302013: text")
@example(b"101 21: %SYS-5-CONFIG_I: text")
@example(b"Oct 11 22:14:15 router1: *Mar  1 18:46:11: %SYS-5-CONFIG_I: text")
@example(b"Oct 11 22:14:15 relay router1: Mar  1 18:46:11: %SYS-5-CONFIG_I: text")
@example(b"Oct 11 22:14:15 EDT: text")
@example(b"Oct 11 22:14:15 fw1:  %ASA-6-302304: text")
@example(b"Oct 11 22:14:15 fw1: : %ASA-6-302304: text")
@example(b"2022 October 1 22:14:15 host app: text")
@example(b'<13>1 2026-11-21T10:00:00Z h a p m [a b="c"][d] \xef\xbb\xbf\xef\xbb\xbftext')
def test_the_quick_path_agrees_with_the_careful_one(data: bytes) -> None:
    parser = Parser()
    assert parser.fields(data, RECEIVED_US) == parser.careful(data, RECEIVED_US)


@given(ANY_LINE)
def test_parse_is_parse_fields_decoded(data: bytes) -> None:
    fields = Fields(*parse_fields(data, RECEIVED_US))
    got = read(data)
    assert got.format == fields.format
    assert got.version == fields.version
    assert got.errors == fields.errors
    assert got.structured_data == (fields.structured_data or {})
    priority = (
        -1 if got.facility is None or got.severity is None else got.facility * 8 + got.severity
    )
    assert priority == fields.priority
    for text, raw in [
        (got.message, fields.message),
        (got.hostname, fields.hostname),
        (got.app_name, fields.app_name),
        (got.procid, fields.procid),
        (got.msgid, fields.msgid),
    ]:
        assert text == (None if raw is None else raw.decode("utf-8", "backslashreplace"))


@given(ANY_LINE)
def test_no_header_no_loss(data: bytes) -> None:
    """Of a bare line nothing is lost but blanks at its end, a BOM, and its tag."""
    got = Fields(*parse_fields(data, RECEIVED_US))
    if got.format == "bare" and got.app_name is None:
        assert got.message in data
        assert len(got.message) >= len(data.rstrip(b" \t\r\n\0")) - 2 * len(b"\xef\xbb\xbf")


@pytest.mark.parametrize("priority", [0, 7, 8, 34, 165, 191])
def test_pri_is_facility_and_severity(priority: int) -> None:
    got = read(f"<{priority}>Oct 11 22:14:15 host app: text")
    assert got.facility is Facility(priority // 8)
    assert got.severity is Severity(priority % 8)
    assert got.errors == ()


@pytest.mark.parametrize(
    "pri",
    ["<192>", "<999>", "<1000>", "<" + "4" * 400 + ">", "<>", "<034>", "<00>", "<-1>", "<+3>"],
)
def test_a_bad_pri_is_no_pri(pri: str) -> None:
    line = f"{pri}Oct 11 22:14:15 host app: text"
    got = read(line)
    assert (got.facility, got.severity, got.format) == (None, None, "bare")
    assert got.message == line
    assert got.errors == ("bad PRI",)


@pytest.mark.parametrize("line", ["<b>bold</b>", "<Event xmlns='x'>", "<34", "<3 users", "< 34>x"])
def test_an_angle_bracket_is_not_yet_a_pri(line: str) -> None:
    got = read(line)
    assert (got.severity, got.message, got.errors) == (None, line, ())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0", " ", "\n            ", " \t\r\n\0"])
@pytest.mark.parametrize("line", [seed.decode("latin-1") for seed in SEEDS])
def test_blanks_around_a_message_do_not_matter(line: str, end: str) -> None:
    data = line.encode("latin-1")
    expected = parse_fields(data, RECEIVED_US)
    assert parse_fields(data + end.encode(), RECEIVED_US) == expected
    if data.startswith(b"<"):
        assert parse_fields(end.encode() + data, RECEIVED_US) == expected


def test_a_bare_line_keeps_its_indentation() -> None:
    got = read("    at org.example.Main.run(Main.java:3)\n")
    assert (got.format, got.message) == ("bare", "    at org.example.Main.run(Main.java:3)")


def test_bytes_that_are_not_utf8_are_shown() -> None:
    data = b"<13>Oct 11 22:14:15 h\xf6st app[1\xff]: caf\xe9 \xe2\x82\xac"
    got = read(data)
    assert (got.hostname, got.procid, got.message) == ("h\\xf6st", "1\\xff", "caf\\xe9 €")
    assert got.raw == data


@pytest.mark.parametrize(
    "header",
    [
        b"<13>Oct 11 22:14:15 host app: ",
        b"<13>1 2026-10-11T22:14:15Z host app - - - ",
        b"2026-10-11T22:14:15Z host app: ",
        b"<13>Oct 11 22:14:15 host ",
        b"app: ",
        b"",
    ],
)
def test_the_bom_is_stripped(header: bytes) -> None:
    assert read(header + b"\xef\xbb\xbfh\xc3\xa9llo world").message == "héllo world"


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1, 3 * MAX_BYTES])
def test_over_long_is_cut_and_said(size: int) -> None:
    header = b"<13>Oct 11 22:14:15 host app: "
    data = header + b"x" * (size - len(header))
    got = read(data)
    assert got.hostname == "host"
    assert len(got.message) == min(size, MAX_BYTES) - len(header)
    assert got.errors == (("over-long",) if size > MAX_BYTES else ())
    assert got.raw == data


@pytest.mark.parametrize(
    "piece",
    [b"\xff", b"a", b"1", b":", b" ", b"[", b"]", b"<", b"%a-", b"a[", b"a:", b"1: ", b"1.", b'"',
     b"\\", b"[a", b'[a b="c"]', b' b="c"', b"Oct ", b"-", b"a.a.", b"::", b"\xef\xbb\xbf", b"1d",
     b"*a: "],
)  # fmt: skip
@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"<34>",
        b"<34>Oct 11 22:14:15 ",
        b"<34>Oct 11 22:14:15 host ",
        b"<34>1 - - - - - ",
        b"<34>1 ",
    ],
)
def test_no_input_takes_forever(header: bytes, piece: bytes) -> None:
    data = (header + piece * MAX_BYTES)[:MAX_BYTES]
    begin = time.monotonic()
    got = read(data)
    assert time.monotonic() - begin < 5.0
    assert got.raw == data


@pytest.mark.parametrize(
    ("line", "app_name", "procid", "message"),
    [
        ("kernel: usb 1-1: disconnect", "kernel", None, "usb 1-1: disconnect"),
        ("sshd[123]: Failed password", "sshd", "123", "Failed password"),
        ("postfix/smtpd[7]: connect", "postfix/smtpd", "7", "connect"),
        ("%ASA-6-302013: Built", "%ASA-6-302013", None, "Built"),
        ("name:", "name", None, ""),
        ("name[]: text", "name", None, "text"),
    ],
)
def test_a_bare_lines_tag(line: str, app_name: str, procid: str | None, message: str) -> None:
    got = read(line)
    assert (got.format, got.app_name, got.procid) == ("bare", app_name, procid)
    assert got.message == message
    assert (got.severity, got.facility, got.timestamp, got.hostname) == (None, None, None, None)


@pytest.mark.parametrize(
    "line",
    [
        "complete and utter gobbledegook",
        "[Sun Dec 04 20:34:21 2005] [error] mod_jk child workerEnv in error state 6",
        "2015-07-29 19:04:12,394 - INFO  [QuorumPeer] - Notification time out: 3200",
        "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 terminating",
        "17/06/09 20:10:40 INFO spark.SecurityManager: Changing view acls to: yarn",
        "03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogsopening app",
        '127.0.0.1 - - [10/Oct/2026:11:06:56 +0200] "GET / HTTP/1.1" 404 125 "-" "curl"',
        'time="2026-01-15T18:43:09Z" level=debug msg="Handling UDP stream"',
        "10.0.0.1: unreachable",
        "12: twelve",
        "http://example.org: gone",
        "ERROR: disk full",
        "Warning: deprecated",
        "CEF:0|vendor|product|1|2|name|5|src=10.0.0.1",
        "Dec is a month",
        "May the source be with you",
        "{\"message\": \"x\"}",
        "-- MARK --",
    ],
)  # fmt: skip
def test_what_has_no_header_is_all_message(line: str) -> None:
    got = read(line)
    assert (got.format, got.message, got.errors) == ("bare", line, ())
    assert (got.app_name, got.hostname, got.timestamp) == (None, None, None)


def test_as_json_raw_is_base64_and_times_are_rfc3339() -> None:
    got = json.loads(msgspec.json.encode(read(b"<34>Oct 11 22:14:15 host su[1]: \xff")))
    assert got == {
        "format": "rfc3164",
        "facility": 4,
        "severity": 2,
        "version": None,
        "timestamp": "2026-10-11T22:14:15Z",
        "hostname": "host",
        "app_name": "su",
        "procid": "1",
        "msgid": None,
        "structured_data": {},
        "message": "\\xff",
        "raw": "PDM0Pk9jdCAxMSAyMjoxNDoxNSBob3N0IHN1WzFdOiD/",
        "errors": [],
    }


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        read("text").message = "other"  # type: ignore[misc]  # what is tested


def test_stamps_without_a_zone_are_in_the_parsers() -> None:
    berlin = Parser(ZoneInfo("Europe/Berlin"))
    for line in (b"<13>Jul 11 22:14:15 host app: x", b"<13>2026-07-11T22:14:15 host app: x"):
        got = berlin.parse(line, received=datetime(2026, 7, 12, tzinfo=UTC))
        assert got.timestamp == datetime(2026, 7, 11, 20, 14, 15, tzinfo=UTC)
        aware = berlin.parse(
            b"<13>2026-07-11T22:14:15Z host app: x", received=datetime(2026, 7, 12, tzinfo=UTC)
        )
        assert aware.timestamp == datetime(2026, 7, 11, 22, 14, 15, tzinfo=UTC)
