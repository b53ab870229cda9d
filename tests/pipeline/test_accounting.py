"""The books: what is counted once is counted once."""

from __future__ import annotations

import socket

import pytest
from prometheus_client import generate_latest

from pipeline.accounting import Accounting
from pipeline.batcher import FrameQueue
from pipeline.frames import Frames
from pipeline.metrics import Metrics
from pipeline.receivers.udp import UdpReceiver


def test_two_sockets_of_one_address_are_one_source() -> None:
    """As systemd passes in with ReusePort=: their kernel drops add up, and stay put."""
    sockets = []
    for _ in range(2):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", sockets[0].getsockname()[1] if sockets else 0))
        sockets.append(sock)
    receivers = [UdpReceiver(sock) for sock in sockets]
    metrics, queue = Metrics(), FrameQueue(10)
    books = Accounting(metrics, queue)
    receivers[0].kernel_dropped, receivers[1].kernel_dropped = 100, 40
    for _ in range(3):
        books.update(receivers, ready=True)
    for receiver in receivers:
        receiver.stop()
    text = generate_latest(metrics.registry).decode()
    source = receivers[0].source
    assert f'ltt_stream_kernel_dropped_datagrams_total{{source="{source}"}} 140.0\n' in text


@pytest.mark.parametrize("reason", ["disk_full", "failed"])
def test_the_summary_balances(reason: str) -> None:
    queue = FrameQueue(3)
    books = Accounting(Metrics(), queue)
    queue.put(Frames("udp://127.0.0.1:514", 0, [b"x"] * 5))
    frames = queue.take(10, 0.0)
    assert frames
    books.dropped(frames[:1], reason)
    assert books.summary() == "5 lines in, 0 out, 5 dropped, 0 flagged"
