"""From a line to its template in a third of a microsecond: its message without digits is the key.

Numbers that change the meaning are significant slots: where a message of these letters may have
some, the key leads to a table of its own, by the values of the slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from models.slots import SlotReader, slot_reader

DIGITS = b"0123456789"
UNKNOWN = -1
_SLOTTED = -2
"""And below: which of the tables of slots."""

Stem = tuple[bytes | None, int, bytes]
"""A line's program, its facility and its message without digits."""


class Keys:
    """Rows of the template table by key; bounded by whoever calls `halve`."""

    def __init__(self) -> None:
        self.stems: dict[Stem, int] = {}
        """A row, or `_SLOTTED` and below."""
        self._reads: list[SlotReader] = []
        self._rows_of_slots: list[dict[tuple[bytes, ...], int]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def rows(
        self, apps: Sequence[bytes | None], facilities: Sequence[int], messages: Sequence[bytes]
    ) -> npt.NDArray[np.int32]:
        """(N,) rows of N lines, UNKNOWN where the key is new."""
        get = self.stems.get
        found = [
            get((app, facility, message.translate(None, DIGITS)), UNKNOWN)
            for app, facility, message in zip(apps, facilities, messages, strict=True)
        ]
        rows = np.array(found, np.int32)
        at = np.flatnonzero(rows <= _SLOTTED)
        if len(at):
            reads, known = self._reads, self._rows_of_slots
            rows[at] = [
                known[which].get(reads[which](messages[i]), UNKNOWN)
                for i, which in zip(at.tolist(), (_SLOTTED - rows[at]).tolist(), strict=True)
            ]
        return rows

    def row(self, stem: Stem, message: bytes) -> int:
        """The row of one line, UNKNOWN where its key is new. Raises nothing."""
        found = self.stems.get(stem, UNKNOWN)
        if found > _SLOTTED:
            return found
        which = _SLOTTED - found
        return self._rows_of_slots[which].get(self._reads[which](message), UNKNOWN)

    def put(self, stem: Stem, message: bytes, row: int) -> None:
        """A line whose key was new is of this row."""
        self._size += 1
        found = self.stems.get(stem, UNKNOWN)
        if found == UNKNOWN:
            read = slot_reader(stem[2])
            if read is None:
                self.stems[stem] = row
                return
            # "code 5000" has no slot, but "code 5" has, and is of the same letters.
            found = self.stems[stem] = _SLOTTED - len(self._reads)
            self._reads.append(read)
            self._rows_of_slots.append({})
            self._size += 1
        which = _SLOTTED - found
        self._rows_of_slots[which][self._reads[which](message)] = row

    def move(self, to: Sequence[int]) -> None:
        """Rows have moved; to: (T,) where each is now, UNKNOWN where it is gone."""
        self._rebuild(self.stems.items(), to)

    def halve(self) -> None:
        """Forget the older half; what is still in use comes back at the price of a miss."""
        before, items = self._size, list(self.stems.items())
        self._rebuild(items[len(items) // 2 :], None)
        if self._size > before * 3 // 4:  # a few letters with slots beyond number
            self._rebuild([], None)

    def _rebuild(self, items: Iterable[tuple[Stem, int]], to: Sequence[int] | None) -> None:
        stems: dict[Stem, int] = {}
        reads: list[SlotReader] = []
        rows_of_slots: list[dict[tuple[bytes, ...], int]] = []
        for stem, found in items:
            if found <= _SLOTTED:
                known = self._rows_of_slots[_SLOTTED - found]
                if to is not None:
                    known = {slots: to[row] for slots, row in known.items() if to[row] >= 0}
                stems[stem] = _SLOTTED - len(reads)
                reads.append(self._reads[_SLOTTED - found])
                rows_of_slots.append(known)
            elif (row := found if to is None else to[found]) >= 0:
                stems[stem] = row
        self.stems, self._reads, self._rows_of_slots = stems, reads, rows_of_slots
        self._size = len(stems) + sum(map(len, rows_of_slots))
