"""Syslog datagrams from a process of its own, by sendmmsg(2), paced a millisecond at a time.

What is sent is laid out before the first message: a step costs one system call, and nothing in
Python a message. It says `ready`, waits for a line on stdin, sends, and reports as JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import socket
import sys
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import draw, pool

STEP_S = 0.001
MOST = 1024
"""Messages a call at most: UIO_MAXIOV, where the kernel cuts longer ones."""
FACILITIES = {b"kernel": 0, b"postfix": 2, b"CRON": 9, b"sshd": 10, b"sudo": 10, b"su": 10}
DAEMON = 3
APP = re.compile(rb"^\w{3} [ \d]\d [\d:]{8} \S+ (\w+)")
TROUBLE = re.compile(rb"(?i)\b(?:error|fatal|panic|failed|failure)\b")

_IOVEC = np.dtype([("base", np.uintp), ("length", np.uintp)], align=True)
_MSGHDR = np.dtype(
    [
        ("name", np.uintp),
        ("name_length", np.uint32),
        ("iovec", np.uintp),
        ("iovec_count", np.uintp),
        ("control", np.uintp),
        ("control_length", np.uintp),
        ("flags", np.intc),
    ],
    align=True,
)
_MMSGHDR = np.dtype([("header", _MSGHDR), ("length", np.uintc)], align=True)


def with_pri(line: bytes) -> bytes:
    """The line with a PRI in front, where it has none: the facility of its program, err where it
    reads like trouble, else info. The same line always gets the same one."""
    if re.match(rb"<\d{1,3}>", line):
        return line
    app = APP.match(line)
    facility = FACILITIES.get(app[1], DAEMON) if app else DAEMON
    return b"<%d>" % (8 * facility + (3 if TROUBLE.search(line) else 6)) + line


def write_messages(path: Path, count: int) -> None:
    """`count` messages, one a line: the same bytes every time."""
    path.write_bytes(b"".join(with_pri(line) + b"\n" for line in draw(pool(None), count)))


class Messages:
    """Messages that lie ready for sendmmsg(2), to be sent round and round."""

    def __init__(self, lines: bytes) -> None:
        """`lines`: the messages, a newline after each. Raises ValueError for none at all."""
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))  # (N,)
        if not len(ends):
            raise ValueError("no messages to send")
        starts = np.concatenate(([0], ends[:-1] + 1))  # (N,)
        self._lines = lines  # the vectors below point into it
        at = ctypes.cast(ctypes.c_char_p(lines), ctypes.c_void_p).value or 0
        self._iovecs = np.zeros(len(ends), _IOVEC)  # (N,)
        self._iovecs["base"] = starts + at
        self._iovecs["length"] = ends - starts
        self._headers = np.zeros(len(ends), _MMSGHDR)  # (N,)
        steps = np.arange(len(ends)) * _IOVEC.itemsize
        self._headers["header"]["iovec"] = steps + self._iovecs.ctypes.data
        self._headers["header"]["iovec_count"] = 1
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

    @property
    def lengths(self) -> npt.NDArray[np.uintp]:
        """Bytes of each message, (N,)."""
        lengths: npt.NDArray[np.uintp] = self._iovecs["length"]
        return lengths

    def send(self, sock: socket.socket, first: int, count: int) -> int:
        """Send message `first` and those after it, `count` at most; how many went out.

        Raises OSError, ConnectionRefusedError where nobody listens any more.
        """
        i = first % len(self._headers)
        most = min(count, MOST, len(self._headers) - i)
        address = self._headers.ctypes.data + i * _MMSGHDR.itemsize
        sent: int = self._sendmmsg(sock.fileno(), address, most, 0)
        if sent < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return sent


class Sent(NamedTuple):
    messages: int
    seconds: float


def send(sock: socket.socket, messages: Messages, count: int, rate: float | None) -> Sent:
    """Send `count` messages at `rate` a second; None: as fast as it goes. Late steps catch up."""
    began = time.perf_counter()
    sent = 0
    while sent < count:
        elapsed = time.perf_counter() - began
        due = count if rate is None else min(count, int((elapsed + STEP_S) * rate))
        while sent < due:
            sent += messages.send(sock, sent, due - sent)
        if rate is not None and sent < count:
            time.sleep(max(0.0, began + elapsed + STEP_S - time.perf_counter()))
    return Sent(sent, time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", type=Path, help="a file, one message a line")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, help="messages a second [as fast as it goes]")
    args = parser.parse_args()
    with args.messages.open("rb") as file:
        # No more than are sent: reading a big file takes longer than a short run.
        messages = Messages(b"".join(islice(file, args.count)))
    print("ready", flush=True)
    sys.stdin.readline()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", args.port))
        try:
            sent = send(sock, messages, args.count, args.rate)
        except OSError as error:
            sys.exit(f"udp_sender: port {args.port}: {error.strerror}")
    print(json.dumps(sent._asdict()), flush=True)


if __name__ == "__main__":
    main()
