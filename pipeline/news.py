"""How likely it is that a source's next line says something new.

News come in bursts (a reboot, a deployment), so the probability ν of something new follows the
stream: it is the share of new templates among the last few lines, and Good's (1953) estimate
n₁ / n where few lines were seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HALF_LIFE_LINES = 8.0
"""In so many lines half of what is known of the rate of news is forgotten."""
GUESS_LINES = 2.0
"""Good's estimate of that rate weighs as much as so many lines."""
MOST_NEWS = 0.9
"""ν stays below: what was seen stays possible in the longest burst."""

Counts = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


class News:
    """ν of one source."""

    def __init__(self) -> None:
        self.news, self.weight = 0.0, 0.0
        """New templates and lines, those further back counting less."""

    def now(self, once: int, lines: int) -> float:
        """ν before the next line, of `lines` lines in which `once` templates came once."""
        guess = (once + 1) / (lines + 2)
        rate = (self.news + GUESS_LINES * guess) / (self.weight + GUESS_LINES)
        return min(rate, MOST_NEWS)

    def observe(
        self,
        at: npt.NDArray[np.intp],
        first: npt.NDArray[np.bool_],
        once: Counts,
        lines: Counts,
        n: int,
    ) -> Doubles:
        """(m,) ν before each of the lines `at`, all new ones among them; then n lines are over.

        first: (m,) whether they are new. once, lines: (m,) as for `now`, before each.
        """
        keep = 0.5 ** (1 / HALF_LIFE_LINES)
        event_at = at[first]
        # After an event what is left of it halves with the lines: a sum of what each has left.
        after = np.empty(len(event_at) + 1)
        after[0] = value = self.news
        place = 0
        for k, event in enumerate(event_at.tolist(), 1):
            value = value * keep ** (event + 1 - place) + 1.0
            after[k] = value
            place = event + 1
        passed: Counts = np.cumsum(first) - first  # (m,) new ones before each
        since = np.concatenate([[0], event_at + 1])[passed]
        news = after[passed] * np.exp2((since - at) / HALF_LIFE_LINES)
        kept = np.exp2(-at / HALF_LIFE_LINES)
        all_lines = 1 / (1 - keep)
        weight = self.weight * kept + (1 - kept) * all_lines
        guess = (once + 1) / (lines + 2)
        rate: Doubles = np.minimum(
            (news + GUESS_LINES * guess) / (weight + GUESS_LINES), MOST_NEWS
        )
        rate[lines == 0] = 1.0
        self.news = value * keep ** (n - place)
        self.weight = self.weight * keep**n + (1 - keep**n) * all_lines
        return rate
