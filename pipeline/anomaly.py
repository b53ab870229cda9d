"""Which lines to show a person: rare here, and either trouble or unlike anything the model knows.

Density alone is no anomaly (a flow likes short, plain lines), and trouble alone is none either: a
scanner's failed logins are errors all day long. What is worth a look is the line that this
stream hardly ever sees *and* that reads like trouble, or that the model finds very surprising.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REASONS = ("surprise", "new template", "severity")
"""What `reasons` may hold; the Arrow column's dictionary."""
SURPRISE, NEW_TEMPLATE, SEVERITY = range(len(REASONS))

WARM_LINES = 500
"""Until a stream has shown this many lines every template is new, and that says nothing."""
RARE = 3
"""A template is rare the first so many times."""
SURPRISE_P = 0.01
"""p-values up to here count as a surprise."""
ERR, CRIT = 3, 2


class Verdict(NamedTuple):
    """A batch's anomalies."""

    anomaly: npt.NDArray[np.bool_]
    """(N,)"""
    fired: npt.NDArray[np.bool_]
    """(N, len(REASONS)): which reasons fired on the anomalous lines; False elsewhere."""


def occurrences(rows: npt.NDArray[np.int32], seen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How often each line's template came before it, in this stream.

    rows: (N,) template of each line. seen: (T,) counts before this batch. Exact up to RARE,
    beyond it any number ≥ RARE.
    """
    before = seen[rows]
    in_batch: dict[int, int] = {}
    for i in np.flatnonzero(before < RARE).tolist():
        row = int(rows[i])
        count = in_batch.get(row, 0)
        in_batch[row] = count + 1
        before[i] += count
    return before


def judge(
    *,
    position: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
    p_value: npt.NDArray[np.float32],
    probability: npt.NDArray[np.float32],
    declared: npt.NDArray[np.int16],
) -> Verdict:
    """Flag the lines worth a look.

    position: (N,) lines that this stream scored before each line. before: (N,) of
    `occurrences`. p_value: (N,). probability: (N, 8) of the severities emerg … debug.
    declared: (N,) severity of the PRI, -1 without one.
    """
    warm = position >= WARM_LINES
    rare = before < RARE
    has_pri = declared >= 0
    trouble = (probability[:, : ERR + 1].sum(axis=1) >= 0.5) | (has_pri & (declared <= CRIT))
    critical = (probability[:, : CRIT + 1].sum(axis=1) >= 0.5) | (has_pri & (declared <= CRIT))
    surprising = p_value <= SURPRISE_P
    new = warm & rare
    anomaly = (new & (trouble | surprising)) | (rare & critical)
    fired = np.stack([surprising, new, trouble], axis=1) & anomaly[:, None]  # (N, R)
    return Verdict(anomaly, fired)


def names(fired: Sequence[bool]) -> list[str]:
    """The reasons of one line, in words."""
    return [reason for reason, yes in zip(REASONS, fired, strict=True) if yes]
