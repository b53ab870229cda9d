"""The laws of the replay buffer: what it never passes, what it keeps, and what it draws."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models import replay as module
from models.replay import Replay, Teaching
from models.reservoir import (
    OVERHEAD,
    PERSON,
    PRI,
    RULE,
    Entries,
    Entry,
    Reservoir,
    is_held_out,
)

EMERG, ERR, WARNING, INFO, DEBUG = 0, 3, 4, 6, 7


def ids(n: int, seed: int = 0, *, held_out: bool | None = None) -> list[int]:
    """Template ids as BLAKE2b gives them; of one slice or of both."""
    rng = np.random.default_rng([seed, n])
    found: list[int] = []
    while len(found) < n:
        more = rng.integers(1, 2**64, n, dtype=np.uint64).tolist()
        found += [i for i in more if held_out is None or is_held_out(i) == held_out]
    return found[:n]


def teaching(
    templates: Sequence[int],
    severity: int | Sequence[int] = INFO,
    source: str | Sequence[str] = "udp://192.0.2.1",
    *,
    quality: int = PRI,
    count: int = 1,
    text: str = "",
) -> Teaching:
    n = len(templates)
    return Teaching(
        template_id=np.array(templates, np.uint64),
        app=["sshd"] * n,
        text=[text or f"template {i}" for i in templates],
        facility=np.full(n, 3, np.int8),
        source=[source] * n if isinstance(source, str) else list(source),
        severity=np.broadcast_to(np.array(severity, np.uint8), (n,)),
        quality=np.full(n, quality, np.uint8),
        count=np.full(n, count, np.int64),
    )


def add(
    buffer: Replay, taught: Teaching, *, stored: float = 0.0, loss: float | Sequence[float] = 1.0
) -> None:
    n = len(taught.app)
    losses = np.broadcast_to(np.array(loss, np.float32), (n,))
    buffer.add(taught, np.full((n, 8), stored, np.float32), losses)


def everything(buffer: Replay) -> Entries:
    return buffer.take(np.arange(len(buffer)))


def classes(buffer: Replay, *, held_out: bool = False) -> list[int]:
    at = buffer.held_out() if held_out else buffer.chances()[0]
    counts: list[int] = np.bincount(buffer.take(at).severity, minlength=8).tolist()
    return counts


lesson = st.tuples(
    st.integers(1, 120),  # template
    st.integers(0, 7),
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.sampled_from([PRI, PRI, PRI, RULE, PERSON]),
    st.sampled_from([0, 50, 900, 1500, 20_000]),  # bytes of text
    st.integers(1, 5000),
)


@settings(max_examples=60)
@given(
    rounds=st.lists(
        st.tuples(st.lists(lesson, max_size=60), st.lists(st.integers(1, 120), max_size=5)),
        min_size=2,
        max_size=6,
    ),
    max_entries=st.integers(16, 80),
)
def test_neither_bound_is_ever_passed(
    rounds: list[tuple[list[tuple[int, int, str, int, int, int]], list[int]]], max_entries: int
) -> None:
    buffer = Replay(max_entries, 1 << 16, seed=1)
    for lessons, forgotten in rounds:
        for template, severity, source, quality, size, count in lessons:
            text = f"{template}:{'é' * (size // 2)}"
            taught = teaching(
                [template], severity, source, quality=quality, count=count, text=text
            )
            before = set(everything(buffer).template_id.tolist())
            add(buffer, taught, loss=template / 10)
            after = set(everything(buffer).template_id.tolist())
            assert template in after or after == before  # who stays out displaces nobody
            assert len(buffer) <= max_entries
            assert buffer.bytes <= 1 << 16
        held = set(everything(buffer).template_id.tolist())
        assert buffer.forget(forgotten) == len(held & set(forgotten))
        kept = everything(buffer)
        assert set(kept.template_id.tolist()) == held - set(forgotten)
        assert len(kept.template_id) == len(held - set(forgotten))
        texts = [
            len(a.encode()) + len(b.encode()) + len(c)
            for a, b, c in zip(kept.app, kept.text, kept.source, strict=True)
        ]
        assert buffer.bytes == len(kept.app) * OVERHEAD + sum(texts)
        for template, text in zip(kept.template_id.tolist(), kept.text, strict=True):
            assert text.startswith(f"{template}:")
        for part in (buffer.held_out(), buffer.chances()[0]):
            slices = {is_held_out(i) for i in buffer.take(part).template_id.tolist()}
            assert len(slices) <= 1
        assert buffer.trainable + len(buffer.held_out()) == len(buffer)


@pytest.mark.parametrize("unique_sources", [False, True])
def test_the_bytes_it_says_are_the_bytes_it_takes(unique_sources: bool) -> None:
    templates = ids(4096)
    tracemalloc.start()
    try:
        buffer = Replay(4096)
        before, _ = tracemalloc.get_traced_memory()
        before -= sum(buffer._held._columns[name].nbytes for name in buffer._held._columns)
        for i in range(0, len(templates), 64):
            some = templates[i : i + 64]
            names = [f"2001:db8::{i}" if unique_sources else "udp" for i in some]
            text = "a template of the usual length with ümlauts in it"
            add(buffer, teaching(some, INFO, names, text=text))
            del some, names
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(buffer) > 3900  # the slice may be full
    assert 0.6 * buffer.bytes < taken <= buffer.bytes


def shuffled(severities: dict[int, int], seed: int = 0) -> list[int]:
    found = [severity for severity, n in severities.items() for _ in range(n)]
    np.random.default_rng(seed).shuffle(found)
    return found


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (shuffled({INFO: 19_800, ERR: 200}), {INFO: 112, ERR: 112}),
        ([INFO] * 9900 + [ERR] * 200, {INFO: 112, ERR: 112}),  # late
        ([ERR] * 200 + [INFO] * 9900, {INFO: 112, ERR: 112}),  # long ago
        (
            shuffled({INFO: 9900, DEBUG: 500, WARNING: 200, ERR: 150}),
            {INFO: 56, DEBUG: 56, WARNING: 56, ERR: 56},
        ),
        # There are but five: all of them stay, and the others share the rest.
        (shuffled({INFO: 9900, WARNING: 300, EMERG: 5}), {INFO: 109, WARNING: 109, EMERG: 5}),
    ],
    ids=["99:1", "rare and late", "rare and long ago", "four classes", "next to none"],
)
def test_classes_are_balanced_whatever_the_input(
    stream: list[int], expected: dict[int, int]
) -> None:
    buffer = Replay(256)
    add(buffer, teaching(ids(len(stream), held_out=False), stream))
    found = classes(buffer)
    assert sum(found) == buffer.trainable == 224
    for severity, count in expected.items():
        assert found[severity] == pytest.approx(count, rel=0.1), found


def test_the_held_out_slice_is_bounded_and_balanced_too() -> None:
    buffer = Replay(256)
    add(buffer, teaching(ids(4000, held_out=True), shuffled({INFO: 3900, ERR: 100})))
    assert buffer.trainable == 0
    assert classes(buffer, held_out=True) == [0, 0, 0, 16, 0, 0, 16, 0]


def test_every_template_of_a_class_is_as_likely_to_be_kept() -> None:
    """Early or late, offered once or over and over, as the first fifty are."""
    kept = np.zeros(10)
    for seed in range(30):
        templates = ids(500, seed, held_out=False)
        buffer = Replay(64, seed=seed)
        for i in range(0, 500, 50):
            add(buffer, teaching(templates[i : i + 50]))
            add(buffer, teaching(templates[:50] * 2))
        order = {template: i for i, template in enumerate(templates)}
        places = [order[i] for i in everything(buffer).template_id.tolist()]
        kept += np.bincount(np.array(places) // 50, minlength=10)
    assert kept.sum() == 30 * 56
    assert stats.chisquare(kept).pvalue > 1e-3, kept


def test_a_full_buffer_is_not_churned() -> None:
    """Of n templates of a class, the reservoir of m takes in m (1 + ln(n / m)) or so."""
    buffer = Replay(64)
    add(buffer, teaching(ids(4000, held_out=False), [INFO, ERR, WARNING, INFO] * 1000))
    expected = sum(56 / 3 * (1 + np.log(n / (56 / 3))) for n in (2000, 1000, 1000))
    assert buffer.evicted + 56 == pytest.approx(expected, rel=0.25)
    assert buffer.evicted + buffer.refused + 56 == 4000


def test_a_million_lines_of_one_template_are_one_entry_among_the_others() -> None:
    buffer = Replay(64)
    others = ids(40)
    add(buffer, teaching(others, ERR, "quiet"))
    loud = ids(1, seed=9)
    for _ in range(100):
        add(buffer, teaching(loud * 100, INFO, "loud", count=100))
    kept = everything(buffer)
    assert kept.template_id.tolist().count(loud[0]) == 1
    assert set(others) | set(loud) == set(kept.template_id.tolist())
    counts = kept.counts[kept.template_id.tolist().index(loud[0])]
    assert 512 <= counts[INFO] <= 1024
    assert counts.sum() == counts[INFO]


def test_draws_follow_the_chances() -> None:
    rng = np.random.default_rng(3)
    buffer = Replay(256, seed=5)
    add(buffer, teaching(ids(220)), loss=rng.exponential(1, 220).tolist())
    places, chance = buffer.chances()
    assert chance.sum() == pytest.approx(1)
    assert chance.max() > 4 * chance.min()
    drawn = np.concatenate([buffer.sample(1000).at for _ in range(200)])
    assert not set(drawn.tolist()) & set(buffer.held_out().tolist())
    assert len(buffer.held_out())
    counts = np.bincount(drawn, minlength=len(buffer))[places]
    assert stats.chisquare(counts, chance * len(drawn)).pvalue > 1e-3


def test_chances_are_a_power_of_the_loss_and_an_even_share() -> None:
    buffer = Replay(64, alpha=0.5, uniform=0.25)
    add(buffer, teaching(ids(4, held_out=False)), loss=[1.0, 4.0, 9.0, 9.0])
    _, chance = buffer.chances()
    np.testing.assert_allclose(chance, 0.75 * np.array([1, 2, 3, 3]) / 9 + 0.25 / 4)
    buffer.reprioritise(np.array([0]), np.array([9.0], np.float32))
    np.testing.assert_allclose(buffer.chances()[1], 0.75 * np.array([3, 2, 3, 3]) / 11 + 0.25 / 4)


def test_weights_make_up_for_the_chances_and_do_so_fully_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BETA_SAMPLES", 1000)
    buffer = Replay(64, beta=0.4)
    add(buffer, teaching(ids(50)), loss=np.linspace(0, 3, 50).tolist())
    places, chance = buffer.chances()
    place_chance = dict(zip(places.tolist(), chance.tolist(), strict=True))
    for beta in (0.4, 0.7, 1.0, 1.0):
        assert buffer.beta == pytest.approx(beta)
        sampled = buffer.sample(500)
        drawn = np.array([place_chance[i] for i in sampled.at.tolist()]) * len(chance)
        expected = (chance * (len(chance) * chance) ** -beta).sum()
        np.testing.assert_allclose(sampled.weight, drawn**-beta / expected, rtol=1e-5)
        assert sampled.weight.dtype == np.float32


@pytest.mark.parametrize("uniform", [0.2, 1e-3])
def test_what_is_replayed_weighs_one_on_average_however_far_beta_has_risen(
    uniform: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the new half of an update would outweigh the old one, and more so in time."""
    monkeypatch.setattr(module, "BETA_SAMPLES", 40_000)
    buffer = Replay(256, beta=0.4, uniform=uniform, seed=1)
    loss = np.random.default_rng(0).exponential(1, 200)
    loss[:20] = 0
    add(buffer, teaching(ids(200)), loss=loss.tolist())
    for _ in range(4):
        weight = buffer.sample(20_000).weight
        error = weight.std() / np.sqrt(len(weight))
        assert abs(weight.mean() - 1) < 5 * error
        assert weight.max() < 2 * module.HEAVIEST


