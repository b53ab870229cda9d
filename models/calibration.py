"""Scores of strangeness to p-values, smoothed and by leaving each past line out (no torch).

A line that was just judged is not one of those that it was judged by. To compare it fairly with
the lines before it, each of these has to be judged in the same way: by all the others, itself left
out. Then, while the lines are exchangeable, p is exactly uniform, from the beginning and for
whatever score: transductive conformal prediction (Vovk, Gammerman and Shafer 2005, chapter 2).

Lines of one template are alike, so that a past of any length is a few numbers for each template:
a line whose template came `count` times has count − 1 others like it, and where that is none it is
judged by its text, as something new is. What another model makes of the same past is known at
once. Older lines weigh less, so that a stream may change (Barber et al. 2023).

Equal scores are common, and counting all of them as stranger would make p too large to be of use.
So a random share U of them counts: p = (Σ stranger + U (Σ equal + 1)) / (Σ all + 1), Vovk's
smoothed p-value. U is a hash of the line's place in the stream: the same after a restart, and
however the lines were batched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HALF_LIFE_LINES = 65_536.0
"""In so many lines half of a line's weight is gone: all weigh 94,548 at most."""
COLD_LINES = 64
"""Before so many lines every p is 1: they are nothing to compare with."""
GROWTH, MOST_LINES = 16, 8192
"""The lines that p ranks among are brought up to date when there are a 16th more."""
SEEN_STEPS, NEW_STEPS = 1, 16
"""A nat; scores in the same step are equal. Templates that come at a steady pace have counts that
differ by one, according to which came last: that makes none of them stranger than the others."""
FARTHEST = 1000.0
"""Nats; scores beyond are equal as well."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Ranks:
    """Weights of scores, to be asked how much is above or equal."""

    def __init__(self, scores: npt.ArrayLike, weights: npt.ArrayLike, steps_per_nat: int) -> None:
        """scores: (K,) nats. weights: (K,)."""
        self._steps_per_nat = steps_per_nat
        steps = self.steps(scores)
        self._low = int(steps.min(initial=0))
        self._last = int(steps.max(initial=0)) - self._low + 2
        # One step below all scores, and one above.
        self._equal: Doubles = np.bincount(
            steps - self._low + 1, np.asarray(weights, np.float64), self._last + 1
        ).astype(np.float64)
        self._above: Doubles = np.append(np.cumsum(self._equal[:0:-1])[::-1], 0.0)

    @property
    def total(self) -> float:
        return float(self._above[0])

    def look(self, scores: npt.ArrayLike) -> tuple[Doubles, Doubles]:
        """(N,) scores → (N,) weight above each, and (N,) weight equal to each."""
        at = self.steps(scores)
        at -= self._low - 1
        at.clip(0, self._last, out=at)
        return self._above[at], self._equal[at]

    def steps(self, scores: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """(N,) scores → (N,) steps that they are in."""
        steps = np.asarray(scores) * np.float32(self._steps_per_nat)
        np.floor(steps, out=steps)
        most = FARTHEST * self._steps_per_nat
        steps.clip(-most, most, out=steps)
        return steps.astype(np.int64)


class Asked(NamedTuple):
    """N lines to be judged, F of which are the first of their template."""

    entries: npt.NDArray[np.int32]
    """(N,) number of each line's template, in the order in which they first came."""
    log_count: Floats
    """(N,) log of how often the template came before; any number for the first ones."""
    shift: Floats
    """(N,) a new line of b nats is as strange as one of those seen of b − shift."""
    first: npt.NDArray[np.intp]
    """(F,) which lines."""
    strangeness: Doubles
    """(F,) nats."""


