"""Stamps that came before: what `timestamps` read once is looked up from then on.

A second and what follows it are each cached, as many lines share them, and hours below them, as
quiet logs have few lines a second. All caches are bounded. The hot path looks into them itself and
asks here when a part is not there.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from parsers.timestamps import (
    DAY_US,
    MINUTE_SECOND_US,
    Clock,
    fraction_us,
    iso_hour,
    offset_us,
)

CACHE_ENTRIES: Final = 4_096
_MINUTES: Final = MINUTE_SECOND_US
_MINUTES_AND_BLANK: Final = {minute + b" ": us for minute, us in MINUTE_SECOND_US.items()}
_SHORT_TAIL: Final = 6  # bytes after the seconds that are kept whole; longer ones go in two
_match_tail: Final = re.compile(rb"(?:\.(\d+))?(Z|[+-]\d\d:\d\d)").fullmatch
Value = TypeVar("Value")


class LearntStamps:
    """Stamps without a year count for the day on which they came in: see `turn`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._day: int | None = None
        self._named_hours: dict[bytes, int] = {}  # b"Oct 11 22:" → UTC µs
        self._iso_hours: dict[bytes, int] = {}  # b"2026-11-21T10:" → µs
        self.named_seconds: dict[bytes, int] = {}
        """`Oct 11 22:14:15 `, with its blank → UTC µs."""
        self.iso_seconds: dict[bytes, int] = {}
        """`2026-11-21T10:00:00` → µs, before the zone is taken off."""
        self.short_tails: dict[bytes, int] = {}
        """What follows the seconds (`.003Z`, `+01:00`) → µs to add."""
        self.after_millis: dict[bytes, int] = {}
        """The same of a longer one, after its milliseconds (`456+01:00`)."""

    def turn(self, received_us: int) -> None:
        """To be called before anything named serves a new `received_us`.

        On another day the nearest year may be another.
        """
        day = received_us // DAY_US
        if day != self._day:
            self._day = day
            self._named_hours.clear()
            self.named_seconds.clear()

    def named_us(self, second: bytes, received_us: int) -> int | None:
        """UTC µs of `Oct 11 22:14:15 `; None when it is no stamp, or has to be read each time."""
        within = _MINUTES_AND_BLANK.get(second[10:])
        if within is None:
            return None
        us = self._named_hours.get(second[:10])
        if us is None:
            us = self._learn_hour(second[:10], received_us)
            if us is None:
                return None
        us += within
        if len(self.named_seconds) >= CACHE_ENTRIES:
            self.named_seconds.clear()
        self.named_seconds[second] = us
        return us

    def odd_us(self, text: bytes, received_us: int) -> tuple[int, int] | None:
        """Of `Oct 11 2026 22:14:15: ` and `Oct 1 22:14:15 `, and where what follows begins."""
        us = self.named_seconds.get(text[:22])
        if us is not None:  # the first of the two: Cisco's ASA
            return us, 22
        at = text.find(b":", 0, 16) + 1
        end = at + 6
        if text[end - 1 : end] == b":":
            end += 1
        within = _MINUTES.get(text[at : at + 5])
        if within is None or text[end - 1 : end] != b" ":
            return None
        us = self._named_hours.get(text[:at])
        if us is None:
            us = self._learn_hour(text[:at], received_us)
            if us is None:
                return None
        us += within
        if end == 22:
            bounded(self.named_seconds)[text[:22]] = us
        return us, end

    def _learn_hour(self, hour: bytes, received_us: int) -> int | None:
        us = self._clock.named_hour(hour, received_us)
        if us is not None:
            bounded(self._named_hours)[hour] = us
        return us

    def iso_us(self, second: bytes) -> int | None:
        """µs of `2026-11-21T10:00:00`, read as UTC; None when it names no moment, or is none."""
        hour = second[:14]
        within = _MINUTES.get(second[14:])
        us = self._iso_hours.get(hour)
        if us is None:
            us = iso_hour(hour)
            if us is None:
                return None
            bounded(self._iso_hours)[hour] = us
        if within is None:
            return None
        us += within
        if len(self.iso_seconds) >= CACHE_ENTRIES:
            self.iso_seconds.clear()
        self.iso_seconds[second] = us
        return us

    def tail_us(self, tail: bytes) -> int | None:
        """µs to add for what follows the seconds: `Z`, `.003Z`, `+01:00`; None when it is none."""
        found = _match_tail(tail)
        offset = None if found is None else offset_us(found[2])
        if found is None or offset is None:
            return None
        digits = found[1]
        us = fraction_us(digits) - offset
        if len(tail) <= _SHORT_TAIL:
            bounded(self.short_tails)[tail] = us
        elif digits is not None and len(digits) in (3, 6):
            bounded(self.after_millis)[tail[4:]] = us - fraction_us(digits[:3])
        return us


def bounded(cache: dict[bytes, Value]) -> dict[bytes, Value]:
    """The cache, emptied when it is full."""
    if len(cache) >= CACHE_ENTRIES:
        cache.clear()
    return cache
