"""The fields of one message as the hot path carries them: bytes, undecoded."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

StructuredData = dict[str, dict[str, str]]

Format: TypeAlias = Literal["rfc5424", "rfc3164", "bare"]
"""What a line is framed as; "bare" is one with neither a PRI nor a header."""

FieldTuple: TypeAlias = tuple[
    Format,
    int,
    int | None,
    int | None,
    bytes | None,
    bytes | None,
    bytes | None,
    bytes | None,
    StructuredData | None,
    bytes,
    tuple[str, ...],
]
"""What the hot path returns: a plain tuple in the order of `Fields`, for unpacking; building a
`NamedTuple` a line would cost a quarter of the whole parse. `Fields(*row)` gives the names."""


class Fields(NamedTuple):
    """One message taken apart (names of RFC 5424 section 6); `None` where the message has none."""

    format: Format
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
