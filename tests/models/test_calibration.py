"""p-values by leaving each line out: exact for any stream of exchangeable lines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models.calibration import (
    COLD_LINES,
    FARTHEST,
    HALF_LIFE_LINES,
    Asked,
    Calibration,
    Ranks,
    uniforms,
)

SHIFT = 4.0
"""Of every line: the two scales are brought together by a number that does not change."""


class Stream:
    """Lines of templates, each with a strangeness of its own; feeds them as a source does."""

    def __init__(self, strangeness: npt.NDArray[np.float64]) -> None:
        self.calibration = Calibration()
        self.counts: dict[int, int] = {}
        self.strangeness = strangeness

    def p_values(self, lines: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        found, start = [], 0
        while start < len(lines):
            part = lines[start : start + self.calibration.room].tolist()
            found.append(self._slice(part))
            start += len(part)
            if self.calibration.room == 0:
                self.calibration.update(self.column(), self.alone())
        return np.concatenate(found)

    def column(self) -> npt.NDArray[np.int64]:
        return np.array(list(self.counts.values()), np.int64)

    def alone(self) -> npt.NDArray[np.float32]:
        """Of the templates that came once."""
        nats = self.strangeness[list(self.counts)]
        return np.where(self.column() == 1, nats, np.nan).astype(np.float32)

    def _slice(self, lines: list[int]) -> npt.NDArray[np.float32]:
        entries, before = [], []
        for template in lines:
            before.append(self.counts.get(template, 0))
            self.counts[template] = before[-1] + 1
            entries.append(list(self.counts).index(template))
        first = np.flatnonzero(np.array(before) == 0)
        place = self.calibration.lines
        asked = Asked(
            np.array(entries, np.int32),
            np.log(np.maximum(before, 1)).astype(np.float32),
            np.full(len(lines), SHIFT, np.float32),
            first,
            self.strangeness[np.array(lines)[first]],
        )
        return self.calibration.p_values(asked, uniforms(place, len(lines)))


def test_ranks_count_what_is_above_and_what_is_equal() -> None:
    ranks = Ranks([1.0, 2.0, 2.0, 5.0], [1, 1, 2, 1], 16)
    above, equal = ranks.look(np.array([-99.0, 1.0, 2.0 + 0.4 / 16, 3.0, 5.0, 6.0, np.inf]))
    assert above.tolist() == [5, 4, 1, 1, 0, 0, 0]
    assert equal.tolist() == [0, 1, 3, 0, 1, 0, 0]
    assert ranks.total == 5
    above, equal = Ranks([FARTHEST, np.inf], [1, 1], 16).look(np.array([2 * FARTHEST, 0.0]))
    assert above.tolist() == [0, 2]
    assert equal.tolist() == [2, 0]
    assert [x.tolist() for x in Ranks([], [], 1).look(np.array([0.0]))] == [[0], [0]]


@pytest.mark.parametrize("templates", [4, 60, 4000])
def test_p_values_are_uniform_whatever_the_stream_is_made_of(templates: int) -> None:
    """A few templates and many ties, or news all day long: each level is kept, from the start."""
    draw = np.random.default_rng(templates)
    levels = np.array([0.01, 0.05, 0.2, 0.5, 0.9])
    lines, streams = 4000, 12
    share = np.zeros((streams, len(levels)))
    for i in range(streams):
        frequency = draw.dirichlet(np.full(templates, 0.3))
        stream = Stream(draw.normal(10, 5, templates))
        p = stream.p_values(draw.choice(templates, lines, p=frequency))[COLD_LINES:]
        share[i] = (p[:, None] <= levels).mean(axis=0)
    spread = np.sqrt(levels * (1 - levels) / (lines * streams))
    assert np.abs(share.mean(axis=0) - levels) == pytest.approx(0, abs=float(5 * spread.max()))
    assert 0.005 <= share[:, 0].mean() <= 0.02


@pytest.mark.parametrize("templates", [50, 200])
def test_a_stream_that_goes_round_keeps_the_level(templates: int) -> None:
    """No line is stranger because it is the next one's turn."""
    once = np.concatenate([np.arange(templates), np.zeros(2000, np.intp)])
    np.random.default_rng(0).shuffle(once)
    p = Stream(np.arange(templates) * 1.0).p_values(np.tile(once, 8))[2 * len(once) :]
    assert 0.005 <= (p <= 0.01).mean() <= 0.02


