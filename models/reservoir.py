"""A bounded table of templates, and which of them makes room for a new one.

A class-balanced reservoir (Chrysakis & Moens 2020): the largest class gives way, and within a
class every template ever offered is equally likely to be kept. That is had without counting: each
template has a random rank of its own, and the lowest ranks stay (bottom-k sampling, Cohen & Kaplan
2007), so that offering one template again and again gives it no better chance.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

CLASSES = 8
PRI, RULE, PERSON = 0, 1, 2
"""Quality of a label: declared by the sender, by a rule, by a person."""
HELD_OUT = 8
"""One template in so many is of the held-out slice, and so much of both bounds is the slice's."""
FEWEST, LEAST_BYTES = 16, 1 << 16

_COLUMNS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "template_id": (np.uint64, ()),
    "facility": (np.int8, ()),
    "severity": (np.uint8, ()),
    "quality": (np.uint8, ()),
    "counts": (np.float32, (CLASSES,)),
    "stored": (np.float32, (CLASSES,)),
    "loss": (np.float32, ()),
    "source": (np.int32, ()),
    "held_out": (np.bool_, ()),
    "rank": (np.uint64, ()),
    "size": (np.int64, ()),
}
OVERHEAD = 460
"""Bytes of an entry beside its strings: numbers, objects, pointers, indices; a third of it only
where every template has a source of its own."""
_WORD = (1 << 64) - 1

Places = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


class Entry(NamedTuple):
    """One template as it comes in."""

    template_id: int
    app: str
    text: str
    facility: int
    source: str
    severity: int
    quality: int
    counts: Floats  # (8,)
    stored: Floats  # (8,)
    loss: float


class Entries(NamedTuple):
    """Templates as they are kept: N of each."""

    template_id: npt.NDArray[np.uint64]
    app: list[str]
    text: list[str]
    facility: npt.NDArray[np.int8]
    source: list[str]
    """Who taught it first."""
    severity: npt.NDArray[np.uint8]
    quality: npt.NDArray[np.uint8]
    counts: Floats  # (N, 8) lines that said so, of late, with a label of this quality
    stored: Floats  # (N, 8) logits when the label was learnt
    loss: Floats  # nats, as last measured


