"""/feedback on the metrics port, asked by real clients and by strangers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import ConfigError
from pipeline.feedback import FILE, Feedback, Template, template_of_line
from pipeline.feedback_http import MAX_BODY_BYTES, FeedbackPage, open_page, read_token
from pipeline.health import Health
from pipeline.metrics import Metrics
from pipeline.server import MetricsServer
from pipeline.sockets import listen_tcp

TOKEN = "s3cret-Token~1="
LINE = '<34>Oct 11 22:14:15 h web[1]: "GET /x HTTP/1.1" 404 17'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def server(path: Path) -> Iterator[MetricsServer]:
    server = serve(FeedbackPage(Feedback.load(path), TOKEN.encode()))
    yield server
    server.close()


def serve(page: FeedbackPage | None, connection_s: float = 10.0) -> MetricsServer:
    server = MetricsServer(
        listen_tcp("127.0.0.1:0"),
        Metrics().registry,
        Health(),
        feedback=page,
        connection_s=connection_s,
    )
    server.start()
    return server


def ask(
    server: MetricsServer,
    method: str = "GET",
    body: bytes | None = None,
    *,
    path: str = "/feedback",
    token: str | None = f"Bearer {TOKEN}",
    kind: str | None = "application/json",
) -> tuple[int, bytes, http.client.HTTPMessage]:
    headers = {"Authorization": token, "Content-Type": kind}
    host, port = server.socket.getsockname()[:2]
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path, body, {k: v for k, v in headers.items() if v is not None})
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def post(server: MetricsServer, body: Any) -> tuple[int, Any]:
    """The status, and the JSON of a 200 or the line of anything else."""
    status, data, _ = ask(server, "POST", json.dumps(body).encode())
    return status, json.loads(data) if status == 200 else data.decode()


def connect(server: MetricsServer) -> socket.socket:
    return socket.create_connection(server.socket.getsockname()[:2], timeout=10)


def head(server: MetricsServer, *headers: str) -> socket.socket:
    """A client that has sent a POST's headers, with the token, and nothing more."""
    client = connect(server)
    lines = ["POST /feedback HTTP/1.1", f"Authorization: Bearer {TOKEN}", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode())
    return client


def rest(client: socket.socket) -> bytes:
    chunks = []
    while chunk := client.recv(65536):
        chunks.append(chunk)
    client.close()
    return b"".join(chunks)


# What people say


def test_a_line_is_called_err_and_the_stream_sees_it(server: MetricsServer, path: Path) -> None:
    stream = Feedback.load(path)
    status, said = post(server, {"line": LINE, "severity": "err", "verdict": "anomaly"})
    template = template_of_line(LINE.encode())
    assert status == 200
    assert said == {"id": said["id"], **template._asdict(), "severity": 3, "verdict": "anomaly"}
    assert stream.changed()
    stream.refresh()
    assert stream.standing()[template.template_id][:3] == (3, "anomaly", said["id"])
    assert stream.rows()[0].by == "http"


@pytest.mark.parametrize("given", [2**64 - 1, "18446744073709551615", "0xFFFFFFFFFFFFFFFF"])
def test_a_template_is_named_by_its_id(server: MetricsServer, path: Path, given: object) -> None:
    assert post(server, {"template_id": given, "severity": 6})[0] == 200
    assert Feedback.load(path).standing()[2**64 - 1].severity == 6


def test_a_template_is_named_by_its_text_as_it_is_listed(server: MetricsServer) -> None:
    template = template_of_line(LINE.encode())
    _, raw = post(server, {"app": "web", "text": '"GET /y HTTP/1.1" 404 3', "verdict": "normal"})
    assert raw["template_id"] == template.template_id
    listed = json.loads(ask(server)[1])["feedback"][0]
    assert (listed["app"], listed["text"]) == ("web", template.text)
    _, again = post(server, {"app": "web", "text": listed["text"], "verdict": "anomaly"})
    assert again["template_id"] == template.template_id
    _, bare = post(server, {"text": "no program 5", "verdict": "normal"})
    assert bare["template_id"] == template_of_line(b"no program 7").template_id


