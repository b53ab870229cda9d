"""The predictive density of a source: proper, exact, bounded, and kept over a restart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import past as past_module
from pipeline.news import GUESS_LINES, HALF_LIFE_LINES, MOST_NEWS
from pipeline.past import BASE_WEIGHT, Past
from pipeline.sources import Source
from pipeline.surprise import MAX_SOURCES, Surprise, width_of
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
        past.observe(rows_of(*stream[start : start + batch]), table).nats
        for start in range(0, len(stream), batch)
    ]
    assert np.concatenate(found) == pytest.approx(by_hand(stream, table, 0.4), abs=1e-3)


def test_long_streams_are_exact_enough() -> None:
    """What is settled moves in a batch by little; what is rare stays exact."""
    table, past = table_of(), Past(DIM, 0.4)
    draw = np.random.default_rng(1)
    stream = np.minimum(draw.geometric(0.3, 4000) - 1, TEMPLATES - 1)
    stream[[1500, 3000]] = TEMPLATES - 1
    found = np.concatenate(
        [past.observe(rows_of(*part), table).nats for part in stream.reshape(-1, 8)]
    )
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
        fresh.sources["s"] = Source("s", Past(dim, width))
        fresh.sources["s"].past.observe(rows_of(0, 1, 1, 2, 3, 1, 0, 4), table)
        return float(fresh.observe([("s", 1)], rows_of(row), table).nats[0])

    cell = 2 * np.pi * width**2
    seen = sum(np.exp(-next_line(row)) * cell for row in range(5))
    at_new = np.exp(past.log_density_of_new(table.latent[5:6], -table.surprise[5:6]))
    new = np.exp(-next_line(5)) / at_new[0]
    assert seen + new == pytest.approx(1, abs=1e-4)


def test_a_line_that_is_repeated_surprises_less_and_less() -> None:
    nats = Past(DIM, 0.4).observe(rows_of(0, 1, 2, *([3] * 50)), table_of()).nats[3:]
    assert (np.diff(nats) < 0).all()


def test_what_was_never_said_surprises_more_than_what_was() -> None:
    table = table_of()
    table.latent[TEMPLATES - 1] = 6.0
    table.surprise[TEMPLATES - 1] = standard_normal(table.latent[-1:])[0]
    past = Past(DIM, 0.4)
    stream = np.random.default_rng(0).integers(0, TEMPLATES - 2, 500).astype(np.int32)
    seen = past.observe(stream, table).nats[200:]
    far = past.observe(rows_of(TEMPLATES - 1), table).nats
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
    assert near.observe(rows_of(20), table).nats[0] < far.observe(rows_of(21), table).nats[0] - 1


def test_in_a_burst_of_news_the_next_news_are_less_of_a_surprise() -> None:
    table = table_of()
    table.latent[:] = table.latent[0]
    table.surprise[:] = 4.0
    nats = Past(DIM, 0.4).observe(rows_of(*([0] * 200), *range(1, 12)), table).nats[200:]
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
    seen, other, new = past.observe(rows_of(0, 1, 2), table).nats
    assert seen < min(other, new)
    assert past.counts.tolist() == [1, 1, 4, 2, 1]


def test_any_number_of_templates_and_sources_fits() -> None:
    many = 500
    table = table_of(many)
    past = Past(DIM, 0.4, max_templates=64)
    for start in range(0, many, 50):
        batch = np.repeat(np.arange(start, start + 50, dtype=np.int32), 2)
        past.make_room()
        past.observe(np.concatenate([rows_of(0, 0), batch]), table)
        assert len(past.ids) == len(past.latents) == len(past.counts) <= 64 + 50
    assert past.ids[0] == table.template_id[0], "what is in use stays"
    surprise = Surprise(table.surprise, DIM)
    for n in range(3 * MAX_SOURCES):
        surprise.observe([(f"udp://{n}", 1)], rows_of(n), table)
    assert len(surprise.sources) == MAX_SOURCES + 1


def test_more_new_templates_at_once_than_are_compared_at_once() -> None:
    many = 2 * past_module._CHUNK + 7
    table, past = table_of(many), Past(DIM, 0.4)
    found = past.observe(np.arange(many, dtype=np.int32), table).nats
    assert found == pytest.approx(by_hand(list(range(many)), table, 0.4), abs=1e-3)


def alone(past: Past, row: int, table: TemplateTable, others: list[int]) -> float:
    """−log density of a template by the others, were it new, with nothing clever."""
    log_height = -0.5 * table.latent.shape[1] * np.log(2 * np.pi * past.width**2)
    density = BASE_WEIGHT * np.exp(-float(table.surprise[row]))
    for other in others:
        apart = table.latent[row].astype(float) - table.latent[other]
        density += np.exp(log_height - (apart @ apart) / (2 * past.width**2))
    return float(-np.log(density / (len(others) + BASE_WEIGHT)))


def strangeness_by_hand(past: Past, table: TemplateTable) -> list[float]:
    rows = [table.template_id.tolist().index(template) for template in past.ids.tolist()]
    return [
        alone(past, row, table, [o for o in rows if o != row]) if count == 1 else np.nan
        for row, count in zip(rows, past.counts.tolist(), strict=True)
    ]


@settings(deadline=None, max_examples=40)
@given(streams, st.integers(1, 40))
def test_each_template_that_came_once_is_judged_by_all_the_others(
    stream: list[int], batch: int
) -> None:
    table, past = table_of(), Past(DIM, 0.4)
    for start in range(0, len(stream), batch):
        past.observe(rows_of(*stream[start : start + batch]), table)
    expected = strangeness_by_hand(past, table)
    assert past.strangeness() == pytest.approx(expected, abs=1e-3, nan_ok=True)
    past.near[:] = np.nan
    assert past.strangeness() == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_what_costs_too_much_is_found_out_in_the_course_of_time() -> None:
    table, past = table_of(500), Past(DIM, 0.4)
    past.observe(np.arange(500, dtype=np.int32), table)
    past.near[:] = np.nan
    known = [np.isfinite(past.strangeness(kernels=100 * 500)).sum() for _ in range(6)]
    assert known == [100, 200, 300, 400, 500, 500]
    assert past.strangeness() == pytest.approx(strangeness_by_hand(past, table), abs=1e-3)


@settings(deadline=None, max_examples=30)
@given(streams, streams)
def test_a_restart_changes_nothing(before: list[int], after: list[int]) -> None:
    table = table_of()
    first, second = (Surprise(table.surprise, DIM) for _ in range(2))
    first.observe([("a", len(before)), ("b", 1)], rows_of(*before, 0), table)
    second.restore(first.kept())
    assert list(second.sources) == ["a", "b"]
    lines = [("b", 1), ("a", len(after))]
    for _ in range(3):
        one, two = (s.observe(lines, rows_of(0, *after), table) for s in (first, second))
        assert np.array_equal(one.nats, two.nats)
        assert np.array_equal(one.p_value, two.p_value)


def drawn(lines: int, seed: int, templates: int = TEMPLATES) -> npt.NDArray[np.int32]:
    """A stream of a few common and many rare templates."""
    draw = np.random.default_rng(seed)
    frequency = draw.dirichlet(np.full(templates, 0.2))
    return draw.choice(templates, lines, p=frequency).astype(np.int32)


def test_batches_do_not_matter() -> None:
    table, stream = table_of(400), drawn(6000, 0, 400)
    found = []
    for size in (37, 1000, 6000):
        surprise = Surprise(table.surprise, DIM)
        parts = [
            surprise.observe([("a", len(part))], part, table).p_value
            for part in np.split(stream, range(size, len(stream), size))
        ]
        found.append(np.concatenate(parts))
    for other in found[1:]:
        assert (np.abs(found[0] - other) < 1e-6).mean() > 0.99
        assert np.abs(found[0] - other).max() < 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_p_values_keep_their_level_before_and_after_the_model_changes(seed: int) -> None:
    table, surprise = table_of(2000, seed=seed), Surprise(table_of().surprise, DIM)
    stream = drawn(24_000, seed, 2000)
    other = table_of(2000, seed=seed + 50)
    before, after = [], []
    for start in range(0, len(stream), 500):
        if start == 12_000:
            surprise.change_model(3 * other.surprise, other)
            table = other
        rows = stream[start : start + 500]
        p = surprise.observe([("a", 500)], rows, table).p_value
        (before if start < 12_000 else after).append(p)
    for held_out in (np.concatenate(before)[2000:], np.concatenate(after)):
        assert 0.005 <= (held_out <= 0.01).mean() <= 0.02
        assert 0.08 <= (held_out <= 0.1).mean() <= 0.12


def test_after_a_change_the_past_is_what_the_new_model_would_have_made_of_it() -> None:
    """Every later p-value is that of a source that never had another model."""
    old, new = table_of(800), table_of(800, seed=9)
    stream = drawn(9000, 3, 800)
    changed, always = Surprise(old.surprise, DIM), Surprise(2 * new.surprise, DIM)
    changed.observe([("a", 5000), ("b", 1000)], stream[:6000], old)
    always.observe([("a", 5000), ("b", 1000)], stream[:6000], new)
    changed.change_model(2 * new.surprise, new)
    one, two = (
        s.observe([("a", 2000), ("b", 1000)], stream[6000:], new) for s in (changed, always)
    )
    assert one.nats == pytest.approx(two.nats, abs=1e-3)
    assert (np.abs(one.p_value - two.p_value) < 1e-6).mean() > 0.98


def test_of_another_model_the_latents_are_those_of_the_table_at_once() -> None:
    table, surprise = table_of(), Surprise(table_of().surprise, DIM)
    surprise.observe([("a", 12)], rows_of(*range(12)), table)
    other = table_of(seed=7)
    other.keep(np.arange(11, 2, -1))  # rows have moved, and three have gone
    surprise.change_model(other.surprise[:9], other)
    past = surprise.sources["a"].past
    assert past.placed.tolist() == [False] * 3 + [True] * 9
    assert np.array_equal(past.latents[3:], other.latent[:9][::-1])
    whole = table_of(seed=7)
    surprise.observe([("a", 3)], rows_of(0, 1, 20), whole)
    assert past.placed.tolist() == [True, True, False] + [True] * 10


def test_of_another_model_s_state_the_counts_stay() -> None:
    table, first, second = table_of(), *(Surprise(table_of().surprise, DIM) for _ in "ab")
    first.observe([("a", 3000)], drawn(3000, 5), table)
    second.restore(first.kept(), same_model=False)
    past = second.sources["a"].past
    assert not past.placed.any()
    assert np.array_equal(past.counts, first.sources["a"].past.counts)
    p = second.observe([("a", 3000)], drawn(3000, 5), table_of(seed=7)).p_value
    assert 0.002 <= (p <= 0.01).mean() <= 0.02, "and the p-values go on"


def older(surprise: Surprise) -> dict[str, npt.NDArray[np.generic]]:
    """What a state of schema 1 holds."""
    pasts = [source.past for source in surprise.sources.values()]
    return {
        "surprise_sources": np.frombuffer("\0".join(surprise.sources).encode(), np.uint8),
        "surprise_templates": np.array([len(p.ids) for p in pasts], np.int64),
        "surprise_rates": np.array([(p.news.news, p.news.weight) for p in pasts]).reshape(-1, 2),
        "surprise_ids": np.concatenate([p.ids for p in pasts]),
        "surprise_counts": np.concatenate([p.counts for p in pasts]),
        "surprise_latents": np.concatenate([p.latents for p in pasts]),
        "surprise_placed": np.concatenate([p.placed for p in pasts]),
        "surprise_window_lengths": np.array([2 for _ in pasts], np.int64),
        "surprise_windows": np.array([1.0, 2.0] * len(pasts), np.float32),
    }


@pytest.mark.parametrize("same_model", [True, False])
def test_an_older_state_is_read_and_its_p_values_go_on(same_model: bool) -> None:
    table, first, second = table_of(500), *(Surprise(table_of().surprise, DIM) for _ in "ab")
    stream = drawn(16_000, 6, 500)
    first.observe([("a", 8000), ("b", 100)], stream[:8100], table)
    second.restore(older(first), same_model=same_model)
    assert list(second.sources) == ["a", "b"]
    p = second.observe([("a", 7900)], stream[8100:], table).p_value
    assert 0.005 <= (p <= 0.01).mean() <= 0.02


@pytest.mark.parametrize(
    "part",
    ["source_past_ids", "source_past_latents", "source_news", "source_calibration_weights"],
)
def test_a_state_that_is_not_whole_is_refused(part: str) -> None:
    table, surprise = table_of(), Surprise(table_of().surprise, DIM)
    surprise.observe([("a", 100)], rows_of(*([0, 1, 2, 2] * 25)), table)
    kept = surprise.kept()
    with pytest.raises(ValueError, match="lengths"):
        surprise.restore(kept | {part: kept[part][:0]})
    with pytest.raises(KeyError):
        surprise.restore({name: x for name, x in kept.items() if name != f"{part}_lengths"})
    assert surprise.sources["a"].past.counts.tolist() == [25, 25, 50], "and nothing is changed"


def test_an_empty_state_is_one() -> None:
    surprise = Surprise([1.0], DIM)
    surprise.restore(Surprise([1.0], DIM).kept())
    assert surprise.sources == {}


def test_a_burst_is_told_of_the_line_that_it_begins_with() -> None:
    table, surprise = table_of(), Surprise(table_of().surprise, DIM)
    minute = 60_000_000
    for n in range(30):
        times = np.full(4, 1_700_000_000_000_000 + n * minute)
        assert not surprise.observe([("a", 4)], rows_of(0, 1, 2, 1), table, times).burst.any()
    times = np.full(60, 1_700_000_000_000_000 + 30 * minute)
    rows = rows_of(*([0] * 10), *([3, 1] * 25))
    found = surprise.observe([("b", 10), ("a", 50)], rows, table, times).burst
    assert np.flatnonzero(found).tolist() == [10 + 2 * 20 - 1]


def test_the_width_is_that_of_a_gaussian_of_the_same_entropy() -> None:
    z = np.random.default_rng(0).normal(size=(20_000, 5)).astype(np.float32) * 0.7
    nats = standard_normal(z / np.float32(0.7)) + 5 * np.log(0.7)
    assert width_of(nats, 5) == pytest.approx(0.7, rel=0.01)
    with pytest.raises(ValueError, match="finite"):
        width_of([np.nan], 5)