def test_what_is_dropped_is_counted_by_why() -> None:
    buffer = Replay(16, source_share=1.0)
    assert buffer.dropped == {"evicted": 0, "refused": 0, "disputed": 0, "spoilt": 0}
    add(buffer, teaching(ids(40)), stored=np.nan)
    assert buffer.dropped["spoilt"] == 40
    add(buffer, teaching(ids(40)))
    assert buffer.dropped["evicted"] + buffer.dropped["refused"] == 24
    assert buffer.dropped["evicted"] == buffer.evicted
    assert buffer.dropped["refused"] == buffer.refused


def test_mislabelled_templates_do_not_take_over() -> None:
    """One in twenty is never learnt; the rest is nearly known."""
    buffer = Replay(256)
    loss = np.full(200, 0.2)
    loss[::20] = 15.0
    add(buffer, teaching(ids(200, held_out=False)), loss=loss.tolist())
    places, chance = buffer.chances()
    hard = buffer.take(places).loss > 1
    assert hard.sum() == 10
    assert chance[hard].sum() == pytest.approx(0.05)


def test_losses_that_are_no_numbers_count_as_great_ones() -> None:
    buffer = Replay(64)
    add(buffer, teaching(ids(4, held_out=False)), loss=[np.nan, np.inf, -np.inf, 0.5])
    _, chance = buffer.chances()
    assert np.isfinite(chance).all()
    assert chance[0] == chance[1] > chance[3] > chance[2] > 0


