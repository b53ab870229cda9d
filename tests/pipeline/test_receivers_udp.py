"""Datagrams over real loopback sockets: whole, counted, and every one accounted for."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batcher import FrameQueue
from pipeline.receivers.address import parse_listener
from pipeline.receivers.recvmmsg import PeerNames, RecvmmsgReader, RecvmsgReader, open_reader
from pipeline.receivers.udp import DropCount, UdpReceiver, bind_udp, pause_s

LONG_S = 30.0
LARGEST = 65507
"""Payload of the largest UDP datagram over IPv4."""

both_readers = pytest.mark.parametrize("use_recvmmsg", [True, False], ids=["recvmmsg", "recvmsg"])


class Receiving:
    """A receiver on a loopback port, its queue and a socket that sends to it."""

    def __init__(
        self, url: str = "udp://127.0.0.1:0", *, queue_lines: int = 100_000, **options: object
    ) -> None:
        self.queue = FrameQueue(queue_lines)
        sock = bind_udp(parse_listener(url))
        self.address = sock.getsockname()
        self.receiver = UdpReceiver(sock, **options)  # type: ignore[arg-type]  # test's own kwargs
        self.sender = socket.socket(sock.family, socket.SOCK_DGRAM)

    def send(self, data: bytes) -> None:
        self.sender.sendto(data, self.address)

    def start(self) -> None:
        self.receiver.start(self.queue)

    def take(self, count: int) -> list[tuple[bytes, str]]:
        """Wait for `count` messages, each with its sender."""
        got: list[tuple[bytes, str]] = []
        end_s = time.monotonic() + LONG_S
        while len(got) < count and time.monotonic() < end_s:
            got += self._taken(0.05)
        return got

    def stop(self) -> list[tuple[bytes, str]]:
        """End, and give out what had arrived."""
        self.receiver.stop()
        assert self.receiver.join(LONG_S)
        assert self.receiver.finished
        assert self.receiver.error is None
        self.sender.close()
        self.queue.close()
        got: list[tuple[bytes, str]] = []
        while self.queue.lines:
            got += self._taken(LONG_S)
        return got

    def _taken(self, idle_s: float) -> list[tuple[bytes, str]]:
        got: list[tuple[bytes, str]] = []
        for chunk in self.queue.take(1000, 0.0, idle_s) or []:
            assert chunk.source == self.receiver.source
            assert abs(chunk.received_us / 1e6 - time.time()) < 600
            assert chunk.peers is not None
            got += zip(chunk.data, chunk.peers, strict=True)
        return got


def until(true: Callable[[], object]) -> None:
    end_s = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.001)


@pytest.fixture
def ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")


@both_readers
@pytest.mark.parametrize(
    ("url", "peer"), [("udp://127.0.0.1:0", "127.0.0.1"), ("udp://[::1]:0", "::1")]
)
def test_a_datagram_is_a_message_byte_for_byte(
    url: str, peer: str, use_recvmmsg: bool, request: pytest.FixtureRequest
) -> None:
    if "::1" in url:
        request.getfixturevalue("ipv6")
    messages = [
        b"<34>1 - - su - - - failed\nfor root\n",
        b"",
        b"\0\xff\0",
        os.urandom(LARGEST),
        b"after a large one",
        b"x" * 9000,
    ]
    receiving = Receiving(url, use_recvmmsg=use_recvmmsg)
    receiving.start()
    for message in messages:
        receiving.send(message)
    assert receiving.take(len(messages)) == [(message, peer) for message in messages]
    assert receiving.stop() == []
    assert receiving.queue.received == {receiving.receiver.source: len(messages)}


@both_readers
def test_each_message_has_its_own_sender(use_recvmmsg: bool) -> None:
    receiving = Receiving(use_recvmmsg=use_recvmmsg)
    expected = []
    for i in range(600):
        host = f"127.0.{i % 3}.{i % 7 + 1}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((host, 0))
            sender.sendto(b"%d" % i, receiving.address)
        expected.append((b"%d" % i, host))
    receiving.start()
    assert receiving.take(600) == expected
    receiving.stop()


@both_readers
@pytest.mark.usefixtures("ipv6")
def test_an_inherited_dual_stack_socket_tells_ipv4_senders_plainly(use_recvmmsg: bool) -> None:
    """What systemd passes for ListenDatagram=514 is [::]:514, open to IPv4 as well."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0))
    port = sock.getsockname()[1]
    queue = FrameQueue(100)
    receiver = UdpReceiver(sock, use_recvmmsg=use_recvmmsg)
    assert receiver.source == f"udp://[::]:{port}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"four", ("127.0.0.1", port))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"six", ("::1", port))
    receiver.start(queue)
    receiver.stop()
    assert receiver.join(LONG_S)
    chunks = queue.take(10, 0.0)
    assert chunks is not None
    assert [(c.data, c.peers) for c in chunks] == [([b"four", b"six"], ["127.0.0.1", "::1"])]


SENDER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", int(sys.argv[1])))
for i in range(int(sys.argv[2])):
    sock.send(b"<13>message %d" % i)
