"""The predictive density of a source: proper, exact, bounded, and kept over a restart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import past as past_module
from pipeline.past import BASE_WEIGHT, GUESS_LINES, HALF_LIFE_LINES, MOST_NEWS, Past
from pipeline.surprise import MAX_SOURCES, WINDOW_LINES, Source, Surprise, width_of
from pipeline.templates import TemplateTable

TEMPLATES, DIM = 24, 3


def table_of(templates: int = TEMPLATES, dim: int = DIM, seed: int = 0) -> TemplateTable:
    """Latents drawn from N(0, I), which stands for the flow."""
    draw = np.random.default_rng(seed)
    table = TemplateTable(templates, dim)
    table.size = templates
    table.latent[:] = draw.normal(size=(templates, dim))
    table.surprise[:] = standard_normal(table.latent)
    table.template_id[:] = 1000 + np.arange(templates)
    table.texts = [("", str(row)) for row in range(templates)]
    table.packet_kinds = [None] * templates
    return table


def standard_normal(z: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """−log N(z; 0, I). (N, D) → (N,)"""
    nats: npt.NDArray[np.float64] = 0.5 * (z.astype(float) ** 2).sum(axis=1)
    nats += 0.5 * z.shape[1] * float(np.log(2 * np.pi))
    return nats


def rows_of(*values: int) -> npt.NDArray[np.int32]:
    return np.array(values, np.int32)


def by_hand(stream: list[int], table: TemplateTable, width: float) -> list[float]:
    """The module's formula, one line after the other, with nothing clever."""
    keep = 0.5 ** (1 / HALF_LIFE_LINES)
    counts: dict[int, int] = {}
    news = weight = 0.0
    nats = []
    for n, row in enumerate(stream):
        once = sum(count == 1 for count in counts.values())
        guess = (once + 1) / (n + 2)
        rate = min((news + GUESS_LINES * guess) / (weight + GUESS_LINES), MOST_NEWS)
        rate = rate if counts else 1.0
        log_height = -0.5 * table.latent.shape[1] * np.log(2 * np.pi * width**2)
        if row in counts:
            nats.append(-np.log((1 - rate) * counts[row] / n) - log_height)
        else:
            density = BASE_WEIGHT * np.exp(-float(table.surprise[row]))
            for other in counts:
                apart = table.latent[row].astype(float) - table.latent[other]
                density += np.exp(log_height - (apart @ apart) / (2 * width**2))
            nats.append(-np.log(rate) - np.log(density / (len(counts) + BASE_WEIGHT)))
        news = news * keep + (row not in counts)
        weight = weight * keep + 1
        counts[row] = counts.get(row, 0) + 1
    return nats


streams = st.lists(st.integers(0, TEMPLATES - 1), min_size=1, max_size=120)


@settings(deadline=None)
@given(streams, st.integers(1, 40))
def test_it_says_what_the_formula_says_line_by_line(stream: list[int], batch: int) -> None:
    table, past = table_of(), Past(DIM, 0.4)
    found = [
        past.observe(rows_of(*stream[start : start + batch]), table)
        for start in range(0, len(stream), batch)
    ]
    assert np.concatenate(found) == pytest.approx(by_hand(stream, table, 0.4), abs=1e-3)


def test_long_streams_are_exact_enough() -> None:
    """What is settled moves in a batch by little; what is rare stays exact."""
    table, past = table_of(), Past(DIM, 0.4)
    draw = np.random.default_rng(1)
    stream = np.minimum(draw.geometric(0.3, 4000) - 1, TEMPLATES - 1)
    stream[[1500, 3000]] = TEMPLATES - 1
    found = np.concatenate([past.observe(rows_of(*part), table) for part in stream.reshape(-1, 8)])
    exact = np.array(by_hand(stream.tolist(), table, 0.4))
    assert np.abs(found - exact).max() < 0.05
    assert found[[1500, 3000]] == pytest.approx(exact[[1500, 3000]], abs=1e-3)