class Calibration:
    """How unusual a line is among those before it, of one source.

    Two kinds of lines are compared. `seen` ones have a template that came before, and are strange
    by −log of how often it came. `new` ones are strange by −log density of their text. Each asked
    line brings the two scales together by its shift.
    """

    def __init__(self) -> None:
        self.lines = 0
        """So many came, all in all."""
        self._due = COLD_LINES
        self._lines_before = 0
        self._faded = 0.0
        """Weight of templates that were forgotten."""
        # (T,) as of the last time that it was brought up to date.
        self._weights: Doubles = np.zeros(0)
        self._counts: Counts = np.zeros(0, np.int64)
        self._strangeness: Floats = np.zeros(0, np.float32)
        self._rank()

    @property
    def room(self) -> int:
        """So many lines may come before it is to be brought up to date; at least 1."""
        return self._due - self.lines

    @property
    def log_lines(self) -> float:
        """log of the number of lines that counts are shares of."""
        return float(np.log(max(int(self._counts.sum()), 1)))

    def p_values(self, asked: Asked, uniform: npt.ArrayLike) -> Floats:
        """Judge N ≤ `room` lines by those before them, and count them as past.

        uniform: (N,). Each line is judged by the lines up to the last update, itself put among
        them: what came between is no past yet, so that each p is exact by itself.
        """
        n, known = len(asked.entries), len(self._counts)
        self.lines += n
        if not known:
            return np.ones(n, np.float32)
        at = np.minimum(asked.entries, known)
        seen, above, equal = self._seen_of[at], self._above_of[at], self._equal_of[at]
        late = np.flatnonzero(asked.entries >= known)
        if len(late):
            seen[late] = -asked.log_count[late]
            seen[asked.first] = asked.strangeness - asked.shift[asked.first]
            above[late], equal[late] = self._seen.look(seen[late])
        above_new, equal_new = self._new.look(seen + asked.shift)
        above += above_new
        equal += equal_new
        equal += 1
        equal *= np.asarray(uniform)
        above += equal
        above /= self._seen.total + self._new.total + 1
        return above.astype(np.float32)

    def update(self, counts: Counts, strangeness: Floats) -> None:
        """Bring it up to date.

        counts: (T,) how often each template came. strangeness: (T,) −log density that the text
        of a template has by all the others, for those with a count of 1; NaN where not known.
        """
        known = len(self._counts)
        passed = self.lines - self._lines_before
        fade = 0.5 ** (passed / HALF_LIFE_LINES)
        weights = counts.astype(np.float64)
        weights[:known] += self._weights * fade - self._counts
        self._faded *= fade
        self._weights = np.maximum(weights, 0.0)
        self._counts, self._strangeness = counts.copy(), strangeness.copy()
        self._lines_before = self.lines
        self._due = self.lines + min(max(self.lines // GROWTH, COLD_LINES), MOST_LINES)
        self._rank()

    def change(self, strangeness: Floats) -> None:
        """The same past by another model; (T,) as for `update`."""
        self._strangeness = strangeness[: len(self._counts)].copy()
        self._rank()

    def keep(self, templates: npt.NDArray[np.intp]) -> None:
        """Of the templates keep these only, in this order; what others said stays strange."""
        inside = templates[templates < len(self._counts)]
        self._faded += float(self._weights.sum() - self._weights[inside].sum())
        self._weights, self._counts = self._weights[inside], self._counts[inside]
        self._strangeness = self._strangeness[inside]
        self._rank()

    def start_from(self, counts: Counts, strangeness: Floats) -> None:
        """Begin with a past of which nothing is known but how often each template came."""
        self.lines = int(counts.sum())
        if self.lines >= COLD_LINES:
            self.update(counts, strangeness)
            most = HALF_LIFE_LINES / np.log(2)
            self._weights *= min(1.0, most / self.lines)
            self._rank()

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        return {
            "marks": np.array([self.lines, self._due, self._lines_before, self._faded]),
            "weights": self._weights,
            "counts": self._counts,
            "strangeness": self._strangeness,
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole."""
        n = len(kept["counts"])
        if kept["marks"].shape != (4,) or not n == len(kept["weights"]) == len(
            kept["strangeness"]
        ):
            raise ValueError("a calibration of different lengths")
        self.lines, self._due, self._lines_before = (int(x) for x in kept["marks"][:3])
        self._faded = float(kept["marks"][3])
        self._weights = kept["weights"].astype(np.float64)
        self._counts = kept["counts"].astype(np.int64)
        self._strangeness = kept["strangeness"].astype(np.float32)
        self._rank()

    def _rank(self) -> None:
        often = self._counts > 1
        left_out = -np.log(np.maximum(self._counts - 1.0, 1.0))  # (T,) by the others
        weights = np.where(often, self._weights, 0.0)
        self._seen = Ranks(left_out[often], weights[often], SEEN_STEPS)
        # A line that is asked has all lines of its template for others, and they have it: equal.
        seen_of = -np.log(np.maximum(self._counts, 1.0))
        above, equal = self._seen.look(seen_of)
        apart = self._seen.steps(left_out) != self._seen.steps(seen_of)
        above -= np.where(apart, weights, 0.0)
        equal += np.where(apart, weights, 0.0)
        # One more, for templates that are not among these.
        self._seen_of: Floats = np.append(seen_of, 0.0).astype(np.float32)
        self._above_of, self._equal_of = np.append(above, 0.0), np.append(equal, 0.0)
        strangeness, weights = self._strangeness[~often], self._weights[~often]
        known = np.isfinite(strangeness)
        total = weights.sum() + self._faded
        if known.any() and weights[known].sum() > 0:
            # Those that are known stand for the others as well.
            weights = weights[known] * (total / weights[known].sum())
            self._new = Ranks(strangeness[known], weights, NEW_STEPS)
        else:
            self._new = Ranks([FARTHEST], [total], NEW_STEPS)


def uniforms(first: int, n: int, seed: int = 0) -> Doubles:
    """(n,) numbers in (0, 1) for the places first, first + 1, …: always the same ones.

    SplitMix64 (Steele, Lea and Flood 2014): passes for random, and needs no state.
    """
    z = np.arange(first, first + n, dtype=np.uint64)
    z += np.uint64(seed)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    found: Doubles = (z >> np.uint64(11)).astype(np.float64)
    found += 0.5
    found *= 2.0**-53
    return found
