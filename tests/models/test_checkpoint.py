import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import (
    Card,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    pretrained_path,
    round_for_storage,
    save_checkpoint,
)
from models.inference import Engine
from models.raccoon import Architecture, Raccoon
from tests.models.conftest import SMALL
from tests.models.lines import LINES
from tests.models.packed import packed_tokens


@pytest.fixture
def saved(tmp_path: Path, small_checkpoint: Checkpoint) -> Path:
    round_for_storage(small_checkpoint.model)
    path = tmp_path / "small"
    save_checkpoint(path, small_checkpoint)
    return path


def test_what_is_loaded_computes_the_same(saved: Path, small_checkpoint: Checkpoint) -> None:
    apps = ["sshd", "", "cron", "sshd"] * 2
    before = Engine(small_checkpoint, dtype="fp32").encode(apps, LINES)
    engine = Engine.load(saved, dtype="fp32")
    for a, b in zip(before, engine.encode(apps, LINES), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(engine.reference_surprise, small_checkpoint.reference_surprise)
    assert engine.version.startswith("small-")
    assert load_checkpoint(saved).card == small_checkpoint.card


def test_every_weight_comes_back_bit_for_bit(saved: Path, small_checkpoint: Checkpoint) -> None:
    loaded = load_checkpoint(saved).model.state_dict()
    for name, tensor in small_checkpoint.model.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def test_rounding_twice_is_rounding_once(small_model: Raccoon) -> None:
    with torch.no_grad():  # rows of all sizes, also nothing at all
        table = small_model.encoder.ngrams
        table *= torch.logspace(-20, 20, len(table)).unsqueeze(1)
        table[0] = 0
        before = table.clone()
    round_for_storage(small_model)
    once = {name: tensor.clone() for name, tensor in small_model.state_dict().items()}
    round_for_storage(small_model)
    for name, tensor in small_model.state_dict().items():
        assert torch.equal(tensor, once[name]), name
    error = (table - before).abs().amax(1)
    assert (error <= before.abs().amax(1) / 127).all()
    assert not torch.equal(table, before)


def test_a_trained_spline_flow_comes_back(tmp_path: Path) -> None:
    model = Raccoon(replace(SMALL, coupling="spline"))
    tokens, groups, _ = packed_tokens(model, LINES)
    optimiser = torch.optim.Adam(model.flow.parameters(), lr=0.01)
    found = [model.train_step(tokens, groups).log_prob.mean()]
    for _ in range(5):
        optimiser.zero_grad()
        (-found[-1]).backward()
        optimiser.step()
        torch.manual_seed(1)  # the same draws each time
        found.append(model.train_step(tokens, groups).log_prob.mean())
    assert found[-1] > found[1]
    round_for_storage(model)
    card = Card(corpus_prior=[0.125] * 8, apps=["sshd"])
    save_checkpoint(tmp_path / "spline", Checkpoint(model, card, np.ones(8, np.float32)))
    loaded = load_checkpoint(tmp_path / "spline").model
    assert loaded.architecture == model.architecture
    z = torch.randn(20, SMALL.latent)
    assert torch.equal(loaded.flow.log_prob(z), model.flow.log_prob(z))


def test_a_checkpoint_from_before_there_was_a_choice_has_affine_couplings(saved: Path) -> None:
    architecture = json.loads((saved / "config.json").read_text())["architecture"]
    assert architecture.pop("coupling") == "affine"
    change(saved, architecture=architecture)
    assert load_checkpoint(saved).model.architecture.coupling == "affine"
    change(saved, architecture=architecture | {"coupling": "spline"})
    assert "does not fit its weights" in refused(saved)
    change(saved, architecture=architecture | {"coupling": "cubic"})
    assert "coupling 'cubic': one of affine, spline" in refused(saved)


def test_the_full_architecture_is_small(tmp_path: Path) -> None:
    """Its files have at most 12 MB, and it has at most 10 million parameters."""
    model = Raccoon(Architecture())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    round_for_storage(model)
    assert sum(parameter.numel() for parameter in model.parameters()) <= 10_000_000
    card = Card(corpus_prior=[0.125] * 8, apps=["nginx"] * 1000)
    save_checkpoint(tmp_path / "full", Checkpoint(model, card, np.ones(4096, np.float32)))
    assert sum(file.stat().st_size for file in (tmp_path / "full").iterdir()) <= 12 * 1024 * 1024


def test_saving_again_replaces_and_leaves_nothing_beside(
    saved: Path, small_checkpoint: Checkpoint
) -> None:
    small_checkpoint.card = replace(small_checkpoint.card, temperature=2.0)
    save_checkpoint(saved, small_checkpoint)
    assert load_checkpoint(saved).card.temperature == 2.0
    assert [p.name for p in saved.parent.iterdir()] == ["small"]


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing(tmp_path: Path, saved: Path) -> None:
    assert "nowhere/config.json: No such file" in refused(tmp_path / "nowhere")
    (saved / "model.safetensors").unlink()
    assert "small/model.safetensors: No such file" in refused(saved)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_truncated_weights(saved: Path, keep: int) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    assert "small/model.safetensors: truncated or damaged" in refused(saved)


def test_one_flipped_bit(saved: Path) -> None:
    weights = saved / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-100] ^= 1
    weights.write_bytes(data)
    assert "truncated or damaged" in refused(saved)


def test_truncated_config(saved: Path) -> None:
    config = saved / "config.json"
    config.write_bytes(config.read_bytes()[:200])
    assert "small/config.json: truncated or not JSON" in refused(saved)


def change(path: Path, **values: object) -> None:
    config = path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | values))


def test_another_schema(saved: Path) -> None:
    change(saved, schema="ltt-stream/raccoon/99")
    assert "small/config.json: schema 'ltt-stream/raccoon/99'" in refused(saved)
    (saved / "config.json").write_text("[1, 2]")
    assert "schema None" in refused(saved)


def test_weights_of_another_architecture(saved: Path) -> None:
    architecture = json.loads((saved / "config.json").read_text())["architecture"]
    change(saved, architecture=architecture | {"width": 64})
    assert "does not fit its weights" in refused(saved)
    change(saved, architecture=architecture | {"depth": 3})
    assert "depth" in refused(saved)


def test_the_schema_before_this_one(saved: Path) -> None:
    change(saved, schema="ltt-stream/raccoon/1")
    message = refused(saved)
    assert "schema 'ltt-stream/raccoon/1', this program reads 'ltt-stream/raccoon/2'" in message


def test_the_shipped_checkpoint_is_small_and_carries_no_text() -> None:
    path = pretrained_path()
    assert sum(f.stat().st_size for f in path.iterdir()) <= 12 * 1024 * 1024
    assert sorted(f.name for f in path.iterdir()) == ["config.json", "model.safetensors"]
    assert sum(load_checkpoint(path).card.emission_prior) == pytest.approx(1.0)