def test_the_density_integrates_to_one() -> None:
    """Seen templates, and the plane of what else might come, share a probability of one."""
    dim, width = 2, 0.5
    table = table_of(8, dim)
    past = Past(dim, width)
    past.observe(rows_of(0, 1, 1, 2, 3, 1, 0, 4), table)
    side = np.linspace(-8, 8, 321)
    plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, dim).astype(np.float32)
    density = np.exp(past.log_density_of_new(plane, -standard_normal(plane)))
    assert density.sum() * (side[1] - side[0]) ** 2 == pytest.approx(1, abs=1e-3)

    def next_line(row: int) -> float:
        fresh = Surprise([1.0], dim)
        fresh.sources["s"] = Source(Past(dim, width))
        fresh.sources["s"].past.observe(rows_of(0, 1, 1, 2, 3, 1, 0, 4), table)
        return float(fresh.observe([("s", 1)], rows_of(row), table).nats[0])

    cell = 2 * np.pi * width**2
    seen = sum(np.exp(-next_line(row)) * cell for row in range(5))
    at_new = np.exp(past.log_density_of_new(table.latent[5:6], -table.surprise[5:6]))
    new = np.exp(-next_line(5)) / at_new[0]
    assert seen + new == pytest.approx(1, abs=1e-4)


def test_a_line_that_is_repeated_surprises_less_and_less() -> None:
    nats = Past(DIM, 0.4).observe(rows_of(0, 1, 2, *([3] * 50)), table_of())[3:]
    assert (np.diff(nats) < 0).all()


def test_what_was_never_said_surprises_more_than_what_was() -> None:
    table = table_of()
    table.latent[TEMPLATES - 1] = 6.0
    table.surprise[TEMPLATES - 1] = standard_normal(table.latent[-1:])[0]
    past = Past(DIM, 0.4)
    stream = np.random.default_rng(0).integers(0, TEMPLATES - 2, 500).astype(np.int32)
    seen = past.observe(stream, table)[200:]
    far = past.observe(rows_of(TEMPLATES - 1), table)
    assert far[0] > seen.max()


def test_a_neighbour_of_what_was_said_surprises_less() -> None:
    table = table_of()
    table.latent[20] = table.latent[0] + 0.1
    table.latent[21] = table.latent[0] + 3.0
    table.surprise[[20, 21]] = 5.0
    common = rows_of(*range(10), *([0] * 100))
    near, far = Past(DIM, 0.4), Past(DIM, 0.4)
    near.observe(common, table)
    far.observe(common, table)
    assert near.observe(rows_of(20), table)[0] < far.observe(rows_of(21), table)[0] - 1


def test_in_a_burst_of_news_the_next_news_are_less_of_a_surprise() -> None:
    table = table_of()
    table.latent[:] = table.latent[0]
    table.surprise[:] = 4.0
    nats = Past(DIM, 0.4).observe(rows_of(*([0] * 200), *range(1, 12)), table)[200:]
    assert nats[0] > nats[3] > nats[8]


def test_sources_have_pasts_of_their_own() -> None:
    table, surprise = table_of(), Surprise(table_of().surprise, DIM)
    surprise.observe([("a", 50)], np.zeros(50, np.int32), table)
    found = surprise.observe([("a", 2), ("b", 1), ("a", 1)], rows_of(0, 0, 0, 0), table).nats
    assert found[2] > found[[0, 1, 3]].max()
    alone = Surprise(table.surprise, DIM)
    alone.observe([("a", 50)], np.zeros(50, np.int32), table)
    assert found[[0, 1, 3]] == pytest.approx(
        alone.observe([("a", 3)], rows_of(0, 0, 0), table).nats
    )


def test_lines_that_were_not_scored_are_nan_and_not_learnt() -> None:
    table, surprise = table_of(), Surprise(table_of().surprise, DIM)
    found = surprise.observe([("a", 4)], rows_of(0, -1, 0, -1), table)
    assert found.p_value[[1, 3]].tolist() == [1, 1]
    assert np.isnan(found.nats).tolist() == [False, True, False, True]
    assert surprise.sources["a"].past.counts.tolist() == [2]


def test_rows_may_move() -> None:
    """The table makes room: templates keep their past, not rows."""
    table, past = table_of(), Past(DIM, 0.4)
    past.observe(rows_of(0, 1, 2, 2, 2, 3), table)
    table.keep(np.array([2, 3]))
    table.size = 3
    table.template_id[2], table.surprise[2] = 99, 4.0
    seen, other, new = past.observe(rows_of(0, 1, 2), table)
    assert seen < min(other, new)
    assert past.counts.tolist() == [1, 1, 4, 2, 1]


