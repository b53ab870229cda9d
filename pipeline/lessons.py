"""What the stream and its learner say to each other, over a socket that keeps messages apart."""

from __future__ import annotations

import socket
from typing import TypeVar

import msgspec

MESSAGE_LESSONS = 64
"""Lessons of one message: it must fit a socket's buffer."""
BUFFER_BYTES = 1 << 20
"""Asked for on both sides; the kernel may grant less."""
MOST_BYTES = 1 << 18
"""Longest message that is read."""


class Lesson(msgspec.Struct, array_like=True):
    """What one template teaches."""

    template_id: int
    app: str
    text: str
    """Canonical."""
    facility: int
    """-1 without one."""
    source: str
    severity: int
    quality: int
    """0 declared, 1 by a rule, 2 by a person."""
    count: int
    """Lines that said so since the lesson before it."""


class Teach(msgspec.Struct, tag="teach"):
    lessons: list[Lesson]


class Boost(msgspec.Struct, tag="boost"):
    """Learn faster for a while: the input has drifted."""

    seconds: float


class Begin(msgspec.Struct, tag="begin"):
    """Go on from this checkpoint: a person has rolled back."""

    model: str


class Forget(msgspec.Struct, tag="forget"):
    """These templates teach no more: they were found to be anomalous."""

    template_ids: list[int]


class Status(msgspec.Struct, tag="status"):
    """Running totals of this learner process."""

    updates: int
    entries: int
    rejected: int
    """Candidates that the gate held back."""
    failed: int
    """Snapshots that could not be written."""
    dropped: int
    """Lessons that made room for newer ones while they waited."""
    accuracy: float | None
    """Of the model in use, on the held-out slice of the buffer."""
    dropped_entries: dict[str, int]
    """Of the replay buffer: what it left out or let go, by reason (models.replay)."""


class Published(msgspec.Struct, tag="published"):
    version: str
    path: str
    at_s: float
    """Unix time."""


class Note(msgspec.Struct, tag="note"):
    """To be said to the user: one line."""

    text: str


ToLearner = Teach | Boost | Begin | Forget
FromLearner = Status | Published | Note

_encode = msgspec.msgpack.Encoder().encode
to_learner = msgspec.msgpack.Decoder(ToLearner)
from_learner = msgspec.msgpack.Decoder(FromLearner)

T = TypeVar("T")


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a channel that keeps messages apart and holds a bounded number of them."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        end.setblocking(False)
    return ends


def send(end: socket.socket, message: ToLearner | FromLearner) -> bool:
    """Send without waiting; False where the channel is full or closed: the message is dropped."""
    try:
        end.send(_encode(message))
    except OSError:  # full, closed, or longer than the channel takes
        return False
    return True


def receive(end: socket.socket, decoder: msgspec.msgpack.Decoder[T]) -> list[T] | None:
    """All messages that are there; None where the other side has gone."""
    found: list[T] = []
    while True:
        try:
            data = end.recv(MOST_BYTES)
        except BlockingIOError:
            return found
        except OSError:
            return None
        if not data:
            return found or None
        try:
            found.append(decoder.decode(data))
        except msgspec.DecodeError:
            continue  # of another version, in the midst of an upgrade
