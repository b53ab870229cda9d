"""Significant slots: the numbers of a message that change what it means, told by its letters.

"Exited with code 0" and "code 1" are two templates, "port 40022" and "port 40023" are one. Which
family of slots a message may have hangs on its letters alone, so that a cache keyed by them can
keep the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

WELL_KNOWN_PORTS: Final = frozenset(
    b"20 21 22 23 25 53 67 68 69 80 88 110 111 123 135 137 138 139 143 161 162 179 389 443 445 465"
    b" 500 514 546 547 587 631 636 853 873 989 990 993 995 1080 1194 1433 1521 1723 1883 1900 2049"
    b" 2375 3128 3306 3389 4500 5060 5061 5353 5432 5355 5900 5985 6379 8080 8443 9200 11211 27017"
    b" 51820".split()
)
"""Ports worth a template of their own; all others share one, so a scan makes no new ones."""
_OTHER_PORT: Final = b"<port>"
SlotReader = Callable[[bytes], tuple[bytes, ...]]

# One family of slots a message, told by letters alone. Where ports are, group 1 is a port and
# group 2 a number that is kept as it is; elsewhere the only group is such a number. Alternatives
# begin with literals: those are what the regex engine can skip to.
_IPTABLES: Final = r"DPT=(\d{1,5})(?!\d)|PROTO=(\d{1,3})(?!\w)"
_KEY_VALUE: Final = r"(?:dpt|dst_?port)=(\d{1,5})(?!\d)|proto=(\d{1,3})(?!\w)"
_ASA: Final = (
    r"(?:dst [^\s/]{1,64}|to \w{1,32}:[\w.:]{1,64})/(\d{1,5})(?!\d)|%(?:ASA|FTD)-(\d-\d{6})"
)
_FILTERLOG: Final = r"(?:tcp|udp),\d+,[\w.:]{2,45},[\w.:]{2,45},\d+,(\d{1,5}),|(?!)()"
_HTTP: Final = r"HTTP/\d(?:\.\d)?\" (\d{3})(?!\w)"
_BEFORE_EVENT: Final = r"vent ?I[Dd]\"?[ =:]{1,3}"
_BEFORE_CODE: Final = (
    r"(?:ode|tatus|ignal|rrno|xit|rror|rr|rc|ret|esult|HTTP)(?:ed|urned|val|/\d?\.?\d?)?"
    r"(?: code| status| value| with)?\"?[ =:#]{1,3}[(\[]?-?"
)
_CODE: Final = _BEFORE_CODE + r"(\d{1,3})(?![\w.:]| ?%| ?percent)"
_CODE_PLACE: Final = _BEFORE_CODE + r"(?![\w.:])"
# "98.5%", "100 %", "12 percent": the group is the whole part, which `level` puts in a bucket.
_PER_CENT: Final = r"(\d(?<![\w.]\d)\d{0,2})(?:\.\d+)? ?(?=(?:%|percent)(?!\w))"
_PER_CENT_DATA: Final = re.compile(_PER_CENT.encode("ascii"))
PER_CENT: Final = re.compile(_PER_CENT, re.ASCII)
_PER_CENT_PLACE: Final = r"(?<!\w)(?:%|percent)(?!\w)"
_LEVELS: Final = (100, 95, 90, 80, 50, 10, 1)
"""Lower bounds of the buckets of a percentage; 0 and more than 100 are buckets too."""
MAX_LEVELS: Final = 2
"""Percentages kept of a line: more would be a table, of very many templates."""


class Slots(Enum):
    """What the groups of a family's pattern are."""

    NUMBERS = auto()
    PORTS = auto()
    NUMBERS_AND_LEVELS = auto()


def level(percentage: bytes | str) -> int:
    value = int(percentage)
    return 101 if value > 100 else next((low for low in _LEVELS if value >= low), 0)


class _Family(NamedTuple):
    data: re.Pattern[bytes]
    text: re.Pattern[str]
    place: re.Pattern[bytes] | None
    """Where a slot may stand in the letters of a message; None: it may whatever they are."""
    slots: Slots
    read: SlotReader
    """The slots of a message of this family."""

    @classmethod
    def of(
        cls,
        pattern: str,
        slots: Slots,
        *,
        place: str | None = None,
        begins: tuple[bytes, bytes] | None = None,
    ) -> _Family:
        data = re.compile(pattern.encode("ascii"))
        return cls(
            data,
            re.compile(pattern, re.ASCII),
            None if place is None else re.compile(place.encode("ascii")),
            slots,
            _reader(data, slots, begins),
        )


