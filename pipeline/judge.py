"""From what is known of a batch's lines to those that are shown, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.false_discovery import Discoveries
from pipeline import anomaly
from pipeline.mismatch import Mismatch
from pipeline.predict import Prediction, Sources
from pipeline.surprise import Observed, Surprise
from pipeline.templates import TemplateTable

_BITS = np.uint8(1) << np.arange(len(anomaly.REASONS), dtype=np.uint8)
GOES_ON = int(_BITS[anomaly.SEVERITY])
"""A template that reads like trouble is still worth a look when it comes again in an hour."""

Bools = npt.NDArray[np.bool_]


class Judged(NamedTuple):
    """Of N lines."""

    anomaly: Bools
    """(N,)"""
    fired: Bools
    """(N, len(anomaly.REASONS)): which reasons fired on the anomalous lines; False elsewhere."""
    counts: npt.NDArray[np.uint32]
    """(N,) lines of an anomaly's template since its last alert; 0 where there is no anomaly."""


class Judge:
    """Judges lines in the order in which they came; bounded."""

    def __init__(self) -> None:
        # One for all senders: the rate is that of what a person is shown, and what one of them
        # does never lowers the levels that another's lines are tested at.
        self._discoveries = Discoveries()
        self._mismatch = Mismatch()
        self._astray = Discoveries()

    def observe(
        self,
        table: TemplateTable,
        surprise: Surprise,
        *,
        sources: Sources,
        trusts: Callable[[str], bool],
        at: npt.NDArray[np.int32],
        scored: Bools,
        position: int,
        before: npt.NDArray[np.int64],
        novelty: npt.NDArray[np.float64],
        observed: Observed,
        predicted: Prediction,
        declared: npt.NDArray[np.int16],
        trajectory_p: npt.NDArray[np.float32] | None = None,
    ) -> Judged:
        """Judge N lines that `surprise` has just observed.

        sources, trusts: where they come from, and whose severities are believed; as for
        `pipeline.mismatch`. at: (N,) rows of the table. scored: (N,), False where the line is to
        be passed over. position: lines that the stream scored before. trajectory_p: (N,) of
        `pipeline.hosts`, None without host dynamics. Others as for `pipeline.anomaly.judge`.
        """
        n = len(at)
        every = bool(scored.all())
        surprising = np.zeros(n, np.bool_)
        lines = slice(None) if every else np.flatnonzero(scored)
        surprising[lines] = self._discoveries.observe(observed.p_value[lines])
        mismatch = self._mismatch.observe(
            table,
            sources,
            trusts,
            at=at,
            declared=declared if every else np.where(scored, declared, np.int16(-1)),
            predicted=predicted,
            new=before == 0,
        )
        worth = (before < anomaly.RARE) | mismatch | observed.burst
        astray = np.zeros(n, np.bool_)
        if trajectory_p is not None:
            astray[lines] = self._astray.observe(trajectory_p[lines])
            worth |= astray
        verdicts = table.verdict[: table.size].any()
        verdict = table.verdict[at] if verdicts else np.zeros(n, np.int8)
        worth |= verdict == anomaly.ANOMALY
        told = table.told[at]
        few = np.flatnonzero(worth & scored)
        found = anomaly.judge(
            position=position + (few if every else (np.cumsum(scored) - 1)[few]),
            before=before[few],
            novelty=novelty[few],
            surprising=surprising[few],
            likelihood=table.likelihood[at[few]],
            declared=declared[few],
            mismatch=mismatch[few],
            burst=observed.burst[few],
            verdict=verdict[few],
            told=told[few],
            trajectory=astray[few],
        )
        shown = surprise.show(
            few[found.anomaly],
            (found.fired[found.anomaly] * _BITS).sum(axis=1, dtype=np.uint8),
            goes_on=GOES_ON,
            silent=verdict == anomaly.NORMAL if verdicts else None,
            mild=anomaly.mild(told),
        )
        judged = Judged(
            np.zeros(n, np.bool_), np.zeros((n, len(_BITS)), np.bool_), np.zeros(n, np.uint32)
        )
        judged.anomaly[shown.lines] = True
        judged.fired[shown.lines] = (shown.reasons[:, None] & _BITS) != 0
        judged.counts[shown.lines] = shown.counts
        return judged

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        return {
            "discoveries": np.array(self._discoveries.extra),
            "astray": np.array(self._astray.extra),
            **self._mismatch.kept(),
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError or KeyError where that is not whole."""
        extra = kept["discoveries"].astype(np.float64).tolist()
        if len(extra) != len(self._discoveries.extra):
            raise ValueError(f"discoveries of {len(extra)}")
        astray = self._astray.extra
        if "astray" in kept:  # an older state has none
            astray = kept["astray"].astype(np.float64).tolist()
        if len(astray) != len(self._astray.extra):
            raise ValueError(f"discoveries of {len(astray)}")
        self._mismatch.restore(kept)
        self._discoveries.extra, self._astray.extra = extra, astray
