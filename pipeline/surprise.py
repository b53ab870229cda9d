"""How unexpected a line is in the stream that it comes from: in nats, and as a p-value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from pipeline.past import Floats, Past, Rows
from pipeline.templates import TemplateTable

MAX_SOURCES = 32
"""Sources told apart; all further ones share one past."""
WINDOW_LINES = 16384
"""Surprises that a p-value is a rank among."""
WINDOW_STRIDE = 8
"""Each 8th line enters a window that is full: enough to follow the stream."""
COLD_LINES = 64
"""The window grows while a batch is being judged, so that a long first one is judged too."""
STEPS_PER_NAT = 16
"""p-values are those of the next step below: never too small."""


class Observed(NamedTuple):
    """Of N lines; NaN and 1 where a line was not scored."""

    nats: Floats
    """(N,) −log p of the line in its source."""
    p_value: Floats
    """(N,) conformal, among the source's earlier lines."""


class Source:
    """One source's past, and the surprises that it gave."""

    def __init__(self, past: Past, window: npt.ArrayLike = ()) -> None:
        self.past = past
        self.calibration = Calibration(window, window=WINDOW_LINES)
        self._table = np.ones(1, np.float32)
        self._lowest = 0
        self._entered = 0
        self._tabulate()

    def p_values(self, nats: Floats) -> Floats:
        """(N,) of the lines in order, each slice judged by those before it; then they are learnt.

        A table, since lines are many and the window moves slowly.
        """
        found = np.empty(len(nats), np.float32)
        start = 0
        while start < len(nats):
            cold = len(self.calibration) < WINDOW_LINES
            step = max(len(self.calibration), COLD_LINES) if cold else len(nats)
            part = nats[start : start + step]
            at = np.floor(part * STEPS_PER_NAT).clip(self._lowest, self._highest)
            found[start : start + step] = self._table[at.astype(np.intp) - self._lowest]
            self._learn(part if cold else part[::WINDOW_STRIDE])
            start += step
        return found

    def forget_window(self) -> None:
        """Another model's surprises are no measure for this one's."""
        self.calibration = Calibration((), window=WINDOW_LINES)
        self._tabulate()

    @property
    def _highest(self) -> int:
        return self._lowest + len(self._table) - 1

    def _learn(self, nats: Floats) -> None:
        self.calibration.update(nats)
        self._entered += len(nats)
        if self._entered * 16 > len(self.calibration):
            self._tabulate()

    def _tabulate(self) -> None:
        self._entered = 0
        window = self.calibration.window()
        if not len(window):
            self._table, self._lowest = np.ones(1, np.float32), 0
            return
        low, high = np.floor(np.array([window.min(), window.max()]) * STEPS_PER_NAT).astype(int)
        steps = np.arange(low, high + 2) / STEPS_PER_NAT
        self._table, self._lowest = self.calibration.p_values(steps), int(low)


