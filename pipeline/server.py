"""The metrics port: /metrics, /healthz and /readyz over HTTP/1.0, one request a connection.

With a token also /feedback: what people say of lines; see pipeline.feedback_http.

Nothing that comes in can hurt the stream: the number of connections is capped (the oldest yields
to a new one), each has a deadline for its whole life, and what is not HTTP is answered or closed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from prometheus_client import CollectorRegistry, generate_latest

from pipeline.health import Health

if TYPE_CHECKING:
    from pipeline.feedback_http import Answer, FeedbackPage

_log = logging.getLogger(__name__)
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
_FEEDBACK = "/feedback"
_MOST_CONNECTIONS = 16
_MOST_DRAINED_BYTES = 1 << 20
"""Read of a body that nobody wants: with more unread, a client may never see its answer."""
_POLL_S = 0.1

_Reply = tuple[HTTPStatus, str, bytes]


class _Handler(BaseHTTPRequestHandler):
    timeout = 5.0
    """Seconds that one read or write may wait."""
    error_content_type = _PLAIN
    error_message_format = "%(code)d %(message)s\n"
    pages: ClassVar[dict[str, Callable[[], _Reply]]]
    feedback: ClassVar[FeedbackPage | None] = None

    def do_GET(self) -> None:
        if self.feedback is not None and self._asked == _FEEDBACK:
            self._answer(self.feedback.get(self.headers))
            return
        page = self.pages.get(self._asked)
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._reply(*page())

    do_HEAD = do_GET  # noqa: N815 - http.server looks up these names

    def do_POST(self) -> None:
        if self.feedback is None or self._asked != _FEEDBACK:
            self._not_allowed()
            return
        taken = 0

        def read(size: int) -> bytes:
            nonlocal taken
            data = self.rfile.read(size)
            taken += len(data)
            return data

        self._answer(self.feedback.post(self.headers, read))
        length = self.headers.get("Content-Length", "")
        if length.isascii() and length.isdecimal():
            self.rfile.read(min(int(length[:12]), _MOST_DRAINED_BYTES) - taken)

    def _not_allowed(self) -> None:
        takes_posts = self.feedback is not None and self._asked == _FEEDBACK
        allowed = {"Allow": "GET, HEAD, POST" if takes_posts else "GET, HEAD"}
        status = HTTPStatus.METHOD_NOT_ALLOWED
        self._reply(status, _PLAIN, b"405 Method Not Allowed\n", allowed)

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _not_allowed  # noqa: N815

    @property
    def _asked(self) -> str:
        return self.path.partition("?")[0]

    def _answer(self, answer: Answer) -> None:
        self._reply(answer.status, answer.content_type, answer.body, answer.headers)

    def _reply(
        self,
        status: HTTPStatus,
        content_type: str,
        body: bytes,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "ltt-stream"

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: strangers' requests do not belong in the program's log."""


class MetricsServer(ThreadingMixIn, TCPServer):
    """Serves `registry` and `health` on `listener`, a listening TCP socket that it takes over.

    Threads are daemons: the program never waits for a client at its end.
    """

    daemon_threads = True

    def __init__(
        self,
        listener: socket.socket,
        registry: CollectorRegistry,
        health: Health,
        *,
        feedback: FeedbackPage | None = None,
        connection_s: float = 10.0,
    ) -> None:
        def healthz() -> _Reply:
            if health.alive():
                return HTTPStatus.OK, _PLAIN, b"ok\n"
            silent = f"the stream loop has been silent for {health.silent_s():.1f} s\n"
            return HTTPStatus.SERVICE_UNAVAILABLE, _PLAIN, silent.encode()

        def readyz() -> _Reply:
            reasons = health.not_ready()
            if not reasons:
                return HTTPStatus.OK, _PLAIN, b"ready\n"
            text = "".join(f"{reason}\n" for reason in reasons)
            return HTTPStatus.SERVICE_UNAVAILABLE, _PLAIN, text.encode()

        def metrics() -> _Reply:
            return HTTPStatus.OK, _EXPOSITION, generate_latest(registry)

        pages = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}
        handler = type("Handler", (_Handler,), {"pages": pages, "feedback": feedback})
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()  # TCPServer made one of its own
        # accept() must not hang on a client that left between select() and accept()
        listener.setblocking(False)
        self.socket = listener
        self._connection_s = connection_s
        self._slots = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._began: dict[socket.socket, float] = {}
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the server answers, with the port that was really taken."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Serve from a daemon thread until `close`."""
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_S,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; replies that are on their way are left to their threads."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(_POLL_S)  # the listener stays readable: don't spin on it
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self._end_oldest()
            if not self._slots.acquire(timeout=_POLL_S):
                self.shutdown_request(request)
                return
        self._began[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was started: its slot is free again
            self._release(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._release(request)

    def service_actions(self) -> None:
        """End connections past their deadline, such as a client that sends a byte a second."""
        ended = time.monotonic() - self._connection_s
        for request, began in list(self._began.items()):
            if began < ended:
                _end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):  # OSError: the client went away
            _log.warning("metrics port: %s: %s", type(error).__name__, error)

    def _end_oldest(self) -> None:
        began = list(self._began.items())
        if began:
            _end(min(began, key=lambda item: item[1])[0])

    def _release(self, request: socket.socket) -> None:
        self._began.pop(request, None)
        self._slots.release()


def _end(request: socket.socket) -> None:
    """Wake the connection's thread: its reads then give EOF and its writes fail."""
    with contextlib.suppress(OSError):  # already gone
        request.shutdown(socket.SHUT_RDWR)