def _reader(
    data: re.Pattern[bytes], slots: Slots, begins: tuple[bytes, bytes] | None
) -> SlotReader:
    """begins: every match begins with one of these, which is sooner found than tried for."""
    findall = data.findall

    def numbers(message: bytes) -> tuple[bytes, ...]:
        return tuple(findall(message))

    def numbers_and_levels(message: bytes) -> tuple[bytes, ...]:
        levels = _PER_CENT_DATA.findall(message)[:MAX_LEVELS]
        return (*findall(message), *[b"%d" % level(x) for x in levels])

    def ports(message: bytes) -> tuple[bytes, ...]:
        start = 0
        if begins is not None:
            start = message.find(begins[0])
            other = message.find(begins[1], 0, start) if start >= 0 else message.find(begins[1])
            if other >= 0:
                start = other
            elif start < 0:
                return ()
        return tuple(
            [
                code or (port if port in WELL_KNOWN_PORTS else _OTHER_PORT)
                for port, code in findall(message, start)
            ]
        )

    return {
        Slots.NUMBERS: numbers,
        Slots.NUMBERS_AND_LEVELS: numbers_and_levels,
        Slots.PORTS: ports,
    }[slots]


_FIREWALLS: Final = (
    _Family.of(_IPTABLES, Slots.PORTS, begins=(b"PROTO=", b"DPT=")),
    *[_Family.of(pattern, Slots.PORTS) for pattern in (_KEY_VALUE, _ASA, _FILTERLOG)],
)
_REQUESTS: Final = _Family.of(_HTTP, Slots.NUMBERS, place=r'HTTP/\.?" ')
_EVENTS: Final = _Family.of(
    _BEFORE_EVENT + r"(\d{1,5})(?!\w)", Slots.NUMBERS, place=_BEFORE_EVENT + r"(?!\w)"
)
_RESULTS: Final = _Family.of(_CODE, Slots.NUMBERS, place=_CODE_PLACE)
_SHARES: Final = _Family.of(
    _CODE, Slots.NUMBERS_AND_LEVELS, place=f"{_CODE_PLACE}|{_PER_CENT_PLACE}"
)


def significant_slots(message: bytes) -> tuple[bytes, ...]:
    """The numbers that change what a line means, in their order, as `canonical` keeps them.

    Exit, HTTP and result codes, signals, errno, numbers of Windows events, a firewall's protocol
    and destination port (one bucket for ports that are not well known), severity and number of a
    Cisco message, the first percentages as the lower bound of their bucket (97.5% is 95%).
    """
    family = family_of(message)
    return () if family is None else family.read(message)


def slot_reader(stem: bytes) -> SlotReader | None:
    """`significant_slots` for all messages that are `stem` without their digits, and faster.

    None: no message with these letters has a slot.
    """
    family = family_of(stem)
    if family is None or (family.place is not None and not family.place.search(stem)):
        return None
    return family.read


def may_have_slots(message: bytes) -> bool:
    """False when neither this message nor another with the same letters has a significant slot.

    Digits in the message don't change the answer, so a cache keyed by the digit-free text can
    remember it and call `significant_slots` only where it can find something.
    """
    return family_of(message) is not None


def family_of(m: bytes) -> _Family | None:
    # Plain searches are several times faster here than one regex with all these alternatives.
    if b"PROTO=" in m or b"DPT=" in m:
        return _FIREWALLS[0]
    if b"dpt=" in m or b"dstport=" in m or b"dst_port=" in m:
        return _FIREWALLS[1]
    if b"%ASA-" in m or b"%FTD-" in m:
        return _FIREWALLS[2]
    if b",tcp," in m or b",udp," in m:
        return _FIREWALLS[3]
    if b'" ' in m and b"HTTP/" in m:
        return _REQUESTS
    if b"ventI" in m or b"vent I" in m:
        return _EVENTS
    if b"%" in m or b"percent" in m:
        return _SHARES
    if (
        b"rr" in m
        or b"ode" in m
        or b"xit" in m
        or b"tatus" in m
        or b"ignal" in m
        or b"esult" in m
        or b"ret" in m
        or b"rc" in m
        or b"HTTP" in m
    ):
        return _RESULTS
    return None
