"""What a source's labels make of its templates: of its own, of no other's, and not for ever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoint import Card, Checkpoint
from models.inference import Engine
from models.raccoon import Raccoon
from pipeline.fading import add_fading
from pipeline.frames import Frames
from pipeline.labels import parse_policy
from pipeline.memory import (
    HALF_LIFE,
    WEIGHT,
    Memory,
    kept_memories,
    restored_memories,
)
from pipeline.neighbours import _CHUNK, OTHER_PROGRAM, heed_neighbours
from pipeline.neighbours import WEIGHT as NEIGHBOUR
from pipeline.predict import BLOCK, TOLD, Prediction, posterior, predict
from pipeline.priors import MIN_STRETCH, PriorTracker
from pipeline.process import Processor
from pipeline.scorer import Scorer
from pipeline.templates import TemplateTable, template_id
from tests.models.conftest import SMALL

CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(2, 8)
EMITTED = np.array([0.001, 0.002, 0.015, 0.09, 0.165, 0.145, 0.524, 0.058])
TEMPLATES, APPS, DIMENSIONS = 40, 5, 6

Floats = npt.NDArray[np.float32]


def table(templates: int = TEMPLATES, *, capacity: int | None = None) -> TemplateTable:
    """Templates of random latents and likelihoods, as the scorer leaves them."""
    rng = np.random.default_rng(0)
    found = TemplateTable(capacity or templates, DIMENSIONS)
    found.size = templates
    every = np.arange(templates)
    found.template_id[every] = [template_id("", f"template {i}") for i in range(templates)]
    found.latent[every] = rng.normal(size=(templates, DIMENSIONS))
    found.likelihood[every] = rng.dirichlet(np.ones(8), templates)
    found.app[every] = every % APPS
    found.texts = [("", f"template {i}") for i in range(templates)]
    found.packet_kinds = [None] * templates
    emitted = posterior(found.likelihood[every], EMITTED.astype(np.float32))
    found.keep_prediction(every, emitted, stamp=0)
    return found


def observe(
    memory: Memory, templates: TemplateTable, rows: Sequence[int], declared: Sequence[int] | int
) -> None:
    """Labels that count from now on."""
    labels = np.full(len(rows), declared, np.int16)
    memory.observe(np.array(rows), labels, templates)
    memory.renew()


def blend(memory: Memory, templates: TemplateTable, rows: Sequence[int]) -> Floats:
    """Where the model finds every severity equally likely."""
    even = np.full((len(rows), 8), 1 / 8, np.float32)
    found = memory.blend(even, np.array(list(rows)), templates)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    return found


def batch(
    tracker: PriorTracker,
    templates: TemplateTable,
    rows: Sequence[int],
    declared: Sequence[int] | int,
    source: str = "udp",
) -> Prediction:
    labels = np.full(len(rows), declared, np.int16)
    return predict(templates, tracker, [(source, len(rows))], np.array(rows, np.int32), labels)


def engine(seed: int = 0) -> Engine:
    torch.manual_seed(seed)
    model = Raccoon(SMALL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    card = Card(corpus_prior=[0.125] * 8, apps=["sshd"])
    reference = np.linspace(0, 9, 50, dtype=np.float32)
    return Engine(Checkpoint(model, card, reference, f"raccoon-{seed:08x}"), dtype="fp32")


# ---- a template's own labels


def test_one_label_nearly_settles_a_template() -> None:
    memory, templates = Memory(), table()
    observe(memory, templates, [3], CRIT)
    found = blend(memory, templates, [3])[0]
    assert found[CRIT] == pytest.approx((1 + WEIGHT / 8) / (1 + WEIGHT), abs=0.01)
    assert found[INFO] == pytest.approx(WEIGHT / 8 / (1 + WEIGHT), abs=0.01)


def test_many_labels_are_taken_for_what_they_are() -> None:
    memory, templates = Memory(), table()
    observe(memory, templates, [3] * 40, [INFO, INFO, INFO, ERR] * 10)
    found = blend(memory, templates, [3])[0]
    assert found[INFO] == pytest.approx(0.75, abs=0.02)
    assert found[ERR] == pytest.approx(0.25, abs=0.02)


def test_a_sender_may_change_its_mind() -> None:
    memory, templates = Memory(), table()
    observe(memory, templates, [3] * 100_000, DEBUG)
    observe(memory, templates, [3] * int(2 * HALF_LIFE), ERR)
    assert blend(memory, templates, [3])[0].argmax() == ERR


def test_labels_count_from_the_next_renewal_on() -> None:
    memory, templates = Memory(), table()
    memory.observe(np.array([3, 3]), np.array([ERR, -1], np.int16), templates)
    assert blend(memory, templates, [3])[0] == pytest.approx(1 / 8)
    memory.renew()
    assert blend(memory, templates, [3])[0].argmax() == ERR


def test_a_first_label_counts_from_the_next_block_of_lines_on() -> None:
    """However long the stretch is for which the source's prior stands still."""
    tracker, templates = PriorTracker(EMITTED), table()
    batch(tracker, templates, [0] * 40_000, INFO)
    prior = tracker.of_source("udp")
    assert prior.due - prior.lines > 4 * BLOCK
    templates.latent[1] = 90  # without neighbours
    before = batch(tracker, templates, [1], CRIT)
    rest = -prior.lines % BLOCK
    still = batch(tracker, templates, [1] * rest, -1)
    np.testing.assert_array_equal(still.probability, np.repeat(before.probability, rest, 0))
    assert still.severity[0] != CRIT
    assert batch(tracker, templates, [1], -1).severity[0] == CRIT


