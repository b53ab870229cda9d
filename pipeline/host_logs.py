"""Plain log files as what each host said, for `ltt-stream trajectory fit`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parsers.syslog import Parser
from pipeline.lines import read_lines
from pipeline.scorer import Scorer

SLICE = 4096
"""Lines looked up at once: in the template table there is room for as many new ones."""
STAMP = re.compile(rb"\[?(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)[.,]?(\d{0,6})")
"""What lines without a syslog header often begin with."""


class HostLog(NamedTuple):
    """What one host said, sorted by time."""

    name: str
    times_s: npt.NDArray[np.float64]
    templates: npt.NDArray[np.intp]
    """(N,) rows of `Logs.latents`."""
    severity: npt.NDArray[np.uint8]
    """(N,) declared, else predicted."""


class Logs(NamedTuple):
    hosts: list[HostLog]
    latents: npt.NDArray[np.float32]
    """(T, D)"""
    ids: npt.NDArray[np.uint64]
    """(T,)"""
    lines: int


class _Lines(NamedTuple):
    host: list[str]
    time_s: list[float]
    app: list[bytes | None]
    message: list[bytes]
    priority: list[int]


def read_logs(paths: Sequence[Path], scorer: Scorer, parser: Parser | None = None) -> Logs:
    """Parse, find templates and group by host; raises OSError.

    Lines without a hostname are of a host of their file's name. A line without a stamp is taken to
    be as old as the one before it.
    """
    parser = parser or Parser()
    row_of: dict[int, int] = {}
    latents: list[npt.NDArray[np.float32]] = []
    columns: list[tuple[list[str], list[float], npt.NDArray[np.intp], npt.NDArray[np.uint8]]] = []
    for path in paths:
        for part in _slices(path, parser):
            facilities = [-1 if p < 0 else p >> 3 for p in part.priority]
            rows = scorer.resolve(part.app, part.message, facilities).rows
            table = scorer.table
            scorer.observe(rows)
            templates = np.empty(len(rows), np.intp)
            ids = table.template_id[rows].tolist()
            for i, (template, row) in enumerate(zip(ids, rows.tolist(), strict=True)):
                if template not in row_of:
                    row_of[template] = len(latents)
                    latents.append(table.latent[row].copy())
                templates[i] = row_of[template]
            declared = np.array(part.priority, np.int16)
            severity = np.where(declared < 0, table.severity[rows], declared & 7)
            columns.append((part.host, part.time_s, templates, severity.astype(np.uint8)))
    names = [name for part in columns for name in part[0]]
    if not names:
        return Logs([], np.zeros((0, 0), np.float32), np.zeros(0, np.uint64), 0)
    times_s = np.array([time_s for part in columns for time_s in part[1]])
    templates = np.concatenate([part[2] for part in columns])
    severity = np.concatenate([part[3] for part in columns])
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    of = np.array([number[name] for name in names])
    hosts = []
    for name, i in number.items():
        at = np.flatnonzero(of == i)
        at = at[np.argsort(times_s[at], kind="stable")]
        hosts.append(HostLog(name, times_s[at], templates[at], severity[at]))
    return Logs(hosts, np.stack(latents), np.array(list(row_of), np.uint64), len(names))


def _slices(path: Path, parser: Parser) -> Iterator[_Lines]:
    """The lines of a file, so many at once; empty ones are passed over."""
    received_us = int(path.stat().st_mtime * 1e6)
    time_s = 0.0
    found = _Lines([], [], [], [], [])
    with path.open("rb") as file:
        for lines in read_lines(file):
            for line in lines:
                if not line.strip():
                    continue
                fields = parser.fields(line, received_us)
                stamp_us, hostname, message = fields[3], fields[4], fields[9]
                time_s = stamp_us / 1e6 if stamp_us is not None else written_s(line) or time_s
                name = path.name if hostname is None else hostname.decode("utf-8", "replace")
                found.host.append(name)
                found.time_s.append(time_s)
                found.app.append(fields[5])
                found.message.append(message)
                found.priority.append(fields[1])
                if len(found.host) == SLICE:
                    yield found
                    found = _Lines([], [], [], [], [])
    if found.host:
        yield found


def written_s(line: bytes) -> float | None:
    """Unix time of a line that begins with an ISO date, taken for UTC."""
    match = STAMP.match(line)
    if match is None:
        return None
    date, time, fraction = (part.decode() for part in match.groups())
    try:
        whole = datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return whole + (int(fraction) / 10 ** len(fraction) if fraction else 0.0)
