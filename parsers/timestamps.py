"""Stamps as senders write them → UTC microseconds.

Two paths lead here. For the hot path `learnt_stamps` asks for an hour (`named_hour`, `iso_hour`),
and adds minutes and seconds from a table. Everything else asks `Clock.read`, which knows every
spelling and costs some microseconds.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()

MONTHS: Final = {
    name: number
    for number, name in enumerate(
        b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
    )
}

MINUTE_SECOND_US: Final = {
    b"%02d:%02d" % (minute, second): (minute * 60 + second) * SECOND_US
    for minute in range(60)
    for second in range(61)  # a leap second is the moment after it
}

# Abbreviations that mean one offset wherever they are used, and North America's, which RFC 2822
# section 4.3 fixes. IST, BST and the like have several meanings in the wild.
_ZONE_HOURS: Final = {
    b"Z": 0, b"UT": 0, b"UTC": 0, b"GMT": 0, b"WET": 0, b"WEST": 1, b"CET": 1, b"CEST": 2,
    b"MEZ": 1, b"MESZ": 2, b"EET": 2, b"EEST": 3, b"MSK": 3, b"JST": 9, b"KST": 9, b"AEST": 10,
    b"AEDT": 11, b"NZST": 12, b"NZDT": 13, b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5,
    b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7,
}  # fmt: skip
_ZONE: Final = (
    rb"(?:(?:UTC|GMT)[+-]\d\d?(?::?\d\d)?|%s|TZ[+-]\d\d?|[+-]\d\d(?::?\d\d)?)"
    % b"|".join(sorted(_ZONE_HOURS, reverse=True))
)
_YEAR: Final = rb"(?:19|20)\d\d"
_END: Final = rb"(?=[ \t]|:(?:[ \t%]|\Z)|\Z)"

# `Oct 11 22:14:15`, with the year before the month, after the day or after the clock, a fraction,
# a zone, and Cisco's mark of a clock that was never set (`*`) or has lost its source (`.`).
_NAMED: Final = re.compile(
    rb"[*.]?(?:(%(year)s) +)?((?i:%(months)s))%(rest)s +(\d\d?) +(?:(%(year)s) +)?"
    rb"(\d\d?):(\d\d:\d\d)(?:[.,:](\d+)|\.)?(?: (%(year)s)%(end)s)?"
    rb"(?: ?(%(zone)s)%(end)s)?(?: (%(year)s)%(end)s)?%(end)s"
    % {
        b"year": _YEAR,
        b"months": b"|".join(MONTHS),
        b"rest": rb"(?i:uary|ruary|ch|il|e|y|ust|t(?:ember)?|ober|ember)?",
        b"zone": _ZONE,
        b"end": _END,
    }
)
# `2026-10-11T22:14:15`, and as Sophos UTM has it `2026:10:11-22:14:15`.
_ISO: Final = re.compile(
    rb"[*.]?(\d{4})(:)?(?(2)|-)(\d\d)(?(2):|-)(\d\d)(?(2)-|[Tt ])"
    rb"(\d\d):(\d\d:\d\d)(?(2)(?=:? |:?\Z))(?:[.,](\d+))?"
    rb"(?: ?(%s|z)(?:(?<=Z)[+-]00(?::?00)?)?)?%s" % (_ZONE, _END)
)
# `1 1563249630.774247467 host …`: Meraki puts seconds since 1970 where RFC 5424 has its stamp.
_UNIX: Final = re.compile(rb"1 (\d{9,10})(?:\.(\d+))?(?= )")

_HOUR_NAMED: Final = re.compile(rb"([A-Z][a-z][a-z]) ([ \d]?\d) (?:(%s) )?(\d\d):" % _YEAR)
_HOUR_ISO: Final = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):")

# A date this near to `received` keeps its year all through that day and the day received, in any
# zone: next year's and last year's are then still farther away.
_SAFE_US: Final = 179 * DAY_US
# A year in which a date exists is at most eight years away (29 February around 1900 and 2100).
_YEARS_AWAY: Final = 8
_CACHE_DAYS: Final = 4_096


def offset_us(zone: bytes) -> int | None:
    """A zone's distance from UTC in µs, east positive: `Z`, `+01:00`, `-0530`, `CEST`, `UTC+1`.

    None when its hours or minutes are out of range.
    """
    named = _ZONE_HOURS.get(zone.upper())
    if named is not None:
        return named * HOUR_US
    digits = zone.lstrip(b"TZUCGM").replace(b":", b"")
    hours, minutes = int(digits[1:3]), int(digits[3:5] or b"0")
    if hours > 23 or minutes > 59:
        return None
    us = (hours * 60 + minutes) * 60 * SECOND_US
    return -us if digits[:1] == b"-" else us


def fraction_us(digits: bytes | None) -> int:
    """Digits after the decimal point as µs; finer ones are cut off."""
    if not digits:
        return 0
    return int(digits) if len(digits) == 6 else int(digits[:6].ljust(6, b"0"))


def utc_us(year: int, month: int, day: int) -> int:
    """Midnight UTC; raises ValueError when there is no such day.

    Years 1 and 9999 count as none, so that no zone can push a moment out of a datetime's range.
    """
    if not 1 < year < 9999:
        raise ValueError("year out of range")
    return (date(year, month, day).toordinal() - _EPOCH_ORDINAL) * DAY_US


class Clock:
    """Reads stamps. Those without a zone are in `zone`, those without a year near `received`."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._years: dict[tuple[int, int, int], int] = {}

    def read(self, data: bytes, at: int, received_us: int) -> tuple[int | None, int] | None:
        """The stamp at `data[at:]`.

        Returns (UTC µs, where it ends), (None, where it ends) when it looks like a stamp but
        names no moment (`25:61:61`, 30 February), and None when there is none.
        """
        if found := _NAMED.match(data, at):
            (
                year1, month_name, day, year2, hour, minute, fraction, year3, zone_name, year4
            ) = found.groups()  # fmt: skip
            year = year1 or year2 or year3 or year4
            month = MONTHS[month_name.lower()]
        elif found := _ISO.match(data, at):
            year, _, iso_month, day, hour, minute, fraction, zone_name = found.groups()
            month = int(iso_month)
        elif found := _UNIX.match(data, at):
            return int(found[1]) * SECOND_US + fraction_us(found[2]), found.end()
        else:
            return None
        within = MINUTE_SECOND_US.get(minute)
        zone = None if zone_name is None else offset_us(zone_name)
        if within is None or int(hour) > 23 or (zone is None and zone_name is not None):
            return None, found.end()
        within += int(hour) * HOUR_US + fraction_us(fraction)
        try:
            if year is None:
                return self._nearest(month, int(day), within, zone, received_us), found.end()
            return self._moment(int(year), month, int(day), within, zone), found.end()
        except (ValueError, OverflowError):
            return None, found.end()

    def named_hour(self, text: bytes, received_us: int) -> int | None:
        """UTC µs of the hour that `Oct 11 22:` begins, if it holds for the whole day received.

        None where the stamp is none, or has to be read each time: within days of half a year
        away, where the nearest year changes, and in an hour that the zone's clock runs through
        twice or not at all.
        """
        found = _HOUR_NAMED.fullmatch(text)
        if found is None:
            return None
        month, day, hour = MONTHS.get(found[1].lower()), int(found[2]), int(found[4])
        if month is None or hour > 23:
            return None
        try:
            year = self._year(month, day, received_us) if found[3] is None else int(found[3])
            if year is None:
                return None
            within = hour * HOUR_US
            begin, end = (
                {self._moment(year, month, day, us, None, fold) for fold in (0, 1)}
                for us in (within, within + HOUR_US - SECOND_US)
            )
        except (ValueError, OverflowError):
            return None
        us = begin.pop()
        return us if not begin and end == {us + HOUR_US - SECOND_US} else None

    def _year(self, month: int, day: int, received_us: int) -> int | None:
        """The one year that a date can be in, all through the day received; None within doubt."""
        key = (month, day, received_us // DAY_US)
        year = self._years.get(key)
        if year is None:
            us = self._search(month, day, 0, 0, received_us)
            if abs(us - received_us) > _SAFE_US:
                return None
            year = (EPOCH + timedelta(microseconds=us)).year
            if len(self._years) >= _CACHE_DAYS:
                self._years.clear()
            self._years[key] = year
        return year

    def _nearest(
        self, month: int, day: int, within: int, zone: int | None, received_us: int
    ) -> int:
        """The moment nearest to `received_us`; raises ValueError when no year has that day."""
        year = self._year(month, day, received_us)
        if year is None:
            return self._search(month, day, within, zone, received_us)
        us = self._moment(year, month, day, within, zone)
        if zone is None and self._zone is not UTC:  # of an hour that runs twice
            second = self._moment(year, month, day, within, zone, fold=1)
            us = min(us, second, key=lambda moment: abs(moment - received_us))
        return us

    def _search(
        self, month: int, day: int, within: int, zone: int | None, received_us: int
    ) -> int:
        received_year = (EPOCH + timedelta(microseconds=received_us)).year
        found: list[int] = []
        for away in range(_YEARS_AWAY + 1):
            for year in (received_year - away, received_year + away):
                for fold in (0, 1):
                    with suppress(ValueError, OverflowError):
                        found.append(self._moment(year, month, day, within, zone, fold))
            if found and away:  # the next ones are farther still
                break
        return min(found, key=lambda moment: abs(moment - received_us))

    def _moment(
        self, year: int, month: int, day: int, within: int, zone: int | None, fold: int = 0
    ) -> int:
        """UTC µs of a local day plus µs within it; raises ValueError or OverflowError."""
        local = utc_us(year, month, day) + within
        if zone is not None:
            return local - zone
        if self._zone is UTC:
            return local
        naive = EPOCH + timedelta(microseconds=local)
        away = naive.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta(0)
        return local - away // timedelta(microseconds=1)


def iso_hour(text: bytes) -> int | None:
    """UTC µs of the hour that `2026-11-21T10:` begins, read as UTC; None when there is none."""
    found = _HOUR_ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour = map(int, found.groups())
    if hour > 23:
        return None
    try:
        return utc_us(year, month, day) + hour * HOUR_US
    except ValueError:
        return None