def test_lines_without_a_label_are_no_memory() -> None:
    memory, templates = Memory(), table()
    observe(memory, templates, [1, 2, 3], -1)
    assert len(memory) == 0
    given = np.random.default_rng(1).dirichlet(np.ones(8), 3).astype(np.float32)
    np.testing.assert_array_equal(
        memory.blend(given.copy(), np.array([1, 2, 3]), templates), given
    )


def test_what_was_labelled_is_predicted_whatever_the_model_says() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    unlikely = templates.likelihood.argmin(axis=1)
    rows = np.tile(np.arange(TEMPLATES), 3)
    batch(tracker, templates, rows.tolist(), unlikely[rows].tolist())
    batch(tracker, templates, [0] * MIN_STRETCH, -1)  # until all of them count
    found = batch(tracker, templates, list(range(TEMPLATES)), -1)
    np.testing.assert_array_equal(found.severity, unlikely)


# ---- neighbours


def test_neighbours_speak_for_a_template_without_labels() -> None:
    memory, templates = Memory(), table()
    near, far, other_app = 1, 2, 3
    templates.app[[0, near, far]] = 7
    templates.latent[[near, other_app]] = templates.latent[0] + 0.01
    templates.latent[far] = -40
    observe(memory, templates, [0, *range(10, 30)], [ERR] + [INFO] * 20)
    found = blend(memory, templates, [near, far, other_app])
    assert found[0].argmax() == ERR
    assert found[1] == pytest.approx(1 / 8)
    assert found[0, ERR] > found[2, ERR] > 1 / 8, "those of the same program say more"


def test_neighbours_votes_by_hand() -> None:
    rng = np.random.default_rng(0)
    known = np.array([[0, 0], [1, 0], [0, 2]], np.float32)
    apps, known_apps = np.array([1, 2]), np.array([1, 1, 2])
    labels = np.eye(8, dtype=np.float32)[[ERR, INFO, DEBUG]]
    asked = np.array([[0, 0], [0.5, 0]], np.float32)
    given = rng.dirichlet(np.ones(8), 2).astype(np.float32)
    found = heed_neighbours(given, asked, apps, known, known_apps, labels)
    spread = known.std(axis=0).mean()
    for i in range(2):
        squared = ((asked[i] - known) ** 2).sum(axis=1)
        near = np.exp(-squared / (0.35 * spread) ** 2 / (2 * 2))
        votes = NEIGHBOUR * np.where(known_apps == apps[i], 1, OTHER_PROGRAM) * near
        expected = (given[i] + votes @ labels) / (1 + votes.sum())
        np.testing.assert_allclose(found[i], expected, rtol=1e-4)


