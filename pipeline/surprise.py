"""How unexpected a line is in the stream that it comes from: in nats, and as a p-value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.alerts import Alerted
from pipeline.past import Floats, Past, Rows
from pipeline.sources import Kept, Source, pack, unpack, unpack_older
from pipeline.templates import TemplateTable

MAX_SOURCES = 32
"""Sources told apart; all further ones share one past."""
OTHERS = "*"
SWAP_KERNELS = 1 << 20
"""Pairs of templates compared at once when the model changes, of all sources together: 12 ms."""

Bools = npt.NDArray[np.bool_]
Lines = npt.NDArray[np.intp]


class Observed(NamedTuple):
    """Of N lines; NaN, 1 and False where a line was not scored."""

    nats: Floats
    """(N,) −log p of the line in its source."""
    p_value: Floats
    """(N,) conformal, among the source's earlier lines; see models.calibration."""
    burst: Bools
    """(N,) whether a rate burst of its template begins with the line."""


class Surprise:
    """All sources; bounded."""

    def __init__(self, reference: npt.ArrayLike, latent_dim: int) -> None:
        """reference: (R,) −log p of texts that the flow was fitted to, nats."""
        self._dim = latent_dim
        self._width = width_of(reference, latent_dim)
        self.sources: dict[str, Source] = {}
        self._batch: list[tuple[Source, Lines, Rows, npt.NDArray[np.int64]]] = []
        """Of the lines observed last: source, places in the batch, entries, times."""

    def observe(
        self,
        sources: Sequence[tuple[str, int]],
        rows: Rows,
        table: TemplateTable,
        received_us: npt.NDArray[np.int64] | None = None,
    ) -> Observed:
        """Surprise of each line of a batch given those before it; then the lines are learnt.

        sources: name and number of lines, one after the other. rows: (N,) of the table; negative
        ones were not scored, and are not learnt. received_us: (N,) Unix time, None where there
        is no clock: no time passes then.
        """
        n = len(rows)
        found = Observed(np.full(n, np.nan, np.float32), np.ones(n, np.float32), np.zeros(n, bool))
        if received_us is None:
            received_us = np.zeros(n, np.int64)
        self._batch = []
        for source, lines in self._places(sources, rows):
            entries, found.nats[lines], found.p_value[lines] = source.observe(rows[lines], table)
            at_us = received_us[lines]
            bursts = source.bursts.observe(entries, at_us, len(source.past.ids))
            found.burst[lines[bursts]] = True
            self._batch.append((source, lines, entries, at_us))
        return found

    def show(
        self,
        flagged: Lines,
        reasons: npt.NDArray[np.uint8],
        *,
        goes_on: int,
        silent: Bools | None = None,
        mild: Bools | None = None,
    ) -> Alerted:
        """Of the lines observed last, which to show: a template of a source once in a while.

        flagged: (F,) lines in order. reasons: (F,) as bits. silent, mild: (N,). See
        pipeline.alerts.
        """
        found = []
        for source, lines, entries, at_us in self._batch:
            place = np.searchsorted(lines, flagged)
            mine = np.flatnonzero(lines[np.minimum(place, len(lines) - 1)] == flagged)
            alerted = source.alerts.observe(
                entries,
                at_us,
                source.past.counts,
                place[mine],
                reasons[mine],
                goes_on=goes_on,
                silent=None if silent is None else silent[lines],
                mild=None if mild is None else mild[lines],
            )
            found.append(alerted._replace(lines=lines[alerted.lines]))
        if len(found) == 1:
            return found[0]
        return Alerted(
            np.concatenate([np.zeros(0, np.intp), *(part.lines for part in found)]),
            np.concatenate([np.zeros(0, np.uint32), *(part.counts for part in found)]),
            np.concatenate([np.zeros(0, np.uint8), *(part.reasons for part in found)]),
        )

    def change_model(self, reference: npt.ArrayLike, table: TemplateTable) -> None:
        """Another model's latents and densities from now on.

        The counts stay, and what was said before is judged anew: p-values go on at once. Takes
        no more than about 50 ms, with 32 sources of 4096 templates each; then part of the new
        templates stands for all of them, and the rest is made up for in the course of time.
        """
        self._width = width_of(reference, self._dim)
        order = np.argsort(table.template_id[: table.size], kind="stable")
        kernels = SWAP_KERNELS // max(len(self.sources), 1)
        for source in self.sources.values():
            source.change_model(self._width, table, order, kernels)

    def kept(self) -> Kept:
        """All of it in a few arrays, to be saved."""
        names = np.frombuffer("\0".join(self.sources).encode(), np.uint8)
        return {"sources": names} | pack([source.kept() for source in self.sources.values()])

    def restore(self, kept: Mapping[str, npt.NDArray[Any]], *, same_model: bool = True) -> None:
        """Go on from what `kept` gave, or what a state of schema 1 holds.

        same_model: whether the latents and densities are of the model in use. Raises ValueError
        or KeyError where it is not whole.
        """
        older = "sources" not in kept
        text = kept["surprise_sources" if older else "sources"].tobytes().decode()
        parts = unpack_older(kept) if older else unpack(kept)
        names = text.split("\0") if parts else []
        sources = {}
        for name, part in zip(names, parts, strict=True):
            sources[name] = Source(name, Past(self._dim, self._width))
            sources[name].restore(part, same_model=same_model)
        self.sources = sources

    def _places(
        self, sources: Sequence[tuple[str, int]], rows: Rows
    ) -> list[tuple[Source, Lines]]:
        """Which lines of the batch, of those that were scored, are of which source."""
        of: dict[str, list[Lines]] = {}
        start = 0
        for name, n in sources:
            lines = start + np.flatnonzero(rows[start : start + n] >= 0)
            start += n
            if not len(lines):
                continue
            if name not in self.sources:
                name = name if len(self.sources) < MAX_SOURCES else OTHERS
                past = Past(self._dim, self._width)
                self.sources.setdefault(name, Source(name, past))
            of.setdefault(name, []).append(lines)
        return [(self.sources[name], np.concatenate(parts)) for name, parts in of.items()]


def width_of(reference: npt.ArrayLike, latent_dim: int) -> float:
    """σ of the isotropic Gaussian of the entropy that the mean of −log p estimates.

    The entropy of N(μ, σ²I) in D dimensions is D/2 · log(2πe σ²).
    """
    nats = np.asarray(reference, np.float64)
    if not len(nats) or not np.isfinite(nats).all():
        raise ValueError("the reference needs finite values")
    return float(np.exp(nats.mean() / latent_dim - 0.5 * np.log(2 * np.pi * np.e)))
