"""Lines to scores: the template cache in front of the Raccoon classifier.

Log lines repeat. A cheap key (the message without its digits, with the program's name) finds the
template of a line that was seen before; only a miss pays for the careful masking, and only an
unknown template pays for the model, in batches. Numbers that change the meaning stay in the key
as significant slots, so that "exited with code 0" and "code 1" are two templates.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from models.text import canonical
from parsers.firewall import Kind, packet_kind
from pipeline.keys import DIGITS, UNKNOWN, Keys
from pipeline.novelty import Novelty
from pipeline.predict import posterior
from pipeline.priors import PriorTracker
from pipeline.surprise import Surprise
from pipeline.templates import TemplateTable, template_id

if TYPE_CHECKING:
    from models.inference import Engine
    from models.precision import DType

MAX_KEY_BYTES = 512
"""Longer messages are known by their beginning: bounded memory against hostile input."""
MAX_APP_BYTES = 128
"""RFC 5424 allows 48; a longer name is known by its beginning."""
MODEL_SLICE = 512
"""Templates given to the model at once: between two slices the queue is looked at again."""

NO_FACILITY = -1
FACILITIES = range(NO_FACILITY, 24)
"""RFC 5424 section 6.2.1, and lines without a PRI."""

NOTHING_SAID = (-1, 0)
"""Neither a severity nor a verdict of a person."""

SHED = UNKNOWN
"""The row of a line whose template the model had no time for."""


def never() -> bool:
    """The model has all the time it wants: sources that can wait are waiting."""
    return False


class Resolved(NamedTuple):
    """Where a batch's lines stand in the template table."""

    rows: npt.NDArray[np.int32]
    """(N,) row of each line's template; SHED where the model was shed."""
    new: npt.NDArray[np.int32]
    """Rows that the model was asked for now."""


