"""What one system call brought in."""

from __future__ import annotations

import msgspec


class Frames(msgspec.Struct):
    """Messages received together: one read of stdin, one recvmmsg of a UDP socket."""

    source: str
    """The listener, "stdin" or "udp://0.0.0.0:514": the `source` label of the metrics."""
    received_us: int
    """UTC microseconds when the call returned."""
    data: list[bytes]
    """One message each, without its line terminator."""
    peers: list[str] | None = None
    """The sender's address of each message, where the source knows it."""
