"""The metrics port, asked by real clients and by strangers."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.health import Health
from pipeline.metrics import Metrics
from pipeline.server import MetricsServer
from pipeline.sockets import BindError, holder_of, listen_tcp, parse_host_port


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(health: Health) -> Iterator[MetricsServer]:
    server = serve(health)
    yield server
    server.close()


def serve(health: Health, address: str = "127.0.0.1:0", **options: float) -> MetricsServer:
    server = MetricsServer(listen_tcp(address), Metrics().registry, health, **options)
    server.start()
    return server


def ask(
    server: MetricsServer, path: str, method: str = "GET"
) -> tuple[int, bytes, http.client.HTTPMessage]:
    host, port = server.socket.getsockname()[:2]
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def connect(server: MetricsServer) -> socket.socket:
    return socket.create_connection(server.socket.getsockname()[:2], timeout=10)


def read_all(client: socket.socket) -> bytes:
    """Everything until the server ends the connection, cleanly or not."""
    chunks = []
    try:
        while chunk := client.recv(65536):
            chunks.append(chunk)
    except ConnectionError:
        pass
    return b"".join(chunks)


def drip(client: socket.socket, seconds: float) -> None:
    """Send a request that never ends, a byte at a time."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        client.sendall(b"x")
        time.sleep(0.02)


def test_metrics_are_in_the_classic_text_format(server: MetricsServer) -> None:
    status, body, headers = ask(server, "/metrics?x=1")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"\nltt_stream_queue_messages 0.0\n" in body


def test_head_gives_the_headers_alone(server: MetricsServer) -> None:
    status, body, headers = ask(server, "/metrics", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("HEAD", "/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/nothing", 405),
        ("BREW", "/metrics", 501),
    ],
)
def test_other_requests_are_refused(
    server: MetricsServer, method: str, path: str, status: int
) -> None:
    got, _, headers = ask(server, path, method)
    assert got == status
    assert headers["Allow"] == ("GET, HEAD" if status == 405 else None)
    assert headers["Server"] == "ltt-stream"


def test_healthy_while_the_loop_beats() -> None:
    health = Health(beat_within_s=0.05)
    server = serve(health)
    try:
        time.sleep(0.1)
        status, body, _ = ask(server, "/healthz")
        assert status == 503
        assert body.startswith(b"the stream loop has been silent for ")
        health.beat_within_s = 60
        health.beat()
        assert ask(server, "/healthz")[:2] == (200, b"ok\n")
    finally:
        server.close()


def test_ready_when_no_part_has_a_reason_left(server: MetricsServer, health: Health) -> None:
    status, body, _ = ask(server, "/readyz")
    assert status == 503
    assert body.decode().splitlines() == [
        "model: not loaded yet",
        "sockets: not open yet",
        "sink: not open yet",
    ]
    for part in ("model", "sockets", "sink"):
        assert ask(server, "/readyz")[0] == 503
        health.set_ready(part)
    assert ask(server, "/readyz")[:2] == (200, b"ready\n")
    health.set_not_ready("sink", "disk full")
    assert ask(server, "/readyz")[:2] == (503, b"sink: disk full\n")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
        b"\x00" * 4096 + b"\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/-1.x\r\n\r\n",
        b"<34>Oct 11 22:14:15 h su: a syslog line\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
        b"GET /%ff%00\xff HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
    ],
    ids=[
        "tls",
        "nul",
        "future",
        "version",
        "syslog",
        "path",
        "header",
        "headers",
        "path2",
        "body",
    ],
)
def test_what_is_not_http_harms_nothing(
    server: MetricsServer, junk: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect(server) as client:
        with contextlib.suppress(ConnectionError):  # refused before it was read to its end
            client.sendall(junk)
        answer = read_all(client)
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert ask(server, "/metrics")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_random_bytes_harm_nothing(
    server: MetricsServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(50):
        with connect(server) as client:
            client.sendall(os.urandom(300) + b"\n\n")
            client.shutdown(socket.SHUT_WR)
            read_all(client)
    assert ask(server, "/metrics")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_client_that_resets_is_no_news(
    server: MetricsServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        client = connect(server)
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # RST
    assert ask(server, "/metrics")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_idle_clients_do_not_keep_a_scrape_out(server: MetricsServer) -> None:
    idle = [connect(server) for _ in range(100)]
    try:
        threads = [t for t in threading.enumerate() if "process_request" in t.name]
        assert len(threads) <= 16
        assert ask(server, "/metrics")[0] == 200
    finally:
        for client in idle:
            client.close()


def test_a_client_that_drips_is_ended(health: Health) -> None:
    server = serve(health, connection_s=0.3)
    try:
        with connect(server) as client, pytest.raises(ConnectionError):
            drip(client, 20)
    finally:
        server.close()


def test_an_ipv6_address_serves(health: Health) -> None:
    server = serve(health, "[::1]:0")
    try:
        assert server.url == f"http://[::1]:{server.socket.getsockname()[1]}"
        assert ask(server, "/healthz")[0] == 200
    finally:
        server.close()


def test_no_host_means_every_address_of_both_families(health: Health) -> None:
    server = serve(health, ":0")
    try:
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, server.socket.getsockname()[1]), timeout=10).close()
    finally:
        server.close()


def test_an_inherited_listener_serves(health: Health) -> None:
    with socket.create_server(("127.0.0.1", 0)) as original:
        inherited = socket.socket(fileno=os.dup(original.fileno()))
        server = MetricsServer(inherited, Metrics().registry, health)
        server.start()
        try:
            assert ask(server, "/healthz")[0] == 200
        finally:
            server.close()


def test_after_close_the_port_is_free(health: Health) -> None:
    server = serve(health)
    port = server.socket.getsockname()[1]
    assert ask(server, "/healthz")[0] == 200
    server.close()
    listen_tcp(f"127.0.0.1:{port}").close()


def test_a_busy_port_names_the_address_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(BindError) as error:
            listen_tcp(f"127.0.0.1:{port}")
    assert str(error.value).startswith(f"127.0.0.1:{port}: the port is in use by ")
    assert str(error.value).endswith(f"(pid {os.getpid()})")


def test_a_dual_stack_socket_holds_the_ipv4_port() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as held:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind(("::", 0))
        port = held.getsockname()[1]
        holder = holder_of(socket.AF_INET, "udp", port, "0.0.0.0")
        assert holder is not None
        assert f"(pid {os.getpid()})" in holder
        assert holder_of(socket.AF_INET, "tcp", port) is None


def test_another_address_is_not_in_the_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert holder_of(socket.AF_INET, "tcp", port, "127.0.0.2") is None
        listen_tcp(f"127.0.0.2:{port}").close()


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("127.0.0.1:9514", ("127.0.0.1", 9514)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9514", ("::1", 9514)),
        (":9514", ("", 9514)),
    ],
)
def test_addresses(text: str, meaning: tuple[str, int]) -> None:
    assert parse_host_port(text) == meaning


@pytest.mark.parametrize("text", ["", "9514", "host:", "host:http", "host:65536", "::1:9514"])
def test_an_unreadable_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="for example") as error:
        listen_tcp(text)
    assert str(error.value).startswith(f"{text}: ")
    assert "\n" not in str(error.value)


def test_an_address_of_another_machine_is_refused_by_name() -> None:
    with pytest.raises(BindError, match=r"^192\.0\.2\.1:9514: this machine has no such address$"):
        listen_tcp("192.0.2.1:9514")
