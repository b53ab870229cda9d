"""A labelled corpus, read from Parquet or text, as word numbers ready for batches."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.errors import CorpusError
from models.raccoon import CLASSES
from models.text import canonical
from models.tokens import bags, words

Ints = npt.NDArray[np.int64]

NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_SEVERITY = {name: i for i, name in enumerate(NAMES)} | {str(i): i for i in range(CLASSES)}
_SEVERITY |= {"emergency": 0, "panic": 0, "critical": 2, "fatal": 2, "error": 3, "warn": 4}
_SEVERITY |= {"informational": 6, "trace": 7}

# Placeholders of a template: numbers become a digit, which canonical() masks; the rest goes.
_NUMERIC = re.compile(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t|q)?[diuxXofeEgGp]")
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


@dataclass
class Lines:
    """Lines as numbers of their vocabulary's words."""

    flat: npt.NDArray[np.int32]
    offsets: Ints  # (N + 1,)

    def __getitem__(self, row: int) -> npt.NDArray[np.int32]:
        return self.flat[self.offsets[row] : self.offsets[row + 1]]


class Vocabulary:
    """Words numbered in the order they are met, and the n-gram features of each."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.features = np.zeros(0, np.int64)
        self.offsets = np.zeros(1, np.int64)

    def lines(self, apps: list[str], texts: list[str]) -> Lines:
        """Number the words of messages, which are made canonical here."""
        index, flat, ends = self.index, [], [0]
        for app, text in zip(apps, texts, strict=True):
            flat += [index.setdefault(w, len(index)) for w in words(app, canonical(text))]
            ends.append(len(flat))
        return Lines(np.array(flat, np.int32), np.array(ends, np.int64))

    def freeze(self, buckets: int) -> None:
        """Hash the words; to be called when all lines are numbered."""
        flat, offsets = bags(list(self.index), buckets)
        self.features = np.array(flat, np.int64)
        self.offsets = np.array([*offsets, len(flat)], np.int64)

    def bag(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Features of these words, one after the other, and the offset of each word's first."""
        begins, ends = self.offsets[numbers], self.offsets[numbers + 1]
        counts = ends - begins
        starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        places = np.arange(counts.sum()) + np.repeat(begins - starts, counts)
        return self.features[places], starts


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


def sampling_weights(severity: Ints, origins: list[str]) -> npt.NDArray[np.float64]:
    """(N,) probabilities: common severities and giant packages are damped by a square root."""
    per_class = np.bincount(severity, minlength=CLASSES)[severity]
    counts = Counter(origins)
    per_origin = np.fromiter((counts[o] for o in origins), np.float64, len(origins))
    weights = 1 / np.sqrt(per_class * per_origin)
    return np.asarray(weights / weights.sum(), np.float64)


def _fill(template: str) -> str:
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