def test_what_is_undone_is_no_longer_listed(server: MetricsServer, path: Path) -> None:
    kept = post(server, {"line": "app: one", "severity": 3})[1]["id"]
    gone = post(server, {"line": "app: two", "severity": 3})[1]["id"]
    status, said = post(server, {"undo": gone})
    assert (status, said["id"], said["undone"]["text"]) == (200, gone, "two")
    assert [row["id"] for row in json.loads(ask(server)[1])["feedback"]] == [kept]
    status, said = post(server, {"undo": gone})
    assert status == 400
    assert gone in said


def test_the_command_line_and_http_see_each_other(server: MetricsServer, path: Path) -> None:
    path.write_bytes(b"damaged\n")
    said = Feedback.load(path).say(Template(7), by="ann", severity=3)
    status, data, headers = ask(server)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    found = json.loads(data)
    assert [row["id"] for row in found["feedback"]] == [said]
    assert found["damaged"] == 1
    assert post(server, {"undo": said})[0] == 200
    assert Feedback.load(path).standing() == {}


def test_many_clients_at_once_lose_nothing(server: MetricsServer, path: Path) -> None:
    said: list[str] = []

    def talk(client: int) -> None:
        for i in range(5):
            body = {"template_id": 1 + 5 * client + i, "severity": client}
            said.append(post(server, body)[1]["id"])

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = Feedback.load(path)
    assert {row.id for row in store.rows()} == set(said)
    assert {t: word.severity for t, word in store.standing().items()} == {
        1 + i: i // 5 for i in range(40)
    }


# Who may say it


def test_without_a_token_file_there_is_no_such_page(path: Path) -> None:
    server = serve(None)
    try:
        status, _, headers = ask(server, "POST", b"{}")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
        assert ask(server)[0] == 404
    finally:
        server.close()


