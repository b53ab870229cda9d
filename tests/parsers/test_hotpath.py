"""What the hot path has learnt from some lines must not change how it reads others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parsers import Parser
from parsers.learnt_stamps import CACHE_ENTRIES, LearntStamps
from parsers.timestamps import Clock
from tests.parsers.test_syslog import ANY_LINE, RECEIVED_US

PRIS = [b"", b"<3>", b"<34>", b"<134>", b"<192>", b"<034>"]
STAMPS = [
    b"Oct 11 22:14:15 ", b"Oct  1 22:14:15 ", b"Oct 1 22:14:15 ", b"Oct 11 2026 22:14:15: ",
    b"Oct 11 2026 22:14:15 ", b"Oct 11 22:14:15: ", b"Oct 11 22:14:15  ", b"Oct 11 22:14:61 ",
    b"2026-11-21T10:00:00Z ", b"2026-11-21T10:00:00.123Z ", b"2026-11-21T10:00:00Z: ",
    b"2026-11-21T10:00:00.123456+01:00 ", b"2026-11-21T10:00:00.123456789-05:30 ",
    b"2026-11-21 10:00:00Z ", b"2026-11-21T10:00:00 ", b"2026-11-21t10:00:00.1Z ",
    b"1 2026-11-21T10:00:00.123Z ", b"1 2026-11-21 10:00:00.123Z ", b"1 2026-11-21T10:00:00 ",
    b"2026:10:11-22:14:15 ", b"2026-10-11-22:14:15 ", b"1 1563249630.7 ", b"1 948136486 ", b"",
]  # fmt: skip
HOSTS = [
    b"host ", b"ACCEPT ", b"INFO ", b"UTC ", b"2022 ", b"344 ", b"TZ-3 ", b"UTC-3 ", b"last ",
    b"[AUTH] ", b"[a.b.c] ", b"a,b: ", b"::1 ", b"fw1: ", b"",
]  # fmt: skip
TAGS = [
    b"app[123]: ", b"app: ", b"app[]: ", b"app[a]: ", b"app[12]]: ", b"app[[12]: ", b"app[12]:",
    b"app[12] ", b"app[12]", b"app", b"app[12: ", b"app ", b"EDT: ", b"ERROR: ", b"CEFx: ",
    b"GMT-01:30: ", b"RP/0/RP0/CPU0:Oct 11 22:14:14.1 UTC: ", b"",
    b"%ASA-6-302013: ", b"app 12 ID47 - ", b'app 12 - [a b="1"] ', b'app 12 - [a b="1\\"] ',
    b"app  12 - - ",
]  # fmt: skip
MESSAGES = [
    b"text of it", b"Text: more", b"", b"x", b"The 3 of them", b"Mar  1 18:46:11: %SYS-5-A: text",
    b"12: text", b"2026 Oct", b"\xef\xbb\xbftext", b"\xef\xbb\xbf", b'{"a": 1}', b"[Note] x",
    b"CEF:0|a|b|1|2|name|5|src=10.0.0.1 x", b"LEEF:1.0|a b", b"CEFoo: x", b"1,2026/11/22 10:00,a",
    b"a=b: x", b"daemon.info app[1]: x", b"message repeated 2 times: [ x]", b"  x", b"host app: x",
]  # fmt: skip
ENDS = [b"", b" ", b"\n", b"\0", b"\n "]

LINES = st.tuples(
    *map(st.sampled_from, (PRIS, STAMPS, HOSTS, TAGS, MESSAGES, ENDS)),
).map(b"".join)


@given(st.lists(LINES | ANY_LINE, max_size=12))
@example([b"Oct 11 22:14:15: %ASA-6-302013: x", b"Oct 11 22:14:15  %ASA-6-302013: x"])
@example([b"2026-11-21T10:00:00Z UTC app: x", b"Oct 11 22:14:15 UTC app: x"])
@example([b"Oct 11 22:14:15 fw CEF:0|a|b", b"Oct 11 22:14:15 fw CEF: x"])
@example([b"app:\n "])
def test_what_was_learnt_does_not_mislead(lines: list[bytes]) -> None:
    parser = Parser()
    for line in lines + lines:
        assert parser.fields(line, RECEIVED_US) == parser.careful(line, RECEIVED_US)


@pytest.fixture(scope="module")
def taught() -> Parser:
    """One that has read every stamp and sender."""
    parser = Parser()
    for parts in product(STAMPS, HOSTS, TAGS):
        parser.fields(b"<34>" + b"".join(parts) + b"text", RECEIVED_US)
    return parser


@pytest.mark.parametrize("stamp", STAMPS)
def test_headers_of_all_parts_agree_with_the_careful_path(taught: Parser, stamp: bytes) -> None:
    for host, tag, message in product(HOSTS, TAGS, MESSAGES):
        line = b"<34>" + stamp + host + tag + message
        assert taught.fields(line, RECEIVED_US) == taught.careful(line, RECEIVED_US), line


@pytest.mark.parametrize("tail", ["Z", ".003Z", ".123456+01:00", ".123456789Z", ".12-05:30"])
def test_more_senders_and_stamps_than_are_remembered(tail: str) -> None:
    parser = Parser()

    def lines() -> Iterator[bytes]:
        for number in range(CACHE_ENTRIES + 50):
            hour, minute, second = number // 3600, number // 60 % 60, number % 60
            clock = f"{hour:02}:{minute:02}:{second:02}"
            yield f"Oct 11 {clock} host{number} app[{number}]: text".encode()
            yield f"2026-10-11T{clock}{tail} host{number} app: text".encode()

    for line in lines():
        parser.fields(line, RECEIVED_US)
    for line in list(lines())[::97]:
        assert parser.fields(line, RECEIVED_US) == parser.careful(line, RECEIVED_US)


def test_stamps_do_not_pile_up() -> None:
    stamps = LearntStamps(Clock())
    stamps.turn(RECEIVED_US)
    for number in range(2 * CACHE_ENTRIES):
        clock = f"{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
        assert stamps.named_us(f"Oct 11 {clock} ".encode(), RECEIVED_US) is not None
        assert stamps.iso_us(f"2026-10-11T{clock}".encode()) is not None
        zone = f"{number // 60 % 24:02}:{number % 60:02}"
        for tail in (f"+{zone}", f".123456-{zone}", f".{number % 1000:03}Z"):
            assert stamps.tail_us(tail.encode()) is not None
    for cache in (
        stamps.named_seconds,
        stamps.iso_seconds,
        stamps.short_tails,
        stamps.after_millis,
    ):
        assert 0 < len(cache) <= CACHE_ENTRIES
