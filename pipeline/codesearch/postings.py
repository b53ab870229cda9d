"""Which snippets hold a term, and how often: the terms sorted, the rows of each behind another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.codesearch.entries import Bools, Int64, Uint8, Uint32, Uint64
from pipeline.codesearch.parts import ArraySink, Check, write_array

PIECE = 1 << 17
"""Postings that are merged at a time, about: what bounds the memory."""


class Postings(NamedTuple):
    """Term i is in the rows docs[starts[i]:starts[i + 1]], which ascend."""

    terms: Uint64  # (T,) ascending
    starts: Int64  # (T + 1,)
    docs: Uint32  # (P,)
    times: Uint8  # (P,)

    def of(self, term: int) -> tuple[Uint32, Uint8]:
        """Rows that hold a term, and how often."""
        key = np.uint64(term)
        i = int(np.searchsorted(self.terms, key))
        if i == len(self.terms) or self.terms[i] != key:
            return self.docs[:0], self.times[:0]
        lo, hi = int(self.starts[i]), int(self.starts[i + 1])
        return self.docs[lo:hi], self.times[lo:hi]


class Kept(NamedTuple):
    """Postings, which of their rows stay, and the new number of each that does."""

    postings: Postings
    live: Bools  # (n,)
    number: Uint32  # (n,)


def invert(terms: Uint64, docs: Uint32, times: Uint8) -> Postings:
    """Postings from (P,) single ones, whose rows ascend for each term.

    Raises ValueError for a term that is twice in a row: its score would count one of them.
    """
    order = np.argsort(terms, kind="stable")
    terms, docs, times = terms[order], docs[order], times[order]
    new = np.ones(len(terms), np.bool_)
    np.not_equal(terms[1:], terms[:-1], out=new[1:])
    if not (new[1:] | (docs[1:] != docs[:-1])).all():
        raise ValueError("terms: the same term twice in a snippet")
    first = np.flatnonzero(new)  # (T,)
    return Postings(terms[first], np.append(first, len(terms)), docs, times)


def merged(kept: Sequence[Kept]) -> Iterator[Postings]:
    """The live postings of all, by pieces of ascending terms; no term is in two of them."""
    largest = max((k.postings for k in kept), key=lambda postings: len(postings.docs))
    at = np.searchsorted(largest.starts, np.arange(PIECE, len(largest.docs), PIECE))
    bounds = np.unique(largest.terms[at[at < len(largest.terms)]])
    # (S, pieces + 1): where each piece begins in each of the term lists
    cuts = [
        [0, *np.searchsorted(k.postings.terms, bounds).tolist(), len(k.postings.terms)]
        for k in kept
    ]
    for piece in range(len(bounds) + 1):
        slices = [
            _live(k, lo, hi)
            for k, lo, hi in zip(
                kept, [c[piece] for c in cuts], [c[piece + 1] for c in cuts], strict=True
            )
        ]
        terms, docs, times = (np.concatenate(column) for column in zip(*slices, strict=True))
        if len(terms):
            yield invert(terms, docs, times)


def count(kept: Sequence[Kept]) -> int:
    """Live postings of all."""
    return sum(
        int(np.count_nonzero(k.live[k.postings.docs[at : at + PIECE]]))
        for k in kept
        for at in range(0, len(k.postings.docs), PIECE)
    )


def write_postings(folder: Path, total: int, pieces: Iterator[Postings]) -> dict[str, Check]:
    """Write `total` postings that come by pieces, as `merged` gives them. Raises OSError."""
    terms, starts, at = [np.zeros(0, np.uint64)], [np.zeros(1, np.int64)], 0
    with (
        ArraySink(folder / "docs.npy", np.uint32, (total,)) as docs,
        ArraySink(folder / "times.npy", np.uint8, (total,)) as times,
    ):
        for piece in pieces:
            terms.append(piece.terms)
            starts.append(at + piece.starts[1:])
            docs.append(piece.docs)
            times.append(piece.times)
            at += len(piece.docs)
    assert at == total
    return {
        "docs.npy": docs.check,
        "times.npy": times.check,
        "terms.npy": write_array(folder / "terms.npy", np.concatenate(terms)),
        "starts.npy": write_array(folder / "starts.npy", np.concatenate(starts)),
    }


def _live(kept: Kept, lo: int, hi: int) -> tuple[Uint64, Uint32, Uint8]:
    """Single postings of terms lo … hi - 1, those that stay."""
    terms, starts, docs, times = kept.postings
    start, end = int(starts[lo]), int(starts[hi])
    rows = docs[start:end]
    live = kept.live[rows]  # (p,)
    each = np.repeat(terms[lo:hi], np.diff(starts[lo : hi + 1]))
    return each[live], kept.number[rows[live]], times[start:end][live]
