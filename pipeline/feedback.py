"""What people have said of templates: DIR/feedback.jsonl in the state directory.

One row each, or a row that takes an earlier one back. Rows are only ever added, so that the
command line may write while the stream runs; one that a crash cut short is passed over and
counted. Of what stands, the newest word on a template's severity holds and the newest verdict on
it, each for itself: "this is normal" leaves "this is err" as it was. A row taken back is as if it
had never been said.
"""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from models.text import canonical
from parsers.message import KEYWORDS
from parsers.syslog import Parser
from pipeline.feedback_file import FeedbackError, Said, Undone, Verdict, Writer, decode
from pipeline.scorer import MAX_APP_BYTES, MAX_KEY_BYTES
from pipeline.templates import template_id

FILE = "feedback.jsonl"
SEVERITIES = KEYWORDS
"""Severity keywords by code, RFC 5424 Table 2 (as syslog.conf writes them)."""
_KNOWN_BY_BYTES = 4096
_ALSO = {"emergency": 0, "panic": 0, "critical": 2, "error": 3, "warn": 4, "informational": 6}


class UnknownFeedbackError(LookupError):
    """Nothing of that id stands; one line."""


class Template(NamedTuple):
    """What a person speaks of; the id alone where no more is known."""

    template_id: int
    app: str | None = None
    text: str | None = None
    """Canonical."""
    facility: int | None = None


class Standing(NamedTuple):
    """What holds for one template: a severity, a verdict or both."""

    severity: int | None
    verdict: Verdict | None
    id: str
    """Of the newest row that stands."""
    at: str
    app: str | None
    text: str | None
    """None where only the id was given: whoever has the template in its table knows the text."""
    facility: int | None


class Feedback:
    """The file and what stands in it; threads may share one. Reading never waits for a writer."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet; see `load`."""
        self.path = path
        self.damaged = 0
        """Lines passed over."""
        self._rows: dict[str, Said] = {}
        self._read_to = 0
        self._last = b""
        """What was read last, by which a file that only grew is known."""
        self._seen: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path) -> Feedback:
        """Read the file; none is the same as an empty one. Raises FeedbackError."""
        feedback = cls(path)
        feedback.refresh()
        return feedback

    def changed(self) -> bool:
        """Whether the file is no longer as it was read: one stat."""
        return self._stat() != self._seen

    def refresh(self) -> None:
        """Take up what was said since.

        Raises FeedbackError; what was read before holds then, and the next try is after the
        next change.
        """
        with self._lock:
            self._refresh()

    def rows(self) -> list[Said]:
        """All that was said and not taken back, oldest first."""
        with self._lock:
            return list(self._rows.values())

    def standing(self) -> dict[int, Standing]:
        """What holds, by template id."""
        found: dict[int, Standing] = {}
        for row in self.rows():
            new = Standing(
                row.severity, row.verdict, row.id, row.at, row.app, row.text, row.facility
            )
            old = found.get(row.template_id)
            if old is not None:
                if new.severity is None:
                    new = new._replace(severity=old.severity)
                if new.verdict is None:
                    new = new._replace(verdict=old.verdict)
                if new.text is None:
                    new = new._replace(app=old.app, text=old.text, facility=old.facility)
            found[row.template_id] = new
        return found

    def say(
        self,
        template: Template,
        *,
        by: str,
        severity: int | None = None,
        verdict: Verdict | None = None,
    ) -> str:
        """Add a row; its id, once it is on the disk.

        severity: 0 to 7. Raises ValueError where neither is given, FeedbackError.
        """
        if severity is None and verdict is None:
            raise ValueError("say a severity, a verdict or both")
        with self._lock, Writer(self.path) as writer:
            self._refresh()
            while (new := secrets.token_hex(4)) in self._rows:
                pass
            writer.add(Said(new, _now(), by, *template, severity, verdict))
            self._refresh()
        return new

    def undo(self, said: str, *, by: str) -> Said:
        """Take back the row of this id; the row.

        Raises UnknownFeedbackError where no such row stands, FeedbackError.
        """
        with self._lock, Writer(self.path) as writer:
            self._refresh()
            row = self._rows.get(said)
            if row is None:
                raise UnknownFeedbackError(f"{said}: nothing of this id stands")
            writer.add(Undone(said, _now(), by))
            self._refresh()
        return row

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _refresh(self) -> None:
        before, self._seen = self._seen, self._stat()
        if self._seen == before:
            return
        data = self._read(self._read_to - len(self._last))
        if data.startswith(self._last):
            data = data[len(self._last) :]
        else:  # another file than was read: begin at its beginning
            data = self._read(0)
            self._rows, self._read_to, self._last, self.damaged = {}, 0, b"", 0
        end = data.rfind(b"\n") + 1  # what follows is on its way, or was cut short
        for line in data[:end].split(b"\n"):
            match decode(line) if line else None:
                case Said() as said:
                    self._rows.pop(said.id, None)  # to the end: the last one wins
                    self._rows[said.id] = said
                case Undone(undo):
                    self._rows.pop(undo, None)
                case None:
                    self.damaged += bool(line)
        self._read_to += end
        self._last = (self._last + data[:end])[-_KNOWN_BY_BYTES:]

    def _read(self, start: int) -> bytes:
        if self._seen is None:
            return b""
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read()
        except OSError as error:
            raise FeedbackError(f"{self.path}: cannot be read: {error.strerror}") from error


def template_of_line(line: bytes) -> Template:
    """The template of a line as it came in, with its header."""
    # A parser of its own: several threads may ask, and parsers are for one.
    _, priority, _, _, _, app, _, _, _, message, _ = Parser().fields(line, 0)
    facility = None if priority < 0 else priority >> 3
    name = "" if app is None else app[:MAX_APP_BYTES].decode("utf-8", "backslashreplace")
    text = canonical(message[:MAX_KEY_BYTES].decode("utf-8", "backslashreplace"))
    return Template(template_id(name, text), name, text, facility)


def parse_template_id(text: str) -> int:
    """A template's id as Arrow files and JSON lines show it, or in hex after 0x.

    Raises ValueError, one line.
    """
    digits, base = (text[2:], 16) if text[:2].lower() == "0x" else (text, 10)
    try:
        number = int(digits, base) if digits.isalnum() and digits.isascii() else 0
    except ValueError:
        number = 0
    if not 0 < number < 1 << 64:
        raise ValueError(f"{text[:40]!r} is no template id; take it from the column template_id")
    return number


def parse_severity(text: str) -> int:
    """The code of a severity, given as its code or its keyword. Raises ValueError, one line."""
    word = text.strip().lower()
    if word in SEVERITIES:
        return SEVERITIES.index(word)
    if word in _ALSO:
        return _ALSO[word]
    if word in list("01234567"):
        return int(word)
    raise ValueError(
        f"{text[:40]!r} is no severity; choose one of {', '.join(SEVERITIES)}, or 0 to 7"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
