"""systemd's protocols: sockets passed in (sd_listen_fds(3)), notifications (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

_FIRST_FD = 3


class NamedSocket(NamedTuple):
    """A socket passed in, with its FileDescriptorName= ("unknown" where it has none)."""

    name: str
    socket: socket.socket


def listen_fds() -> list[NamedSocket]:
    """Take over the sockets passed to this process; once, the environment is cleared.

    Raises OSError, one line, when LISTEN_FDS can't be read or a descriptor is no socket.
    """
    pid, count, names = (
        os.environ.pop(key, "") for key in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if pid != str(os.getpid()):  # meant for a parent that left its environment to us
        return []
    if not count.isascii() or not count.isdigit():
        raise OSError(f"LISTEN_FDS={count!r} is not a number: run under systemd, or unset it")
    named = names.split(":") if names else []
    sockets = []
    for i in range(int(count)):
        fd = _FIRST_FD + i
        try:
            os.set_inheritable(fd, False)
            sock = socket.socket(fileno=fd)
        except OSError as error:
            raise OSError(
                f"LISTEN_FDS: descriptor {fd} is not a socket ({error.strerror}): "
                "use ListenDatagram= and ListenStream= only"
            ) from error
        sockets.append(NamedSocket(named[i] if i < len(named) else "unknown", sock))
    return sockets


def listen_sockets() -> tuple[list[socket.socket], list[socket.socket]]:
    """The sockets passed in, datagram sockets (lines) and listening ones (metrics) apart."""
    sockets = [each.socket for each in listen_fds()]
    datagrams = [sock for sock in sockets if sock.type == socket.SOCK_DGRAM]
    return datagrams, [sock for sock in sockets if sock.type != socket.SOCK_DGRAM]


def notify(state: str) -> bool:
    """Tell the service manager, e.g. "READY=1"; False where there is none or it can't be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract address, unix(7)
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            sock.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_interval_s() -> float | None:
    """How often to send "WATCHDOG=1": half the limit, as sd_watchdog_enabled(3) advises.

    None when the manager expects none from this process.
    """
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isascii() or not limit_us.isdigit() or pid != str(os.getpid()):
        return None
    return int(limit_us) / 2e6 or None
