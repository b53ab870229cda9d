"""Canonical text: what falls together, what stays apart, and the law that the line cache needs."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.slots import may_have_slots, significant_slots
from models.text import MAX_TOKENS, canonical
from tests.support import shared

DIGITS = b"0123456789"

TOGETHER = [
    ("connection from 192.0.2.7 port 51234", "connection from 203.0.113.99 port 22222"),
    ("peer [2001:db8::1]:514 gone", "peer [fe80::aa:1%eth0]:514 gone"),
    ("link 00:16:3e:aa:bb:cc up", "link 52:54:00:12:34:56 up"),
    (
        "session 6fa459ea-ee8a-3ca4-894e-db77e160355e",
        "session 16fd2706-8baf-433b-82eb-8c7fada847da",
    ),
    ("at 0xffff8881 in loop", "at 0x1 in loop"),
    ("commit 3f2a1b0c9d", "commit deadbeef01"),
    ("open /etc/a.conf: failed", "open /usr/share/x/y-2.1/z: failed"),
    ("get https://a.example/x?y=1 now", "get http://[::1]:8080/ now"),
    ("to=<bob@example.org>, x", "to=<alice.smith+tag@mail.example.com>, x"),
    ("took 3.25 s", "took 11 s"),
    ("eth0: carrier lost", "eth17: carrier lost"),
    ("worker12 died", "worker died"),
    ("[Sun Dec 04 20:34:21 2005] [error] jk2", "[Mon Jun 13 01:02:03 2011] [error] jk2"),
    ("2015-07-29 19:04:12,394 - INFO x", "2015-07-30 01:00:00,001 - INFO x"),
    ("2024-05-01T10:00:00.123Z level=info", "2023-12-31T23:59:59+02:00 level=info"),
    ("17/06/09 20:10:40 INFO x", "17/06/10 00:00:01 INFO x"),
    ("081109 203615 148 INFO dfs: x", "081111 041811 19543 INFO dfs: x"),
    ("03-17 16:13:38.811  1702  2395 D PM: x", "03-18 00:00:00.001  1  2 D PM: x"),
    ("[   12.345678] usb 1-1: new", "[99999.000001] usb 2-3: new"),
    ("a   b\tc", "a b c"),
    ("DPT=51234 x", "DPT=60001 x"),
    ("blk_38865049064139660 gone", "blk_-6952295868487656571 gone".replace("-", "")),
    ("id 4Bq2vN0TzTz9 queued", "id 4Cx7pK3RmWd2 queued"),
]

APART = [
    ("exited with code 0", "exited with code 1"),
    (
        "Main process exited, code=exited, status=1/FAILURE",
        "Main process exited, code=exited, status=203/EXEC",
    ),
    ("terminated by signal 9", "terminated by signal 15"),
    ("write failed, errno 28", "write failed, errno 5"),
    ('"GET /x HTTP/1.1" 200 512', '"GET /x HTTP/1.1" 500 512'),
    ('{"status": 200}', '{"status": 503}'),
    ("returned -22", "returned -110"),
    ("[UFW BLOCK] PROTO=TCP SPT=1 DPT=22", "[UFW BLOCK] PROTO=TCP SPT=1 DPT=3389"),
    ("[UFW BLOCK] PROTO=TCP DPT=22", "[UFW BLOCK] PROTO=TCP DPT=50001"),
    ("PROTO=2 x", "PROTO=47 x"),
    ("%ASA-6-302013: Built", "%ASA-2-106001: Built"),
    ("link up", "link down"),
    ("[error] child died", "[notice] child died"),
]


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_what_only_varies_falls_together(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_means_something_else_stays_apart(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)
    keys = [
        (m.encode().translate(None, DIGITS), significant_slots(m.encode())) for m in (one, other)
    ]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("key for root from 10.0.0.1 port 22 ssh2", "key for root from <ip> port <num> ssh"),
        ("rhost=218.188.2.4 user=root", "rhost=<ip> user=root"),
        ("std::vector overflow in foo::bar", "std::vector overflow in foo::bar"),
        ("cannot open /var/lib/x.db: Permission denied", "cannot open <path>: Permission denied"),
        ("read/write error", "read/write error"),
        ("facade decade added", "facade decade added"),
        ("x exited with code 137", "x exited with code 137"),
        ("DPT=443 DPT=50000", "DPT=443 DPT=<port>"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_text_itself(message: str, text: str) -> None:
    assert canonical(message) == text


def keys_and_texts(lines: list[bytes]) -> tuple[int, int]:
    """Lines, and those whose key was seen with another text before."""
    header = re.compile(rb"[A-Z][a-z]{2} +\d+ [\d:]+ \S+ ([\w./()-]+)(?:\[\d+\])?: ")
    known: dict[tuple[bytes, bytes, tuple[bytes, ...]], str] = {}
    broken = 0
    for line in lines:
        found = header.match(line)
        app, message = (found[1], line[found.end() :]) if found else (b"", line)
        slots = significant_slots(message)
        stem = message.translate(None, DIGITS)
        assert not slots or may_have_slots(stem)
        text = canonical(message.decode("utf-8", "backslashreplace"))
        broken += known.setdefault((app, stem, slots), text) != text
    return len(lines), broken


def test_equal_keys_give_equal_text_on_real_logs() -> None:
    folder = shared("data/logs")
    lines = [x for f in sorted(folder.glob("*.log")) for x in f.read_bytes().splitlines() if x]
    total, broken = keys_and_texts(lines)
    assert total > 20000
    assert broken <= 0.001 * total


def test_equal_keys_give_equal_text_on_statements() -> None:
    import pyarrow.parquet as pq

    path = shared("data/severity_dev.parquet")
    samples = pq.read_table(path, columns=["sample"])["sample"].to_pylist()
    total, broken = keys_and_texts([s.encode() for s in samples])
    assert broken <= 0.001 * total


@given(st.lists(st.sampled_from(["code ", "signal ", "DPT=", "x", "eth", " ", "=", ": ", "%ASA-",
                                 "HTTP/1.1\" ", "status=", "7", "22", "137", "51234", "rc=", "-"]),
                max_size=12).map("".join))  # fmt: skip
def test_slots_agree_between_bytes_and_text(message: str) -> None:
    slots = [s.decode() for s in significant_slots(message.encode())]
    kept = re.findall(r"\d+|<port>", canonical(message))
    assert [s for s in slots if s in kept] == slots
    assert not slots or may_have_slots(message.encode().translate(None, DIGITS))


@given(st.text(max_size=300))
def test_any_text_is_taken_and_is_bounded(message: str) -> None:
    text = canonical(message)
    assert len(text.split()) <= MAX_TOKENS
    assert canonical(message) == text  # also when it comes out of the token cache


@pytest.mark.parametrize(
    "piece",
    [
        "1:",
        "a.",
        "/",
        "a1",
        "0x",
        "::",
        "-1",
        "aaaa:",
        "A1b/",
        "1.",
        "x@",
        "a",
        "A",
        "f",
        "a_",
        "a=",
        "_1",
        "1h",
        "a.b/",
        "5% ",
        "1.a-",
        "Jan 1 ",
        "<a> ",
        "1 ",
        "b4-",
        "user ",
    ],
)
def test_hostile_length_costs_little(piece: str) -> None:
    """A mask that backtracks would let one sender stall the stream: linear is ~0.1 ms a line."""
    patience_s = 2.0
    began_s = time.monotonic()
    for n in range(100):
        line = f"{n} " + piece * (1020 // len(piece))
        canonical(line)
        significant_slots(line.encode())
        assert time.monotonic() - began_s < patience_s
    canonical(piece * 30_000)