def test_lessons_without_logits_are_passed_over_and_counted() -> None:
    buffer = Replay(64)
    stored = np.zeros((3, 8), np.float32)
    stored[1, 4] = np.nan
    buffer.add(teaching(ids(3)), stored, np.ones(3, np.float32))
    assert (len(buffer), buffer.spoilt) == (2, 1)


def test_shares_of_classes_and_sources_are_those_of_the_draws() -> None:
    buffer = Replay(256)
    assert buffer.class_share().tolist() == [0.125] * 8
    assert buffer.source_share() == {}
    severities = shuffled({INFO: 120, ERR: 40, WARNING: 20})
    sources = [f"host{i % 3}" for i in range(180)]
    add(buffer, teaching(ids(180), severities, sources), loss=np.linspace(0, 2, 180).tolist())
    share, by_source = buffer.class_share(), buffer.source_share()
    assert share.sum() == pytest.approx(1)
    assert sum(by_source.values()) == pytest.approx(1)
    drawn = buffer.take(buffer.sample(50_000).at)
    np.testing.assert_allclose(np.bincount(drawn.severity, minlength=8) / 50_000, share, atol=0.01)
    for source, expected in by_source.items():
        assert drawn.source.count(source) / 50_000 == pytest.approx(expected, abs=0.01)


