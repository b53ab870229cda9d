"""Stamps: every spelling, and the year that a stamp does not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers import Parser, parse
from parsers.timestamps import EPOCH

RECEIVED = datetime(2026, 11, 21, tzinfo=UTC)
MOMENT = datetime(2026, 10, 11, 22, 14, 15, tzinfo=UTC)


@pytest.mark.parametrize("pri", ["<13>", ""])
@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("Oct 11 22:14:15", MOMENT),
        ("OCT 11 22:14:15", MOMENT),
        ("oct 11 22:14:15", MOMENT),
        ("Oct  1 22:14:15", MOMENT.replace(day=1)),
        ("Oct 1 22:14:15", MOMENT.replace(day=1)),
        ("Oct 01 22:14:15", MOMENT.replace(day=1)),
        ("Oct 11 22:14:15.123", MOMENT.replace(microsecond=123_000)),
        ("Oct 11 22:14:15,123456", MOMENT.replace(microsecond=123_456)),
        ("Oct 11 2024 22:14:15", MOMENT.replace(year=2024)),
        ("Oct 11 22:14:15 2024", MOMENT.replace(year=2024)),
        ("2024 Oct 11 22:14:15", MOMENT.replace(year=2024)),
        ("Oct 11 22:14:15 UTC 2024", MOMENT.replace(year=2024)),
        ("Oct 11 22:14:15.5 2024", MOMENT.replace(year=2024, microsecond=500_000)),
        ("Oct 11 22:14:15 UTC", MOMENT),
        ("Oct 11 22:14:15 CEST", MOMENT.replace(hour=20)),
        ("Oct 11 22:14:15 PDT", MOMENT + timedelta(hours=7)),
        ("Oct 11 22:14:15 +0530", MOMENT - timedelta(hours=5, minutes=30)),
        ("Oct 11 22:14:15 UTC+1", MOMENT.replace(hour=21)),
        ("Oct 11 22:14:15 GMT-03:30", MOMENT + timedelta(hours=3, minutes=30)),
        ("Oct 11 22:14:15.", MOMENT),
        ("October 11 22:14:15", MOMENT),
        ("Sept 11 22:14:15", MOMENT.replace(month=9)),
        ("JULY  1 22:14:15", MOMENT.replace(month=7, day=1)),
        ("2026-10-11T22:14:15Z+00:00", MOMENT),
        ("2026-10-11T22:14:15.5Z+0000", MOMENT.replace(microsecond=500_000)),
        ("*Oct 11 22:14:15.123", MOMENT.replace(microsecond=123_000)),
        (".Oct 11 22:14:15", MOMENT),
        ("2026-10-11T22:14:15Z", MOMENT),
        ("2026-10-11t22:14:15z", MOMENT),
        ("2026-10-11T22:14:15", MOMENT),
        ("2026-10-11T22:14:15+02:00", MOMENT.replace(hour=20)),
        ("2026-10-11T22:14:15-0330", MOMENT + timedelta(hours=3, minutes=30)),
        ("2026-10-11T22:14:15+02", MOMENT.replace(hour=20)),
        ("2026-10-11T22:14:15.1Z", MOMENT.replace(microsecond=100_000)),
        ("2026-10-11T22:14:15.003+01:00", MOMENT.replace(hour=21, microsecond=3_000)),
        ("2026-10-11T22:14:15.123456+02:00", MOMENT.replace(hour=20, microsecond=123_456)),
        ("2026-10-11T22:14:15.123456789Z", MOMENT.replace(microsecond=123_456)),
        ("2026-10-11T22:14:15,123Z", MOMENT.replace(microsecond=123_000)),
        ("2026:10:11-22:14:15", MOMENT),
        ("1990-12-31T23:59:60Z", datetime(1991, 1, 1, tzinfo=UTC)),
    ],
)
def test_spellings(stamp: str, moment: datetime, pri: str) -> None:
    got = parse(f"{pri}{stamp} host app[1]: text".encode(), received=RECEIVED)
    assert got.timestamp == moment
    assert (got.hostname, got.app_name, got.procid, got.message) == ("host", "app", "1", "text")
    assert got.errors == ()


def test_a_date_and_a_time_are_a_stamp_only_after_a_pri() -> None:
    line = b"2026-10-11 22:14:15 host app: text"
    assert parse(b"<13>" + line, received=RECEIVED).timestamp == MOMENT
    assert parse(line, received=RECEIVED).format == "bare"


@pytest.mark.parametrize("pri", ["<13>", ""])
@pytest.mark.parametrize(
    "stamp",
    [
        "Oct 11 25:61:61",
        "Oct 11 24:00:00",
        "Oct 11 22:14:99",
        "Oct 32 22:14:15",
        "Oct 00 22:14:15",
        "Feb 30 22:14:15",
        "Feb 29 2025 22:14:15",
        "2026-13-11T22:14:15Z",
        "2026-02-29T22:14:15Z",
        "2026-10-11T24:00:00Z",
        "2026-10-11T22:14:15+25:00",
        "0000-10-11T22:14:15Z",
    ],
)
def test_what_names_no_moment_is_message(stamp: str, pri: str) -> None:
    got = parse(f"{pri}{stamp} host app: text".encode(), received=RECEIVED)
    assert (got.timestamp, got.hostname, got.app_name) == (None, None, None)
    assert got.message == f"{stamp} host app: text"
    assert got.errors == ("bad timestamp",)


@pytest.mark.parametrize(
    ("stamp", "received", "year"),
    [
        ("Dec 31 23:59:59", datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), 2025),
        ("Jan  1 00:00:01", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), 2026),
        ("Nov 20 10:00:00", RECEIVED, 2026),
        ("Nov 22 10:00:00", RECEIVED, 2026),
        ("May  1 10:00:00", RECEIVED, 2027),
        ("Jun  1 10:00:00", RECEIVED, 2026),
        ("Feb 29 12:00:00", datetime(2024, 3, 1, tzinfo=UTC), 2024),
        ("Feb 29 12:00:00", datetime(2025, 3, 1, tzinfo=UTC), 2024),
        ("Feb 29 12:00:00", datetime(2026, 12, 31, tzinfo=UTC), 2028),
        ("Feb 29 12:00:00", datetime(2100, 3, 1, tzinfo=UTC), 2096),
        ("Feb 28 12:00:00", datetime(2025, 3, 1, tzinfo=UTC), 2025),
    ],
)
def test_the_nearest_year(stamp: str, received: datetime, year: int) -> None:
    got = parse(f"<13>{stamp} host app: text".encode(), received=received)
    assert got.timestamp is not None
    assert got.timestamp.year == year
    assert got.hostname == "host"


ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kolkata")]
MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2038, 1, 1))


def candidates(stamp: datetime, received: datetime, zone: tzinfo) -> list[datetime]:
    found = []
    for year in range(received.year - 8, received.year + 9):
        for fold in (0, 1):
            try:
                local = stamp.replace(year=year, tzinfo=zone, fold=fold)
            except ValueError:  # 29 February
                continue
            found.append(local.astimezone(UTC))
    return found


@given(st.lists(st.tuples(MOMENTS, MOMENTS), min_size=1, max_size=8), st.sampled_from(ZONES))
def test_the_year_is_always_the_nearest_whatever_was_cached(
    pairs: list[tuple[datetime, datetime]], zone: tzinfo
) -> None:
    parser = Parser(zone)
    for stamp, at in pairs:
        for stamped in (stamp, pairs[0][0]):  # the same stamp again, received at another time
            received = at.replace(tzinfo=UTC)
            line = f"{stamped:%b %d %H:%M:%S} host app: text".encode()
            got = parser.parse(line, received=received).timestamp
            assert got is not None
            moment = stamped.replace(microsecond=0)
            nearest = min(abs(c - received) for c in candidates(moment, received, zone))
            assert abs(got - received) == nearest


@given(MOMENTS, st.integers(-4, 4), st.sampled_from(ZONES))
def test_half_a_year_away(stamp: datetime, hours: int, zone: tzinfo) -> None:
    """Where the nearest year changes, within a day whose hours may be cached."""
    parser = Parser(zone)
    line = f"{stamp:%b %d %H:%M:%S} host app: text".encode()
    middle = stamp.replace(tzinfo=UTC) + timedelta(days=182, hours=12)
    for received in (middle - timedelta(hours=12), middle + timedelta(hours=hours)):
        got = parser.parse(line, received=received).timestamp
        assert got is not None
        found = candidates(stamp.replace(microsecond=0), received, zone)
        assert abs(got - received) == min(abs(c - received) for c in found)


@given(
    st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_iso_stamps_are_read_to_the_microsecond(
    moment: datetime, minutes: int, precision: str
) -> None:
    sign, away = "-" if minutes < 0 else "+", abs(minutes)
    text = f"{moment.isoformat(timespec=precision)}{sign}{away // 60:02}:{away % 60:02}"
    got = parse(f"<13>1 {text} host app - - - text".encode(), received=RECEIVED).timestamp
    also = parse(f"{text} host app: text".encode(), received=RECEIVED).timestamp
    local = datetime.fromisoformat(moment.isoformat(timespec=precision)).replace(tzinfo=UTC)
    assert got == also == local - timedelta(minutes=minutes)


def test_any_received_time_will_do() -> None:
    for received in (datetime.min, datetime.max, datetime(1, 1, 1, tzinfo=UTC), EPOCH):
        got = parse(b"<13>Oct 11 22:14:15 host app: text", received=received)
        assert got.message.endswith("text")
