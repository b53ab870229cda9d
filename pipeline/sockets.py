"""TCP listening, and saying in one line why an address could not be bound and what holds it.

Holders come from /proc/net/{udp,udp6,tcp,tcp6} (proc(5)) and the links in /proc/PID/fd. Other
users' links can't be read without privilege; then the socket's user is what can be told.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import pwd
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

Proto = Literal["udp", "tcp"]
_TCP_LISTEN = "0A"
_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class BindError(OSError):
    """An address that could not be bound; str() is one line fit for stderr."""


class _Entry(NamedTuple):
    address: _IPAddress
    uid: int
    inode: int


def parse_host_port(text: str) -> tuple[str, int]:
    """Split "HOST:PORT", "[IPV6]:PORT" or ":PORT" (every address: host "").

    Raises ValueError, one line, for anything else.
    """
    host, colon, digits = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", digits) or int(digits) > 65535:
        raise ValueError(f"{text}: expected HOST:PORT, for example 127.0.0.1:9514")
    if ":" in host and not bracketed:
        raise ValueError(f"{text}: write an IPv6 address in brackets, for example [::1]:9514")
    return (host[1:-1] if bracketed else host), int(digits)


def listen_tcp(address: str) -> socket.socket:
    """Listen on "HOST:PORT" (port 0: any free port).

    Raises BindError, naming the address and the process in the way, or ValueError when the
    address can't be read.
    """
    host, port = parse_host_port(address)
    everywhere = not host and socket.has_dualstack_ipv6()
    if everywhere:
        family, target = socket.AF_INET6, "::"
    else:
        try:
            found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label the IDNA codec refuses
            raise BindError(f"{address}: {getattr(error, 'strerror', error)}") from error
        family, target = found[0][0], str(found[0][4][0])
    try:
        return socket.create_server((target, port), family=family, dualstack_ipv6=everywhere)
    except OSError as error:
        raise bind_error(address, error, family, "tcp", target, port) from error


def bind_error(
    address: str, error: OSError, family: int, proto: Proto, host: str | None, port: int
) -> BindError:
    """Why `address` (as the user wrote it) could not be bound, and the mend where there is one."""
    match error.errno:
        case errno.EADDRINUSE:
            holder = holder_of(family, proto, port, host)
            why = f"the port is in use by {holder}" if holder else "the port is in use"
        case errno.EACCES:
            why = (
                "ports below 1024 need CAP_NET_BIND_SERVICE, or a socket from systemd; "
                "or take a higher port"
            )
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address"
        case _:
            why = os.strerror(error.errno) if error.errno else str(error)
    return BindError(f"{address}: {why}")


def holder_of(family: int, proto: Proto, port: int, host: str | None = None) -> str | None:
    """Name the process whose socket is in the way of a bind to `port`.

    `family` is AF_INET or AF_INET6; both tables are read, the family's own first, because a
    dual-stack IPv6 socket holds the IPv4 port as well. `host` (a literal address; None or a
    wildcard: any) leaves out sockets on other addresses. Returns text such as "rsyslogd (pid 812)"
    or, where the owner can't be seen, "a process of user root"; None when nothing was found.
    Never raises.
    """
    suffixes = ("6", "") if family == socket.AF_INET6 else ("", "6")
    wanted = _literal(host)
    for suffix in suffixes:
        for entry in _entries(Path(f"/proc/net/{proto}{suffix}"), proto, port):
            if _overlap(entry.address, wanted):
                return _process_with(entry.inode) or f"a process of user {_user(entry.uid)}"
    return None


def _literal(host: str | None) -> _IPAddress | None:
    try:
        return ipaddress.ip_address((host or "").strip("[]").partition("%")[0])
    except ValueError:
        return None


def _overlap(held: _IPAddress, wanted: _IPAddress | None) -> bool:
    if wanted is None or held.is_unspecified or wanted.is_unspecified:
        return True
    return _plain(held) == _plain(wanted)


def _plain(address: _IPAddress) -> _IPAddress:
    """::ffff:192.0.2.1 and 192.0.2.1 are one address to bind(2)."""
    return getattr(address, "ipv4_mapped", None) or address


def _entries(table: Path, proto: Proto, port: int) -> Iterator[_Entry]:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:  # no IPv6, or no /proc
        return
    for line in lines:
        columns = line.split()  # sl local remote state queues timer retransmits uid timeout inode
        address, _, held_port = columns[1].partition(":")
        if int(held_port, 16) != port or (proto == "tcp" and columns[3] != _TCP_LISTEN):
            continue
        yield _Entry(_decode(address), int(columns[7]), int(columns[9]))


def _decode(digits: str) -> _IPAddress:
    """The kernel prints an address as 32-bit words in the machine's own byte order."""
    words = (int(digits[i : i + 8], 16) for i in range(0, len(digits), 8))
    return ipaddress.ip_address(b"".join(w.to_bytes(4, sys.byteorder) for w in words))


def _process_with(inode: int) -> str | None:
    link = f"socket:[{inode}]"
    for pid in sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
        process = Path(f"/proc/{pid}")
        try:
            if any(str(fd.readlink()) == link for fd in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace")
                return f"{name.strip()} (pid {pid})"
        except OSError:  # ended meanwhile, or another user's
            continue
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