def test_no_source_holds_more_than_its_share_once_others_need_the_room() -> None:
    buffer = Replay(256, source_share=0.25)
    add(buffer, teaching(ids(3000, held_out=False), INFO, "flood"))
    assert everything(buffer).source.count("flood") == 224  # nobody else wants it
    for i in range(6):
        add(buffer, teaching(ids(60, seed=i, held_out=False), i % 3 + 3, f"host{i}"))
    add(buffer, teaching(ids(3000, seed=8, held_out=False), EMERG, "flood"))
    sources = everything(buffer).source
    assert len(sources) == 224
    assert 40 <= sources.count("flood") <= 56
    for i in range(6):
        assert sources.count(f"host{i}") >= 20


def test_two_sources_share_what_four_would() -> None:
    buffer = Replay(256, source_share=0.25)
    add(buffer, teaching(ids(3000, held_out=False), INFO, "flood"))
    add(buffer, teaching(ids(300, seed=1, held_out=False), INFO, "host"))
    assert everything(buffer).source.count("host") == 112


def test_long_texts_do_not_buy_a_source_more_than_its_share() -> None:
    buffer = Replay(4096, 1 << 20)
    for i in range(4):
        add(buffer, teaching(ids(600, seed=i, held_out=False), INFO, f"host{i}"))
    before = len(buffer)
    assert buffer.evicted
    add(buffer, teaching(ids(200, seed=9, held_out=False), ERR, "flood", text="x" * 20_000))
    kept = everything(buffer)
    assert sum(len(t) for t in kept.text if len(t) == 20_000) <= (1 << 20) * 7 / 8 / 4
    assert len(buffer) > 0.7 * before
    add(buffer, teaching(ids(1, seed=10, held_out=False), ERR, "flood", text="x" * 500_000))
    assert everything(buffer).text == kept.text


