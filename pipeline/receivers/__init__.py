"""Receivers: each reads one source in a thread of its own and puts what arrives into the queue."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from pipeline.receivers.address import parse_listener
from pipeline.receivers.base import Receiver, ReceiverError
from pipeline.receivers.stdin import StdinReceiver
from pipeline.receivers.udp import UdpReceiver, bind_udp

__all__ = ["Receiver", "ReceiverError", "open_receivers"]


def open_receivers(
    listen: Sequence[str], inherited: Sequence[socket.socket] = ()
) -> list[Receiver]:
    """A receiver for each listener URL and each bound UDP socket; stdin when there is neither.

    Takes over the `inherited` sockets. Raises ConfigError for a URL that can't be used, BindError
    or ReceiverError (OSErrors) for a source that can't be opened; nothing stays open then.
    """
    listeners = list(dict.fromkeys(map(parse_listener, listen)))
    receivers: list[Receiver] = []
    try:
        receivers.extend(UdpReceiver(sock) for sock in inherited)
        for listener in listeners:
            if listener.kind == "stdin":
                receivers.append(StdinReceiver())
            else:
                receivers.append(UdpReceiver(bind_udp(listener)))
        if not receivers:
            receivers.append(StdinReceiver())
    except BaseException:
        for receiver in receivers:
            receiver.stop()
        for sock in inherited:
            sock.close()
        raise
    return receivers
