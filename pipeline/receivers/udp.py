"""Datagrams: one is one message, whatever bytes it holds."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import ClassVar

from pipeline.batcher import FrameQueue
from pipeline.frames import Frames
from pipeline.receivers.address import Listener, udp_source
from pipeline.receivers.base import Receiver, ReceiverError
from pipeline.receivers.recvmmsg import BATCH, SO_RXQ_OVFL, open_reader
from pipeline.sockets import BindError, bind_error

RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_MEMINFO_DROPS = 8
"""Index of SK_MEMINFO_DROPS (linux/sock_diag.h)."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.001, 0.01
"""Of the pause after each read: a busy socket wakes us a hundred times a second, not once a
datagram. A datagram that comes alone is not delayed: it is read before the pause."""
_FASTEST = 250_000
"""Datagrams a second at which a pause may fill a quarter of the buffer."""
_DATAGRAM_BYTES = 2304
"""What the kernel counts for a datagram of some hundred bytes, its own record of it included."""
_IDLE_MS = 1000
_LAST_SWEEP_S = 1.0
"""Longest last reading at the end, where the senders never pause."""


def bind_udp(listener: Listener) -> socket.socket:
    """Bind a socket to the listener's address.

    IPv6 sockets take IPv6 alone (IPV6_V6ONLY), so that udp://0.0.0.0:514 and udp://[::]:514 can
    be named together. No SO_REUSEADDR: with it two programs could bind the same port and each
    would lose to the other without a word. Raises BindError naming the address, the reason and,
    where it can be known, what holds the port.
    """
    try:
        found = socket.getaddrinfo(listener.host, listener.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label the IDNA codec refuses
        reason = getattr(error, "strerror", None) or error
        raise BindError(f"{listener.source}: {reason}") from error
    family, target = found[0][0], found[0][4]
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise BindError(f"{listener.source}: {error.strerror}") from error
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(target)
    except OSError as error:
        sock.close()
        raise bind_error(
            listener.source, error, family, "udp", str(target[0]), listener.port
        ) from error
    return sock


class DropCount:
    """Sums a running u32 count that wraps and may be reported out of order."""

    def __init__(self, seen: int) -> None:
        self._seen = seen
        self.total = 0
        """Drops since the count `seen`."""

    def saw(self, count: int) -> None:
        """Take in a report; one older than the last changes nothing."""
        more = (count - self._seen) & 0xFFFF_FFFF
        if more < 0x8000_0000:
            self._seen = count
            self.total += more


class UdpReceiver(Receiver):
    """Empties a bound UDP socket into the queue and never waits for the queue.

    An empty datagram is an empty message: something was received, and the counts say so. Drops by
    the kernel come from SO_RXQ_OVFL as datagrams are read, and from SO_MEMINFO (the same counter)
    at the start, when idle and at the end, so that drops after the last datagram count as well.
    """

    can_wait: ClassVar[bool] = False

    def __init__(
        self,
        sock: socket.socket,
        *,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
        use_recvmmsg: bool = True,
    ) -> None:
        """Take over a bound socket, our own or one that systemd passed in.

        Raises ReceiverError when it is not a UDP socket.
        """
        ip = sock.family in (socket.AF_INET, socket.AF_INET6)
        if not ip or sock.type != socket.SOCK_DGRAM:
            kind = f"{sock.family.name} {sock.type.name}"
            raise ReceiverError(f"inherited socket {sock.fileno()} is {kind}: pass UDP sockets in")
        super().__init__(udp_source(*sock.getsockname()[:2]))
        self.receive_buffer_bytes = _enlarge(sock, receive_buffer_bytes)
        """What the kernel granted: its own doubled figure halved, comparable to what was asked."""
        self._pause_s = pause_s(self.receive_buffer_bytes)
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        self._sock = sock
        self._reader = open_reader(sock, use_recvmmsg=use_recvmmsg)
        # A socket that systemd keeps open between two runs has a past, and another run counted it.
        self.dropped_before = _dropped(sock) or 0
        """Drops on an inherited socket before this receiver; not in `kernel_dropped`."""
        self._drop_count = DropCount(self.dropped_before)

    def _read(self, queue: FrameQueue) -> None:
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        poller.register(self._stop.fileno(), select.POLLIN)
        paused_s = 0.0
        while not self._stop.is_set():
            if self._sweep(queue, paused_s):
                time.sleep(self._pause_s)
                paused_s = self._pause_s
                continue
            paused_s = 0.0
            if not poller.poll(_IDLE_MS):
                self._settle_drops()
        end_s = time.monotonic() + _LAST_SWEEP_S
        while self._read_once(queue) and time.monotonic() < end_s:
            pass
        self._settle_drops()

    def _sweep(self, queue: FrameQueue, paused_s: float) -> bool:
        """Read until there is no full batch, after a pause; whether there was anything."""
        count = self._read_once(queue, paused_s)
        some = count > 0
        while count == BATCH and not self._stop.is_set():
            count = self._read_once(queue)
        return some

    def _read_once(self, queue: FrameQueue, paused_s: float = 0.0) -> int:
        data, peers, drops = self._reader.read()
        if data:
            frames = Frames(self.source, time.time_ns() // 1000, data, peers)
            queue.put(frames, waited_s=paused_s)
        if drops is not None:
            self._saw_drops(drops)
        return len(data)

    def _settle_drops(self) -> None:
        drops = _dropped(self._sock)
        if drops is not None:
            self._saw_drops(drops)

    def _saw_drops(self, count: int) -> None:
        self._drop_count.saw(count)
        self.kernel_dropped = self._drop_count.total

    def _close(self) -> None:
        self._sock.close()


def pause_s(receive_buffer_bytes: int) -> float:
    """How long a socket with such a buffer, as granted, may be left alone."""
    datagrams = 2 * receive_buffer_bytes / _DATAGRAM_BYTES  # the kernel doubles what it grants
    return min(max(datagrams / 4 / _FASTEST, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)


def _enlarge(sock: socket.socket, wanted: int) -> int:
    """Ask for a receive buffer of `wanted` bytes, never for less than it has; what it has then."""

    def granted() -> int:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        if granted() >= wanted:
            break
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, wanted)
        except PermissionError:  # beyond net.core.rmem_max: for CAP_NET_ADMIN alone
            continue
    return granted()


def _dropped(sock: socket.socket) -> int | None:
    """The socket's count of drops (u32) from SO_MEMINFO, Linux 4.12; None where unknown.

    Unlike /proc/net/udp it also answers for a socket of another network namespace, which is what
    a service with PrivateNetwork= inherits.
    """
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return None
    return int(_MEMINFO.unpack(raw)[_MEMINFO_DROPS]) if len(raw) == _MEMINFO.size else None
