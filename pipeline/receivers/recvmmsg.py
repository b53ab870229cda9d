"""Many datagrams in one system call: recvmmsg(2) by ctypes, and a plain recvmsg(2) fallback.

Both readers take a bound UDP socket over IPv4 or IPv6 and never wait. Waiting is the caller's
part, by poll(2): a recvmmsg that waits could not be told to stop.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
from typing import NamedTuple, Protocol

SO_RXQ_OVFL = 40
"""socket(7): attach the count of datagrams dropped so far; Python's socket lacks the name."""
BATCH = 256
"""Datagrams a read at most."""
_SLOT_BYTES = 65536
"""Holds the largest datagram whole. Only pages that were written to take memory: 1 MiB for a
batch of usual messages, 16 MiB at the very most."""
_NAME_BYTES = 32
"""sockaddr_in6 is 28; rounded up so that addresses are a strided view of words."""
_CONTROL_BYTES = socket.CMSG_SPACE(4)
_CONTROL = struct.Struct("@NiiI")
"""struct cmsghdr (length, level, type) and the u32 it carries."""
_MOST_PEERS = 65536


class Datagrams(NamedTuple):
    """What one read brought."""

    data: list[bytes]
    peers: list[str]
    """Sender addresses; an IPv4 sender on a dual-stack socket in its IPv4 form."""
    drops: int | None
    """The kernel's running count of drops (u32, wraps) when the last datagram was queued; None
    while it is 0."""


class Reader(Protocol):
    """Reads without waiting: what is there, up to BATCH datagrams; `data` is empty for none."""

    def read(self) -> Datagrams: ...


class PeerNames(dict[int | tuple[int, int], str]):
    """Address text by the address's machine words: IPv4 one u32, IPv6 two u64. Bounded."""

    def __missing__(self, words: int | tuple[int, int]) -> str:
        if len(self) >= _MOST_PEERS:
            self.clear()
        if isinstance(words, int):
            name = socket.inet_ntop(socket.AF_INET, struct.pack("=I", words))
        else:
            name = _unmapped(socket.inet_ntop(socket.AF_INET6, struct.pack("=QQ", *words)))
        self[words] = name
        return name


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iovec", ctypes.c_void_p),
        ("iovec_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint32))


_HEADER_BYTES = ctypes.sizeof(_MMsgHdr)


class RecvmmsgReader:
    """recvmmsg(2) into buffers laid out once; C-speed views take the results apart.

    Raises OSError (ENOSYS) where the C library or a seccomp filter has no recvmmsg.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._fd = sock.fileno()
        self._ipv6 = sock.family == socket.AF_INET6
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "recvmmsg"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._recvmmsg = libc.recvmmsg
        self._recvmmsg.argtypes = (
            *(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint),
            *(ctypes.c_int, ctypes.c_void_p),
        )
        self._recvmmsg.restype = ctypes.c_int
        self._lay_out()
        self._receive(0)

    def read(self) -> Datagrams:
        count = self._receive(BATCH)
        if not count:
            return Datagrams([], [], None)
        slots = self._slots
        sizes = self._lengths[:count].tolist()
        data = [slots[at : at + size] for at, size in zip(self._offsets, sizes, strict=False)]
        if self._ipv6:
            high, low = self._names_u64[1::4][:count], self._names_u64[2::4][:count]
            peers = [self._peers[words] for words in zip(high, low, strict=True)]
        else:
            peers = [self._peers[word] for word in self._names_u32[1::8][:count].tolist()]
        drops = self._drops(count - 1)
        # The kernel has overwritten the lengths of names and controls it was given.
        self._header_bytes[: count * _HEADER_BYTES] = self._pristine[: count * _HEADER_BYTES]
        return Datagrams(data, peers, drops)

    def _lay_out(self) -> None:
        self._slots = mmap.mmap(-1, BATCH * _SLOT_BYTES)
        self._offsets = range(0, BATCH * _SLOT_BYTES, _SLOT_BYTES)
        self._names = bytearray(BATCH * _NAME_BYTES)
        self._controls = bytearray(BATCH * _CONTROL_BYTES)
        self._iovecs = (_Iovec * BATCH)()
        self._headers = (_MMsgHdr * BATCH)()
        slots, names = _address(self._slots), _address(self._names)
        controls, iovecs = _address(self._controls), ctypes.addressof(self._iovecs)
        for i in range(BATCH):
            self._iovecs[i] = _Iovec(slots + i * _SLOT_BYTES, _SLOT_BYTES)
            self._headers[i].header = _MsgHdr(
                name=names + i * _NAME_BYTES,
                name_length=_NAME_BYTES,
                iovec=iovecs + i * ctypes.sizeof(_Iovec),
                iovec_count=1,
                control=controls + i * _CONTROL_BYTES,
                control_length=_CONTROL_BYTES,
            )
        self._header_bytes = memoryview(self._headers).cast("B")
        self._pristine = bytes(self._header_bytes)
        self._lengths = self._header_bytes.cast("I")[
            _MMsgHdr.length.offset // 4 :: _HEADER_BYTES // 4
        ]
        self._names_u32 = memoryview(self._names).cast("I")
        self._names_u64 = memoryview(self._names).cast("Q")
        self._peers = PeerNames()

    def _receive(self, most: int) -> int:
        count: int = self._recvmmsg(
            self._fd, ctypes.addressof(self._headers), most, socket.MSG_DONTWAIT, None
        )
        if count >= 0:
            return count
        code = ctypes.get_errno()
        if code in (errno.EAGAIN, errno.EINTR):
            return 0
        raise OSError(code, os.strerror(code))

    def _drops(self, i: int) -> int | None:
        if self._headers[i].header.control_length < _CONTROL.size:
            return None
        _, level, kind, drops = _CONTROL.unpack_from(self._controls, i * _CONTROL_BYTES)
        return drops if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL) else None


class RecvmsgReader:
    """The same by one recvmsg(2) a datagram, for systems without recvmmsg."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray(_SLOT_BYTES)
        self._view = memoryview(self._buffer)

    def read(self) -> Datagrams:
        data: list[bytes] = []
        peers: list[str] = []
        drops: int | None = None
        for _ in range(BATCH):
            try:
                size, controls, _flags, peer = self._sock.recvmsg_into(
                    [self._buffer], _CONTROL_BYTES, socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                break
            data.append(bytes(self._view[:size]))
            peers.append(_unmapped(peer[0]))
            for level, kind, payload in controls:
                if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                    (drops,) = struct.unpack("=I", payload)
        return Datagrams(data, peers, drops)


def open_reader(sock: socket.socket, *, use_recvmmsg: bool = True) -> Reader:
    """The fast reader, or the plain one where recvmmsg is missing or not wanted."""
    if use_recvmmsg:
        try:
            return RecvmmsgReader(sock)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
    return RecvmsgReader(sock)


def _address(buffer: mmap.mmap | bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _unmapped(address: str) -> str:
    return address.removeprefix("::ffff:") if "." in address else address