"""


@both_readers
def test_a_stream_from_another_process_arrives_in_order_or_is_counted(use_recvmmsg: bool) -> None:
    total = 20_000
    receiving = Receiving(use_recvmmsg=use_recvmmsg)
    receiving.start()
    subprocess.run(
        [sys.executable, "-c", SENDER, str(receiving.address[1]), str(total)], check=True
    )
    numbers = [int(data.split()[1]) for data, _ in receiving.stop()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + receiving.receiver.kernel_dropped == total


@both_readers
def test_every_datagram_that_the_kernel_dropped_is_counted(use_recvmmsg: bool) -> None:
    """sent = received + kernel drops, with drops before and after the last datagram read."""
    receiving = Receiving(use_recvmmsg=use_recvmmsg, receive_buffer_bytes=200_000)
    small = receiving.receiver
    fit = _fill(receiving, 3000)
    receiving.start()
    assert len(receiving.take(fit)) == fit
    until(lambda: small.kernel_dropped == 3000 - fit)  # told though no datagram comes any more
    receiving.send(b"one more")
    receiving.take(1)
    receiving.stop()
    assert receiving.queue.received[small.source] + small.kernel_dropped == 3001
    assert 0 < small.kernel_dropped < 3000


def _fill(receiving: Receiving, count: int) -> int:
    """Send before anybody reads; how many datagrams the buffer held, by the kernel's own count."""
    for i in range(count):
        receiving.send(b"%500d" % i)
    with socket.socket(fileno=os.dup(receiving.receiver._sock.fileno())) as sock:
        drops = struct.unpack("=9I", sock.getsockopt(socket.SOL_SOCKET, 55, 36))[8]
    return count - int(drops)


@both_readers
def test_the_count_that_comes_with_datagrams_agrees_with_the_kernels(use_recvmmsg: bool) -> None:
    """SO_RXQ_OVFL alone, without SO_MEMINFO: the reader tells the drops that were before."""
    receiving = Receiving(use_recvmmsg=use_recvmmsg, receive_buffer_bytes=100_000)
    fit = _fill(receiving, 2000)
    reader = open_reader(receiving.receiver._sock, use_recvmmsg=use_recvmmsg)
    seen = 0
    while data := reader.read().data:
        seen += len(data)
    assert seen == fit
    receiving.send(b"the one that carries the count")
    assert reader.read().drops == 2000 - fit
    receiving.receiver.stop()
    receiving.sender.close()


def test_drops_before_this_run_are_told_apart() -> None:
    """systemd keeps the socket between two runs: what the first one counted stays counted once."""
    first = Receiving(receive_buffer_bytes=100_000)
    kept = socket.socket(fileno=os.dup(first.receiver._sock.fileno()))
    fit = _fill(first, 2000)
    first.start()
    first.stop()
    assert first.receiver.kernel_dropped == 2000 - fit
    second = UdpReceiver(kept)
    assert second.dropped_before == 2000 - fit
    queue = FrameQueue(10)
    second.start(queue)
    second.stop()
    assert second.join(LONG_S)
    assert second.kernel_dropped == 0


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 100)), max_size=20),
)
def test_drop_counts_survive_wrapping_and_old_reports(
    start: int, steps: list[tuple[int, int]]
) -> None:
    count, true_total = DropCount(start), 0
    for more, back in steps:
        true_total += more
        count.saw((start + true_total) & 0xFFFF_FFFF)
        count.saw((start + true_total - min(back, true_total)) & 0xFFFF_FFFF)
        assert count.total == true_total


def test_stop_takes_what_the_kernel_holds() -> None:
    receiving = Receiving()
    for i in range(5000):
        receiving.send(b"%d" % i)
    receiving.start()
    receiving.receiver.stop()
    messages = [data for data, _ in receiving.stop()]
    assert messages == [b"%d" % i for i in range(5000)]


def test_a_full_queue_does_not_hold_up_the_socket() -> None:
    receiving = Receiving(queue_lines=100)
    receiving.start()
    for _ in range(2000):
        receiving.send(b"x")
    source = receiving.receiver.source
    until(lambda: receiving.queue.received[source] == 2000)
    assert receiving.queue.dropped == {(source, "queue_full"): 1900}
    assert len(receiving.stop()) == 100


def test_a_stop_before_the_start_frees_the_port() -> None:
    receiving = Receiving()
    receiving.receiver.stop()
    receiving.sender.close()
    assert receiving.receiver.finished
    bind_udp(parse_listener(receiving.receiver.source)).close()


def test_the_receive_buffer_is_as_large_as_the_system_allows() -> None:
    sock = bind_udp(parse_listener("udp://127.0.0.1:0"))
    receiver = UdpReceiver(sock, receive_buffer_bytes=1 << 20)
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text(encoding="ascii"))
    assert receiver.receive_buffer_bytes >= min(1 << 20, allowed)
    assert (
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * receiver.receive_buffer_bytes
    )
    larger = UdpReceiver(socket.socket(fileno=os.dup(sock.fileno())), receive_buffer_bytes=4096)
    assert larger.receive_buffer_bytes == receiver.receive_buffer_bytes
    receiver.stop()
    larger.stop()


def test_peer_names_are_right_and_bounded() -> None:
    names = PeerNames()
    for i in range(200_000):
        names[i]
    assert len(names) <= 65536
    (word,) = struct.unpack("=I", socket.inet_aton("192.0.2.7"))
    assert names[word] == "192.0.2.7"
    for text in ("2001:db8::7", "::1", "fe80::1:2"):
        assert names[struct.unpack("=QQ", socket.inet_pton(socket.AF_INET6, text))] == text
    mapped = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.9")
    assert names[struct.unpack("=QQ", mapped)] == "192.0.2.9"


def test_the_fast_reader_is_used_where_the_system_has_it() -> None:
    with bind_udp(parse_listener("udp://127.0.0.1:0")) as sock:
        assert isinstance(open_reader(sock), RecvmmsgReader)
        assert isinstance(open_reader(sock, use_recvmmsg=False), RecvmsgReader)


def test_a_pause_is_short_where_the_buffer_is_small() -> None:
    """A quarter of the buffer at 250,000 datagrams a second, within 1 and 10 ms."""
    assert pause_s(16 << 20) == 0.01
    assert pause_s(4 << 20) == pytest.approx(0.0036, abs=1e-4)
    assert pause_s(212_992) == 0.001
