"""Which packages the corpora come from, at which version, on which side of the split."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, cast, get_args

from models.errors import CorpusError

Corpus = Literal["severity", "code"]
Origin = Literal["debian", "debian-binary", "pypi", "npm"]
Side = Literal["train", "dev"]


@dataclass(frozen=True, slots=True)
class Package:
    """One package of a corpus; `version` is what the corpus was first made from."""

    name: str
    origin: Origin
    version: str
    licence: str
    side: Side
    program: str = ""
    """The syslog tag of its lines."""
    languages: frozenset[str] = frozenset()
    """What its code pairs are taken from; the others in its tree are left out."""


class HeldOutError(CorpusError):
    """A package of the held-out side was asked for on the training side."""


def load(corpus: Corpus) -> list[Package]:
    """The packages of one corpus, as listed beside this module; a name may be there per origin."""
    table = files("models.training.harvest").joinpath(f"{corpus}_packages.csv")
    with table.open(encoding="utf-8") as lines:
        return [_package(row) for row in csv.DictReader(lines)]


def select(corpus: Corpus, side: Side, names: Sequence[str] | None = None) -> list[Package]:
    """The packages of one side, or those of them that are named.

    Raises HeldOutError for a named package of the other side and CorpusError for an unknown one:
    a corpus takes the listed packages and no others, and never one from across the split.
    """
    packages = load(corpus)
    if names is None:
        return [package for package in packages if package.side == side]
    unknown = sorted(set(names) - {package.name for package in packages})
    if unknown:
        raise CorpusError(
            f"{', '.join(unknown)}: not in {corpus}_packages.csv, and a corpus takes no others"
        )
    chosen = [package for package in packages if package.name in names]
    guard(chosen, side)
    return chosen


def guard(packages: Iterable[Package], side: Side) -> None:
    """Raises HeldOutError if one of the packages is not of this side."""
    astray = sorted(package.name for package in packages if package.side != side)
    if astray:
        raise HeldOutError(f"not of the {side} side: {', '.join(astray)}")


def _package(row: dict[str, str]) -> Package:
    if row["origin"] not in get_args(Origin) or row["side"] not in get_args(Side):
        raise CorpusError(f"{row['name']}: unknown origin or side in the package table")
    return Package(
        name=row["name"],
        origin=cast(Origin, row["origin"]),
        version=row["version"],
        licence=row["licence"],
        side=cast(Side, row["side"]),
        program=row.get("program", ""),
        languages=frozenset(row.get("languages", "").split()),
    )
