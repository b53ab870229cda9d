"""What one system call brought in."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt


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


def places(sources: Sequence[tuple[str, int]]) -> dict[str, npt.NDArray[np.intp]]:
    """Which lines of a batch are of which source.

    sources: name and number of lines, one after the other; a name may come again.
    """
    ranges: dict[str, list[npt.NDArray[np.intp]]] = {}
    start = 0
    for name, n in sources:
        ranges.setdefault(name, []).append(np.arange(start, start + n))
        start += n
    return {name: np.concatenate(parts) for name, parts in ranges.items()}


class Senders:
    """Names what is judged apart: a listener, and of one that knows its peers each peer.

    One host's lines must not teach what another's mean, even where both come in by one socket.
    Bounded: peers beyond the first `MOST_PEERS` share their listener's name.
    """

    MOST_PEERS = 24

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def runs(self, frames: Sequence[Frames]) -> list[tuple[str, int]]:
        """The senders of a batch's lines, one after the other, and how many of each."""
        found: list[tuple[str, int]] = []
        for f in frames:
            if not f.peers:
                found.append((f.source, len(f.data)))
                continue
            if f.peers.count(f.peers[0]) == len(f.peers):  # nearly always, and ten times faster
                found.append((self._name(f.source, f.peers[0]), len(f.data)))
                continue
            last, n = "", 0
            for peer in f.peers:
                if peer != last and n:
                    found.append((self._name(f.source, last), n))
                    n = 0
                last, n = peer, n + 1
            if n:
                found.append((self._name(f.source, last), n))
        return found

    def _name(self, source: str, peer: str) -> str:
        name = self._names.get((source, peer))
        if name is None:
            if len(self._names) >= self.MOST_PEERS:
                return source
            name = self._names[source, peer] = f"{source} {peer}"
        return name


def listener_of(sender: str) -> str:
    """The listener's name in a sender's."""
    return sender.partition(" ")[0]
