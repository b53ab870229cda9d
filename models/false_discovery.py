"""Which p-values of an endless stream to call discoveries, few of them false (no torch).

At a fixed threshold nearly all discoveries are false where anomalies are rare. Benjamini and
Hochberg's (1995) procedure needs all p-values before it says anything; window by window it finds
something in a share α of the windows in which there is nothing. The rules that decide line by line
(alpha investing, LORD, SAFFRON, ADDIS) hold the false-discovery rate of the whole stream, and for
that spend less and less on a line: after a quiet day they find nothing any more ("alpha death").

What serves a stream is the rate over its recent past (Ramdas et al. 2017, "Online control of the
false discovery rate with decaying memory"), with a floor under the levels (Rebjock et al. 2021,
"Online false discovery rate control for anomaly detection in time series"). With δ the decay of a
line, ρ the lines that were discoveries, γ a series that falls and sums to 1, and η = 1:

    α_t = α [ η (1 − δ) + Σ_{ρ < t} δ^(t−ρ) γ_(t−ρ) ]

Since Σ_{t ≤ T} δ^(T−t) (1 − δ) ≤ 1 and each discovery pays out at most δ^(T−ρ), at any T

    Σ_{t ≤ T} δ^(T−t) α_t  ≤  α (Σ_{ρ ≤ T} δ^(T−ρ) + η),

so that of the discoveries in memory, plus η, a share of α is false at most, in expectation: for
p-values that are uniform given those before (Foster and Stine's 2008 mFDR argument, each false one
having cost its α_t), as smoothed conformal ones are. SAFFRON and ADDIS, which adapt to many
anomalies or to conservative p-values, have nothing to gain here: nearly all lines are normal, and
the p-values exact.

Lines of several senders may share one such stream. No α_t is below α (1 − δ), so that no sender
can use up what another's lines are tested at; its discoveries can but raise it, and its many lines
take the payouts that would have followed another's (with a hundred foreign lines for each of its
own, a sender with 1 % anomalies has 74 % of them found, in place of 81 %).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 0.1
"""α: such a share of the discoveries may be false."""
MEMORY_LINES = 1000.0
"""1 / (1 − δ): without any discovery a line is tested at α / 1000."""
PAYOUT = ((0.5, 4.0), (0.25, 32.0), (0.25, 256.0))
"""γ as a mixture of geometric series, (share, lines that it lasts in the mean): it falls and sums
to 1, most of it goes to the lines right after a discovery, and its state is three numbers."""
STRETCH = 16
"""Lines looked at together after a discovery; four times as many each time that there is none."""

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]


class Discoveries:
    """Decides line by line; its memory is three numbers."""

    def __init__(self, rate: float = RATE, memory_lines: float = MEMORY_LINES) -> None:
        """rate: α in (0, 1). memory_lines: more than 1; raises ValueError otherwise."""
        if not 0 < rate < 1 or not memory_lines > 1:
            raise ValueError(f"rate {rate}, memory {memory_lines}: not in (0, 1), or not above 1")
        decay = 1 - 1 / memory_lines
        self._floor = rate / memory_lines
        self._fade = [decay * (1 - 1 / lines) for _, lines in PAYOUT]
        self._paid = [rate * decay * share / lines for share, lines in PAYOUT]
        self.extra = [0.0] * len(PAYOUT)
        """What past discoveries add to the next line's level."""

    def observe(self, p_values: npt.ArrayLike) -> Bools:
        """(N,) p-values in order → (N,) which are discoveries; the same however they are cut."""
        p = np.asarray(p_values, np.float64)
        found = np.zeros(len(p), np.bool_)
        start, stretch = 0, STRETCH
        while start < len(p):
            part = p[start : start + stretch]
            passed = len(part)
            # Levels fall until the next discovery: no p above the first one can be one.
            for i in np.flatnonzero(part <= self._level(0)).tolist():
                if part[i] <= self._level(i):
                    passed = i + 1
                    found[start + i] = True
                    break
            self.extra = [x * f**passed for x, f in zip(self.extra, self._fade, strict=True)]
            start += passed
            stretch *= 4
            if found[start - 1]:
                self.extra = [x + paid for x, paid in zip(self.extra, self._paid, strict=True)]
                stretch = STRETCH
        return found

    def _level(self, after: int) -> float:
        """α_t so many lines after the next one, were there no discovery before."""
        return self._floor + sum(x * f**after for x, f in zip(self.extra, self._fade, strict=True))
