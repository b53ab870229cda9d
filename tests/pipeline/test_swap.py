"""A new model takes over: until it is all there the old one speaks, from then on the new one."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import Card, Checkpoint, save_checkpoint
from models.inference import Engine
from models.raccoon import Architecture, Raccoon
from pipeline.config import Config
from pipeline.frames import Frames
from pipeline.learning import StreamLearning
from pipeline.metrics import Metrics
from pipeline.process import Processor
from pipeline.scorer import Scorer
from pipeline.snapshots import Snapshots
from pipeline.swap import SLICE, Swap
from tests.models.conftest import SMALL

WORDS = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("ank", "isk", "ort", "ume", "age", "ell")]
LINES = [
    b"<%d>Oct 11 22:14:15 h app: %s %s" % (8 + n % 8, a.encode(), b.encode())
    for n, (a, b) in enumerate((a, b) for a in WORDS[::3] for b in WORDS[::7])
]  # 264 templates
LATER = [b"<14>Oct 11 22:14:16 h app: later " + word.encode() for word in WORDS]
SCORES = ("template_id", "latent", "predicted_severity", "severity_probability", "surprise")
AT_US = 1_700_000_000_000_000


def checkpoint(seed: int, architecture: Architecture = SMALL) -> Checkpoint:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = Raccoon(architecture).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    card = Card(corpus_prior=[0.125] * 8, apps=[], prior_strength=0.5 + seed / 4)
    return Checkpoint(model, card, np.linspace(0, 9, 50, dtype=np.float32))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The one in use and the one to come."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("old", "new")):
        save_checkpoint(folder / name, checkpoint(seed))
    return folder / "old", folder / "new"


def scorer(path: Path, **bounds: int) -> Scorer:
    return Scorer(Engine.load(path, dtype="fp32"), **bounds)


def resolve(of: Scorer, lines: list[bytes]) -> None:
    """Show it these lines; each counts as used."""
    texts = [line.partition(b"app: ")[2] for line in lines]
    of.observe(of.resolve([b"app"] * len(texts), texts).rows)


def load(swap: Swap) -> None:
    """Wait until the new model is read; nothing is encoded before that."""
    for _ in range(10_000):
        if swap._engine is not None or swap.error is not None:
            return
        assert not swap.advance(0.0)
        time.sleep(0.001)
    raise AssertionError("never loaded")


def assert_like(found: Scorer, expected: Scorer) -> None:
    """All that the two models say of each template is the same; rows may be in another order."""
    one, other = found.table, expected.table
    order = [np.argsort(t.template_id[: t.size]) for t in (one, other)]
    np.testing.assert_array_equal(one.template_id[order[0]], other.template_id[order[1]])
    for name in ("latent", "surprise", "likelihood"):
        a, b = (getattr(t, name)[at] for t, at in zip((one, other), order, strict=True))
        # The sums of another batch's products differ in the last bits.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def test_while_it_comes_in_the_old_model_speaks_and_then_the_new(
    models: tuple[Path, Path],
) -> None:
    changing, control = (Processor(scorer(models[0])) for _ in range(2))
    renewed = Processor(scorer(models[1]))
    assert changing.scorer is not None
    batches = [LINES, LATER[:40], LINES[:50] + LATER[40:50], LATER[50:60], LATER[60:]]
    swap, steps, done = Swap(models[1], changing.scorer), 0, False
    for n, lines in enumerate(batches):
        frames = [Frames("stdin", AT_US + n, lines)]
        found, expected = changing.process(frames), control.process(frames)
        assert found.column("model_version").to_pylist() == ["old-" + old(models)] * len(lines)
        for name in SCORES:
            assert found.column(name) == expected.column(name), name
        renewed.process(frames)
        load(swap)
        assert not swap.advance(0.0)
        steps += 1
    while not done:
        done = swap.advance(0.0)
        steps += 1
        assert changing.scorer.model_version.startswith("new-") == done
    assert steps == -(-(len(LINES) + len(LATER)) // SLICE) + 1, "a slice a step, then the change"
    assert renewed.scorer is not None
    assert_like(changing.scorer, renewed.scorer)
    frames = [Frames("stdin", AT_US + 9, LINES + LATER + [b"and one that never came"])]
    found, expected = changing.process(frames), renewed.process(frames)
    assert set(found.column("model_version").to_pylist()) == {renewed.scorer.model_version}
    for name in ("template_id", "predicted_severity", "prior"):
        assert found.column(name).to_pylist() == expected.column(name).to_pylist()
    np.testing.assert_allclose(
        np.array(found.column("severity_probability")),
        np.array(expected.column("severity_probability")),
        atol=1e-3,
    )
    differ = np.array(control.process(frames).column("severity_probability"))
    assert abs(np.array(found.column("severity_probability")) - differ).max() > 0.05


def old(models: tuple[Path, Path]) -> str:
    return Engine.load(models[0], dtype="fp32").version.rpartition("-")[2]


def test_what_was_used_last_is_encoded_first(models: tuple[Path, Path]) -> None:
    of = scorer(models[0])
    resolve(of, LINES)
    resolve(of, LINES[100 : 100 + SLICE])
    swap = Swap(models[1], of)
    load(swap)
    swap.advance(0.0)
    ready = np.flatnonzero(of.table.ready)
    assert ready.tolist() == list(range(100, 100 + SLICE))


def test_templates_that_go_and_come_while_it_comes_in(models: tuple[Path, Path]) -> None:
    """The table is full all the time: rows are moved, dropped and given away in between."""
    of = scorer(models[0], max_templates=300)
    resolve(of, LINES)
    first = set(of.table.template_id[: of.table.size].tolist())
    swap = Swap(models[1], of)
    load(swap)
    for step in range(40):
        some = [bytes(97 + i for i in (step % 26, step // 26, n % 26, n // 26)) for n in range(40)]
        resolve(of, [b"app: " + name for name in some])
        assert not swap.advance(0.0), "more comes than is encoded"
    assert first.isdisjoint(of.table.template_id[: of.table.size].tolist())
    assert 0 < np.count_nonzero(of.table.ready[: of.table.size]) < of.table.size
    while not swap.advance(0.0):
        pass
    table = of.table
    apps, texts = zip(*table.texts, strict=True)
    fresh = scorer(models[1]).engine
    scores = fresh.encode(apps, texts, table.facility[: table.size].tolist())
    np.testing.assert_allclose(table.latent[: table.size], scores.latent, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table.surprise[: table.size], scores.surprise, rtol=1e-3)


def test_what_a_person_has_said_holds_under_the_next_model(models: tuple[Path, Path]) -> None:
    of = Processor(scorer(models[0]))
    assert of.scorer is not None
    frames = [Frames("stdin", AT_US, LINES[:20])]
    first = of.process(frames)
    told = first.column("template_id").to_pylist()[3]
    of.scorer.take_feedback({told: (2, 0)})
    swap = Swap(models[1], of.scorer)
    load(swap)
    while not swap.advance(1.0):
        pass
    after = of.process(frames)
    assert after.column("predicted_severity").to_pylist()[3] == 2


def test_into_an_empty_table_it_comes_at_once(models: tuple[Path, Path]) -> None:
    of = scorer(models[0])
    swap = Swap(models[1], of)
    load(swap)
    assert swap.advance(0.0)
    resolve(of, LINES)
    fresh = scorer(models[1])
    resolve(fresh, LINES)
    assert_like(of, fresh)


def test_a_second_model_may_come_before_the_first_is_there(models: tuple[Path, Path]) -> None:
    """The first is given up; nothing that it said stays."""
    of, fresh = scorer(models[0]), scorer(models[0])
    resolve(of, LINES)
    resolve(fresh, LINES)
    first = Swap(models[1], of)
    load(first)
    first.advance(0.0)
    second = Swap(models[0], of)
    load(second)
    while not second.advance(1.0):
        pass
    assert of.model_version == fresh.model_version
    assert_like(of, fresh)


# ---- models that cannot be used


def damaged(path: Path, how: str) -> None:
    weights, config = path / "model.safetensors", path / "config.json"
    match how:
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:1000])
        case "flipped":
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.write_bytes(data)
        case "no weights":
            weights.unlink()
        case "no config":
            config.unlink()
        case "not JSON":
            config.write_text("{")
        case "of other latents":
            save_checkpoint(path, checkpoint(1, replace(SMALL, latent=4)))


DAMAGE = ("cut short", "flipped", "no weights", "no config", "not JSON", "of other latents")


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_one_is_refused_and_the_old_goes_on(
    how: str, models: tuple[Path, Path], tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "raccoon", checkpoint(1))
    damaged(tmp_path / "raccoon", how)
    of, control = scorer(models[0]), scorer(models[0])
    for lines in (LINES, LATER):
        swap = Swap(tmp_path / "raccoon", of)
        load(swap)
        assert swap.error is not None
        assert "\n" not in swap.error
        for _ in range(3):
            assert not swap.advance(1.0)
        resolve(of, lines)
        resolve(control, lines)
        assert of.model_version == control.model_version
    for name in ("latent", "surprise", "likelihood", "probability"):
        np.testing.assert_array_equal(getattr(of.table, name), getattr(control.table, name))
    good = Swap(models[1], of)
    load(good)
    while not good.advance(1.0):
        pass
    assert of.model_version != control.model_version, "the next one is taken"


def test_a_stream_says_what_it_did_not_take_over_and_goes_on(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    said: list[str] = []
    processor = Processor(scorer(models[0]))
    assert processor.scorer is not None
    learning = StreamLearning(
        Config(state_dir=str(tmp_path), learn=False), models[0], processor, Metrics(), said.append
    )
    learning.start()
    snapshots = Snapshots(tmp_path)

    def turn_until(word: str) -> None:
        for n in range(2_000):
            learning._look_due_s = 0.0
            frames = [Frames("stdin", AT_US + n, LINES[:9])]
            processor.process(frames)
            learning.batch(frames)
            learning.tick()
            if any(word in text for text in said) and not learning.busy:
                return
            time.sleep(0.001)
        raise AssertionError(said)

    _, home = snapshots.publish(checkpoint(1))
    damaged(home, "flipped")
    turn_until("not taken over")
    (text,) = [text for text in said if "not taken over" in text]
    assert "model.safetensors: truncated or damaged" in text
    assert text.endswith(f"{processor.scorer.model_version} goes on")
    assert processor.scorer.model_version.startswith("old-")
    said.clear()
    version, _ = snapshots.publish(checkpoint(2))
    turn_until("going over to")
    assert processor.scorer.model_version == version
    said.clear()
    snapshots.forget_current()  # as `model rollback --to base` does
    turn_until("going over to")
    assert processor.scorer.model_version.startswith("old-")
    learning.close()