def test_any_number_of_templates_and_sources_fits() -> None:
    many = 500
    table = table_of(many)
    past = Past(DIM, 0.4, max_templates=64)
    for start in range(0, many, 50):
        batch = np.repeat(np.arange(start, start + 50, dtype=np.int32), 2)
        past.observe(np.concatenate([rows_of(0, 0), batch]), table)
        assert len(past.ids) == len(past.latents) == len(past.counts) <= 64
    assert past.ids[0] == table.template_id[0], "what is in use stays"
    surprise = Surprise(table.surprise, DIM)
    for n in range(3 * MAX_SOURCES):
        surprise.observe([(f"udp://{n}", 1)], rows_of(n), table)
    assert len(surprise.sources) == MAX_SOURCES + 1


def test_more_new_templates_at_once_than_are_compared_at_once() -> None:
    many = 2 * past_module._CHUNK + 7
    table, past = table_of(many), Past(DIM, 0.4)
    found = past.observe(np.arange(many, dtype=np.int32), table)
    assert found == pytest.approx(by_hand(list(range(many)), table, 0.4), abs=1e-3)


@settings(deadline=None, max_examples=30)
@given(streams, streams)
def test_a_restart_changes_nothing(before: list[int], after: list[int]) -> None:
    table = table_of()
    first, second = (Surprise(table.surprise, DIM) for _ in range(2))
    first.observe([("a", len(before)), ("b", 1)], rows_of(*before, 0), table)
    second.restore(first.kept())
    assert list(second.sources) == ["a", "b"]
    lines = [("b", 1), ("a", len(after))]
    one, two = (s.observe(lines, rows_of(0, *after), table) for s in (first, second))
    assert one.nats == pytest.approx(two.nats)
    assert one.p_value == pytest.approx(two.p_value, rel=0.1)


def test_of_another_model_the_counts_stay_and_the_neighbours_go() -> None:
    table, changed, restored = table_of(), *(Surprise(table_of().surprise, DIM) for _ in "ab")
    batch = rows_of(*range(12), *([0] * 40))
    changed.observe([("a", len(batch))], batch, table)
    restored.restore(changed.kept(), same_model=False)
    changed.change_model(table.surprise)
    other = table_of(seed=7)
    for surprise in (changed, restored):
        assert not surprise.sources["a"].past.placed.any()
        seen, rare, new = surprise.observe([("a", 3)], rows_of(0, 5, 20), other).nats
        assert seen < min(rare, new)
        assert surprise.sources["a"].past.placed.sum() == 3
        assert np.array_equal(surprise.sources["a"].past.latents[0], other.latent[0])


@pytest.mark.parametrize(
    "part", ["surprise_ids", "surprise_templates", "surprise_rates", "surprise_windows"]
)
def test_a_state_that_is_not_whole_is_refused(part: str) -> None:
    table, surprise = table_of(), Surprise(table_of().surprise, DIM)
    surprise.observe([("a", 3)], rows_of(0, 1, 2), table)
    kept = surprise.kept()
    with pytest.raises(ValueError, match="lengths"):
        surprise.restore(kept | {part: kept[part][:0]})
    assert surprise.sources["a"].past.counts.tolist() == [1, 1, 1], "and nothing is changed"


def test_p_values_are_ranks_among_what_the_source_gave_before() -> None:
    """Uniform or larger while the stream stays as it is; small for what is out of it."""
    source = Source(Past(DIM, 0.4))
    draw = np.random.default_rng(0)
    source.p_values(draw.normal(size=2 * WINDOW_LINES).astype(np.float32))
    p = source.p_values(draw.normal(size=20_000).astype(np.float32))
    for level in (0.5, 0.1, 0.01):
        assert 0.7 * level < (p <= level).mean() < 1.15 * level
    assert source.p_values(np.array([9.0], np.float32))[0] == pytest.approx(1 / (WINDOW_LINES + 1))
    assert source.p_values(np.array([-9.0], np.float32))[0] == 1


def test_the_first_lines_are_judged_by_those_before_them() -> None:
    nats = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    nats[4000] = 50.0
    whole = Source(Past(DIM, 0.4)).p_values(nats)
    assert (whole[:64] == 1).all(), "nothing to compare with"
    assert whole[4000] < 0.001


def test_the_width_is_that_of_a_gaussian_of_the_same_entropy() -> None:
    z = np.random.default_rng(0).normal(size=(20_000, 5)).astype(np.float32) * 0.7
    nats = standard_normal(z / np.float32(0.7)) + 5 * np.log(0.7)
    assert width_of(nats, 5) == pytest.approx(0.7, rel=0.01)
    with pytest.raises(ValueError, match="finite"):
        width_of([np.nan], 5)
