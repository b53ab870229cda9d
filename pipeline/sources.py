"""What is known of one source: its past, what is unusual for it, how fast it talks, its alerts."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import Asked, Calibration, uniforms
from pipeline.alerts import Alerts
from pipeline.bursts import Bursts
from pipeline.past import FILL_KERNELS, Floats, Past, Rows
from pipeline.templates import TemplateTable

Kept = dict[str, npt.NDArray[Any]]


class Source:
    """All of one source; what goes by template is numbered as in `past`."""

    def __init__(self, name: str, past: Past) -> None:
        self.past = past
        self.calibration = Calibration()
        self.bursts = Bursts()
        self.alerts = Alerts()
        self._seed = zlib.crc32(name.encode()) << 32

    def observe(self, rows: Rows, table: TemplateTable) -> tuple[Rows, Floats, Floats]:
        """Entries, surprise in nats and p-value of N lines, each by those before it. (N,) each"""
        kept = self.past.make_room()
        if kept is not None:
            self.calibration.keep(kept)
            self.bursts.keep(kept)
            self.alerts.keep(kept)
        found = []
        start = 0
        while start < len(rows):
            # Where the calibration is brought up to date hangs on the lines alone, not on batches.
            part = rows[start : start + self.calibration.room]
            found.append(self._observe(part, table))
            start += len(part)
            if self.calibration.room <= 0:
                self.calibration.update(self.past.counts, self.past.strangeness())
        if len(found) == 1:
            return found[0]
        entries, nats, p_values = zip(*found, strict=True)
        return np.concatenate(entries), np.concatenate(nats), np.concatenate(p_values)

    def change_model(
        self, width: float, table: TemplateTable, order: npt.NDArray[np.intp], kernels: int
    ) -> None:
        """As Past.change_model; what was said before is judged anew by the new model.

        kernels: how much that may cost; see Past.strangeness.
        """
        self.past.change_model(width, table, order)
        self.calibration.change(self.past.strangeness(kernels))

    def kept(self) -> Kept:
        """All of it, to be saved."""
        news = self.past.news
        return {
            "news": np.array([news.news, news.weight]),
            **_prefixed("past", self.past.kept()),
            **_prefixed("calibration", self.calibration.kept()),
            **_prefixed("bursts", self.bursts.kept()),
            **_prefixed("alerts", self.alerts.kept()),
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]], *, same_model: bool) -> None:
        """Go on from what `kept` gave; raises ValueError where that is not whole.

        same_model: whether latents and densities are of the model in use.
        """
        self.past.news.news, self.past.news.weight = (float(x) for x in kept["news"])
        self.past.restore(_part("past", kept), same_model=same_model)
        calibration = _part("calibration", kept)
        if calibration:
            self.calibration.restore(calibration)
            self.bursts.restore(_part("bursts", kept))
            self.alerts.restore(_part("alerts", kept))
            if not same_model:
                self.calibration.change(self.past.strangeness(0))
        else:  # an older state kept surprises, which hung on the model and on the time
            self.calibration.start_from(self.past.counts, self.past.strangeness(FILL_KERNELS))

    def _observe(self, rows: Rows, table: TemplateTable) -> tuple[Rows, Floats, Floats]:
        first = self.calibration.lines
        said = self.past.observe(rows, table)
        # A seen line's strangeness is −log(count / n) over the volume of its cell, a new one's is
        # −log of a density; −log of what ν leaves to each kind comes on top.
        shift = said.log_odds + np.float32(self.calibration.log_lines + self.past.log_cell)
        asked = Asked(said.entries, said.log_count, shift, said.first, said.strangeness)
        uniform = uniforms(first, len(rows), self._seed)
        return said.entries, said.nats, self.calibration.p_values(asked, uniform)


def pack(sources: Sequence[Kept]) -> Kept:
    """Of S sources one array a column, and (S,) how long each source's is."""
    columns = dict.fromkeys(name for kept in sources for name in kept)
    packed: Kept = {}
    for name in columns:
        parts = [kept[name] for kept in sources]
        packed[f"source_{name}"] = np.concatenate(parts)
        packed[f"source_{name}_lengths"] = np.array([len(part) for part in parts], np.int64)
    return packed


def unpack(packed: Mapping[str, npt.NDArray[Any]]) -> list[Kept]:
    """What was given to `pack`; raises ValueError where that is not whole."""
    found: list[Kept] = []
    for key, column in packed.items():
        name = key.removeprefix("source_")
        if name == key or name.endswith("_lengths"):
            continue
        lengths = packed[f"{key}_lengths"].astype(np.int64)
        found = found or [{} for _ in lengths]
        if len(lengths) != len(found) or (lengths < 0).any() or len(column) != lengths.sum():
            raise ValueError(f"{key} of different lengths")
        for kept, part in zip(found, np.split(column, np.cumsum(lengths)[:-1]), strict=True):
            kept[name] = part
    return found


def unpack_older(packed: Mapping[str, npt.NDArray[Any]]) -> list[Kept]:
    """The same of a state of schema 1; raises ValueError where that is not whole."""
    columns: Kept = {}
    for name in ("ids", "counts", "latents", "placed"):
        columns[f"source_past_{name}"] = packed[f"surprise_{name}"]
        columns[f"source_past_{name}_lengths"] = packed["surprise_templates"]
    rates = packed["surprise_rates"].astype(np.float64)
    columns["source_news"] = rates.reshape(-1)
    columns["source_news_lengths"] = np.full(len(rates), 2)
    return unpack(columns)


def _prefixed(prefix: str, kept: Mapping[str, npt.NDArray[Any]]) -> Kept:
    return {f"{prefix}_{name}": array for name, array in kept.items()}


def _part(prefix: str, kept: Mapping[str, npt.NDArray[Any]]) -> Kept:
    return {
        name.removeprefix(f"{prefix}_"): array
        for name, array in kept.items()
        if name.startswith(f"{prefix}_")
    }
