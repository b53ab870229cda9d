"""The hot path of the whole program: the usual headers by position, what has none as it is.

The parts of a header stand at fixed places or between blanks, and a second, a zone, a sender that
came once comes again: they are looked up. What is not found is read by `learnt_stamps` and
`expressions`, and is found from then on. What they do not take, and what is at fault in any way,
goes to the careful path. All give the same answer; the quicker ones only decline more often.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from parsers.expressions import (
    BLANKS,
    DIGIT,
    LEADS,
    MONTH,
    NO_HEADER,
    ODD,
    PRI_LEAD,
    match_after_iso,
    match_after_named,
    without_stamp,
)
from parsers.fields import FieldTuple, StructuredData
from parsers.learnt_stamps import LearntStamps, bounded
from parsers.rfc5424 import BOM, NIL, split_tail
from parsers.timestamps import MONTHS, Clock

MAX_BYTES: Final = 65_536
"""Longer messages are cut here and say so."""
_VERSION_1: Final = -1  # a lead, once the PRI is read
_MILLIS: Final = {b".%03d" % milli: milli * 1_000 for milli in range(1_000)}
_COLON, _END_BRACKET = b":]"
# Where the first word ends, -1 when it is all: of what may be a header, of what has none.
_HEADER_ENDS: Final = frozenset((-1, 0, 1, 2, 3, 4, 19))
_NO_WORD: Final = frozenset((-1, 0))
# After a tag without a hostname these may begin a second header.
_HEADER_LEADS: Final = frozenset(b" :%*.0123456789")

# Slices made once are a third quicker than written out.
_PREFIX, _MONTH, _FOURTH = slice(7), slice(3), slice(3, 4)
_MILLI, _AFTER_MILLI = slice(4), slice(4, None)
_ALL, _BUT_LAST = slice(None), slice(-1)

Heads = dict[bytes, tuple[bytes | None, bytes]]
"""What stands between a stamp and a pid or a colon, `host app` or `app` → the two."""
Start = tuple[int, int, slice, slice, slice]
"""How a line begins: its lead, its priority, where the stamp is and what follows it, and what
follows without the last byte."""


@cache
def _places(lead: int, at: int) -> tuple[slice, slice, slice]:
    """`Oct 11 22:14:15 ` is whole with its blank, `2026-11-21T10:00:00` goes on."""
    end = at + (16 if lead == MONTH else 19)
    return slice(at, end), slice(end, None), slice(end, -1)


def _starts() -> dict[bytes, Start]:
    """Seven bytes tell a PRI and what follows it. Values are shared, to be near when looked up."""
    starts: dict[bytes, Start] = {}
    for priority in range(192):
        pri = b"<%d>" % priority
        at = len(pri)
        starts[(pri + b"1 20")[_PREFIX]] = (_VERSION_1, priority, *_places(_VERSION_1, at + 2))
        iso: Start = (DIGIT, priority, *_places(DIGIT, at))
        starts |= {(pri + b"%d" % year)[_PREFIX]: iso for year in range(2000, 2040)}
        named: Start = (MONTH, priority, *_places(MONTH, at))
        starts |= {(pri + month.capitalize() + b" ")[_PREFIX]: named for month in MONTHS}
    return starts


_STARTS: Final = _starts()
_STARTS_WITHOUT_PRI: Final = tuple(
    None if lead == PRI_LEAD else (lead, -1, *_places(lead, 0)) for lead in LEADS
)


def quick_reader(
    clock: Clock, careful: Callable[[bytes, int], FieldTuple]
) -> Callable[[bytes, int], FieldTuple]:
    """The hot path, as a closure: its caches are cells, which are cheaper than attributes."""
    stamps = LearntStamps(clock)
    turn, named_us, odd_us = stamps.turn, stamps.named_us, stamps.odd_us
    iso_us, tail_us = stamps.iso_us, stamps.tail_us
    named_seconds, iso_seconds = stamps.named_seconds, stamps.iso_seconds
    short_tails, after_millis = stamps.short_tails, stamps.after_millis
    named_heads: Heads = {}
    iso_heads: Heads = {}
    untagged: dict[bytes, bool] = {}  # hostnames that no tag follows; values do not matter
    seen_us = -1  # the last line's, for it seldom changes: compared as an object, which is quicker

    def fields(data: bytes, received_us: int) -> FieldTuple:
        nonlocal seen_us
        if len(data) > MAX_BYTES:
            return careful(data, received_us)
        us: int | None = None
        try:
            start = _STARTS_WITHOUT_PRI[data[0]]
            if start is None:
                start = _STARTS.get(data[_PREFIX])
                if start is None:
                    return without_stamp(data) or careful(data, received_us)
            lead, priority, stamp_at, text_at, inner_at = start
            text = data
            if lead == MONTH:
                if received_us is not seen_us:
                    turn(received_us)
                    seen_us = received_us
                second = data[stamp_at]
                us = named_seconds.get(second)
                if us is None:
                    if second[-1:] == b" ":
                        us = named_us(second, received_us)
                    if us is None and (priority >= 0 or second[_MONTH].lower() in MONTHS):
                        text = data[stamp_at.start :]
                        odd = odd_us(text, received_us)
                        if odd is None:
                            return without_stamp(data) or careful(data, received_us)
                        us, end = odd
                        text = text[end:]
                        text_at, inner_at = _ALL, _BUT_LAST
                heads = named_heads
            elif lead == _VERSION_1:
                tail, host, app, pid, msgid, sd, message = data[text_at].split(b" ", 6)
                second = data[stamp_at]
                us = iso_seconds.get(second) or iso_us(second)
                try:
                    after_us = short_tails.get(tail)
                    if after_us is None:
                        after_us = _MILLIS[tail[_MILLI]] + after_millis[tail[_AFTER_MILLI]]
                except KeyError:
                    after_us = tail_us(tail)
                message = message.rstrip(BLANKS)
                if (
                    us is None
                    or after_us is None
                    or not (host and app and pid and msgid and message)
                ):
                    return careful(data, received_us)
                structured_data: StructuredData | None = None
                errors: tuple[str, ...] = ()
                if sd == NIL:
                    if message >= BOM:
                        message = message.removeprefix(BOM)
                elif sd[:1] == b"[":
                    structured_data, message, errors = split_tail(sd + b" " + message)
                else:
                    return careful(data, received_us)
                return (
                    "rfc5424", priority, 1, us + after_us,
                    None if host == NIL else host, None if app == NIL else app,
                    None if pid == NIL else pid, None if msgid == NIL else msgid,
                    structured_data, message, errors,
                )  # fmt: skip
            elif lead == DIGIT and (priority >= 0 or data[10] in b"Tt"):
                tail, _, text = data[text_at].partition(b" ")
                text_at, inner_at = _ALL, _BUT_LAST
                second = data[stamp_at]
                us = iso_seconds.get(second) or iso_us(second)
                try:
                    after_us = short_tails.get(tail)
                    if after_us is None:
                        after_us = _MILLIS[tail[_MILLI]] + after_millis[tail[_AFTER_MILLI]]
                except KeyError:
                    after_us = tail_us(tail.removesuffix(b":"))
                if us is None or after_us is None:
                    return without_stamp(data) or careful(data, received_us)
                us += after_us
                heads = iso_heads
            if us is not None:
                head, _, message = text.partition(b": ")
                procid = None
                if head[-1] == _END_BRACKET:
                    head, _, procid = head[inner_at].partition(b"[")
                    if not procid.isdigit():
                        return by_expression(data, received_us, priority, us, text[text_at], heads)
                else:
                    head = head[text_at]
                known = heads.get(head)
                if known is not None and message:
                    hostname, app_name = known
                    if hostname is None and (
                        message[0] in _HEADER_LEADS or message[_FOURTH] == b" "
                    ):
                        return by_expression(data, received_us, priority, us, text[text_at], heads)
                    if message >= BOM:
                        message = message.removeprefix(BOM)
                    return (
                        "rfc3164", priority, None, us, hostname, app_name, procid, None, None,
                        message.rstrip(BLANKS), (),
                    )  # fmt: skip
                text = text[text_at]
                host, _, message = text.partition(b" ")
                if message.startswith((b"CEF:", b"LEEF:")) and host in untagged:
                    return (
                        "rfc3164", priority, None, us, host, None, None, None, None,
                        message.rstrip(BLANKS), (),
                    )  # fmt: skip
                return by_expression(data, received_us, priority, us, text, heads)
            message = data.rstrip(BLANKS)
            if lead != NO_HEADER:
                end = message.find(b" ")
                # A tag's colon ends the first word, a number that begins a header is short, and a
                # stamp without `T` (`2026:10:11-22:14:15`) has its length.
                if (
                    lead == ODD
                    or end in (_HEADER_ENDS if lead == DIGIT else _NO_WORD)
                    or message[end - 1] == _COLON
                ):
                    return without_stamp(data) or careful(data, received_us)
            return ("bare", -1, None, None, None, None, None, None, None, message, ())
        except (IndexError, ValueError):  # the line ends where something should stand
            return careful(data, received_us)

    def by_expression(
        data: bytes, received_us: int, priority: int, us: int, text: bytes, heads: Heads
    ) -> FieldTuple:
        """`text` follows a stamp that is `us`. Who sent it is learnt."""
        named = heads is named_heads
        found = match_after_named(text) if named else match_after_iso(text)
        if found is None:
            return careful(data, received_us)
        hostname, app_name, procid, message = found.groups()
        if app_name is not None:
            head = app_name if hostname is None else hostname + b" " + app_name
            if head not in heads:
                bounded(heads)[head] = (hostname, app_name)
        elif named and hostname is not None and hostname not in untagged:
            bounded(untagged)[hostname] = True
        return (
            "rfc3164", priority, None, us, hostname, app_name, procid or None, None, None, message,
            (),
        )  # fmt: skip

    return fields
