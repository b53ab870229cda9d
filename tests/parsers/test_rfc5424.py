"""RFC 5424: the examples, structured data, faults in the header, and the round trip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers import Facility, Severity, SyslogMessage, format_rfc5424, parse

RECEIVED = datetime(2026, 11, 21, tzinfo=UTC)
HEADER = "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "


def read(line: str) -> SyslogMessage:
    return parse(line.encode(), received=RECEIVED)


def test_the_rfcs_first_example() -> None:
    got = read(
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - "
        "\ufeff'su root' failed for lonvick on /dev/pts/8"
    )
    assert got == SyslogMessage(
        format="rfc5424",
        facility=Facility.AUTH,
        severity=Severity.CRITICAL,
        version=1,
        timestamp=datetime(2003, 10, 11, 22, 14, 15, 3_000, tzinfo=UTC),
        hostname="mymachine.example.com",
        app_name="su",
        procid=None,
        msgid="ID47",
        structured_data={},
        message="'su root' failed for lonvick on /dev/pts/8",
        raw=got.raw,
        errors=(),
    )


def test_the_rfcs_second_example_keeps_microseconds_and_the_offset() -> None:
    got = read(
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - "
        "%% It's time to make the do-nuts."
    )
    assert got.timestamp == datetime(2003, 8, 24, 12, 14, 15, 3, tzinfo=UTC)
    assert (got.hostname, got.procid, got.msgid) == ("192.0.2.1", "8710", None)
    assert got.message == "%% It's time to make the do-nuts."


def test_all_nil() -> None:
    got = read("<13>1 - - - - - -")
    assert (got.format, got.version, got.errors) == ("rfc5424", 1, ())
    assert (got.timestamp, got.hostname, got.app_name, got.procid, got.msgid) == (None,) * 5
    assert (got.structured_data, got.message) == ({}, "")


def test_other_versions_and_no_pri() -> None:
    assert read("<13>999 2003-10-11T22:14:15Z h a p m - text").version == 999
    got = read("1 2003-10-11T22:14:15Z h a p m - text")
    assert (got.format, got.version, got.severity, got.msgid) == ("rfc5424", 1, None, "m")
    assert read("<13>0 2003-10-11T22:14:15Z h a p m - text").format == "rfc3164"
    assert read("<13>1000 2003-10-11T22:14:15Z h a p m - text").format == "rfc3164"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('[a@1 x="1" y="2"]', {"a@1": {"x": "1", "y": "2"}}),
        ('[a@1 x="1"][b@2 y="2"]', {"a@1": {"x": "1"}, "b@2": {"y": "2"}}),
        ("[empty]", {"empty": {}}),
        ('[a x=""]', {"a": {"x": ""}}),
        (r'[a x="\"\\\]"]', {"a": {"x": r'"\]'}}),
        (r'[a x="C:\temp\n"]', {"a": {"x": r"C:\temp\n"}}),
        (r'[a x="ends\\"]', {"a": {"x": "ends\\"}}),
        ('[a x="] y=1"]', {"a": {"x": "] y=1"}}),
        ('[a x="ü€"]', {"a": {"x": "ü€"}}),
        ('[a x="line\nline"]', {"a": {"x": "line\nline"}}),
        ('[a x= "1" ]', {"a": {"x": "1"}}),
        ('[a x="1" x="2"]', {"a": {"x": "2"}}),
    ],
)
def test_structured_data(data: str, expected: dict[str, dict[str, str]]) -> None:
    got = read(HEADER + data + " [text] - more")
    assert got.structured_data == expected
    assert got.message == "[text] - more"
    assert got.errors == ()
    assert read(HEADER + data).structured_data == expected


def test_an_sd_id_twice_is_merged_and_said() -> None:
    got = read(HEADER + '[a x="1"][a y="2"] text')
    assert got.structured_data == {"a": {"x": "1", "y": "2"}}
    assert (got.message, got.errors) == ("text", ("duplicate SD-ID",))


@pytest.mark.parametrize(
    "tail",
    [
        "[incorrect x] qwerty",
        "[incorrect x=] qwerty",
        '[a x="1] unterminated',
        '[a x="1"',
        '[a x="1"]glued',
        '[action:"Accept"; flags:"411908"] text',
        "[] text",
        "[",
        "no structured data at all",
        "-glued",
    ],
)
def test_bad_structured_data_stays_in_the_message(tail: str) -> None:
    got = read(HEADER + tail)
    assert (got.structured_data, got.message) == ({}, tail)
    assert got.errors == ("bad structured data",)
    assert (got.hostname, got.app_name, got.msgid) == ("mymachine.example.com", "evntslog", "ID47")


def test_a_missing_tail_is_said() -> None:
    got = read("<13>1 2003-10-11T22:14:15Z host app 7 ID")
    assert (got.hostname, got.app_name, got.procid, got.msgid) == ("host", "app", "7", "ID")
    assert (got.message, got.errors) == ("", ("bad structured data",))


@pytest.mark.parametrize("rest", ["", "host", "host app", "host app 7"])
def test_an_incomplete_header_is_kept(rest: str) -> None:
    got = read(f"<13>1 2003-10-11T22:14:15Z {rest}")
    assert (got.format, got.message) == ("rfc5424", rest)
    assert got.timestamp == datetime(2003, 10, 11, 22, 14, 15, tzinfo=UTC)
    assert got.errors == ("incomplete header",)


@pytest.mark.parametrize(
    "stamp",
    [
        "2003-13-11T22:14:15Z",
        "2003-10-11T25:14:15Z",
        "2003-10-11T22:14:15.Z",
        "2003-10-11T",
        "2003-10-11Tx",
    ],
)
def test_a_bad_stamp_costs_only_the_stamp(stamp: str) -> None:
    got = read(f'<13>1 {stamp} host app - - [a b="c"] text')
    assert (got.timestamp, got.errors) == (None, ("bad timestamp",))
    assert (got.hostname, got.app_name, got.message) == ("host", "app", "text")
    assert got.structured_data == {"a": {"b": "c"}}


@pytest.mark.parametrize(
    "stamp",
    ["10-11-2003T22:14:15.003Z", "2003/10/11", "20031011T221415Z", "2003-10-11", "22:14:15"],
)
@pytest.mark.parametrize("tail", ["- text", '[a b="c"] text'])
def test_a_foreign_stamp_costs_only_the_stamp_too(stamp: str, tail: str) -> None:
    got = read(f"<13>1 {stamp} host app 7 ID {tail}")
    assert (got.format, got.version, got.timestamp) == ("rfc5424", 1, None)
    assert (got.hostname, got.app_name, got.procid, got.msgid) == ("host", "app", "7", "ID")
    assert (got.message, got.errors) == ("text", ("bad timestamp",))


@pytest.mark.parametrize("stamp", ["2003-10-11T22:14:15", "2003-10-1", "203-10-11", "2003-112-01"])
def test_of_a_header_cut_short_in_a_bad_stamp_the_stamp_is_kept(stamp: str) -> None:
    got = read(f"<13>1 {stamp}X")
    assert (got.format, got.version, got.message) == ("rfc5424", 1, f"{stamp}X")
    assert got.errors == ("bad timestamp", "incomplete header")


@pytest.mark.parametrize(
    "text", ["1 A", "3 users logged in", "2 of 5 disks in md0 failed - rebuild", "12 2013"]
)
def test_a_number_is_not_yet_a_version(text: str) -> None:
    got = read(f"<13>{text}")
    assert (got.format, got.version, got.message, got.errors) == ("rfc3164", None, text, ())


def test_blanks_between_fields_and_within_the_message() -> None:
    got = read("<13>1  2003-10-11T22:14:15Z  host  app  7  ID  -  text  with  blanks")
    assert (got.hostname, got.app_name, got.procid, got.msgid) == ("host", "app", "7", "ID")
    assert got.message == " text  with  blanks"
    assert got.errors == ()


# Header fields: anything that is seen and is not the NILVALUE. SD names: the same but for = " ].
VISIBLE = st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"))
TOKEN = st.text(VISIBLE, min_size=1, max_size=20).filter(lambda text: text != "-")
NAME = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters='="]'),
    min_size=1,
    max_size=20,
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.text(
    st.sampled_from('"\\] [=x\n'), max_size=12
)
MESSAGES = st.builds(
    SyslogMessage,
    format=st.just("rfc5424"),
    facility=st.sampled_from(Facility),
    severity=st.sampled_from(Severity),
    version=st.integers(1, 999),
    timestamp=st.none()
    | st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC)),
    hostname=st.none() | TOKEN,
    app_name=st.none() | TOKEN,
    procid=st.none() | TOKEN,
    msgid=st.none() | TOKEN,
    structured_data=st.dictionaries(NAME, st.dictionaries(NAME, TEXT, max_size=3), max_size=3),
    message=TEXT.map(lambda text: text.rstrip(" \t\r\n\0")),
)


@given(MESSAGES)
def test_format_then_parse_is_the_message(message: SyslogMessage) -> None:
    raw = format_rfc5424(message)
    assert parse(raw, received=RECEIVED) == msgspec.structs.replace(message, raw=raw)


@given(MESSAGES)
def test_parse_then_format_is_stable(message: SyslogMessage) -> None:
    raw = format_rfc5424(message)
    assert format_rfc5424(parse(raw, received=RECEIVED)) == raw


def test_formatting_says_what_the_sender_did_not() -> None:
    stamp = datetime(2026, 10, 11, 22, 14, 15).astimezone(UTC) + timedelta(microseconds=5)
    message = SyslogMessage(format="bare", timestamp=stamp, message="text")
    assert format_rfc5424(message).startswith(b"<13>1 ")
    assert format_rfc5424(message).endswith(b".000005Z - - - - - text")
    assert format_rfc5424(SyslogMessage(format="bare")) == b"<13>1 - - - - - -"


@pytest.mark.parametrize(
    "message",
    [
        SyslogMessage(format="rfc5424", hostname="two words"),
        SyslogMessage(format="rfc5424", app_name=""),
        SyslogMessage(format="rfc5424", procid="-"),
        SyslogMessage(format="rfc5424", msgid="a\n"),
        SyslogMessage(format="rfc5424", structured_data={"a b": {}}),
        SyslogMessage(format="rfc5424", structured_data={"a": {"x=": "1"}}),
        SyslogMessage(format="rfc5424", structured_data={"a": {"": "1"}}),
    ],
)
def test_what_the_grammar_cannot_carry_is_refused(message: SyslogMessage) -> None:
    with pytest.raises(ValueError, match="RFC 5424"):
        format_rfc5424(message)
