"""The fields of one message as the hot path carries them: bytes, undecoded."""

from __future__ import annotations

from typing import NamedTuple

StructuredData = dict[str, dict[str, str]]


class Fields(NamedTuple):
    """One message taken apart (names of RFC 5424 section 6); `None` where the message has none."""

    format: str
    """ "rfc5424", "rfc3164" or "bare"."""
    priority: int
    """facility * 8 + severity, or -1 without a PRI."""
    version: int | None
    timestamp_us: int | None
    """UTC microseconds since 1970."""
    hostname: bytes | None
    app_name: bytes | None
    procid: bytes | None
    msgid: bytes | None
    structured_data: StructuredData | None
    message: bytes
    errors: tuple[str, ...]
    """Short reasons; empty when the message is clean."""
