"""How far a rebuilt severity corpus agrees with a given one, package by package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Key = tuple[str, int]
"""(template, severity)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One package's rows, rebuilt beside given."""

    package: str
    rebuilt: int
    given: int
    precision: float
    """Of the rebuilt rows, the share that the given corpus has, under whatever package: a row
    that several packages have is filed under one of them."""
    recall: float
    """Of the given rows of this package, the share that was found again."""
    severity: float
    """Of the rebuilt templates that are given too, the share with the given severity."""


class Given:
    """A severity corpus to hold others to, in one file or several."""

    def __init__(self, paths: Sequence[Path]) -> None:
        columns = ["template", "severity", "package"]
        table = pa.concat_tables([pq.read_table(path, columns=columns) for path in paths])
        self.rows: dict[str, set[Key]] = {}
        for name in pc.unique(table["package"]).to_pylist():
            rows = table.filter(pc.equal(table["package"], name))
            self.rows[name] = set(
                zip(rows["template"].to_pylist(), rows["severity"].to_pylist(), strict=True)
            )
        self.all = set().union(*self.rows.values())

    def agreement(self, package: str, rebuilt: Mapping[Key, object] | set[Key]) -> Agreement:
        """Holds the rebuilt rows of one package to the given ones."""
        ours, given = set(rebuilt), self.rows.get(package, set())
        templates = {template for template, _ in self.all}
        shared = {key for key in ours if key[0] in templates}
        return Agreement(
            package=package,
            rebuilt=len(ours),
            given=len(given),
            precision=_share(ours & self.all, ours),
            recall=_share(ours & given, given),
            severity=_share(shared & self.all, shared),
        )


def _share(part: set[Key], whole: set[Key]) -> float:
    return len(part) / len(whole) if whole else 0.0


def table(rows: list[Agreement]) -> str:
    """One line a package."""
    width = max([len(row.package) for row in rows] + [7])
    told = [f"{'package':{width}} {'rebuilt':>8} {'given':>7} precision  recall  severity"]
    told += [
        f"{row.package:{width}} {row.rebuilt:8,} {row.given:7,}"
        f" {row.precision:9.3f} {row.recall:7.3f} {row.severity:9.3f}"
        for row in rows
    ]
    return "\n".join(told)