@pytest.mark.parametrize("persons", [0, 110])
def test_a_long_text_that_stays_out_displaces_nobody(persons: int) -> None:
    """It would take the room of several, of which the first may give way and the next not."""
    buffer = Replay(4096, 1 << 16)
    add(buffer, teaching(ids(persons, 1, held_out=False), ERR, "feedback", quality=PERSON))
    add(buffer, teaching(ids(300, held_out=False)))
    let_in = 0
    for template in ids(100, 2, held_out=False):
        before = everything(buffer).template_id.tolist()
        add(buffer, teaching([template], text="x" * 4000))
        after = everything(buffer).template_id.tolist()
        assert template in after or after == before
        let_in += template in after
    assert let_in == 0 if persons else 0 < let_in < 100


def test_a_persons_label_stands() -> None:
    buffer = Replay(64)
    template = ids(1)
    add(buffer, teaching(template, INFO, count=900), stored=1.0)
    add(buffer, teaching(template, ERR, "feedback", quality=PERSON), stored=2.0)
    add(buffer, teaching(template, DEBUG, count=10**6), stored=3.0)
    add(buffer, teaching(template, WARNING, quality=RULE, count=10**6), stored=3.0)
    kept = everything(buffer)
    assert (kept.severity.tolist(), kept.quality.tolist()) == ([ERR], [PERSON])
    assert kept.stored[0, 0] == 2.0
    add(buffer, teaching(template, WARNING, "feedback", quality=PERSON), stored=4.0)
    assert everything(buffer).severity.tolist() == [WARNING]  # who changed their mind meant it


def test_a_persons_labels_go_last() -> None:
    buffer = Replay(64)
    labelled = ids(50, held_out=False)
    add(buffer, teaching(labelled, INFO, "feedback", quality=PERSON))
    for severity in range(8):
        more = ids(500, seed=severity, held_out=False)
        add(buffer, teaching(more, severity, f"host{severity}"))
    assert set(labelled) <= set(everything(buffer).template_id.tolist())
    assert len(buffer) == 56
    last = ids(56, seed=99, held_out=False)
    for template in last:
        add(buffer, teaching([template], ERR, "feedback", quality=PERSON))
    kept = everything(buffer)
    assert (kept.quality == PERSON).all()
    assert last[-1] in kept.template_id.tolist()
    assert len(buffer) == 56
    add(buffer, teaching(ids(1, seed=100, held_out=False), EMERG))
    assert everything(buffer).template_id.tolist() == kept.template_id.tolist()


def test_the_label_is_what_most_lines_said_of_late() -> None:
    buffer = Replay(64)
    template = ids(1)
    add(buffer, teaching(template, INFO, count=10), stored=1.0, loss=0.5)
    add(buffer, teaching(template, ERR, count=9), stored=2.0, loss=7.0)
    kept = everything(buffer)
    assert (kept.severity[0], kept.stored[0, 0], kept.loss[0]) == (INFO, 1.0, 0.5)
    assert kept.counts[0].tolist() == [0, 0, 0, 9, 0, 0, 10, 0]
    add(buffer, teaching(template, ERR, count=2), stored=3.0, loss=6.0)
    kept = everything(buffer)
    assert (kept.severity[0], kept.stored[0, 0], kept.loss[0]) == (ERR, 3.0, 6.0)
    add(buffer, teaching(template, ERR, count=10**9), stored=4.0, loss=0.1)
    for _ in range(4):  # its sender has changed its mind: the past does not weigh for ever
        add(buffer, teaching(template, WARNING, count=400))
    assert everything(buffer).severity[0] == WARNING


