"""What is known of each host: one row each, bounded; the oldest are forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.host_dynamics import Dynamics
from models.host_forecast import FADE_S, SEVERITIES
from pipeline.columns import Vocabulary

MAX_HOSTS = 1 << 15
"""Hosts known at once, 0.7 KB each, and those of one batch more: then the half that was heard of
longest ago is forgotten."""
FIRST_ROWS = 64
"""The table begins with so many, and doubles."""

Slots = npt.NDArray[np.int32]
Key = tuple[str, str | None]
"""The sender, as pipeline.frames names it, and the hostname of the header."""


class HostLines(NamedTuple):
    """Where N lines come from, and when they were written."""

    senders: Sequence[tuple[str, int]]
    """Name and number of lines, one after the other."""
    codes: npt.NDArray[np.int32]
    """(N,) hostnames, -1 for none, as `names` codes them."""
    names: Vocabulary
    times_s: npt.NDArray[np.float64]
    """(N,) Unix time: the line's stamp, or when it was received where it has none."""
    received_s: npt.NDArray[np.float64]
    """(N,)"""


class HostTable:
    """Columns of one row a host."""

    def __init__(self, dynamics: Dynamics, max_hosts: int = MAX_HOSTS) -> None:
        self.max_hosts = max_hosts
        self._base = dynamics.base
        self.keys: list[Key] = []
        s, k, m = dynamics.features, dynamics.codes, len(FADE_S)
        self.state = np.zeros((0, s), np.float32)
        """(C, S) just after each host's last line."""
        self.last_s = np.zeros(0)
        """When that was written."""
        self.heard_s = np.zeros(0)
        """When it was received."""
        self.age_s = np.zeros(0)
        """From its first line to `last_s`, by its own clock."""
        self.severities = np.zeros((0, m, SEVERITIES), np.float32)
        """Fading counts as of `last_s`; see models.host_forecast."""
        self.counts = np.zeros((0, k), np.float32)
        """(C, K) how often each code was said."""
        self.base = np.zeros((0, k), np.float16)
        """(C, K) shares of the codes, as of the last time that they were brought up to date."""
        self._slot_of: dict[Key, int] = {}
        self._slots_of_code: dict[str, Slots] = {}
        self._vocabulary: tuple[Vocabulary, int] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def slots(self, hosts: HostLines) -> Slots:
        """(N,) the rows of the lines' hosts; a host not met before gets one."""
        vocabulary = hosts.names, hosts.names.restarts
        if vocabulary != self._vocabulary:
            self._vocabulary, self._slots_of_code = vocabulary, {}
        if len(self.keys) > self.max_hosts:
            self._make_room()
        found = np.empty(len(hosts.codes), np.int32)
        start = 0
        for sender, n in hosts.senders:
            found[start : start + n] = self._of_sender(
                sender, hosts.codes[start : start + n], hosts
            )
            start += n
        return found

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        return {k: v[: len(self)] for k, v in vars(self).items() if isinstance(v, np.ndarray)}

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, to be saved."""
        found = self.columns()
        found.pop("_base")
        found["keys"] = np.frombuffer(msgspec.json.encode(self.keys), np.uint8)
        return found

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; raises ValueError or KeyError where it is not whole."""
        keys = msgspec.json.decode(kept["keys"].tobytes(), type=list[Key])
        found = {}
        for name, own in self.columns().items():
            if name == "_base":
                continue
            column = kept[name].astype(own.dtype)
            if column.shape != (len(keys), *own.shape[1:]):
                raise ValueError(f"hosts' {name} of {column.shape}")
            found[name] = column.copy()
        vars(self).update(found)
        self.keys = keys
        self._index()

    def _of_sender(self, sender: str, codes: npt.NDArray[np.int32], hosts: HostLines) -> Slots:
        known = self._slots_of_code.get(sender)
        size = hosts.names.size + 1  # the last one is for code -1
        if known is None or len(known) < size:
            longer = np.full(max(2 * size, 64), -1, np.int32)
            if known is not None:
                longer[: len(known) - 1], longer[-1] = known[:-1], known[-1]
            known = self._slots_of_code[sender] = longer
        found: Slots = known.take(codes, mode="wrap")
        if found.min(initial=0) < 0:
            for code in dict.fromkeys(codes[found < 0].tolist()):
                name = None if code < 0 else hosts.names.word(code)
                known[code] = self._slot((sender, name))
            found = known.take(codes, mode="wrap")
        return found

    def _slot(self, key: Key) -> int:
        slot = self._slot_of.get(key)
        if slot is None:
            slot = self._slot_of[key] = len(self.keys)
            self.keys.append(key)
            if slot >= len(self.state):
                self._grow(max(2 * slot, FIRST_ROWS))
            self.state[slot] = 0
            self.severities[slot] = 0
            self.counts[slot] = 0
            self.last_s[slot] = self.heard_s[slot] = np.nan
            self.age_s[slot] = 0
            self.base[slot] = self._base
        return slot

    def _grow(self, rows: int) -> None:
        for name, column in vars(self).items():
            if isinstance(column, np.ndarray) and name != "_base":
                longer = np.zeros((rows, *column.shape[1:]), column.dtype)
                longer[: len(column)] = column
                setattr(self, name, longer)

    def _make_room(self) -> None:
        """Forget the half heard of longest ago."""
        order = np.argsort(self.heard_s[: len(self)], kind="stable")
        kept = np.sort(order[len(order) - self.max_hosts // 2 :])
        for name, column in self.columns().items():
            if name != "_base":
                setattr(self, name, column[kept])
        self.keys = [self.keys[i] for i in kept.tolist()]
        self._index()

    def _index(self) -> None:
        self._slot_of = {key: slot for slot, key in enumerate(self.keys)}
        self._slots_of_code = {}
