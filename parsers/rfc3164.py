"""RFC 3164 as it is seen in the wild, and bare lines: the careful path, when the quick one passed.

RFC 3164 describes what senders did; they agree on little but the PRI. Read here: stamps of every
spelling in `timestamps`, no hostname, IPv6 and bracketed hostnames, tags with slashes, Cisco's
sequence numbers and second stamps, messages with a PRI and nothing else.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from parsers.fields import FieldTuple, Format
from parsers.timestamps import Clock

TAG_CHARS: Final = rb"\w./@%()+#$~\x80-\xff-"
_TAG: Final = re.compile(
    rb"(?P<app>[%s]++)(?:\[(?P<pid>[^\]\[\s]*)\](?P<colon> ?:)?|:)" % TAG_CHARS
)
# Juniper's logical systems, Perl's modules: `OX-CONTENT:rpd[6589]: …`.
_COLON_TAG: Final = re.compile(rb"(?P<app>[:%s]+)\[(?P<pid>[^\]\[\s]*)\](?P<colon>:)" % TAG_CHARS)
# A bare line's tag begins as a program's name does: `10.0.0.1: ` and `12: ` are none.
BARE_TAG: Final = re.compile(rb"([A-Za-z_%%(/][%s]*+)(?:\[([^\]\[\s]*+)\])?:(?: |\Z)" % TAG_CHARS)
# After a PRI what looks like a tag is one, as it is after a stamp: `<13>app[12] text`.
_PID_TAG: Final = re.compile(rb"([A-Za-z_%%(/][%s]*+)\[(\d+)\](?: |\Z)" % TAG_CHARS)
# Words that lead a line to say how bad it is. They are what the line says, not who says it.
_LEVEL_NAMES: Final = (
    b"emerg emergency panic alert crit critical fatal severe err error exception warn warning "
    b"notice info information informational debug trace verbose success failure failed"
).split()
LEVELS: Final = frozenset(
    form for name in _LEVEL_NAMES for form in (name, name.upper(), name.capitalize())
)
# What the stricter `_TAG` leaves, after a hostname: any name with a pid and a colon, and names of
# more than a program's characters (`ansible-<stdin>:`, `b4fbe48b48ad,UAP-nanoHD-6.6.55+15189:`).
_ODD_TAG: Final = re.compile(
    rb"(?:(?P<named>[^\[]+)\[(?P<pid>\d+)\]|(?=[^:]*[A-Za-z])(?P<app>\w[%s,<>&!*]*+)):" % TAG_CHARS
)
# UniFi access points write themselves where the hostname stands: `U7PG2,802aa8c2d4a7,v4.0.80: …`.
_MODEL: Final = re.compile(
    rb'(?:\("(?P<quoted>[\w.+,-]+)"\):?|(?P<model>[\w.+-]+(?:,[\w.+-]+)+):)'
)
# BusyBox spells the PRI out in its files: `Oct 11 22:14:15 host daemon.info chronyd[7]: …`. Both
# are named as in <sys/syslog.h>.
_FACILITIES: Final = {
    name: facility
    for facility, name in enumerate(
        b"kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split()
    )
} | {b"local%d" % local: 16 + local for local in range(8)}
_SEVERITIES: Final = {
    b"emerg": 0, b"panic": 0, b"alert": 1, b"crit": 2, b"err": 3, b"error": 3, b"warning": 4,
    b"warn": 4, b"notice": 5, b"info": 6, b"debug": 7,
}  # fmt: skip
_PRI_IN_WORDS: Final = re.compile(
    rb"(%s)\.(%s)" % (b"|".join(_FACILITIES), b"|".join(_SEVERITIES))
)
_MARKS: Final = frozenset((b"CEF", b"LEEF"))  # begin a format, not a tag
NOT_TAGS: Final = LEVELS | _MARKS
_HOST: Final = re.compile(
    rb"[\w\x80-\xff:][\w.:@%/#~+()\x80-\xff-]*"
    rb"|\[(?:\d{1,3}(?:\.\d{1,3}){3,5}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%\w+)?"
    rb"|[A-Za-z][\w-]*(?:\.[\w-]+){2,})\]"
)
_ADDRESS: Final = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*")
_FORWARDED: Final = re.compile(rb"Message forwarded from ([^\s:]+): ?")
_REPEATED: Final = re.compile(rb"last message (?:buffered )?repeated \d+ times?")
_PLAIN_DATE: Final = re.compile(rb"\d{4}-\d\d-\d\d ")

# Cisco's systems and those that follow them name a message %FACILITY-SEVERITY-MNEMONIC. Relays put
# a header in front of one that has its own: `123: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: …`.
_MNEMONIC: Final = re.compile(rb"(%[A-Za-z0-9_]+(?:-[A-Za-z0-9_/]+)*-[0-7]-\w+) ?:")
_INNER_HEADER: Final = re.compile(
    rb"(?:(?::? *\d{1,10}: +(?:[\w.-]+: +)?)?:? *"
    rb"[*.]?(?:\d{4} +)?[A-Z][a-z]{2} +\d\d? +(?:\d{4} +)?\d\d:\d\d:\d\d(?:\.\d+)?"
    rb"(?: [A-Z]{1,5})?(?: [\w.-]+)? ?: *|:? *(?:\d{1,10}: +)?)(?=%)"
)
_UPTIME: Final = re.compile(rb"(?:(?:\d+[ywdhms]){1,4}|\d+:\d\d:\d\d|\d+ \d+)(?:\.\d+)?: ")
# What comes before the stamp: `123: `, `123: 000045: `, `host: `, `host: 123: `, `123: host: `,
# `: `, `*task: `, and IOS XR's node (`RP/0/RSP0/CPU0:`).
_LEAD: Final = re.compile(
    rb"(?::? *\d{1,10}: +(?:\d{1,10}: +)?)?:? *"
    rb"(?:(?!%s|\d+: )(?P<host>[\w.-]+|[0-9A-Fa-f:.]+): +(?:\d{1,10}: +)?)?"
    rb"(?:\*\w+: +)?(?:[A-Z]\w{0,3}/\d[\w/]*:)?" % _UPTIME.pattern
)
_UNKNOWN_ZONE: Final = re.compile(rb" [A-Za-z]{1,5}(?=:)")
# IOS XR behind a relay names its node, and then tells its own time.
_NODE: Final = re.compile(
    rb"[A-Z]{2}/\d+/\w+/CPU\d+:(?=[*.]?(?:\d{4} +)?[A-Z][a-z]{2} +\d\d? )[^:]+:\d\d:\d\d[^:]*: *"
)


class _Body(NamedTuple):
    """What a header says besides its stamp."""

    hostname: bytes | None
    app_name: bytes | None
    procid: bytes | None
    message: bytes
    priority: int = -1
    """What the header spells out; the PRI goes before it."""


def read(rest: bytes, priority: int, received_us: int, clock: Clock) -> FieldTuple:
    """What follows the PRI (or the whole line, priority -1), when it is not RFC 5424."""
    text = rest.lstrip()
    errors: tuple[str, ...] = ()
    # Without a PRI a date, a blank and a time begin any program's own log: no header.
    if priority >= 0 or not _PLAIN_DATE.match(text):
        stamp = clock.read(text, 0, received_us)
        if stamp is None:
            if (cisco := _cisco(text, priority, received_us, clock)) is not None:
                return _fields(priority, *cisco)
        elif stamp[0] is None:
            errors = ("bad timestamp",)
        else:
            return _fields(priority, stamp[0], _after_stamp(text[stamp[1] :]))
    message = rest.removeprefix(b" ") if priority >= 0 else rest
    app_name = procid = None
    tag = BARE_TAG.match(message) or (_PID_TAG.match(message) if priority >= 0 else None)
    if not errors and tag and tag[1] not in NOT_TAGS:
        app_name, procid, message = tag[1], tag[2] or None, message[tag.end() :]
    form: Format = "bare" if priority < 0 else "rfc3164"
    return (form, priority, None, None, None, app_name, procid, None, None, message, errors)


def _fields(priority: int, timestamp_us: int | None, body: _Body) -> FieldTuple:
    if priority < 0:
        priority = body.priority
    return (
        "rfc3164", priority, None, timestamp_us, body.hostname, body.app_name, body.procid, None,
        None, body.message, (),
    )  # fmt: skip


def _after_stamp(text: bytes) -> _Body:
    """HOSTNAME, TAG and CONTENT, each of which may be missing; `text` begins after the stamp."""
    text = text.removeprefix(b":").lstrip(b" ")
    if (body := _without_hostname(text)) is not None:
        return body
    token, _, after = text.partition(b" ")
    if b"," in token and (model := _MODEL.fullmatch(token)):
        return _tag_and_content(model["quoted"] or model["model"], after)
    if token == b"-":
        return _tag_and_content(None, after)
    address = token.removesuffix(b":")
    if _ADDRESS.fullmatch(address):
        token = address
    if not _HOST.fullmatch(token) or (token.isupper() and token in LEVELS):
        return _Body(None, None, None, text)
    return _tag_and_content(token, after)


def _without_hostname(text: bytes) -> _Body | None:
    """The forms that begin with a tag: `haproxy[73411]: …`, `logger: …`, `%ASA-6-302013: …`."""
    if forwarded := _FORWARDED.match(text):
        return _tag_and_content(forwarded[1], text[forwarded.end() :])
    if text[:1] == b":" and not text.startswith(b"::"):
        return _tag_and_content(None, text)
    if _REPEATED.match(text):
        return _Body(None, None, None, text)
    tag = _TAG.match(text) or _COLON_TAG.match(text)
    if tag is None:
        return None
    ended = text[tag.end() : tag.end() + 1] in (b" ", b"")
    if text[tag.end() - 1] == 58:
        if tag["colon"] is None:
            if not ended:  # `2001:db8::1`, `CEF:0|…`, `12:30`
                return None
            # A lone `name:` is a tag, for syslog(3) writes no hostname; but not an address, nor
            # what stands before another tag.
            if (
                _ADDRESS.fullmatch(tag["app"])
                or _MNEMONIC.match(text, tag.end() + 1)
                or _INNER_HEADER.match(text, tag.end() + 1)
            ):
                return _tag_and_content(tag["app"], text[tag.end() :])
    elif not (ended and tag["pid"].isdigit()):
        return None
    return _tag_and_content(None, text)


def _tag_and_content(hostname: bytes | None, text: bytes) -> _Body:
    """TAG and CONTENT: `app[pid]: text`, `app: text`, `app[pid] text`, `: text` or `text`."""
    start = text.lstrip(b" ")
    if node := _NODE.match(start):
        start = text = start[node.end() :]
    if forwarded := _FORWARDED.match(start):
        hostname, start = forwarded[1], start[forwarded.end() :]
        text = start
    untagged = _Body(hostname, None, None, text.removeprefix(b" "))
    if (inner := _INNER_HEADER.match(start)) and (tag := _MNEMONIC.match(start, inner.end())):
        return _Body(hostname, tag[1], None, start[tag.end() :].removeprefix(b" "))
    if start[:1] == b":" and start[1:2] != b":":
        return untagged._replace(message=start[1:].removeprefix(b" "))
    tag = _COLON_TAG.match(start) or _TAG.match(start)
    if tag is None:
        return _odd_tag(hostname, start) or untagged
    after = start[tag.end() : tag.end() + 1]
    if start[tag.end() - 1] != 58:
        # Without its colon only `name[pid]` is a tag.
        if not tag["pid"].isdigit() or after not in (b" ", b""):
            return untagged
    elif tag["colon"] is None and (
        # `http://…`, `Foo::bar`, `C:\…`, a format's own mark, a number.
        after in (b":", b"/", b"\\") or tag["app"] in _MARKS or _is_number(tag["app"])
    ):
        return untagged
    message = start[tag.end() :].removeprefix(b" ")
    return _Body(hostname, tag["app"], tag["pid"] or None, message)


def _odd_tag(hostname: bytes | None, text: bytes) -> _Body | None:
    """What stands before a tag in some files, and tags that `_TAG` does not know."""
    token, _, after = text.partition(b" ")
    if token[-1:] == b":":
        if tag := _ODD_TAG.fullmatch(token):
            return _Body(hostname, tag["named"] or tag["app"], tag["pid"], after)
    elif b"." in token and (words := _PRI_IN_WORDS.fullmatch(token)):
        body = _tag_and_content(hostname, after)
        if body.app_name is not None:
            priority = _FACILITIES[words[1]] * 8 + _SEVERITIES[words[2]]
            return body._replace(priority=priority)
    return None


def _is_number(name: bytes) -> bool:
    return name[:1] not in b"%(/" and all(byte <= 57 for byte in name)


def _cisco(
    text: bytes, priority: int, received_us: int, clock: Clock
) -> tuple[int | None, _Body] | None:
    """Cisco's order, where a sequence number and the hostname come before the stamp."""
    lead = _LEAD.match(text)
    if lead is None or (priority < 0 and (lead.end() == 0 or text[:1].isalpha())):
        return None
    if lead.end() == 0 and not _UPTIME.match(text):
        return None
    at = lead.end()
    timestamp_us = None
    stamp = clock.read(text, at, received_us)
    if stamp is not None:
        timestamp_us, at = stamp
        if zone := _UNKNOWN_ZONE.match(text, at):
            # IOS writes a zone as its administrator did: `clock timezone mst -7`
            known = clock.read(text[: zone.end()].upper(), lead.end(), received_us)
            if known is not None and known[1] == zone.end():
                timestamp_us = known[0]
            at = zone.end()
        after = text[at:].lstrip(b" ").removeprefix(b":").lstrip(b" ")
    else:
        if uptime := _UPTIME.match(text, at):
            at = uptime.end()
        after = text[at:]
    # A name, a colon and a date alone are a tag and what it says; behind a number they are not.
    numbered = text[:1] in b":0123456789" and text[at : at + 1] == b":"
    if (stamp is None or (lead["host"] and not numbered)) and not _MNEMONIC.match(after):
        return None
    return timestamp_us, _tag_and_content(lead["host"], after)