class Reservoir:
    """Entries, one a template, in places 0 … n - 1.

    Two parts share it, what is trained on and the held-out slice (1/8); each has its own bounds
    and is balanced by itself. A place holds until the next `insert` or `remove`.
    """

    def __init__(
        self, max_entries: int, max_bytes: int, source_share: float, seed: int = 0
    ) -> None:
        """source_share: what one source may hold of either bound.

        Raises ValueError for bounds that hold next to nothing.
        """
        if max_entries < FEWEST:
            raise ValueError(f"max_entries {max_entries}: at least {FEWEST}")
        if max_bytes < LEAST_BYTES:
            raise ValueError(f"max_bytes {max_bytes}: at least {LEAST_BYTES}")
        if not 0 < source_share <= 1:
            raise ValueError(f"source_share {source_share}: above 0, at most 1")
        self.evicted = 0
        """Entries that made room."""
        self.refused = 0
        """New templates that were not let in."""
        self._share = source_share
        self._salt = random.Random(seed).getrandbits(64)
        slice_entries, slice_bytes = max_entries // HELD_OUT, max_bytes // HELD_OUT
        self._max_entries = (max_entries - slice_entries, slice_entries)
        self._max_bytes = (max_bytes - slice_bytes, slice_bytes)
        self._size = [0, 0]
        self._bytes = [0, 0]
        capacity = min(max_entries, max_bytes // OVERHEAD)
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.zeros((capacity, *shape), kind) for name, (kind, shape) in _COLUMNS.items()
        }
        self._app: list[bytes] = []
        self._text: list[bytes] = []
        self._place: dict[int, int] = {}
        self._source: dict[str, int] = {}
        """Numbers of the sources, in their order."""

    def __len__(self) -> int:
        return len(self._app)

    @property
    def bytes(self) -> int:
        """What the entries take in memory."""
        return sum(self._bytes)

    def column(self, name: str) -> npt.NDArray[Any]:
        """(n, …) a view of the numbers of `Entries`, of `source` (in `sources`) and `held_out`.

        `severity`, `quality`, `counts`, `stored` and `loss` may be written to.
        """
        return self._columns[name][: len(self)]

    @property
    def sources(self) -> list[str]:
        """Names of the sources by number; not all need have an entry still."""
        return list(self._source)

    def find(self, template_id: int) -> int | None:
        """The place of a template."""
        return self._place.get(template_id)

    def is_of(self, place: int, source: str) -> bool:
        """Whether this source taught the entry first."""
        return self._source.get(source) == int(self._columns["source"][place])

    def insert(self, entry: Entry) -> bool:
        """Take in a template that is not here; whether it was let in."""
        app, text, source = (
            part.encode("utf-8", "replace") for part in (entry.app, entry.text, entry.source)
        )
        part = int(is_held_out(entry.template_id))
        size = OVERHEAD + len(app) + len(text) + len(source)
        if size > self._share * self._max_bytes[part]:
            self.refused += 1
            return False
        rank = _mixed(entry.template_id ^ self._salt)
        must = False
        while (
            self._size[part] >= self._max_entries[part]
            or self._bytes[part] + size > self._max_bytes[part]
        ):
            place = self._victim(entry, part, size, rank, must)
            if place is None:
                self.refused += 1
                return False
            self.remove(place)
            self.evicted += 1
            must = True  # what has gone has not gone in vain
        here = {"source": self._number(source.decode()), "held_out": part}
        new = {**entry._asdict(), **here, "rank": rank, "size": size}
        place = len(self)
        for name, column in self._columns.items():
            column[place] = new[name]
        self._app.append(app)
        self._text.append(text)
        self._place[entry.template_id] = place
        self._size[part] += 1
        self._bytes[part] += size
        return True

    def remove(self, place: int) -> None:
        """Take an entry out; the last one takes its place."""
        columns, last = self._columns, len(self) - 1
        part = int(columns["held_out"][place])
        self._size[part] -= 1
        self._bytes[part] -= int(columns["size"][place])
        del self._place[int(columns["template_id"][place])]
        app, text = self._app.pop(), self._text.pop()
        if place < last:
            for column in columns.values():
                column[place] = column[last]
            self._app[place], self._text[place] = app, text
            self._place[int(columns["template_id"][place])] = place

    def take(self, at: Places) -> Entries:
        """Copies of the entries at (N,) places."""
        names = self.sources
        columns: dict[str, Any] = {name: column[at] for name, column in self._columns.items()}
        columns["app"] = [self._app[i].decode() for i in at.tolist()]
        columns["text"] = [self._text[i].decode() for i in at.tolist()]
        columns["source"] = [names[i] for i in columns["source"].tolist()]
        return Entries(**{name: columns[name] for name in Entries._fields})

    def _victim(self, new: Entry, part: int, size: int, rank: int, must: bool) -> int | None:
        """Which entry makes room for this one; None where it stays out itself.

        A person's labels go last. A source at its share gives way to itself, one over it to
        anybody: all that may be where there are fewer than 1 / share sources is 1 / sources.
        """
        severity, sources, sizes = (self.column(c) for c in ("severity", "source", "size"))
        mine = self.column("held_out") == bool(part)
        classes = np.bincount(severity[mine], minlength=CLASSES)  # (8,)
        among = mine & (self.column("quality") < PERSON)
        if new.quality == PERSON:
            must = True
            if not among.any():
                among = mine
        elif self._max_bytes[part] - self._bytes[part] + sizes[among].sum() < size:
            return None
        else:
            number = self._source.get(new.source, len(self._source))
            least = len(self._source) + 1
            held = np.bincount(sources[among], minlength=least)
            used = np.bincount(sources[among], sizes[among], least)
            share = max(self._share, 1 / (np.count_nonzero(held) + (held[number] == 0)))
            most = max(1.0, share * self._max_entries[part])
            most_bytes = share * self._max_bytes[part]
            load = np.maximum(held / most, used / most_bytes)
            if held[number] + 1 > most or used[number] + size > most_bytes:
                among &= sources == number
            elif load.max() > 1:
                among &= sources == load.argmax()
                must = True
        there = np.bincount(severity[among], minlength=CLASSES) > 0
        if not there.any():
            return None
        largest, label = int(np.where(there, classes, -1).argmax()), new.severity
        # Classes that differ by one are even: they would take turns for ever, and keep nothing.
        if classes[label] < classes[largest] - 1 or (must and not there[label]):
            label, must = largest, True
        elif not there[label]:
            return None
        places = np.flatnonzero(among & (severity == label))
        ranks = self._columns["rank"][places]
        return int(places[ranks.argmax()]) if must or ranks.max() > rank else None

    def _number(self, source: str) -> int:
        if source not in self._source:
            if len(self._source) > 1.1 * len(self) + 64:  # names of entries that have gone
                names, column = self.sources, self.column("source")
                used, column[:] = np.unique(column, return_inverse=True)
                self._source = {names[old]: new for new, old in enumerate(used.tolist())}
            self._source[source] = len(self._source)
        return self._source[source]


def is_held_out(template_id: int) -> bool:
    """Whether a template is of the slice that is never trained on: one in eight, by its number."""
    return _mixed(template_id) % HELD_OUT == 0


def _mixed(x: int) -> int:
    """64 bits → 64 bits that look random (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _WORD
    return x ^ x >> 31
