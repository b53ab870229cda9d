"""Lines of words into the packed form that the encoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.encoder import Groups, group


class Packed(NamedTuple):
    words: npt.NDArray[np.int64]  # (T,) word numbers of all lines, shortest line first
    groups: Groups
    order: npt.NDArray[np.intp]  # (B,) order[i] is the line that lies at place i


def pack(lines: Sequence[Sequence[int]]) -> Packed:
    """Sort lines by length, stably, and lay them one after the other; no line may be empty."""
    lengths = np.fromiter(map(len, lines), np.intp, len(lines))
    order = np.argsort(lengths, kind="stable")
    words = chain.from_iterable([lines[i] for i in order.tolist()])
    flat = np.fromiter(words, np.int64, lengths.sum())
    return Packed(flat, group(lengths[order].tolist()), order)
