"""One syslog message as the rest of the world sees it: decoded, typed, immutable."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

import msgspec

from parsers.fields import Format, StructuredData


class Severity(IntEnum):
    """RFC 5424 section 6.2.1, table 2."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


KEYWORDS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Severities by code as syslog.conf writes them."""


class Facility(IntEnum):
    """RFC 5424 section 6.2.1, table 1, under the names of syslog(3)."""

    KERN = 0
    USER = 1
    MAIL = 2
    DAEMON = 3
    AUTH = 4
    SYSLOG = 5
    LPR = 6
    NEWS = 7
    UUCP = 8
    CRON = 9
    AUTHPRIV = 10
    FTP = 11
    NTP = 12
    AUDIT = 13
    ALERT = 14
    CLOCK = 15
    LOCAL0 = 16
    LOCAL1 = 17
    LOCAL2 = 18
    LOCAL3 = 19
    LOCAL4 = 20
    LOCAL5 = 21
    LOCAL6 = 22
    LOCAL7 = 23


class SyslogMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message, decoded; what the message does not say is `None`.

    `msgspec.json.encode` takes it as it is: facility and severity are their numbers, `timestamp`
    is RFC 3339, and `raw`, which need not be text, is base64 (RFC 4648 section 4).
    """

    format: Format
    facility: Facility | None = None
    severity: Severity | None = None
    version: int | None = None
    timestamp: datetime | None = None
    """Aware, in UTC."""
    hostname: str | None = None
    app_name: str | None = None
    procid: str | None = None
    msgid: str | None = None
    structured_data: StructuredData = {}
    """SD-ID → parameter → value, unescaped. Of a parameter that repeats the last value stays."""
    message: str = ""
    """Bytes that are not UTF-8 are shown as `\\xNN`."""
    raw: bytes = b""
    """What came in, to the byte."""
    errors: tuple[str, ...] = ()
    """Short reasons; empty when the message is clean."""
