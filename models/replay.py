"""Prioritised replay of what templates teach (Schaul et al. 2016), from a bounded reservoir.

Loss decides what is sampled, never what is kept: mislabelled lines have the greatest losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.reservoir import (
    CLASSES,
    PERSON,
    PRI,
    Entries,
    Entry,
    Floats,
    Places,
    Reservoir,
    is_held_out,
)

BETA_SAMPLES = 100_000
"""Samples after which the importance weights undo the priorities in full."""
CLIP = 0.9
"""Quantile of the losses above which a loss is no reason to be sampled more often."""
LEAST, CLIP_LEAST = 1e-3, 0.1
"""Nats that every loss counts as at least, and below which none is clipped."""
MOST = 20.0
"""Nats; a loss that is no number, or endless, counts as so much until the clip."""
HEAVIEST = 5.0
"""Importance above which an entry weighs no more: one that is seldom drawn must not lead."""
COUNTED = 1024
"""Lines of a template that its label rests on: when there are more, all count half."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Teaching:
    """What templates teach, N of each."""

    template_id: npt.NDArray[np.uint64]
    app: list[str]
    text: list[str]
    """Canonical."""
    facility: npt.NDArray[np.int8]
    """-1 without one."""
    source: list[str]
    severity: npt.NDArray[np.uint8]
    """0 … 7, the label."""
    quality: npt.NDArray[np.uint8]
    """PRI, RULE or PERSON of models.reservoir."""
    count: npt.NDArray[np.int64]
    """Lines that said so since it was last offered."""


class Sampled(NamedTuple):
    at: Places  # (n,)
    weight: Floats  # (n,) importance, 1 on average