def test_how_many_are_asked_for_at_once_makes_no_difference() -> None:
    rng = np.random.default_rng(0)
    n = 2 * _CHUNK + 3
    latents, known = (rng.normal(size=(m, 4)).astype(np.float32) for m in (n, 50))
    apps, known_apps = rng.integers(0, 3, n), rng.integers(0, 3, 50)
    given, labels = (rng.dirichlet(np.ones(8), m).astype(np.float32) for m in (n, 50))
    together = heed_neighbours(given, latents, apps, known, known_apps, labels)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)
    for i in (0, _CHUNK - 1, _CHUNK, n - 1):
        one = slice(i, i + 1)
        alone = heed_neighbours(given[one], latents[one], apps[one], known, known_apps, labels)
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-4)


# ---- bounds, rows that move, and what is kept


def test_it_is_bounded_and_what_is_still_labelled_stays() -> None:
    memory, templates = Memory(max_templates=64), table(400)
    for start in range(1, 391, 10):
        of_others = [INFO] + [DEBUG] * 9 if start == 1 else [DEBUG] * 10
        observe(memory, templates, [0, *range(start, start + 10)], [ERR, *of_others])
        assert len(memory) <= 64
    found = blend(memory, templates, [0, 390, 1])
    assert found[0].argmax() == ERR
    assert found[1].argmax() == DEBUG, "the newest are there as well"
    assert found[2].argmax() != INFO, "what spoke longest ago is a template like any other"


@pytest.mark.parametrize("moves", [[5, 3, 0, 39], list(range(39, -1, -1)), [1, 2]])
def test_labels_go_with_their_templates_when_rows_move(moves: list[int]) -> None:
    memory, templates = Memory(), table()
    observe(memory, templates, list(range(20)), [i % 8 for i in range(20)])
    before = blend(memory, templates, list(range(TEMPLATES)))
    templates.keep(np.array(moves))
    after = blend(memory, templates, list(range(len(moves))))
    np.testing.assert_allclose(after, before[moves], rtol=1e-4)
    templates.size = 0
    again = table()
    np.testing.assert_allclose(blend(memory, again, list(range(20))), before[:20], rtol=1e-4)


def test_a_template_of_two_facilities_is_one() -> None:
    """The table has a row for each; what is said of one is said of the other."""
    memory, templates = Memory(), table()
    templates.template_id[1] = templates.template_id[0]
    observe(memory, templates, [0, 0, 1], ERR)
    assert len(memory) == 1
    found = blend(memory, templates, [0, 1])
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0, ERR] > 0.85


labels = st.lists(
    st.tuples(st.integers(0, TEMPLATES - 1), st.integers(-1, 7)), min_size=1, max_size=200
)


@settings(max_examples=40, deadline=None)
@given(st.lists(labels, max_size=3), labels, st.lists(st.integers(0, TEMPLATES - 1), min_size=1))
def test_what_was_kept_goes_on_the_same(
    before: list[list[tuple[int, int]]], after: list[tuple[int, int]], asked: list[int]
) -> None:
    """Several sources, each with labels that count and labels that will."""
    memories, templates = [Memory() for _ in before], table()
    for memory, stream in zip(memories, before, strict=True):
        rows, declared = zip(*stream, strict=True)
        half = len(rows) // 2
        observe(memory, templates, rows[:half], declared[:half])
        memory.observe(np.array(rows[half:]), np.array(declared[half:], np.int16), templates)
    restored = restored_memories(kept_memories(memories))
    assert [len(memory) for memory in restored] == [len(memory) for memory in memories]
    for one, other in zip(memories, restored, strict=True):
        assert one.waits == other.waits
        np.testing.assert_array_equal(blend(other, table(), asked), blend(one, templates, asked))
    rows, declared = zip(*after, strict=True)
    for memory in (*memories, *restored):
        memory.renew()
        observe(memory, templates, rows, declared)
    for one, other in zip(memories, restored, strict=True):
        np.testing.assert_array_equal(blend(one, templates, asked), blend(other, templates, asked))