class Surprise:
    """All sources; bounded."""

    def __init__(self, reference: npt.ArrayLike, latent_dim: int) -> None:
        """reference: (R,) −log p of texts that the flow was fitted to, nats."""
        self._dim = latent_dim
        self._width = width_of(reference, latent_dim)
        self.sources: dict[str, Source] = {}

    def observe(
        self, sources: Sequence[tuple[str, int]], rows: Rows, table: TemplateTable
    ) -> Observed:
        """Surprise of each line of a batch given those before it; then the lines are learnt.

        sources: name and number of lines, one after the other. rows: (N,) of the table; negative
        ones were not scored, and are not learnt.
        """
        nats = np.full(len(rows), np.nan, np.float32)
        p_value = np.ones(len(rows), np.float32)
        for name, at in _places(sources).items():
            place = at[rows[at] >= 0]
            source = self._source(name)
            nats[place] = found = source.past.observe(rows[place], table)
            p_value[place] = source.p_values(found)
        return Observed(nats, p_value)

    def change_model(self, reference: npt.ArrayLike) -> None:
        """Another model's latents and densities from now on; the counts stay."""
        self._width = width_of(reference, self._dim)
        for source in self.sources.values():
            source.past.change_model(self._width)
            source.forget_window()

    def kept(self) -> dict[str, npt.NDArray[np.generic]]:
        """All of it in a few arrays, to be saved."""
        sources = list(self.sources.values())
        pasts = [source.past for source in sources]
        windows = [source.calibration.window() for source in sources]
        none = Past(self._dim, self._width)
        return {
            "surprise_sources": np.frombuffer("\0".join(self.sources).encode(), np.uint8),
            "surprise_templates": np.array([len(p.ids) for p in pasts], np.int64),
            "surprise_rates": np.array([(p.news, p.weight) for p in pasts]).reshape(-1, 2),
            "surprise_ids": np.concatenate([p.ids for p in (none, *pasts)]),
            "surprise_counts": np.concatenate([p.counts for p in (none, *pasts)]),
            "surprise_latents": np.concatenate([p.latents for p in (none, *pasts)]),
            "surprise_placed": np.concatenate([p.placed for p in (none, *pasts)]),
            "surprise_window_lengths": np.array([len(w) for w in windows], np.int64),
            "surprise_windows": np.concatenate([np.zeros(0, np.float32), *windows]),
        }

    def restore(
        self, kept: Mapping[str, npt.NDArray[np.generic]], *, same_model: bool = True
    ) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole.

        same_model: whether the latents and the surprises are of the model in use.
        """
        templates = kept["surprise_templates"].astype(np.int64)
        rates = kept["surprise_rates"].astype(np.float64)
        names = kept["surprise_sources"].tobytes().decode().split("\0") if len(templates) else []
        lengths = kept["surprise_window_lengths"].astype(np.int64)
        if not len(names) == len(templates) == len(rates) == len(lengths):
            raise ValueError("sources of different lengths")
        ids, counts, latents, placed = (
            _parts(kept[f"surprise_{name}"], templates)
            for name in ("ids", "counts", "latents", "placed")
        )
        windows = _parts(kept["surprise_windows"], lengths)
        sources = {}
        for i, name in enumerate(names):
            n, past = len(ids[i]), Past(self._dim, self._width)
            if same_model and latents[i].shape != (n, self._dim):
                raise ValueError(f"latents of {latents[i].shape}")
            past.restore(
                ids[i].astype(np.uint64),
                counts[i].astype(np.int64),
                latents[i].astype(np.float32) if same_model else np.zeros((n, self._dim), "f4"),
                placed[i].astype(np.bool_) & same_model,
                float(rates[i, 0]),
                float(rates[i, 1]),
            )
            sources[name] = Source(past, windows[i].astype(np.float32) if same_model else ())
        self.sources = sources

    def _source(self, name: str) -> Source:
        source = self.sources.get(name)
        if source is None:
            if len(self.sources) >= MAX_SOURCES:
                name = "*"
            source = self.sources.setdefault(name, Source(Past(self._dim, self._width)))
        return source


def width_of(reference: npt.ArrayLike, latent_dim: int) -> float:
    """σ of the isotropic Gaussian of the entropy that the mean of −log p estimates.

    The entropy of N(μ, σ²I) in D dimensions is D/2 · log(2πe σ²).
    """
    nats = np.asarray(reference, np.float64)
    if not len(nats) or not np.isfinite(nats).all():
        raise ValueError("the reference needs finite values")
    return float(np.exp(nats.mean() / latent_dim - 0.5 * np.log(2 * np.pi * np.e)))


def _places(sources: Sequence[tuple[str, int]]) -> dict[str, npt.NDArray[np.intp]]:
    """Which lines of the batch are of which source."""
    ranges: dict[str, list[npt.NDArray[np.intp]]] = {}
    start = 0
    for name, n in sources:
        ranges.setdefault(name, []).append(np.arange(start, start + n))
        start += n
    return {name: np.concatenate(parts) for name, parts in ranges.items()}


def _parts(
    column: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.generic]]:
    if (lengths < 0).any() or len(column) != lengths.sum():
        raise ValueError("templates of different lengths")
    return np.split(column, np.cumsum(lengths)[:-1]) if len(lengths) else []