@pytest.mark.parametrize(
    "token",
    [
        *(None, "", TOKEN, "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x"),
        *(f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe"),
    ],
)
def test_whoever_has_no_token_gets_and_says_nothing(
    server: MetricsServer, path: Path, token: str | None
) -> None:
    body = json.dumps({"template_id": 7, "severity": 3}).encode()
    for method in ("GET", "POST", "HEAD"):
        status, _, headers = ask(server, method, body if method == "POST" else None, token=token)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert not path.exists()
    assert ask(server, token=f"bEARER {TOKEN}")[0] == 200  # RFC 9110 section 11.1


def test_other_methods_and_pages_are_as_before(server: MetricsServer) -> None:
    status, _, headers = ask(server, "PUT", b"{}")
    assert (status, headers["Allow"]) == (405, "GET, HEAD, POST")
    status, _, headers = ask(server, "POST", b"{}", path="/metrics")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    status, data, headers = ask(server, "HEAD")
    assert (status, data) == (200, b"")
    assert int(headers["Content-Length"]) > 0
    assert ask(server, path="/metrics", token=None)[0] == 200


# What is not understood


BAD = {
    "not JSON": b"severity=err",
    "nothing": b"",
    "no object": b"[]",
    "not UTF-8": b'{"line": "\xff", "severity": 3}',
    "half a character": b'{"line": "\\ud800", "severity": 3}',
    "an unknown key": b'{"line": "x", "severity": 3, "colour": 1}',
    "nothing said": b'{"line": "x"}',
    "of nothing": b'{"severity": 3}',
    "an empty line": b'{"line": " ", "severity": 3}',
    "two forms": b'{"line": "x", "template_id": 7, "severity": 3}',
    "an app of no text": b'{"template_id": 7, "app": "x", "severity": 3}',
    "a bad severity": b'{"line": "x", "severity": 8}',
    "no number": b'{"line": "x", "severity": true}',
    "a bad verdict": b'{"line": "x", "verdict": "perhaps"}',
    "a bad template": b'{"template_id": -1, "severity": 3}',
    "too large a template": b'{"template_id": 18446744073709551616, "severity": 3}',
    "undo and more": b'{"undo": "12345678", "severity": 3}',
    "undo of nothing": b'{"undo": "12345678"}',
    "deep": b'{"x":' + b"[" * 60_000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_met_is_refused_in_one_line(
    server: MetricsServer, path: Path, name: str
) -> None:
    status, data, _ = ask(server, "POST", BAD[name])
    assert status == 400
    (said,) = data.decode().splitlines()
    assert said.startswith("400 Bad Request: ")
    assert Feedback.load(path).rows() == []


def test_a_body_that_is_too_large_is_refused(server: MetricsServer) -> None:
    whole = {"line": "x", "severity": 3}
    most = json.dumps(whole).encode().ljust(MAX_BODY_BYTES)
    assert ask(server, "POST", most)[0] == 200
    assert ask(server, "POST", most + b" ")[0] == 413
    assert ask(server, "POST", most * 10)[0] == 413
    client = head(server, "Content-Type: application/json", "Content-Length: " + "9" * 50)
    client.shutdown(socket.SHUT_WR)
    assert b" 413 " in rest(client).partition(b"\r\n")[0]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_other_content_is_refused(server: MetricsServer, kind: str | None) -> None:
    body = b'{"line": "x", "severity": 3}'
    status, said, _ = ask(server, "POST", body, kind=kind)
    assert status == 415
    assert b"application/json" in said
    assert ask(server, "POST", body, kind="Application/JSON; charset=utf-8")[0] == 200


@pytest.mark.parametrize(
    ("length", "status"), [(None, b"411"), ("x", b"400"), ("-5", b"400"), ("90", b"400")]
)
def test_a_length_that_does_not_fit_is_refused(
    server: MetricsServer, length: str | None, status: bytes
) -> None:
    headers = [] if length is None else [f"Content-Length: {length}"]
    client = head(server, "Content-Type: application/json", *headers)
    with contextlib.suppress(OSError):  # it may have answered, and gone, before it has read
        client.sendall(b'{"line": "x", "severity": 3}')
        client.shutdown(socket.SHUT_WR)
    assert rest(client).partition(b"\r\n")[0].split()[1] == status


def test_a_body_that_never_comes_is_given_up(path: Path) -> None:
    server = serve(FeedbackPage(Feedback.load(path), TOKEN.encode()), connection_s=0.3)
    try:
        with head(server, "Content-Type: application/json", "Content-Length: 90") as client:
            assert client.recv(100) in (b"", b"HTTP/1.0 400 Bad Request\r\n")
        assert ask(server)[0] == 200
    finally:
        server.close()


def test_clients_that_hang_keep_nobody_out(server: MetricsServer) -> None:
    hanging = [
        head(server, "Content-Type: application/json", "Content-Length: 90") for _ in range(40)
    ]
    try:
        assert post(server, {"line": "x", "severity": 3})[0] == 200
        assert ask(server, path="/metrics")[0] == 200
    finally:
        for client in hanging:
            client.close()


def test_a_file_that_cannot_be_written_is_the_servers_fault(
    server: MetricsServer, path: Path
) -> None:
    path.mkdir()
    status, said = post(server, {"line": "x", "severity": 3})
    assert status == 500
    assert str(path) in said
    assert ask(server)[0] == 500
    path.rmdir()
    assert post(server, {"line": "x", "severity": 3})[0] == 200
    assert ask(server)[0] == 200


# The token file


def test_the_token_of_a_private_file_opens_the_page(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(f"{TOKEN}\n")
    page = open_page(str(path.parent), str(file))
    server = serve(page)
    try:
        assert post(server, {"line": "x", "severity": 3})[0] == 200
    finally:
        server.close()
    with pytest.raises(ConfigError, match="--state-dir"):
        open_page(None, str(file))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"{mode:04o}.*chmod 600 {file}"):
        read_token(str(file))
    file.chmod(0o400)
    assert read_token(str(file)) == TOKEN.encode()


@pytest.mark.parametrize(
    ("content", "why"), [("", "empty"), (" \n", "empty"), ("two words", "word"), ("ü", "word")]
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(content)
    with pytest.raises(ConfigError, match=f"{file}: .*{why}.*openssl"):
        read_token(str(file))


def test_a_token_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path, Path("/dev/null")):
        with pytest.raises(ConfigError, match=f"--feedback-token-file {file}: ") as error:
            read_token(str(file))
        assert "\n" not in str(error.value)
