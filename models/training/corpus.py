"""A labelled corpus, read from Parquet or text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.errors import CorpusError
from models.raccoon import CLASSES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_SEVERITY = {name: i for i, name in enumerate(NAMES)} | {str(i): i for i in range(CLASSES)}
_SEVERITY |= {"emergency": 0, "panic": 0, "critical": 2, "fatal": 2, "error": 3, "warn": 4}
_SEVERITY |= {"informational": 6, "trace": 7}

# Placeholders of a template: numbers become a digit, which canonical() masks; the rest goes.
_NUMERIC = re.compile(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t|q)?[diuxXofeEgGp]")
_PERCENT = re.compile(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t|q)?[diufg](?=%%)")
_PERCENTAGES = ("3", "12", "55", "85", "92", "97", "100")
_OTHER = re.compile(r"%[-+ #0-9.*]*(?:\([^)]*\))?[a-zA-Z]+|\{[^{}]{0,40}\}")


@dataclass
class Rows:
    """A corpus as it was read."""

    texts: list[str]
    templates: list[str]
    """The same statements with their placeholders; empty where the corpus has none."""
    apps: list[str]
    origins: list[str]
    """What must not be split between training and held-out rows: the package, else the text."""
    severity: Ints  # (N,)
    bad: int
    """Rows left out: no text, or a severity that is none."""
    forms: list[str] = field(default_factory=list)
    """The templates as they stand, placeholders and all; empty where the corpus has none."""


def read_corpus(path: Path) -> Rows:
    """Read Parquet (`sample` or `template`, `severity`, perhaps `program` and `package`), or
    text with a line `severity<TAB>text` each. Raises CorpusError.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        raw = _parquet(path) if is_parquet else _text(path)
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
    texts, templates, apps, packages, severities = raw
    parsed = [_SEVERITY.get(str(s).strip().lower(), -1) for s in severities]
    good = [i for i, t in enumerate(texts) if parsed[i] >= 0 and isinstance(t, str) and t.strip()]
    if not good:
        raise CorpusError(f"{path}: no usable row (want a text and a severity 0 to 7 or its name)")
    return Rows(
        texts=[texts[i] for i in good],
        templates=[_fill(templates[i] or texts[i]) for i in good] if templates else [],
        apps=[apps[i] or "" for i in good] if apps else [""] * len(good),
        origins=[packages[i] or "" for i in good] if packages else [texts[i] for i in good],
        severity=np.array([parsed[i] for i in good], np.int64),
        bad=len(texts) - len(good),
        forms=[templates[i] or texts[i] for i in good] if templates else [],
    )


def held_out(origins: list[str], share: float) -> npt.NDArray[np.bool_]:
    """Rows (N,) to measure on: whole origins in an order of their hashes, none of them a giant."""
    counts = Counter(origins)
    wanted, kept = share * len(origins), set()
    for origin in sorted(counts, key=lambda o: crc32(o.encode("utf-8", "replace"))):
        if wanted <= 0:
            break
        if counts[origin] <= max(1, share * len(origins)):
            kept.add(origin)
            wanted -= counts[origin]
    return np.fromiter((o in kept for o in origins), np.bool_, len(origins))


def sampling_weights(severity: Ints, origins: list[str]) -> Floats:
    """(N,) probabilities: common severities and giant packages are damped by a square root."""
    counts = Counter(origins)
    per_origin = np.fromiter((counts[o] for o in origins), np.float64, len(origins))
    weights = class_weights(severity)[severity] / np.sqrt(per_origin)
    return np.asarray(weights / weights.sum(), np.float64)


def class_weights(severity: Ints) -> Floats:
    """(8,) by how much rows of each severity are drawn more often than others."""
    return np.asarray(1 / np.sqrt(np.maximum(np.bincount(severity, minlength=CLASSES), 1)))


PRIOR_STRENGTH = 20.0
"""Rows that the whole corpus counts for in the prior of one package."""


def log_priors(severity: Ints, origins: list[str], weights: Floats) -> Floats:
    """(N, 8) how common each severity is among what is drawn of a row's package, in logs.

    weights: (N,) of `sampling_weights`. Packages write most of their failures as errors, or as
    warnings, or as debug. With its own package's prior divided out a row teaches what tells
    severities apart, not whose row it is.
    """
    number = {origin: i for i, origin in enumerate(dict.fromkeys(origins))}
    of_row = np.fromiter((number[o] for o in origins), np.int64, len(origins))
    counts = np.zeros((len(number), CLASSES))
    np.add.at(counts, (of_row, severity), 1.0)
    drawn_more = class_weights(severity)
    whole = np.bincount(severity, weights / drawn_more[severity], CLASSES)
    share = (counts + PRIOR_STRENGTH * whole / whole.sum()) * drawn_more
    share = np.maximum(share, 1e-12)  # the corpus may lack a severity
    return np.asarray(np.log(share / share.sum(1, keepdims=True)), np.float64)[of_row]


def _fill(template: str) -> str:
    percentage = _PERCENTAGES[crc32(template.encode("utf-8", "replace")) % len(_PERCENTAGES)]
    template = _PERCENT.sub(percentage, template)
    return _OTHER.sub("", _NUMERIC.sub("1", template.replace("%%", "%")))


_Raw = tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]


def _parquet(path: Path) -> _Raw:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = ("sample", "template", "program", "package", "severity")
    try:
        names = set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=[n for n in wanted if n in names])
    except pa.ArrowException as error:
        raise CorpusError(f"{path}: not readable Parquet: {str(error).splitlines()[0]}") from error
    if "severity" not in names or not names & {"sample", "template"}:
        raise CorpusError(f"{path}: want the columns severity and sample (or template)")
    columns = {name: table[name].to_pylist() for name in table.column_names}
    templates = columns.get("template", [])
    texts = columns.get("sample") or [_fill(t) if isinstance(t, str) else t for t in templates]
    return (
        texts,
        templates,
        columns.get("program", []),
        columns.get("package", []),
        columns["severity"],
    )


def _text(path: Path) -> _Raw:
    texts: list[str] = []
    severities: list[str] = []
    for line in path.read_text("utf-8", "backslashreplace").splitlines():
        if line.strip():
            severity, _, text = line.partition("\t")
            severities.append(severity)
            texts.append(text)
    return texts, [], [], [], severities
