"""Scored lines for people: one line a line, what matters at a glance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipeline.metrics import SEVERITIES
from pipeline.sinks.values import values

UNSCORED = "unscored"
_WIDTH = len(UNSCORED)
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_COLOURS = ("\x1b[1;97;41m",) * 3 + ("\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[32m", _DIM)
"""By severity: emerg, alert and crit white on red, err red, warning yellow, notice cyan …"""
_ALARM = "\x1b[1;35m"

# Control characters (C0, DEL and C1: an 8-bit CSI is one byte), and what reorders or hides the
# text around it: line separators, zero-width and bidirectional marks, tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def text(batch: pa.RecordBatch, *, colour: bool) -> bytes:
    """`time host app[procid]: severity !reasons! (×N) (declared severity) message`, as UTF-8.

    The time is the line's own in UTC, or that of its arrival where it has none. The severity is
    the predicted one, "unscored" where the model was shed; the declared one follows where it
    differs; `!reasons!` marks an anomaly, and (×N) says that it stands for N lines of its kind.
    Nothing in a line can move the cursor, change colours or begin a new line: see `shown`.
    """
    dim, reset = (_DIM, _RESET) if colour else ("", "")
    styles = _severities(colour)
    marks = [
        _mark(reasons, count, colour) if anomaly else ""
        for anomaly, reasons, count in _rows(batch, "anomaly", "reasons", "alert_count")
    ]
    lines = []
    for (stamp, received, host, app, procid, severity, declared, message), mark in zip(
        _rows(
            batch,
            "timestamp",
            "received_at",
            "hostname",
            "app_name",
            "procid",
            "predicted_severity",
            "severity",
            "message",
        ),
        marks,
        strict=True,
    ):
        process = f"{app or '-'}[{procid}]" if procid else app or "-"
        # shown() of the whole head at once: one test a line for what is hardly ever there.
        head = shown(f"{(stamp or received)[:23]}Z {host or '-'} {process}:")
        differs = declared is not None and declared != severity
        other = f"{dim}({SEVERITIES[declared]}){reset} " if differs else ""
        lines.append(f"{dim}{head}{reset} {styles[severity]} {mark}{other}{shown(message)}\n")
    return "".join(lines).encode()


def shown(message: str) -> str:
    r"""The message with every character that could act on a terminal as \xNN or \uNNNN."""
    if message.isprintable():
        return message
    return _UNSAFE.sub(_escape, message)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}.get(match[0], f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _severities(colour: bool) -> dict[int | None, str]:
    plain: dict[int | None, str] = {i: f"{name:{_WIDTH}}" for i, name in enumerate(SEVERITIES)}
    plain[None] = UNSCORED
    if not colour:
        return plain
    return {
        i: f"{_DIM if i is None else _COLOURS[i]}{word.rstrip()}{_RESET}" + " " * word.count(" ")
        for i, word in plain.items()
    }


def _rows(batch: pa.RecordBatch, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(values(batch.column(name)) for name in names), strict=True)


def _mark(reasons: list[str], count: int | None, colour: bool) -> str:
    words = f"!{','.join(reasons) or 'anomaly'}!"
    if count is not None and count > 1:
        words += f" (×{count})"
    return f"{_ALARM}{words}{_RESET} " if colour else f"{words} "
