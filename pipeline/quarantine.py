"""Templates that were flagged as anomalous teach nothing until a person or time clears them.

What an attacker sends is anomalous at first; were it learnt from, it would soon be normal. A
person's word is above it all: what was called normal, or given a severity, is never held; what
was called an anomaly is held for as long as that stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pipeline.feedback import Standing

QUARANTINE_S = 3600.0
"""A template is free again so long after it was flagged last."""
MAX_TEMPLATES = 1 << 14
"""Templates held at once; the one flagged longest ago then goes, and is counted."""

Ids = npt.NDArray[np.uint64]
NONE: Ids = np.zeros(0, np.uint64)


class Quarantine:
    """Template ids and when each is free again. Times are Unix seconds, of any one clock."""

    def __init__(
        self, *, hold_s: float = QUARANTINE_S, max_templates: int = MAX_TEMPLATES
    ) -> None:
        self.crowded_out = 0
        """Templates that were let go early, for want of room."""
        self._hold_s = hold_s
        self._max_templates = max_templates
        self._ids = NONE  # (Q,) sorted
        self._until_s = np.zeros(0)  # (Q,)
        self._cleared = NONE  # (C,) sorted, by people
        self._condemned = NONE  # (D,) sorted, by people

    def __len__(self) -> int:
        """Templates held because they were flagged."""
        return len(self._ids)

    def add(self, template_ids: Ids, now_s: float) -> Ids:
        """Hold these templates, anew where they are held already.

        template_ids: (N,) of flagged lines, in any order, 0 for none. Returns those that may
        teach no more from now on and could before.
        """
        flagged = np.unique(template_ids)
        flagged = flagged[flagged > 0]
        if not len(flagged):
            return NONE
        fresh = flagged[~self.contains(flagged)]
        stays = ~_among(self._ids, flagged)
        ids = np.concatenate([self._ids[stays], flagged])
        until_s = np.concatenate(
            [self._until_s[stays], np.full(len(flagged), now_s + self._hold_s)]
        )
        over = len(ids) - self._max_templates
        if over > 0:
            newest = np.argsort(until_s, kind="stable")[over:]
            ids, until_s = ids[newest], until_s[newest]
            self.crowded_out += over
        order = np.argsort(ids)
        self._ids, self._until_s = ids[order], until_s[order]
        return fresh[self.contains(fresh)]

    def expire(self, now_s: float) -> int:
        """Let those go whose time is over; how many."""
        # A clock that was set back does not hold them for longer.
        np.minimum(self._until_s, now_s + self._hold_s, out=self._until_s)
        stays = self._until_s > now_s
        gone = len(stays) - int(stays.sum())
        if gone:
            self._ids, self._until_s = self._ids[stays], self._until_s[stays]
        return gone

    def heed(self, standing: Mapping[int, Standing]) -> None:
        """From now on go by what people say, in place of what they said before."""
        cleared = {
            template
            for template, word in standing.items()
            if word.verdict == "normal" or word.severity is not None
        }
        condemned = {t for t, word in standing.items() if word.verdict == "anomaly"}
        self._cleared = _sorted(cleared)
        self._condemned = _sorted(condemned - cleared)

    def contains(self, template_ids: Ids) -> npt.NDArray[np.bool_]:
        """Which templates may not teach. (N,) → (N,)"""
        held = _among(template_ids, self._ids) | _among(template_ids, self._condemned)
        return held & ~_among(template_ids, self._cleared)

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """What is to be saved; what people say is in their own file."""
        return {"quarantine_ids": self._ids, "quarantine_until_s": self._until_s}

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises KeyError or ValueError where that is not whole."""
        ids, until_s = kept["quarantine_ids"], kept["quarantine_until_s"]
        if ids.dtype != np.uint64 or ids.shape != until_s.shape or ids.ndim != 1:
            raise ValueError("quarantine: columns that do not fit")
        newest = np.argsort(until_s, kind="stable")[-self._max_templates :]
        order = newest[np.argsort(ids[newest])]
        self._ids, self._until_s = ids[order], until_s[order].astype(np.float64)


def _among(wanted: Ids, ids: Ids) -> npt.NDArray[np.bool_]:
    """Which of the N wanted are among the Q sorted ids. (N,), (Q,) → (N,)"""
    if not len(ids):
        return np.zeros(len(wanted), np.bool_)
    places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    found: npt.NDArray[np.bool_] = ids[places] == wanted
    return found


def _sorted(ids: Iterable[int]) -> Ids:
    return np.sort(np.array(list(ids), np.uint64))