class Replay:
    """Templates to learn from again, and those of the held-out slice, which are never sampled.

    An entry has a *place*; places hold until the next `add` or `forget`.
    """

    def __init__(
        self,
        max_entries: int = 8192,
        max_bytes: int = 8 << 20,
        *,
        source_share: float = 0.25,
        alpha: float = 0.6,
        beta: float = 0.4,
        uniform: float = 0.2,
        seed: int = 0,
    ) -> None:
        """source_share: what one source may hold of the entries and of the bytes of a full buffer,
        or 1 / sources if that is more. alpha: how much the loss tells. beta: of the importance
        weights at first; it rises to 1. uniform: share of the samples that are drawn evenly.

        Raises ValueError for an option out of range.
        """
        if not alpha >= 0:
            raise ValueError(f"alpha {alpha}: at least 0")
        if not 0 <= beta <= 1:
            raise ValueError(f"beta {beta}: from 0 to 1")
        if not 0 < uniform <= 1:
            raise ValueError(f"uniform {uniform}: above 0, at most 1")
        self.options: dict[str, float] = {
            "max_entries": max_entries,
            "max_bytes": max_bytes,
            "source_share": source_share,
            "alpha": alpha,
            "beta": beta,
            "uniform": uniform,
            "seed": seed,
        }
        self._alpha, self._beta, self._uniform = alpha, beta, uniform
        self._held = Reservoir(max_entries, max_bytes, source_share, seed)
        self._random = np.random.default_rng(seed)
        self._drawn = 0
        self._chances: tuple[Places, Doubles] | None = None
        self.spoilt = 0
        """Lessons whose logits were no numbers; they are passed over."""
        self.disputed = 0
        """Lessons of another source than the template's that said otherwise; passed over."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        """Memory that the entries take: strings, rows and index."""
        return self._held.bytes

    @property
    def trainable(self) -> int:
        """Entries that can be sampled."""
        return len(self) - int(self._held.column("held_out").sum())

    @property
    def evicted(self) -> int:
        """Entries that made room for others."""
        return self._held.evicted

    @property
    def refused(self) -> int:
        """New templates that were not let in, each time that they came."""
        return self._held.refused

    @property
    def dropped(self) -> dict[str, int]:
        """All that was left out or let go, by why."""
        return {
            "evicted": self.evicted,
            "refused": self.refused,
            "disputed": self.disputed,
            "spoilt": self.spoilt,
        }

    @property
    def beta(self) -> float:
        """The exponent of the importance weights now."""
        done = min(1.0, self._drawn / BETA_SAMPLES)
        return self._beta + (1 - self._beta) * done

    def is_held_out(self, template_id: int) -> bool:
        """Whether a template is one of those that are kept for judging and never sampled."""
        return is_held_out(template_id)

    def add(self, teaching: Teaching, stored: Floats, loss: Floats) -> None:
        """Take in N templates, in this order; some may stay out (`refused`, `spoilt`).

        A template has the label of the greatest quality; of several that its source declares the
        one which most of its recent lines had, of a person's the newest. What another source
        declares changes nothing (`disputed`): the loudest would else label everybody's templates,
        those that judge the model too. stored: (N, 8), logits when it was learnt, kept until the
        label changes. loss: (N,), nats.

        Raises ValueError for columns of different lengths and labels that there are not.
        """
        n = len(teaching.template_id)
        if {len(column) for column in vars(teaching).values()} | {len(loss)} != {n}:
            raise ValueError("columns of different lengths")
        if stored.shape != (n, CLASSES):
            raise ValueError(f"stored: shape {stored.shape}, expected ({n}, {CLASSES})")
        if n and (teaching.severity.max() >= CLASSES or teaching.quality.max() > PERSON):
            raise ValueError("a severity above 7 or a quality above 2")
        counts = np.zeros((n, CLASSES), np.float32)
        counts[np.arange(n), teaching.severity] = teaching.count.clip(1, COUNTED)
        columns = {**vars(teaching), "counts": counts, "stored": stored, "loss": _finite(loss)}
        del columns["count"]
        self._chances = None
        spoilt = set(np.flatnonzero(~np.isfinite(stored).all(axis=1)).tolist())
        self.spoilt += len(spoilt)
        for i, entry in enumerate(_each(Entries(**columns))):
            if i in spoilt:
                continue
            place = self._held.find(entry.template_id)
            if place is None:
                self._held.insert(entry)
            else:
                self._teach(place, entry)

    def sample(self, n: int) -> Sampled:
        """n places of the training part, drawn with replacement, by `chances`.

        Their weights are (N P)^-β, clipped, over what that is expected to be: over the greatest,
        as Schaul et al. have it, all that is replayed would weigh the less the more β corrects.
        Raises ValueError where there is nothing to draw.
        """
        places, chance = self.chances()
        if not len(places):
            raise ValueError("nothing to sample: no entry to train on")
        total = np.cumsum(chance)
        drawn = np.searchsorted(total, total[-1] * self._random.random(n), side="right")
        drawn = drawn.clip(max=len(places) - 1)  # rounding may lead one past the end
        weight = ((len(places) * chance) ** -self.beta).clip(max=HEAVIEST)  # (N,)
        weight /= chance @ weight
        self._drawn += n
        return Sampled(places[drawn], weight[drawn].astype(np.float32))

    def chances(self) -> tuple[Places, Doubles]:
        """Places of the training part, (N,), and P of each: (1 - u) p^α / Σ p^α + u / N.

        p is the loss, clipped at the 0.9 quantile of all: a few templates with wrong labels, whose
        loss never falls, are drawn no more often than any of the hardest tenth.
        """
        if self._chances is None:
            places = np.flatnonzero(~self._held.column("held_out"))
            loss = self._held.column("loss")[places].astype(np.float64)
            most = max(CLIP_LEAST, float(np.quantile(loss, CLIP))) if len(loss) else CLIP_LEAST
            power = loss.clip(LEAST, most) ** self._alpha
            even = self._uniform / max(1, len(places))
            self._chances = places, (1 - self._uniform) * power / power.sum() + even
        return self._chances

    def class_share(self) -> Doubles:
        """(8,) how likely a sample is to have each severity; even where there is nothing."""
        places, chance = self.chances()
        if not len(places):
            return np.full(CLASSES, 1 / CLASSES)
        share = np.bincount(self._held.column("severity")[places], chance, CLASSES)
        return share.astype(np.float64)

    def source_share(self) -> dict[str, float]:
        """How likely a sample is to be of each source that has an entry to train on."""
        places, chance = self.chances()
        source = self._held.column("source")[places]
        share = np.bincount(source, chance)
        names = self._held.sources
        return {names[i]: float(share[i]) for i in np.unique(source).tolist()}

    def held_out(self) -> Places:
        """Places of the held-out slice."""
        return np.flatnonzero(self._held.column("held_out"))

    def take(self, at: Places) -> Entries:
        """Copies of the entries at (N,) places."""
        return self._held.take(at)

    def reprioritise(self, at: Places, loss: Floats) -> None:
        """Note the losses, (N,) nats, that the entries at (N,) places have now."""
        self._held.column("loss")[at] = _finite(loss)
        self._chances = None

    def forget(self, template_ids: Iterable[int]) -> int:
        """Drop these templates, whoever labelled them; how many were there."""
        gone = 0
        for template_id in template_ids:
            place = self._held.find(int(template_id))
            if place is not None:
                self._held.remove(place)
                gone += 1
        self._chances = None
        return gone

    def kept(self) -> tuple[Entries, dict[str, Any]]:
        """All entries by place, and how far the drawing has got: all there is but `options`."""
        state = {"drawn": self._drawn, "random": self._random.bit_generator.state}
        return self.take(np.arange(len(self))), state

    def restore(self, entries: Entries, state: Mapping[str, Any]) -> None:
        """Go on from what `kept` gave, in an empty buffer: the next sample is the one it would be.

        Under narrower bounds than they were kept under, what is in excess makes room as ever.
        Raises ValueError where it is not whole.
        """
        assert not len(self)
        try:
            self._random.bit_generator.state = state["random"]
            self._drawn = int(state["drawn"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("no state of a random generator") from error
        for entry in _each(entries):
            self._held.insert(entry)
        self._chances = None

    def _teach(self, place: int, lesson: Entry) -> None:
        """Let a known template learn what a lesson says of it."""
        quality, severity, counts, stored, loss = (
            self._held.column(name) for name in ("quality", "severity", "counts", "stored", "loss")
        )
        if lesson.quality < quality[place]:
            return
        if lesson.quality == PRI and not self._held.is_of(place, lesson.source):
            self.disputed += lesson.severity != int(severity[place])
            return
        if lesson.quality > quality[place] or lesson.quality == PERSON:
            # Lesser labels no longer count, nor what the person has said before.
            quality[place], counts[place] = lesson.quality, 0
        counts[place] += lesson.counts
        if counts[place].sum() > COUNTED:
            counts[place] *= 0.5
        label = lesson.severity
        if counts[place, label] > counts[place, severity[place]]:
            severity[place], stored[place] = label, lesson.stored
        if label == severity[place]:
            loss[place] = lesson.loss


def _each(entries: Entries) -> Iterator[Entry]:
    columns = [
        column.tolist() if isinstance(column, np.ndarray) and column.ndim == 1 else column
        for column in entries
    ]
    return map(Entry._make, zip(*columns, strict=True))


def _finite(loss: Floats) -> Floats:
    return np.nan_to_num(loss, nan=MOST, posinf=MOST, neginf=0.0).clip(0.0, MOST)
