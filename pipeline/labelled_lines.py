"""Real logs whose lines say their severity, to measure a model on.

Two kinds: `X.structured.csv` in the layout of loghub (https://github.com/logpai/loghub: columns
Content, Level, perhaps Component), and raw logs whose lines carry PRIs.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import NamedTuple

from models.errors import CorpusError
from parsers.syslog import Parser, decode
from pipeline.lines import read_lines

LEVELS = {
    "FATAL": 2, "F": 2,
    "ERROR": 3, "E": 3,
    "WARNING": 4, "WARN": 4, "W": 4,
    "NOTICE": 5,
    "INFO": 6, "I": 6,
    "DEBUG": 7, "D": 7, "V": 7,
}  # fmt: skip
"""Level words of loghub and their severity."""


class LabelledLines(NamedTuple):
    """Messages in the order of the log."""

    name: str
    texts: list[str]
    apps: list[str]
    """"" where the line says none."""
    facilities: list[int]
    """-1 where the line says none."""
    severity: list[int]
    left_out: int
    """Lines without a severity or a text."""


def read_labelled(path: Path) -> LabelledLines:
    """Read a log. Raises CorpusError, one line, when no line of it says its severity."""
    read = _structured if path.suffix == ".csv" else _raw
    name = path.name.removesuffix(".csv").removesuffix(".structured").removesuffix(".log")
    found = read(path, name.removeprefix("loghub_"))
    if not found.texts:
        raise CorpusError(f"{path}: no line says its severity (want a PRI, or the column Level)")
    return found


def _structured(path: Path, name: str) -> LabelledLines:
    found = LabelledLines(name, [], [], [], [], 0)
    left_out = 0
    with path.open(newline="", encoding="utf-8", errors="backslashreplace") as file:
        try:
            for row in csv.DictReader(file):
                text, level = row.get("Content"), LEVELS.get((row.get("Level") or "").upper())
                if level is None or not text:
                    left_out += 1
                    continue
                found.texts.append(text)
                found.apps.append(row.get("Component") or "")
                found.facilities.append(-1)
                found.severity.append(level)
        except csv.Error as error:
            raise CorpusError(f"{path}: not readable CSV: {error}") from error
    return found._replace(left_out=left_out)


def _raw(path: Path, name: str) -> LabelledLines:
    found = LabelledLines(name, [], [], [], [], 0)
    left_out, parser, now_us = 0, Parser(), time.time_ns() // 1000
    with path.open("rb") as file:
        for lines in read_lines(file):
            for line in lines:
                message = decode(parser.fields(line, now_us), line)
                if message.severity is None or message.facility is None or not message.message:
                    left_out += bool(line.strip())
                    continue
                found.texts.append(message.message)
                found.apps.append(message.app_name or "")
                found.facilities.append(int(message.facility))
                found.severity.append(int(message.severity))
    return found._replace(left_out=left_out)
