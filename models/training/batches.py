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
from models.tokens import MAX_WORDS, app_word, dressed, facility_word
from models.training.corpus import Floats, Ints
from models.training.opinions import Opinions
from models.training.vocabulary import Lines, Vocabulary

APP_DROPOUT = 0.5
FACILITY_DROPOUT = 0.5
WORD_DROPOUT = 0.1
TEMPLATE_SHARE = 0.3
TWINS = 1 / 8
"""Share of a batch that is there twice, as two fillings of one template."""
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
_AFTER_LEVEL = (": ", " ", "] ")


@dataclass
class Data:
    """Rows to train on: each as a sample and, where the corpus has them, as a template."""

    vocabulary: Vocabulary
    variants: list[Lines]
    severity: Ints  # (N,)
    weights: Floats  # (N,) sampling probabilities
    log_prior: Floats  # (N, 8) of the severities where a row comes from
    opinions: Opinions | None = None
    """(N, 8) what a teacher made of each row."""

    def __post_init__(self) -> None:
        number = self.vocabulary.number
        self.unknown_app = number(app_word(""))
        self.unknown_facility = number(facility_word(-1))
        self.levels = [
            [
                number(dressed(form, after))
                for word in level
                for form in (word, word.upper(), word.capitalize())
                for after in _AFTER_LEVEL
            ]
            for level in LEVEL_WORDS
        ]


@dataclass
class Batch:
    features: Tensor  # (F,) hashed features of the batch's distinct words
    offsets: Tensor  # (V,) where each word's begin
    words: Tensor  # (T,) word of each token
    groups: Groups
    target: Tensor  # (B,) severity
    log_prior: Tensor  # (B, 8) of the severities where each line comes from
    opinion: Tensor | None  # (B, 8) a teacher's log-likelihoods
    twins: tuple[Tensor, Tensor]  # (M,) each: places of two fillings of one template


def epoch(data: Data, seed: int, number: int, size: int) -> Iterator[Batch]:
    """Full batches of one epoch: about as many draws as there are rows, by weight."""
    rng = np.random.default_rng((seed, number))
    doubled = int(size * TWINS) if len(data.variants) > 1 else 0
    draws = size - doubled
    count = batches_per_epoch(data, size) * draws
    rows = rng.choice(len(data.severity), count, p=data.weights)
    lengths = np.diff(data.variants[0].offsets)[rows]
    # Lines of about equal length make few groups; noise keeps batches from being always the same.
    order = np.argsort(lengths + rng.uniform(0, 1.5, len(rows)), kind="stable")
    starts = np.arange(0, count, draws)
    for start in rng.permutation(starts).tolist():
        chosen = rows[order[start : start + draws]]
        variant = (rng.random(len(chosen)) < TEMPLATE_SHARE).astype(np.int64)
        twins = rng.permutation(len(chosen))[:doubled]
        yield _batch(
            data,
            np.concatenate((chosen, chosen[twins])),
            np.concatenate((variant, 1 - variant[twins])) % len(data.variants),
            twins,
            rng,
        )


def batches_per_epoch(data: Data, size: int) -> int:
    draws = size - (int(size * TWINS) if len(data.variants) > 1 else 0)
    return -(-len(data.severity) // draws)


def _batch(
    data: Data,
    rows: Ints,
    variant: Ints,
    twins: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Batch:
    lines = []
    chance = rng.random((len(rows), 3))
    for row, which, (for_app, for_facility, for_level) in zip(
        rows.tolist(), variant.tolist(), chance.tolist(), strict=True
    ):
        line = data.variants[which][row]
        kept = line[2:][rng.random(len(line) - 2) >= WORD_DROPOUT].tolist()
        app = data.unknown_app if for_app < APP_DROPOUT else int(line[0])
        facility = data.unknown_facility if for_facility < FACILITY_DROPOUT else int(line[1])
        if for_level < LEVEL_SHARE:
            kept.insert(0, rng.choice(data.levels[data.severity[row]]).item())
        lines.append([app, facility, *kept][:MAX_WORDS])
    packed = pack(lines)
    distinct, place = np.unique(packed.words, return_inverse=True)
    features, offsets = data.vocabulary.bag(distinct)
    at = np.empty(len(rows), np.int64)
    at[packed.order] = np.arange(len(rows))
    return Batch(
        features,
        offsets,
        torch.from_numpy(place),
        packed.groups,
        torch.from_numpy(data.severity[rows][packed.order]),
        torch.from_numpy(data.log_prior[rows][packed.order]).float(),
        None if data.opinions is None else torch.from_numpy(data.opinions[rows][packed.order]),
        (
            torch.from_numpy(at[twins]),
            torch.from_numpy(at[len(rows) - len(twins) :]),
        ),
    )
