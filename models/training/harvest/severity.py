"""The severity corpus: one row a (template, severity), over all packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow as pa

from models.training.harvest import levels
from models.training.harvest.fill import filled, kernel_prefix
from models.training.harvest.packages import Package
from models.training.harvest.python_logs import python_statements
from models.training.harvest.statements import Statement, statements
from models.training.harvest.trees import source_files

LANGUAGES = frozenset({"c", "c++", "go", "java", "python"})
SCHEMA = pa.schema(
    [
        ("template", pa.large_string()),
        ("sample", pa.large_string()),
        ("severity", pa.int8()),
        ("level", pa.large_string()),
        ("program", pa.large_string()),
        ("package", pa.large_string()),
        ("language", pa.large_string()),
        ("count", pa.int32()),
    ]
)
MOST_ROWS = 120_000
"""Rows a package gives at most, drawn at random: the kernel alone has twice as many."""
_KERNEL_PROGRAM = "kernel"


@dataclass(slots=True)
class _Row:
    statement: Statement
    package: Package
    count: int = 1


class SeverityCorpus:
    """Rows collected package after package; the first package to have a row keeps it.

    `held_out` are (template, severity) of the other side of the split: they never enter, so
    collect that side first.
    """

    def __init__(self, seed: int, held_out: Iterable[tuple[str, int]] = ()) -> None:
        self.seed = seed
        self._held_out = frozenset(held_out)
        self._rows: dict[tuple[str, int], _Row] = {}

    def add(self, package: Package, root: Path, limit: int | None = None) -> int:
        """Reads one unpacked package; the number of rows (`limit` at most) that are new by it."""
        found: dict[tuple[str, int], _Row] = {}
        for statement in read(package.name, root):
            key = (statement.template, statement.severity)
            if key in self._held_out:
                continue
            row = self._rows.get(key) or found.get(key)
            if row is None:
                found[key] = _Row(statement, package)
            else:
                row.count += 1
        most = min(limit or MOST_ROWS, MOST_ROWS)
        keys = list(found)
        if len(keys) > most:
            chosen = Random(f"{self.seed}\0{package.name}").sample(range(len(keys)), most)
            keys = [keys[i] for i in sorted(chosen)]
        self._rows.update((key, found[key]) for key in keys)
        return len(keys)

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> Iterable[tuple[str, int]]:
        """The (template, severity) of every row."""
        return self._rows.keys()

    def table(self) -> pa.Table:
        """All rows, in the order they were met."""
        return pa.Table.from_pylist([self._record(row) for row in self._rows.values()], SCHEMA)

    def _record(self, row: _Row) -> dict[str, str | int]:
        said = row.statement
        sample = filled(said.template, said.arguments, self.seed)
        if row.package.program == _KERNEL_PROGRAM:
            sample = kernel_prefix(sample, said.function, self.seed)
        return {
            "template": said.template,
            "sample": sample,
            "severity": said.severity,
            "level": said.level,
            "program": row.package.program,
            "package": row.package.name,
            "language": said.language,
            "count": row.count,
        }


def read(package: str, root: Path) -> Iterator[Statement]:
    """The log statements of an unpacked package."""
    for file in source_files(root, LANGUAGES):
        if levels.is_tool(file.path, package):
            continue
        reader = python_statements if file.language == "python" else statements
        yield from reader(file, package)