def test_another_model_keeps_the_level() -> None:
    """What it makes of the past is known at once: no line in between is judged by the old one."""
    draw = np.random.default_rng(3)
    frequency = draw.dirichlet(np.full(3000, 0.3))
    stream = Stream(draw.normal(10, 5, 3000))
    stream.p_values(draw.choice(3000, 6000, p=frequency))
    stream.strangeness = draw.normal(-20, 9, 3000)
    stream.calibration.change(stream.alone())
    p = stream.p_values(draw.choice(3000, 6000, p=frequency))
    assert 0.005 <= (p <= 0.01).mean() <= 0.02
    assert 0.4 <= (p <= 0.5).mean() <= 0.6


def test_what_never_comes_has_the_smallest_p_value() -> None:
    stream = Stream(np.array([5.0, 6.0, 400.0]))
    p = stream.p_values(np.array([0, 1] * 2000 + [2]))
    assert p[-1] <= 1 / stream.calibration.lines * 2
    assert p[-1] == p[COLD_LINES:].min()


def test_a_cold_source_alarms_nobody() -> None:
    p = Stream(np.arange(100.0)).p_values(np.arange(COLD_LINES))
    assert (p == 1).all()


def test_a_stream_that_has_changed_is_the_new_measure() -> None:
    """After a few half-lives what came before hardly weighs, and what is usual now is usual."""
    stream = Stream(np.array([5.0, 6.0]))
    calibration = stream.calibration
    stream.p_values(np.zeros(20_000, np.intp))
    # By the million: line by line it would take a while.
    for _ in range(10):
        calibration.lines += int(HALF_LIFE_LINES)
        stream.counts[1] = stream.counts.get(1, 0) + int(HALF_LIFE_LINES)
        calibration.update(stream.column(), stream.alone())
    old = stream.p_values(np.zeros(2000, np.intp))
    assert old.max() < 0.1, "though it came 20,000 times, once"


def test_templates_that_were_forgotten_count_as_strange() -> None:
    """Else a source of many templates would take each rare line for a sensation."""
    stream = Stream(np.full(3000, 8.0))
    stream.p_values(np.stack([np.zeros(2000, np.intp), np.arange(1, 2001)], axis=1).ravel())
    kept = [0, *range(1500, 2000)]
    stream.calibration.keep(np.array(kept))
    stream.counts = {template: stream.counts[template] for template in kept}
    p = stream.p_values(np.arange(2001, 2101))
    assert p.max() < 0.55
    assert 0.15 < np.median(p) < 0.35, "half of the lines were new"


def test_a_restart_changes_nothing() -> None:
    draw = np.random.default_rng(1)
    stream = Stream(draw.normal(10, 5, 500))
    lines = np.minimum(draw.zipf(1.3, 3000), 499)
    stream.p_values(lines[:1777])
    again = Stream(stream.strangeness)
    again.counts = dict(stream.counts)
    again.calibration.restore(stream.calibration.kept())
    assert np.array_equal(again.p_values(lines[1777:]), stream.p_values(lines[1777:]))


def test_a_past_of_counts_alone_is_enough_to_begin_with() -> None:
    draw = np.random.default_rng(2)
    frequency = draw.dirichlet(np.full(300, 0.3))
    stream = Stream(draw.normal(10, 5, 300))
    stream.p_values(draw.choice(300, 4000, p=frequency))
    stream.calibration = Calibration()
    stream.calibration.start_from(stream.column(), stream.alone())
    p = stream.p_values(draw.choice(300, 4000, p=frequency))
    assert 0.005 <= (p <= 0.01).mean() <= 0.02


def test_a_state_that_is_not_whole_is_refused() -> None:
    kept = Stream(np.arange(9.0)).calibration.kept()
    with pytest.raises(ValueError, match="lengths"):
        Calibration().restore(kept | {"weights": np.zeros(3)})
    with pytest.raises(ValueError, match="lengths"):
        Calibration().restore(kept | {"marks": np.zeros(3)})


def test_uniforms_are_uniform_and_a_matter_of_the_place() -> None:
    u = uniforms(0, 100_000)
    assert ((u > 0) & (u < 1)).all()
    assert np.histogram(u, 20, (0, 1))[0] == pytest.approx(5000, rel=0.06)
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.02
    assert np.array_equal(np.concatenate([uniforms(0, 37), uniforms(37, 63)]), u[:100])
    other = uniforms(0, 100_000, seed=12345 << 32)
    assert abs(np.corrcoef(u, other)[0, 1]) < 0.02
