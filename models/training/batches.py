"""The order and the shape in which training sees its rows: everything follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.encoder import Groups
from models.packing import pack
from models.tokens import MAX_WORDS
from models.training.corpus import Ints, Lines, Vocabulary

APP_DROPOUT = 0.5
WORD_DROPOUT = 0.1
TEMPLATE_SHARE = 0.3
LEVEL_SHARE = 0.15
"""Lines that are given a level word in front, as many programs write: it must be understood.

Single letters are left out: "I/O error" is no information."""
LEVEL_WORDS: tuple[tuple[str, ...], ...] = (
    ("emerg", "emergency", "panic"),
    ("alert",),
    ("crit", "critical", "fatal"),
    ("error", "err", "severe"),
    ("warning", "warn"),
    ("notice",),
    ("info", "information"),
    ("debug", "trace", "verbose"),
)
UNKNOWN_APP = "\x00"


@dataclass
class Data:
    """Rows to train on: each as a sample and, where the corpus has them, as a template."""

    vocabulary: Vocabulary
    variants: list[Lines]
    severity: Ints  # (N,)
    weights: npt.NDArray[np.float64]  # (N,) sampling probabilities

    def __post_init__(self) -> None:
        index = self.vocabulary.index
        self.unknown_app = index.setdefault(UNKNOWN_APP, len(index))
        self.levels = [[index.setdefault(w, len(index)) for w in ws] for ws in LEVEL_WORDS]


@dataclass
class Batch:
    features: Tensor  # (F,) n-gram buckets of the batch's distinct words
    offsets: Tensor  # (V,) where each word's begin
    words: Tensor  # (T,) word of each token
    groups: Groups
    target: Tensor  # (B,) severity


def epoch(data: Data, seed: int, number: int, size: int) -> Iterator[Batch]:
    """Batches of one epoch: as many draws as there are rows, by weight, with replacement."""
    rng = np.random.default_rng((seed, number))
    rows = rng.choice(len(data.severity), len(data.severity), p=data.weights)
    from_template = rng.random(len(rows)) < (TEMPLATE_SHARE if len(data.variants) > 1 else 0)
    lengths = np.diff(data.variants[0].offsets)[rows]
    # Lines of about equal length make few groups; noise keeps batches from being always the same.
    order = np.argsort(lengths + rng.uniform(0, 1.5, len(rows)), kind="stable")
    starts = np.arange(0, len(rows), size)
    for start in rng.permutation(starts).tolist():
        chosen = order[start : start + size]
        yield _batch(data, rows[chosen], from_template[chosen], rng)


def batches_per_epoch(data: Data, size: int) -> int:
    return -(-len(data.severity) // size)


def _batch(
    data: Data, rows: Ints, from_template: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Batch:
    lines = []
    chance = rng.random((len(rows), 2))
    for row, template, (app_chance, level_chance) in zip(
        rows.tolist(), from_template.tolist(), chance.tolist(), strict=True
    ):
        line = data.variants[int(template)][row]
        kept = line[1:][rng.random(len(line) - 1) >= WORD_DROPOUT].tolist()
        app = data.unknown_app if app_chance < APP_DROPOUT else int(line[0])
        if level_chance < LEVEL_SHARE:
            kept.insert(0, rng.choice(data.levels[data.severity[row]]).item())
        lines.append([app, *kept][:MAX_WORDS])
    packed = pack(lines)
    distinct, place = np.unique(packed.words, return_inverse=True)
    features, offsets = data.vocabulary.bag(distinct)
    return Batch(
        torch.from_numpy(features),
        torch.from_numpy(offsets),
        torch.from_numpy(place),
        packed.groups,
        torch.from_numpy(data.severity[rows][packed.order]),
    )
