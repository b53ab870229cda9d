"""RFC 3164: its own examples, and what may stand for a hostname and a tag."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parsers import SyslogMessage, parse

RECEIVED = datetime(2026, 11, 21, tzinfo=UTC)
OCT_11 = datetime(2026, 10, 11, 22, 14, 15, tzinfo=UTC)


def read(line: str) -> SyslogMessage:
    return parse(line.encode(), received=RECEIVED)


@pytest.mark.parametrize(
    ("text", "hostname", "app_name", "procid", "message"),
    [
        ("host app[323]: text", "host", "app", "323", "text"),
        ("host app[pid-name]: text", "host", "app", "pid-name", "text"),
        ("host app[]: text", "host", "app", None, "text"),
        ("host app[323]:text", "host", "app", "323", "text"),
        ("host app[323] : text", "host", "app", "323", "text"),
        ("host app[323] text", "host", "app", "323", "text"),
        ("host app[323]", "host", "app", "323", ""),
        ("host app:", "host", "app", None, ""),
        ("host app:  text", "host", "app", None, " text"),
        ("host app:text", "host", "app", None, "text"),
        ("host  app: text", "host", "app", None, "text"),
        ("host : text", "host", None, None, "text"),
        ("host :", "host", None, None, ""),
        ("host app text", "host", None, None, "app text"),
        ("host array[idx] out of range", "host", None, None, "array[idx] out of range"),
        ("host http://example.org is gone", "host", None, None, "http://example.org is gone"),
        ("host Foo::bar failed", "host", None, None, "Foo::bar failed"),
        ("host 12:30 is too late", "host", None, None, "12:30 is too late"),
        ("host [error] text", "host", None, None, "[error] text"),
        ("host <info> text", "host", None, None, "<info> text"),
        ("host key=value text: more", "host", None, None, "key=value text: more"),
        ("host", "host", None, None, ""),
        ("app[1]: text", None, "app", "1", "text"),
        ("app[1] text", None, "app", "1", "text"),
        (": text", None, None, None, "text"),
        ("- app: text", None, "app", None, "text"),
        ("[12345.678] text", None, None, None, "[12345.678] text"),
        ("::1 app[1]: text", "::1", "app", "1", "text"),
        ("2001:db8::7 app[1]: text", "2001:db8::7", "app", "1", "text"),
        ("fe80::1%eth0 app: text", "fe80::1%eth0", "app", None, "text"),
        ("[2001:db8::7] app: text", "[2001:db8::7]", "app", None, "text"),
        ("[10.1.2.3] app: text", "[10.1.2.3]", "app", None, "text"),
        ("[host.example.org] app: text", "[host.example.org]", "app", None, "text"),
        ("10.1.2.3: text", "10.1.2.3", None, None, "text"),
        ("2001:db8::7: text", "2001:db8::7", None, None, "text"),
        ("host_1.example.org app: text", "host_1.example.org", "app", None, "text"),
        ("NAS app: text", "NAS", "app", None, "text"),
        ("höst äpp: text", "höst", "äpp", None, "text"),
        ("host /usr/sbin/cron[7]: text", "host", "/usr/sbin/cron", "7", "text"),
    ],
)
@pytest.mark.parametrize(
    "header", ["<13>Oct 11 22:14:15", "Oct 11 22:14:15", "2026-10-11T22:14:15Z"]
)
def test_hostname_tag_and_content(
    header: str,
    text: str,
    hostname: str | None,
    app_name: str | None,
    procid: str | None,
    message: str,
) -> None:
    got = read(f"{header} {text}")
    assert (got.hostname, got.app_name, got.procid) == (hostname, app_name, procid)
    assert got.message == message
    assert (got.timestamp, got.errors) == (OCT_11, ())


def test_a_pri_and_a_tag_need_no_stamp() -> None:
    for text in ("app[12]: text", "app[12] text", " app[12] text"):
        got = read(f"<13>{text}")
        assert (got.hostname, got.app_name, got.procid) == (None, "app", "12")
        assert (got.message, got.timestamp, got.errors) == ("text", None, ())
    for text in ("array[i] is empty", "app[12], text", "app 12] text"):
        assert read(f"<13>{text}").message == text
    # nothing says that a line without a PRI came from syslog
    assert read("app[12] text").app_name is None


def test_the_rfcs_examples() -> None:
    got = read("<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8")
    assert (got.hostname, got.app_name) == ("mymachine", "su")
    assert got.message == "'su root' failed for lonvick on /dev/pts/8"

    got = read("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!")
    assert (got.hostname, got.app_name, got.message) == ("10.0.0.99", None, "Use the BFG!")

    got = read("<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make do-nuts.")
    assert got.timestamp == datetime(1987, 8, 24, 11, 34, tzinfo=UTC)
    assert (got.hostname, got.app_name, got.procid) == ("mymachine", "myproc", "10")

    got = read("<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.example.org 10.1.2.3 sched[0]: That's All!")
    assert got.timestamp == datetime(1990, 10, 22, 16, 52, 1, tzinfo=UTC)
    assert got.hostname == "scapegoat.example.org"


def test_a_tag_and_a_date_are_no_header_of_ciscos() -> None:
    got = read("<13>backup: Oct 11 22:14:15 finished")
    assert (got.app_name, got.hostname, got.timestamp) == ("backup", None, None)
    assert got.message == "Oct 11 22:14:15 finished"
