"""What one source has declared of each of its templates.

A classifier generalises; a table remembers. A template that this source has sent a hundred times
as err is err here, whatever the model makes of its words: the counts of its labels are taken for
what they are, and the model's answer weighs as much as `WEIGHT` labels (Dirichlet smoothing). Of a
template without labels the source's others are asked (`pipeline.neighbours`). A source's memory
is its own: nobody can teach it what another host's lines mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.fading import add_fading
from pipeline.neighbours import heed_neighbours
from pipeline.templates import TemplateTable

WEIGHT = 0.5
"""Labels that the model's answer weighs as much as: one label nearly settles a template."""
HALF_LIFE = 64.0
"""Labels of a template after which a label weighs half: senders change their mind."""
MAX_TEMPLATES = 8192
"""Templates remembered of one source; the half that spoke longest ago is then forgotten."""
NEIGHBOURS = 1024
"""Labelled templates that are asked of one without labels, those met last: a bound on the time."""
_ROOM = 256
_UNASKED = -1

Counts = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]


class Memory:
    """Labels by template of one source; bounded."""

    def __init__(self, max_templates: int = MAX_TEMPLATES) -> None:
        self._max_templates = max_templates
        self._size = 0
        """Templates; the columns below have room for some more."""
        self._ids = np.zeros(0, np.uint64)
        self._counts = np.zeros((0, 8), np.float32)
        self._new = np.zeros((0, 8), np.float32)
        """Labels that count from the next renewal on."""
        self._labelled = np.zeros(0, np.bool_)
        """Of which a label counts."""
        self._used = np.zeros(0, np.int64)
        self._apps = np.zeros(0, np.int32)
        """Programs, as the template table numbers them."""
        self._latents = np.zeros((0, 0), np.float32)
        """(T, D) of the templates that are placed: whose latent is of the model in use."""
        self._placed = np.zeros(0, np.bool_)
        self._clock = 0
        self._first: set[int] = set()
        """Entries whose first labels are among the new ones."""
        self._entry: dict[int, int] = {}
        self._entry_of_row = np.zeros(0, np.int32)
        """Of the table's rows: an entry, `_none` where there is none, or something older."""
        self._none = _UNASKED - 1
        """Another negative number each time that templates were added: ask again."""
        self._id_of_row = np.zeros(0, np.uint64)
        """The template that a row was of when that was found out: rows move."""

    def __len__(self) -> int:
        return self._size

    def observe(self, rows: Rows, declared: npt.NDArray[np.int16], table: TemplateTable) -> None:
        """Note N labels: rows of the table, and the severity of each, -1 without one."""
        with_label = declared >= 0
        if not with_label.any():
            return
        if not with_label.all():
            rows, declared = rows[with_label], declared[with_label]
        entries = self._entries(rows, table)
        astray = np.flatnonzero(~self._placed[entries])
        if len(astray):
            self._place(entries[astray], rows[astray], table)
        unlabelled = ~self._labelled[entries]
        if unlabelled.any():
            self._first.update(entries[unlabelled].tolist())
        np.add.at(self._new.reshape(-1), entries * 8 + declared, np.float32(1))
        self._used[entries] = self._clock

    def renew(self) -> None:
        """Let what was noted since the last time count."""
        self._clock += 1
        self._count(np.flatnonzero(self._new.any(axis=1)))
        self._first.clear()
        if self._size > self._max_templates:
            self._forget()

    @property
    def waits(self) -> bool:
        """Whether a template's first labels do not count yet."""
        return bool(self._first)

    def unlabelled(self, rows: Rows, table: TemplateTable) -> npt.NDArray[np.bool_]:
        """(N,) which rows are of templates of which no label counts."""
        entries = self._known(rows, table)
        if not self._size:
            return np.ones(len(rows), np.bool_)
        return (entries < 0) | ~self._labelled[entries]

    def settle(self, table: TemplateTable) -> None:
        """Let the first labels of templates count; their rows are to be predicted anew."""
        first = np.fromiter(self._first, np.int64, len(self._first))
        self._first.clear()
        self._count(first)
        of_row = self._entry_of_row[: table.size]
        table.prior_stamp[: len(of_row)][np.isin(of_row, first)] = -1

    def _count(self, changed: npt.NDArray[np.integer]) -> None:
        counts = self._counts[changed]
        add_fading(counts, self._new[changed], HALF_LIFE)
        self._counts[changed] = counts
        self._labelled[changed] = True
        self._new[changed] = 0

    def blend(
        self, probability: Counts, rows: npt.NDArray[np.integer], table: TemplateTable
    ) -> Counts:
        """(R, 8) what the model says of these rows → what the labels and the model say."""
        if not self._size:
            return probability
        entries = self._known(rows, table)
        counts = self._counts[entries]  # of another entry where there is none
        total = counts.sum(axis=1)
        total[entries < 0] = 0
        at = np.flatnonzero(total > 0)
        weight = np.float32(WEIGHT)
        if len(at):
            probability[at] = (counts[at] + weight * probability[at]) / (total[at, None] + weight)
        new = np.flatnonzero(total == 0)
        if len(new):
            self._fit(table.latent.shape[1])
            known = np.flatnonzero(self._placed & self._labelled)[-NEIGHBOURS:]
            if len(known):
                labels = self._counts[known]
                probability[new] = heed_neighbours(
                    probability[new],
                    table.latent[rows[new]],
                    table.app[rows[new]],
                    self._latents[known],
                    self._apps[known],
                    labels / labels.sum(axis=1, keepdims=True),
                )
        return probability

    def change_model(self, table: TemplateTable) -> None:
        """Latents of another model: those of the table at once, others when they show up."""
        self._placed[:] = False
        if self._size:
            rows = np.arange(table.size)
            entries = self._known(rows, table)
            there = entries >= 0
            self._place(entries[there], rows[there], table)

    def restore(
        self,
        ids: npt.NDArray[np.uint64],
        counts: Counts,
        used: npt.NDArray[np.int64],
        apps: npt.NDArray[np.int32],
        latents: Counts,
        placed: npt.NDArray[np.bool_],
    ) -> None:
        """Go on from what another Memory held; counts (T, 2, 8): that count, and that will."""
        shapes = {len(column) for column in (ids, counts, used, apps, latents, placed)}
        if len(shapes) != 1 or counts.shape[1:] != (2, 8):
            raise ValueError("labels of different lengths")
        self._ids, self._used, self._apps = ids.copy(), used.copy(), apps.copy()
        self._latents, self._placed = latents.copy(), placed.copy()
        self._counts, self._new = counts[:, 0].copy(), counts[:, 1].copy()
        self._size = len(ids)
        self._labelled = np.asarray(self._counts.any(axis=1), np.bool_)
        first = self._new.any(axis=1) & ~self._labelled
        self._first = set(np.flatnonzero(first).tolist())
        self._clock = int(used.max(initial=0)) + 1
        self._index()

    def _index(self) -> None:
        ids = self._ids[: self._size].tolist()
        self._entry = {template: i for i, template in enumerate(ids)}
        self._entry_of_row[:] = _UNASKED

    def _known(self, rows: Rows, table: TemplateTable) -> npt.NDArray[np.int32]:
        """Entries of these rows, -1 where nothing is remembered."""
        if len(self._entry_of_row) != table.capacity:
            self._entry_of_row = np.full(table.capacity, _UNASKED, np.int32)
            self._id_of_row = np.zeros(table.capacity, np.uint64)
        entries = self._entry_of_row[rows]
        ids = table.template_id[rows]
        unknown = (entries < 0) & (entries != self._none)
        missed = np.flatnonzero(unknown | (self._id_of_row[rows] != ids))
        if len(missed):
            get = self._entry.get
            entries[missed] = [get(template, self._none) for template in ids[missed].tolist()]
            self._entry_of_row[rows[missed]] = entries[missed]
            self._id_of_row[rows[missed]] = ids[missed]
        return np.maximum(entries, -1)

    def _entries(self, rows: Rows, table: TemplateTable) -> npt.NDArray[np.int32]:
        """Entries of these rows; those of templates not met before are added."""
        entries = self._known(rows, table)
        missing = np.flatnonzero(entries < 0)
        if not len(missing):
            return entries
        fresh = list(dict.fromkeys(table.template_id[rows[missing]].tolist()))
        first, more = self._size, len(fresh)
        self._entry |= {template: first + i for i, template in enumerate(fresh)}
        self._none -= 1
        self._fit(table.latent.shape[1])
        self._make_room(first + more)
        self._ids[first : first + more] = np.array(fresh, np.uint64)
        self._size += more
        return self._known(rows, table)

    def _fit(self, length: int) -> None:
        """Latents of another length than the model's in use are none."""
        if self._latents.shape[1] != length:
            self._latents = np.zeros((len(self._latents), length), np.float32)
            self._placed[:] = False

    def _make_room(self, templates: int) -> None:
        """For so many in all, and to grow: to copy everything for each one takes too long."""
        if templates <= len(self._ids):
            return
        for name in _COLUMNS:
            column = getattr(self, name)
            longer = np.zeros((templates + max(templates, _ROOM), *column.shape[1:]), column.dtype)
            longer[: len(column)] = column
            setattr(self, name, longer)

    def _place(self, entries: npt.NDArray[np.integer], rows: Rows, table: TemplateTable) -> None:
        self._fit(table.latent.shape[1])
        self._latents[entries] = table.latent[rows]
        self._apps[entries] = table.app[rows]
        self._placed[entries] = True

    def _forget(self) -> None:
        order = np.argsort(self._used[: self._size], kind="stable")
        kept = np.sort(order[self._size - self._max_templates // 2 :])
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[kept])
        self._size = len(kept)
        self._index()


_COLUMNS = ("_ids", "_counts", "_new", "_labelled", "_used", "_apps", "_latents", "_placed")


def kept_memories(memories: Sequence[Memory]) -> dict[str, npt.NDArray[Any]]:
    """Of several sources, as named arrays, to be saved."""
    some = [m for m in memories if len(m)] or [Memory()]
    length = next((m._latents.shape[1] for m in some if m._placed.any()), 0)
    for memory in some:
        memory._fit(length)
    return {
        "memory_templates": np.array([len(m) for m in memories], np.int64),  # (S,) sum K
        "memory_ids": np.concatenate([m._ids[: m._size] for m in some]),  # (K,)
        "memory_counts": np.concatenate(
            [np.stack((m._counts, m._new), 1)[: m._size] for m in some]
        ),
        "memory_used": np.concatenate([m._used[: m._size] for m in some]),  # (K,)
        "memory_apps": np.concatenate([m._apps[: m._size] for m in some]),  # (K,)
        "memory_latents": np.concatenate([m._latents[: m._size] for m in some]),  # (K, D)
        "memory_placed": np.concatenate([m._placed[: m._size] for m in some]),  # (K,)
    }


_DTYPES = {
    "ids": np.uint64, "counts": np.float32, "used": np.int64,
    "apps": np.int32, "latents": np.float32, "placed": np.bool_,
}  # fmt: skip


def restored_memories(
    kept: Mapping[str, npt.NDArray[Any]], *, same_model: bool = True
) -> list[Memory]:
    """What `kept_memories` gave; none of an older state, which has none. Raises ValueError.

    same_model: whether the latents are of the model in use.
    """
    if "memory_templates" not in kept:
        return []
    ends = np.cumsum(kept["memory_templates"].astype(np.int64))
    columns: list[list[npt.NDArray[Any]]] = [
        np.split(kept[f"memory_{name}"].astype(dtype), ends)[:-1]
        for name, dtype in _DTYPES.items()
    ]
    memories = []
    for parts in zip(*columns, strict=True):
        memory = Memory()
        memory.restore(*parts)
        memory._placed &= same_model
        memories.append(memory)
    return memories
