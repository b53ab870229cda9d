"""A template that is worth a look is shown once an hour, with how many lines of it came.

What a line is flagged for may go on for days. The first line of it is an alert; the next one of
the same template and source, an hour later, says how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.past import earlier

WINDOW_S = 3600.0
"""Of the times at which the lines were received."""

Rows = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Alerted(NamedTuple):
    """The lines that are alerts, A of them, in order."""

    lines: npt.NDArray[np.intp]
    """(A,)"""
    counts: npt.NDArray[np.uint32]
    """(A,) lines of the template since its last alert, this one among them; 1 for a first one."""
    reasons: npt.NDArray[np.uint8]
    """(A,) bits of what the template was flagged for, now and, where it goes on, before."""


class Alerts:
    """The alerts of one source, by template as its Past numbers them."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_us = round(window_s * 1e6)
        # (T,) when the last alert was, the template's lines until then, and why.
        self._last_us = np.zeros(0, np.int64)
        self._total = np.zeros(0, np.int64)
        self._reasons = np.zeros(0, np.uint8)

    def observe(
        self,
        entries: Rows,
        received_us: Times,
        totals: npt.NDArray[np.int64],
        flagged: npt.NDArray[np.intp],
        reasons: npt.NDArray[np.uint8],
        *,
        goes_on: int,
        silent: Bools | None = None,
        mild: Bools | None = None,
    ) -> Alerted:
        """Which of N lines to show.

        entries: (N,) of T templates. received_us: (N,) Unix time. totals: (T,) lines of each
        template so far, these N among them. flagged: (F,) lines that are worth a look, in order.
        reasons: (F,) as bits, not 0. goes_on: bits of those for which any line of a template is
        worth a look once one was. silent: (N,) lines that are not to be shown, None for none.
        mild: (N,) lines of templates for which `goes_on` does not hold while they are such.
        """
        self._fit(len(totals))
        nothing = np.zeros(0, np.uint8)
        if not len(entries) or not (len(flagged) or self._reasons.any()):
            return Alerted(np.zeros(0, np.intp), np.zeros(0, np.uint32), nothing)
        # A clock that was set back far does not silence what alerted before.
        passed_us = np.abs(received_us.max() - self._last_us)
        due = (self._reasons == 0) | (passed_us >= self._window_us)  # (T,)
        here = (self._reasons & goes_on) != 0
        if mild is not None:
            here[entries[mild]] = False
        here[entries[flagged]] = True
        here &= due
        if not here.any():
            return Alerted(np.zeros(0, np.intp), np.zeros(0, np.uint32), nothing)
        at = np.flatnonzero(here[entries])
        why = np.zeros(len(entries), np.uint8)
        why[flagged] = reasons
        rank = earlier(entries[at])
        added = np.bincount(entries[at], minlength=len(totals))
        total = (totals - added)[entries[at]] + rank + 1
        shown, counts, because = [], [], []
        quiet = np.zeros(len(at), np.bool_) if silent is None else silent[at]
        over = np.zeros(len(at), np.bool_) if mild is None else mild[at]
        times = np.maximum.accumulate(received_us[at])
        for line, entry, now_us, lines, bits, no, ended in zip(
            at.tolist(),
            entries[at].tolist(),
            times.tolist(),
            total.tolist(),
            why[at].tolist(),
            quiet.tolist(),
            over.tolist(),
            strict=True,
        ):
            before = int(self._reasons[entry])
            if not ended:
                bits |= before & goes_on
            if (
                no
                or not bits
                or (before and abs(now_us - int(self._last_us[entry])) < self._window_us)
            ):
                continue
            since = lines - int(self._total[entry]) if before else 1
            shown.append(line)
            counts.append(max(since, 1))
            because.append(bits)
            self._last_us[entry], self._total[entry] = now_us, lines
            self._reasons[entry] = bits | (before & goes_on)  # as it was, if it is mild no more
        return Alerted(
            np.array(shown, np.intp), np.array(counts, np.uint32), np.array(because, np.uint8)
        )

    def keep(self, templates: npt.NDArray[np.intp]) -> None:
        """Of the templates keep these only, in this order."""
        self._fit(int(templates.max(initial=-1)) + 1)
        self._last_us, self._total = self._last_us[templates], self._total[templates]
        self._reasons = self._reasons[templates]

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved: columns of T rows."""
        return {"last_us": self._last_us, "total": self._total, "reasons": self._reasons}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole."""
        if not len(kept["last_us"]) == len(kept["total"]) == len(kept["reasons"]):
            raise ValueError("alerts of different lengths")
        self._last_us, self._total = (
            kept["last_us"].astype(np.int64),
            kept["total"].astype(np.int64),
        )
        self._reasons = kept["reasons"].astype(np.uint8)

    def _fit(self, templates: int) -> None:
        more = templates - len(self._total)
        if more > 0:
            self._last_us = np.concatenate([self._last_us, np.zeros(more, np.int64)])
            self._total = np.concatenate([self._total, np.zeros(more, np.int64)])
            self._reasons = np.concatenate([self._reasons, np.zeros(more, np.uint8)])
