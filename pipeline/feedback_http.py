"""/feedback on the metrics port: what people say of lines, over HTTP, from whoever has the token.

    POST /feedback   {"line": …} or {"template_id": …} or {"app": …, "text": …}, with
                     "severity" (0-7 or its name), "verdict" ("normal" or "anomaly") or both;
                     or {"undo": id}
    GET /feedback    what was said and not taken back

Both with `Authorization: Bearer TOKEN` (RFC 6750). `text` is a message without its header, or a
template as GET shows it.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.text import canonical
from pipeline.config import ConfigError
from pipeline.feedback import (
    FILE,
    Feedback,
    Template,
    UnknownFeedbackError,
    parse_severity,
    parse_template_id,
    template_of_line,
)
from pipeline.feedback_file import FeedbackError, Said, Verdict
from pipeline.scorer import MAX_APP_BYTES, MAX_KEY_BYTES
from pipeline.templates import template_id

PATH = "/feedback"
MAX_BODY_BYTES = 64 * 1024
MAX_TOKEN_BYTES = 4096
BY = "http"
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """A reply."""

    status: HTTPStatus
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = {}


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    line: str | None = None
    template_id: int | str | None = None
    app: str | None = None
    text: str | None = None
    severity: int | str | None = None
    verdict: Verdict | None = None
    undo: str | None = None


class _Shown(msgspec.Struct):
    feedback: list[Said]
    damaged: int


class _UnusableError(ValueError):
    """A request that cannot be met; one line for its sender."""


_body = msgspec.json.Decoder(_Body)


class FeedbackPage:
    """Answers for one store; threads may share it. The stream reads with a store of its own."""

    def __init__(self, feedback: Feedback, token: bytes) -> None:
        self._feedback = feedback
        self._token = token

    def get(self, headers: Message) -> Answer:
        """All that stands."""
        if not self._may(headers):
            return _unauthorised()
        try:
            self._feedback.refresh()
        except FeedbackError as error:
            return _line(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        shown = _Shown(self._feedback.rows(), self._feedback.damaged)
        return Answer(HTTPStatus.OK, msgspec.json.encode(shown) + b"\n")

    def post(self, headers: Message, read: Callable[[int], bytes]) -> Answer:
        """Say or undo; `read` gives that many bytes of the body, fewer where it ends before."""
        if not self._may(headers):
            return _unauthorised()
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != _JSON:
            return _line(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send JSON, with Content-Type: {_JSON}"
            )
        length = headers.get("Content-Length")
        if length is None:
            return _line(HTTPStatus.LENGTH_REQUIRED, "send the Content-Length")
        if not (length.isdecimal() and length.isascii()):
            return _line(HTTPStatus.BAD_REQUEST, "the Content-Length is no number")
        if len(length) > 9 or int(length) > MAX_BODY_BYTES:
            return _line(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes a request"
            )
        data = read(int(length))
        if len(data) < int(length):
            return _line(HTTPStatus.BAD_REQUEST, f"the body ended after {len(data)} bytes")
        try:
            return Answer(HTTPStatus.OK, msgspec.json.encode(self._take(data)) + b"\n")
        except (_UnusableError, UnknownFeedbackError) as error:
            return _line(HTTPStatus.BAD_REQUEST, str(error))
        except FeedbackError as error:
            return _line(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _may(self, headers: Message) -> bool:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        return right and scheme.lower() == "bearer"

    def _take(self, data: bytes) -> dict[str, object]:
        try:
            body = _body.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _UnusableError(f"not the JSON that is asked for: {error}") from error
        if body.undo is not None:
            if body != _Body(undo=body.undo):
                raise _UnusableError("undo goes by itself")
            return {"id": body.undo, "undone": msgspec.to_builtins(self._undo(body.undo))}
        severity = _severity(body.severity)
        if severity is None and body.verdict is None:
            raise _UnusableError('say what it is: "severity", "verdict" or both')
        template = self._template(body)
        said = self._feedback.say(template, by=BY, severity=severity, verdict=body.verdict)
        return {
            "id": said,
            **template._asdict(),
            "severity": severity,
            "verdict": body.verdict,
        }

    def _undo(self, said: str) -> Said:
        return self._feedback.undo(said, by=BY)

    def _template(self, body: _Body) -> Template:
        forms = [body.line is not None, body.template_id is not None, body.text is not None]
        if sum(forms) != 1 or (body.app is not None and body.text is None):
            raise _UnusableError('name one of "line", "template_id", or "app" and "text"')
        if body.line is not None:
            if not body.line.strip():
                raise _UnusableError("line: it is empty")
            return template_of_line(body.line.encode())
        if body.text is not None:
            return self._of_text(body.app or "", body.text)
        try:
            return Template(parse_template_id(str(body.template_id)))
        except ValueError as error:
            raise _UnusableError(f"template_id: {error}") from error

    def _of_text(self, app: str, text: str) -> Template:
        app = _cut(app, MAX_APP_BYTES)
        known = template_id(app, text)
        # What canonical() made it would not leave as it is in each case.
        if any(row.template_id == known and row.text == text for row in self._feedback.rows()):
            return Template(known, app, text)
        text = canonical(_cut(text, MAX_KEY_BYTES))
        return Template(template_id(app, text), app, text)


def open_page(state_dir: str | None, token_file: str) -> FeedbackPage:
    """The page for a state directory; raises ConfigError, FeedbackError."""
    token = read_token(token_file)
    if state_dir is None:
        raise ConfigError(
            "--feedback-token-file: feedback is kept in the state directory; give --state-dir"
        )
    return FeedbackPage(Feedback.load(Path(state_dir) / FILE), token)


def read_token(file: str) -> bytes:
    """The token in a file, without the newline at its end.

    Raises ConfigError where it cannot be read, holds no token, or others may read it.
    """
    name = f"--feedback-token-file {file}"
    make = f"make one with: (umask 077; openssl rand -hex 32 > {file})"
    try:
        # A FIFO would have us wait.
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as opened:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{name}: not a file; {make}")
            if mode & 0o077:
                raise ConfigError(
                    f"{name}: others than its owner have a right to it (mode "
                    f"{stat.S_IMODE(mode):04o}); chmod 600 {file}"
                )
            token = opened.read(MAX_TOKEN_BYTES + 1).strip()
    except FileNotFoundError as error:
        raise ConfigError(f"{name}: no such file; {make}") from error
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    if not token:
        raise ConfigError(f"{name}: it is empty; {make}")
    if len(token) > MAX_TOKEN_BYTES or not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"{name}: a token is one word of letters, digits and - . _ ~ + /; {make}"
        )
    return token


def _severity(given: int | str | None) -> int | None:
    if given is None:
        return None
    try:
        return parse_severity(str(given))
    except ValueError as error:
        raise _UnusableError(f"severity: {error}") from error


def _cut(text: str, most: int) -> str:
    data = text.encode()
    return data[:most].decode("utf-8", "backslashreplace")


def _unauthorised() -> Answer:
    answer = _line(HTTPStatus.UNAUTHORIZED, "send the token: Authorization: Bearer TOKEN")
    return answer._replace(headers={"WWW-Authenticate": "Bearer"})


def _line(status: HTTPStatus, text: str) -> Answer:
    said = " ".join(f"{status.value} {status.phrase}: {text}".split())
    return Answer(status, f"{said}\n".encode(), _PLAIN)