def test_neighbours_that_the_table_has_no_more_still_speak() -> None:
    """After a restart it is empty, and a busy one drops them."""
    memory, templates = Memory(), table()
    templates.latent[1] = templates.latent[0] + 0.01
    observe(memory, templates, [0, *range(10, 30)], [ERR] + [INFO] * 20)
    expected = blend(memory, templates, [1])[0]
    assert expected.argmax() == ERR
    alone = table()
    alone.latent[0], alone.app[0] = templates.latent[1], templates.app[1]
    alone.template_id[0], alone.size = templates.template_id[1], 1
    (restored,) = restored_memories(kept_memories([memory]))
    np.testing.assert_allclose(blend(restored, alone, [0])[0], expected, rtol=1e-5)


def test_another_models_latents_are_no_measure() -> None:
    """A swap places anew what the table has; after a restart all wait until they show up."""
    memory, templates = Memory(), table()
    observe(memory, templates, list(range(20)), [ERR] * 10 + [INFO] * 10)
    (restarted,) = restored_memories(kept_memories([memory]), same_model=False)
    assert blend(restarted, templates, [30])[0] == pytest.approx(1 / 8)
    assert blend(restarted, templates, [3])[0].argmax() == ERR, "labels are labels"
    templates.latent[:] = np.random.default_rng(7).normal(size=templates.latent.shape)
    fresh = Memory()
    observe(fresh, templates, list(range(20)), [ERR] * 10 + [INFO] * 10)
    expected = blend(fresh, templates, list(range(TEMPLATES)))
    templates.size = 5
    memory.change_model(templates)
    few = Memory()
    observe(few, templates, list(range(5)), ERR)
    np.testing.assert_allclose(
        blend(memory, templates, [30]), blend(few, templates, [30]), rtol=1e-5
    )
    templates.size = TEMPLATES
    memory.change_model(templates)
    np.testing.assert_allclose(blend(memory, templates, range(TEMPLATES)), expected, rtol=1e-5)
    restarted.observe(np.arange(20), np.full(20, NOTICE, np.int16), templates)
    np.testing.assert_allclose(blend(restarted, templates, [30]), expected[[30]], rtol=1e-5)


def test_latents_of_another_length_are_no_measure_either() -> None:
    """--model may name a checkpoint of another shape over the same state directory."""
    memory, templates = Memory(), table()
    observe(memory, templates, list(range(20)), ERR)
    restarted, quiet = restored_memories(kept_memories([memory, memory]), same_model=False)
    wider = TemplateTable(TEMPLATES, DIMENSIONS + 3)
    wider.size = TEMPLATES
    wider.template_id[:] = templates.template_id
    wider.latent[:] = np.random.default_rng(7).normal(size=wider.latent.shape)
    observe(restarted, wider, [3, 30], [ERR, INFO])
    assert blend(restarted, wider, [3])[0].argmax() == ERR
    again, quiet = restored_memories(kept_memories([restarted, quiet]))
    for one in (restarted, again, quiet):
        assert blend(one, wider, [4])[0].argmax() == ERR