def test_another_source_cannot_relabel_a_template() -> None:
    buffer = Replay(64)
    template = ids(1)
    add(buffer, teaching(template, ERR, "web1"))
    for _ in range(50):
        add(buffer, teaching(template, DEBUG, "mallory", count=4000))
    kept = everything(buffer)
    assert (kept.severity.tolist(), kept.source) == ([ERR], ["web1"])
    assert buffer.disputed == 50
    add(buffer, teaching(template, WARNING, "mallory", quality=RULE))
    assert everything(buffer).severity.tolist() == [WARNING]  # a rule is ours, not the sender's


@pytest.mark.parametrize("step", [1, 2, 256, 1 << 32, 1 << 56, 0x2545F4914F6CDD1D])
def test_one_template_in_eight_is_held_out_however_they_are_numbered(step: int) -> None:
    found = sum(is_held_out(i * step % (1 << 64)) for i in range(1, 257))
    assert found == pytest.approx(32, abs=16)
    assert sum(map(is_held_out, ids(20_000))) == pytest.approx(2500, abs=150)


def test_forged_senders_do_not_fill_the_memory() -> None:
    reservoir = Reservoir(64, 1 << 20, 0.25)
    counts = np.zeros(8, np.float32)
    for n, i in enumerate(ids(5000)):
        reservoir.insert(Entry(i, "", "", 3, f"192.0.2.{n}", n % 8, PRI, counts, counts, 1.0))
    assert len(reservoir.sources) < 200
    order = {i: f"192.0.2.{n}" for n, i in enumerate(ids(5000))}
    kept = reservoir.take(np.arange(len(reservoir)))
    assert kept.source == [order[i] for i in kept.template_id.tolist()]
    assert all(reservoir.is_of(place, source) for place, source in enumerate(kept.source))


def test_forgotten_templates_are_gone_until_they_are_taught_again() -> None:
    buffer = Replay(64)
    templates = ids(30)
    add(buffer, teaching(templates))
    assert buffer.forget([*templates[:10], 12345]) == 10
    assert set(everything(buffer).template_id.tolist()) == set(templates[10:])
    add(buffer, teaching(templates[:1], ERR))
    assert len(buffer) == 21


def test_nothing_to_draw_is_said() -> None:
    buffer = Replay(64)
    add(buffer, teaching(ids(3, held_out=True)))
    assert buffer.trainable == 0
    with pytest.raises(ValueError, match="nothing to sample"):
        buffer.sample(1)


def test_the_same_seed_draws_the_same() -> None:
    draws = []
    for seed in (7, 7, 8):
        buffer = Replay(64, seed=seed)
        add(buffer, teaching(ids(40)))
        draws.append(buffer.sample(100).at.tolist())
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_entries": 15}, "max_entries 15"),
        ({"max_bytes": 1000}, "max_bytes 1000"),
        ({"source_share": 0.0}, "source_share 0.0"),
        ({"alpha": -1.0}, "alpha -1.0"),
        ({"beta": 1.5}, "beta 1.5"),
        ({"uniform": 0.0}, "uniform 0.0"),
        ({"uniform": float("nan")}, "uniform nan"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Replay(**options)  # type: ignore[arg-type]


def test_lessons_that_do_not_fit_together_are_refused_whole() -> None:
    buffer = Replay(64)
    stored, loss = np.zeros((3, 8), np.float32), np.ones(3, np.float32)
    with pytest.raises(ValueError, match="different lengths"):
        buffer.add(teaching(ids(3), source=["a", "b"]), stored, loss)
    with pytest.raises(ValueError, match="shape"):
        buffer.add(teaching(ids(3)), stored[:, :7], loss)
    with pytest.raises(ValueError, match="severity"):
        buffer.add(teaching(ids(3), 8), stored, loss)
    assert len(buffer) == 0