class Scorer:
    """Template cache and model behind one call; bounded however hostile the input."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_templates: int = 1 << 15,
        max_keys: int = 1 << 16,
    ) -> None:
        self.engine = engine
        self.model_version = engine.version
        self.novelty = Novelty()
        self.surprise = Surprise(engine.reference_surprise, engine.latent_dim)
        strength = engine.prior_strength
        self.priors = PriorTracker(engine.emission_prior, strength)
        self._emission = np.asarray(engine.emission_prior, np.float32) ** np.float32(strength)
        self.table = TemplateTable(max_templates, engine.latent_dim)
        self._max_keys = max_keys
        self._keys = Keys()
        self._row_of: dict[int, int] = {}
        """By template id and facility in one number: a third of the bytes of the text as a key."""
        self._said: dict[int, tuple[int, int]] = {}
        """What people have said of templates, by template id: columns `told` and `verdict`."""
        self.mistrusts: Callable[[str, int], bool] = lambda app, facility: False
        """Whether what this program, or this facility, declares is not to be believed."""
        self._counted: dict[int, int] = {}
        """How often templates that are not in the table were seen, by template id."""
        self._clock = 0

    @classmethod
    def load(cls, path: Path | None = None, *, dtype: DType = "auto", threads: int = 1) -> Scorer:
        """Load a checkpoint, without a path the shipped one; torch is imported here, not before.

        Raises `models.checkpoint.CheckpointError`, one line, for a file that is not usable.
        """
        from models.inference import Engine

        return cls(Engine.load(path or shipped_model(), dtype=dtype, threads=threads))

    def resolve(
        self,
        apps: Sequence[bytes | None],
        messages: Sequence[bytes],
        facilities: Sequence[int] | None = None,
        *,
        overloaded: Callable[[], bool] = never,
    ) -> Resolved:
        """Find each line's template, asking the model for those that are not known.

        facilities: of the lines' PRIs, -1 without one; None is the same as -1 for all.
        While `overloaded()` holds, lines of unknown templates get the row SHED instead.
        """
        self._clock += 1
        self._make_room(len(messages))
        if facilities is None:
            facilities = [NO_FACILITY] * len(messages)
        whole = messages
        if max(map(len, messages), default=0) > MAX_KEY_BYTES:
            messages = [message[:MAX_KEY_BYTES] for message in messages]
        rows = self._keys.rows(apps, facilities, messages)
        misses = np.flatnonzero(rows < 0).tolist()
        first_new = self.table.size
        if misses:
            shed = False
            for n, i in enumerate(misses):
                if n % MODEL_SLICE == 0:
                    shed = overloaded()
                rows[i] = self._find(
                    apps[i], facilities[i], messages[i], whole[i], known_only=shed
                )
        if self.table.size > first_new:
            reached = self._encode(first_new, overloaded)
            if reached < self.table.size:
                self._forget_from(reached)
                rows[rows >= reached] = SHED
        new = np.arange(first_new, self.table.size, dtype=np.int32)
        return Resolved(rows, new)

    def observe(self, rows: npt.NDArray[np.int32]) -> None:
        """Count a scored batch's templates.

        rows: (N,) rows of the table, none of them SHED.
        """
        table = self.table
        table.seen[: table.size] += np.bincount(rows, minlength=table.size)
        table.last_used[rows] = self._clock

    def adopt(self, engine: Engine) -> None:
        """Score with this model from now on; it has said its word on every row of the table."""
        self.engine = engine
        self.model_version = engine.version
        self.table.take_over()
        self._emission = np.asarray(engine.emission_prior, np.float32) ** np.float32(
            engine.prior_strength
        )
        self.priors.strength = engine.prior_strength
        self.priors.change_model(self.table)
        self.surprise.change_model(engine.reference_surprise, self.table)

    def take_feedback(self, said: dict[int, tuple[int, int]]) -> None:
        """What people say of templates from now on: severity (-1: none) and verdict by id."""
        table = self.table
        self._said = said
        for row, template in enumerate(table.template_id[: table.size].tolist()):
            found = said.get(template, NOTHING_SAID)
            if found != (table.told[row], table.verdict[row]):
                table.told[row], table.verdict[row] = found
                table.prior_stamp[row] = -1  # to be predicted anew

    def row_of(self, template: int) -> int | None:
        """A row of this template id, where it is in the table."""
        at = np.flatnonzero(self.table.template_id[: self.table.size] == np.uint64(template))
        return int(at[0]) if len(at) else None

    def remembered(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Template ids and how often each was seen: those in the table, then those before."""
        table = self.table
        counted = dict(self._counted)
        _count(counted, table.template_id[: table.size], table.seen[: table.size])
        newest = list(counted)[-table.capacity :]
        seen = np.fromiter((counted[i] for i in newest), np.int64, len(newest))
        return np.array(newest, np.uint64), seen

    def remember(self, counted: dict[int, int]) -> None:
        """Go on from what `remembered` gave: a template that comes back is not new."""
        self._counted = counted

    def _find(
        self,
        app: bytes | None,
        facility: int,
        message: bytes,
        whole: bytes,
        *,
        known_only: bool,
    ) -> int:
        """The row of a line that the key alone did not find, or SHED.

        message: the first MAX_KEY_BYTES of the `whole`.
        """
        if app is not None and len(app) > MAX_APP_BYTES:
            app = app[:MAX_APP_BYTES]
        stem = (app, facility, message.translate(None, DIGITS))
        row = self._keys.row(stem, message)
        if row >= 0 or known_only:
            return row
        # Interned, because a few names are of many templates.
        name = "" if app is None else sys.intern(app.decode("utf-8", "backslashreplace"))
        text = canonical(message.decode("utf-8", "backslashreplace"))
        template = template_id(name, text)
        known = self._row_of.get(_key(template, facility))
        if known is None:
            if self.table.size == self.table.capacity:
                return SHED
            known = self._add(name, text, facility, template, packet_kind(app, whole))
        self._keys.put(stem, message, known)
        return known

    def _add(self, app: str, text: str, facility: int, template: int, kind: Kind | None) -> int:
        table = self.table
        row = table.size
        table.size += 1
        table.texts.append((app, text))
        table.packet_kinds.append(kind)
        table.is_packet[row] = kind is not None
        table.template_id[row] = template
        table.facility[row] = facility
        table.app[row] = self.novelty.code(app)
        table.seen[row] = self._seen(template)
        table.last_used[row] = self._clock
        table.ready[row] = False
        table.mistrusted[row] = self.mistrusts(app, facility)
        table.told[row], table.verdict[row] = self._said.get(template, NOTHING_SAID)
        self._row_of[_key(template, facility)] = row
        return row

    def _seen(self, template: int) -> int:
        """How often a template that is new in the table was seen before or elsewhere.

        The same text of another facility is no news.
        """
        before = self._counted.pop(template, 0)
        others = (self._row_of.get(_key(template, facility)) for facility in FACILITIES)
        return max([before, *(int(self.table.seen[row]) for row in others if row is not None)])

    def _encode(self, start: int, overloaded: Callable[[], bool]) -> int:
        """Score rows from `start` on, slice by slice; stops where the queue runs over."""
        table = self.table
        for low in range(start, table.size, MODEL_SLICE):
            if overloaded():
                return low
            high = min(low + MODEL_SLICE, table.size)
            apps, texts = zip(*table.texts[low:high], strict=True)
            scores = self.engine.encode(apps, texts, table.facility[low:high].tolist())
            table.latent[low:high] = scores.latent
            table.surprise[low:high] = scores.surprise
            likelihood = softmax(scores.log_likelihood)
            table.likelihood[low:high] = likelihood
            found = posterior(likelihood, self._emission)
            table.keep_prediction(np.arange(low, high), found, stamp=0)
            table.prior_stamp[low:high][table.told[low:high] >= 0] = -1
        return table.size

    def _forget_from(self, row: int) -> None:
        """Take back templates that were added but never scored."""
        table = self.table
        gone = slice(row, table.size)
        for key in self._keys_of(gone):
            del self._row_of[key]
        _count(self._counted, table.template_id[gone], table.seen[gone])
        del table.texts[row:]
        del table.packet_kinds[row:]
        table.size = row
        self._keys.move([*range(row), *[UNKNOWN] * (table.capacity - row)])

    def _keys_of(self, rows: slice) -> list[int]:
        """The keys in `_row_of` of these rows."""
        ids, facilities = self.table.template_id[rows], self.table.facility[rows]
        return list(map(_key, ids.tolist(), facilities.tolist()))

    def _make_room(self, lines: int) -> None:
        """Before a batch: room for `lines` new templates and as many keys."""
        table = self.table
        if table.size + lines > table.capacity:
            wanted = max(min(table.capacity // 2, table.capacity - lines), 0)
            order = np.argsort(table.last_used[: table.size], kind="stable")
            kept = np.sort(order[table.size - min(wanted, table.size) :])
            gone = np.setdiff1d(np.arange(table.size), kept)
            _count(self._counted, table.template_id[gone], table.seen[gone])
            if len(self._counted) > table.capacity:
                # What was seen once is told from what is new by little; then the oldest go.
                often = [(i, n) for i, n in self._counted.items() if n > 1]
                self._counted = dict(often[-table.capacity :])
            moved = np.full(table.size, UNKNOWN, np.int64)
            moved[kept] = np.arange(len(kept))
            self._keys.move(moved.tolist())
            table.keep(kept)
            kept_keys = self._keys_of(slice(0, table.size))
            self._row_of = {key: row for row, key in enumerate(kept_keys)}
        if len(self._keys) + 2 * lines > self._max_keys:
            self._keys.halve()


def softmax(log_likelihood: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, 8) → (N, 8): probabilities, were all severities equally frequent."""
    weights = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    total: npt.NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return total


def _key(template: int, facility: int) -> int:
    return template << 5 | facility - NO_FACILITY


def _count(
    counted: dict[int, int], ids: npt.NDArray[np.uint64], seen: npt.NDArray[np.int64]
) -> None:
    """Add templates that were seen to the counts; of one id in several rows the most holds."""
    for i, n in zip(ids.tolist(), seen.tolist(), strict=True):
        if n:
            counted[i] = max(counted.get(i, 0), n)


def shipped_model() -> Path:
    """The checkpoint that ships with the package."""
    from models.checkpoint import pretrained_path

    return pretrained_path()