def test_a_state_of_before_there_were_memories_is_taken_up_and_a_torn_one_is_not() -> None:
    assert restored_memories({}) == []
    memory, templates = Memory(), table()
    observe(memory, templates, [1, 2, 3], ERR)
    kept = kept_memories([memory])
    for name in (name for name in kept if name != "memory_templates"):
        with pytest.raises(ValueError, match=r"length|split|zip"):
            restored_memories({**kept, name: kept[name][:-1]})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=6),
    st.floats(1, 500),
    st.integers(0, 7),
)
def test_counts_fade_the_same_however_they_come(
    parts: list[int], half_life: float, severity: int
) -> None:
    at_once, bit_by_bit = np.full((2, 8), 3.0), np.full((2, 8), 3.0)
    one = np.eye(8)[[severity, severity]]
    add_fading(at_once, one * sum(parts), half_life)
    for part in parts:
        add_fading(bit_by_bit, one * part, half_life)
    np.testing.assert_allclose(at_once, bit_by_bit, rtol=1e-6, atol=1e-9)
    assert (at_once.sum(axis=1) <= max(24, half_life / np.log(2)) * (1 + 1e-6)).all()
    expected = 3 * 0.5 ** (sum(parts) / half_life)
    np.testing.assert_allclose(np.delete(at_once, severity, 1), expected, rtol=1e-6)


# ---- who is believed


def test_a_source_that_is_not_trusted_is_as_if_it_declared_nothing() -> None:
    rng = np.random.default_rng(0)
    rows, declared = rng.integers(0, TEMPLATES, 900), rng.integers(0, 8, 900)
    for words, sources in ((["none"], ("a", "b")), (["feedback"], ("a", "b")), (["a=none"], "a")):
        tracker, plain = PriorTracker(EMITTED), PriorTracker(EMITTED)
        templates, untouched = table(), table()
        tracker.trusts = parse_policy([word.replace("a=", "stdin=") for word in words]).trusts
        for source in sources:
            name = {"a": "stdin", "b": "udp://127.0.0.1:514"}[source]
            found = batch(tracker, templates, rows.tolist(), declared.tolist(), name)
            expected = batch(plain, untouched, rows.tolist(), -1, name)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
    believed = batch(tracker, templates, rows.tolist(), declared.tolist(), "udp://127.0.0.1:514")
    assert "labelled" in {("emission", "estimated", "labelled")[kind] for kind in believed.prior}


def test_a_program_that_is_not_believed_is_as_if_it_declared_nothing() -> None:
    rng = np.random.default_rng(0)
    rows, declared = rng.integers(0, TEMPLATES, 900), rng.integers(0, 8, 900)
    templates, untouched = table(), table()
    templates.mistrusted[:] = templates.app == 2
    without = np.where(templates.mistrusted[rows], -1, declared)
    found = batch(PriorTracker(EMITTED), templates, rows.tolist(), declared.tolist())
    expected = batch(PriorTracker(EMITTED), untouched, rows.tolist(), without.tolist())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_person_says_counts_from_the_next_line_on() -> None:
    scorer = Scorer(engine())

    def next_line(text: bytes) -> int:
        (row,) = scorer.resolve([b"app"], [text]).rows
        found = predict(scorer.table, scorer.priors, [("udp", 1)], np.array([row]), np.array([-1]))
        return int(found.severity[0])

    before = next_line(b"cache rebuilt")
    said = CRIT if before != CRIT else ERR
    ids = [template_id("app", text) for text in ("cache rebuilt", "cache dropped")]
    scorer.take_feedback(dict.fromkeys(ids, (said, 0)))
    assert next_line(b"cache rebuilt") == said
    assert next_line(b"cache dropped") == said
    scorer.take_feedback({})
    assert next_line(b"cache rebuilt") == before


