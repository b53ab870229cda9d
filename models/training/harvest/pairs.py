"""The corpus of code pairs: what a function's documentation says ↔ the function without it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random

import pyarrow as pa

from models.training.harvest.docs import is_wanted, summary
from models.training.harvest.functions import LANGUAGES, Function, functions
from models.training.harvest.packages import Package, Side
from models.training.harvest.trees import SourceFile, source_files

SCHEMA = pa.schema(
    [
        ("doc", pa.large_string()),
        ("code", pa.large_string()),
        ("name", pa.large_string()),
        ("path", pa.large_string()),
        ("package", pa.large_string()),
        ("language", pa.large_string()),
        ("start_line", pa.int32()),
    ]
)
MOST_PAIRS: dict[Side, int] = {"train": 6000, "dev": 2200}
"""Pairs a package gives at most, drawn at random."""
LONGEST_CODE = 2000
FEWEST_LINES, FEWEST_TOKENS = 3, 12
_SAME_DOC: dict[Side, int] = {"train": 2, "dev": 1}
_SAME_DOC_IN_ALL = 6
_ALIKE_DOCS = 8

_GENERATED = re.compile(
    r"do not edit|auto-?generated|@generated|generated (?:by|from)", re.IGNORECASE
)
_LONG_LINE = 500
_TOKENS = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/|(?<![\w$&])\#[^\n{]*)"
    r"|(?P<string>\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`)"
    r"|(?P<number>\b\d[\w.]*)|(?P<word>[A-Za-z_$]\w*)|(?P<sign>[^\s\w])",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A row to be."""

    doc: str
    function: Function
    file: SourceFile
    fingerprint: bytes


class PairCorpus:
    """Pairs collected package after package, equal code kept once over all of them.

    `held_out` are fingerprints of code on the other side of the split: collect that side first.
    """

    def __init__(self, side: Side, seed: int, held_out: Iterable[bytes] = ()) -> None:
        self.side = side
        self.seed = seed
        self.fingerprints = set(held_out)
        self._docs: Counter[str] = Counter()
        self._rows: list[dict[str, str | int]] = []

    def add(self, package: Package, root: Path, limit: int | None = None) -> int:
        """Reads one unpacked package; the number of pairs it gave."""
        here: Counter[str] = Counter()
        alike: Counter[str] = Counter()
        kept: list[Pair] = []
        for pair in read(root, package.languages or LANGUAGES):
            shape = _shape(pair.doc, pair.function.name)
            if pair.fingerprint in self.fingerprints:
                continue
            if here[pair.doc] >= _SAME_DOC[self.side] or alike[shape] >= _ALIKE_DOCS:
                continue
            if self._docs[pair.doc] >= _SAME_DOC_IN_ALL:
                continue
            self.fingerprints.add(pair.fingerprint)
            here[pair.doc] += 1
            alike[shape] += 1
            self._docs[pair.doc] += 1
            kept.append(pair)
        most = min(MOST_PAIRS[self.side], limit or MOST_PAIRS[self.side])
        if len(kept) > most:
            chosen = Random(f"{self.seed}\0{package.name}").sample(range(len(kept)), most)
            kept = [kept[i] for i in sorted(chosen)]
        self._rows += [_record(pair, package) for pair in kept]
        return len(kept)

    def __len__(self) -> int:
        return len(self._rows)

    def table(self) -> pa.Table:
        """All pairs, in the order they were met."""
        return pa.Table.from_pylist(self._rows, SCHEMA)


def read(root: Path, languages: frozenset[str] = LANGUAGES) -> Iterator[Pair]:
    """The documented functions of an unpacked package that make a pair."""
    for file in source_files(root, languages):
        if _GENERATED.search(file.text[:1000]) or _is_minified(file):
            continue
        for function in functions(file):
            doc = summary(function.doc, function.name, file.language)
            found = tokens(function.code, function.name)
            long_enough = function.code.count("\n") + 1 >= FEWEST_LINES
            if long_enough and len(found) >= FEWEST_TOKENS and is_wanted(doc):
                yield Pair(doc, function, file, fingerprint(found))


def tokens(code: str, name: str) -> list[str]:
    """Code as what makes two functions the same one: no comments, no literals, no own name."""
    own = name.rpartition(".")[2].lower()
    found = []
    for match in _TOKENS.finditer(code):
        kind = match.lastgroup
        if kind == "comment":
            continue
        text = match[0].lower()
        found.append({"string": '"', "number": "0"}.get(kind or "", "F" if text == own else text))
    return found


def fingerprint(code_tokens: list[str]) -> bytes:
    """Equal for equal tokens (128 bits)."""
    return blake2b("\0".join(code_tokens).encode(), digest_size=16).digest()


def _shape(doc: str, name: str) -> str:
    """The doc without the words of the function's name."""
    words = {w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)}
    return " ".join(w for w in re.findall(r"\w+", doc.lower()) if w not in words)


def _is_minified(file: SourceFile) -> bool:
    if file.language not in ("javascript", "typescript"):
        return False
    return len(file.text) > _LONG_LINE * (file.text.count("\n") + 1)


def _record(pair: Pair, package: Package) -> dict[str, str | int]:
    return {
        "doc": pair.doc,
        "code": pair.function.code[:LONGEST_CODE],
        "name": pair.function.name,
        "path": pair.file.path,
        "package": package.name,
        "language": pair.file.language,
        "start_line": pair.function.start_line,
    }
