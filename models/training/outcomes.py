"""What a number says: statements whose severity hangs on a code, a status or a percentage.

Source code has one statement for all of its outcomes ("exited with status %d", logged at info), so
a corpus of statements cannot teach that status 0 is fine and status 1 is not. These lines, made
from a few phrases of our own, do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.training.corpus import Rows

ERR, WARNING, NOTICE, INFO = 3, 4, 5, 6


class Outcome(NamedTuple):
    text: str
    severity: int
    app: str


_WHO = (
    *("process", "service", "job", "child", "worker", "script", "task", "command", "backup"),
    *("container", "main process", "helper", "hook", "unit", "plugin", "daemon"),
)
_ENDED = (
    *("exited with code {}", "exited with status {}", "exit code {}", "exit status {}"),
    *("returned {}", "returned status {}", "finished with status {}", "ended, rc={}"),
    *("terminated with exit code {}", "finished, result {}", "status={}", "exited, status={}"),
    *("completed with return code {}", "stopped (exit status {})", "done: ret={}"),
)
_KILLED = (
    *("killed by signal {}", "terminated by signal {}", "exited on signal {}", "got signal {}"),
    *("died with signal {}", "code=killed, status={}"),
)
_REQUEST = (
    '<ip> - - "{1} <path> HTTP/1.1" {0} 512',
    '"{1} <path> HTTP/1.1" {0} <num>',
    "{1} <path> HTTP status {0}",
    "upstream responded with HTTP {0}",
    "request finished, status={0}",
    "response status {0} for {1} <path>",
)
_FULL = (
    *("disk usage at {}%", "filesystem <path> is {}% full", "<path>: {}% used"),
    *("memory usage {}%", "swap is {}% full", "inode usage on <path> {}%"),
    *("connection table {}% full", "queue is {}% full", "pool usage {}%"),
)
_LOST = ("{}% packet loss", "<num> packets transmitted, {}% packet loss", "lost {}% of packets")
_RESULTS = (
    *("operation completed, error code {}", "call returned error {}", "result code {}"),
    *("last error: {}", "errno={}", "health check exit code {}"),
)
_METHODS = ("GET", "POST", "PUT", "HEAD")


def outcomes() -> list[Outcome]:
    """All of them, in a fixed order: some 2,000 lines."""
    found: list[Outcome] = []
    for who in _WHO:
        for phrase in _ENDED:
            found += [
                Outcome(f"{who} {phrase.format(code)}", severity, "")
                for code, severity in ((0, INFO), (1, ERR), (2, ERR), (127, ERR), (255, ERR))
            ]
        for phrase in _KILLED:
            found += [
                Outcome(f"{who} {phrase.format(code)}", severity, "")
                for code, severity in ((15, INFO), (1, INFO), (6, ERR), (9, ERR), (11, ERR))
            ]
    for phrase in _REQUEST:
        for method in _METHODS:
            found += [
                Outcome(phrase.format(code, method), severity, app)
                for code, severity, app in (
                    *((200, INFO, "nginx"), (200, INFO, ""), (201, INFO, ""), (204, INFO, "")),
                    *((301, INFO, "apache2"), (304, INFO, ""), (403, WARNING, "")),
                    *((404, NOTICE, ""), (500, ERR, ""), (502, ERR, "nginx"), (503, ERR, "")),
                    *((504, ERR, ""),),
                )
            ]
    for phrase in _FULL:
        found += [
            Outcome(phrase.format(percentage), severity, "")
            for percentage, severity in (
                *((4, INFO), (12, INFO), (40, INFO), (60, INFO)),
                *((85, NOTICE), (92, WARNING), (96, WARNING), (100, ERR)),
            )
        ]
    for phrase in _LOST:
        found += [
            Outcome(phrase.format(percentage), severity, "")
            for percentage, severity in ((0, INFO), (20, WARNING), (60, WARNING), (100, ERR))
        ]
    for phrase in _RESULTS:
        found += [
            Outcome(phrase.format(code), severity, "")
            for code, severity in ((0, INFO), (1, ERR), (2, ERR), (5, ERR), (13, ERR), (110, ERR))
        ]
    return found


def with_outcomes(rows: Rows) -> Rows:
    """A corpus of statements, and those whose severity hangs on a number; others as they are."""
    if not rows.templates:
        return rows
    more = outcomes()
    texts = [outcome.text for outcome in more]
    return Rows(
        rows.texts + texts,
        rows.templates + texts,
        rows.apps + [outcome.app for outcome in more],
        rows.origins + ["outcomes"] * len(more),
        np.concatenate((rows.severity, [outcome.severity for outcome in more])),
        rows.bad,
    )