@pytest.mark.parametrize("labelled", [False, True])
def test_what_a_person_has_said_wins_for_templates_known_and_to_come(labelled: bool) -> None:
    scorer, plain = Scorer(engine()), Scorer(engine())
    texts = [b"cache %c rebuilt" % letter for letter in b"abcdefgh"]

    def seen(of: Scorer, source: str = "udp") -> Prediction:
        rows = of.resolve([b"app"] * 8, texts).rows
        declared = np.full(8, INFO if labelled else -1, np.int16)
        for _ in range(40):
            predict(of.table, of.priors, [(source, 8)], rows, declared)
        return predict(of.table, of.priors, [(source, 8)], rows, declared)

    ids = [template_id("app", text.decode()) for text in texts]
    before = seen(scorer)
    expected = seen(plain)
    np.testing.assert_array_equal(before.probability, expected.probability)
    later = template_id("app", "never seen before")
    scorer.take_feedback({ids[0]: (CRIT, 0), ids[1]: (DEBUG, 1), ids[2]: (-1, 2), later: (ERR, 0)})
    for source in ("udp", "tcp"):
        found, expected = seen(scorer, source), seen(plain, source)
        assert found.severity[:2].tolist() == [CRIT, DEBUG]
        assert found.confidence[:2] == pytest.approx(TOLD)
        np.testing.assert_allclose(found.probability[2:], expected.probability[2:], atol=0.02)
    assert scorer.table.verdict[:4].tolist() == [0, 1, 2, 0]
    (row,) = scorer.resolve([b"app"], [b"never seen before"]).rows
    new = predict(scorer.table, scorer.priors, [("udp", 1)], np.array([row]), np.array([INFO]))
    assert (new.severity[0], new.confidence[0]) == (ERR, pytest.approx(TOLD))
    scorer.take_feedback({})
    found, expected = seen(scorer), seen(plain)
    np.testing.assert_allclose(found.probability, expected.probability, atol=0.02)
    assert not scorer.table.verdict.any()


# ---- nobody speaks for another


def test_two_hundred_thousand_lines_of_one_host_leave_another_alone() -> None:
    """It calls errors debug; the other's rows are bit for bit those that they are without."""
    errors = [b"unit %c failed with error" % letter for letter in b"abcdefghijklmnopqrstuvwxyz"]
    others = [b"unit %c is quite happy" % letter for letter in b"abcdefghijklmnopqrstuvwxyz"]
    rng = np.random.default_rng(0)
    honest = [
        b"<187>Oct 11 22:14:15 h app: %b" % errors[i]
        if i < 20
        else b"<190>Oct 11 22:14:15 h app: %b" % others[i - 20]
        for i in rng.integers(0, 40, 25 * 80)
    ]
    bare = [b"Oct 11 22:14:15 h app: %b" % text for text in errors + others]
    columns = ("predicted_severity", "severity_probability", "prior", "surprise")

    def host(priority: bytes, lines: int) -> list[dict[str, list[object]]]:
        """What the honest host's rows are where both come in by one socket."""
        processor = Processor(Scorer(engine()))
        flood = [b"<%b>Oct 11 22:14:15 h app: %b" % (priority, text) for text in errors + others]
        every = (flood * (lines // len(flood) + 1))[:lines]

        def send(peer: str, sent: list[bytes]) -> pa.RecordBatch:
            at_us = 1_700_000_000_000_000 + processor.scored_lines
            return processor.process(
                [Frames("udp://[::]:514", at_us, sent, peers=[peer] * len(sent))]
            )

        found = []
        for n in range(25):
            send("192.0.2.66", every)
            rows = send("192.0.2.1", honest[80 * n : 80 * (n + 1)] + bare)
            found.append({name: rows.column(name).to_pylist() for name in columns})
        liar = send("192.0.2.66", flood).column("predicted_severity").to_pylist()
        assert set(liar[: len(errors)]) == {int(priority) & 7}, "it has its way with its own"
        return found

    poisoned, control = host(b"191", 8000), host(b"187", 8000)
    assert poisoned == control
    few = host(b"191", 52)
    for name in ("predicted_severity", "prior"):
        assert [rows[name] for rows in few] == [rows[name] for rows in control]
