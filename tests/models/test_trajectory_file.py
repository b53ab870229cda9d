"""A Trajectory comes back as it was saved, and what is damaged is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.errors import CheckpointError
from models.flow_matching import TrajectoryFlow
from models.trajectory import Trajectory, TrajectoryArchitecture
from models.trajectory_file import load, round_for_storage, save


@pytest.fixture
def model() -> Trajectory:
    torch.manual_seed(0)
    return Trajectory(TrajectoryArchitecture(11, 6, latent=4, width=16, heads=2, inner=24))


def test_all_parts_come_back_bit_for_bit(tmp_path: Path, model: Trajectory) -> None:
    flow = TrajectoryFlow(6, 4, hidden=12, blocks=3)
    flow.measure(torch.randn(30, 6, 4))
    bits = torch.arange(8, dtype=torch.uint8)
    save(tmp_path / "t", model, flow, bits=bits, head=torch.randn(3, 2), words=["a", "é"], n=7)
    stored = load(tmp_path / "t")
    assert stored.model.architecture == model.architecture
    assert stored.version.startswith("t-")
    assert not stored.model.training
    assert stored.flow is not None
    for ours, theirs in ((model, stored.model), (flow, stored.flow)):
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, tensor in ours.state_dict().items():
            assert torch.equal(tensor, theirs.state_dict()[name]), name
    assert torch.equal(stored.extra["bits"], bits)
    assert (stored.extra["words"], stored.extra["n"]) == (["a", "é"], 7)
    assert stored.extra["head"].shape == (3, 2)


def test_rounded_weights_take_half_the_room_and_come_back(
    tmp_path: Path, model: Trajectory
) -> None:
    save(tmp_path / "exact", model)
    round_for_storage(model)
    save(tmp_path / "rounded", model)
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("exact", "rounded")]
    assert sizes[1] < 0.7 * sizes[0]
    stored = load(tmp_path / "rounded")
    assert stored.flow is None
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, stored.model.state_dict()[name]), name
    before = (tmp_path / "rounded/model.safetensors").read_bytes()
    save(tmp_path / "rounded", stored.model, **stored.extra)  # over the old one
    assert (tmp_path / "rounded/model.safetensors").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exact", "rounded"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("missing", "No such file"),
        ("short weights", "truncated or damaged"),
        ("short config", "truncated or not JSON"),
        ("schema", "schema 'ltt-stream/raccoon/2', this program reads"),
        ("shape", "does not fit its weights"),
        ("key", "does not fit its weights"),
    ],
)
def test_what_is_damaged_is_refused_in_one_line(
    tmp_path: Path, model: Trajectory, damage: str, said: str
) -> None:
    path = tmp_path / "t"
    save(path, model)
    weights, config = path / "model.safetensors", path / "config.json"
    known = json.loads(config.read_text())
    if damage == "missing":
        weights.unlink()
    elif damage == "short weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "short config":
        config.write_bytes(config.read_bytes()[:40])
    elif damage == "schema":
        config.write_text(json.dumps(known | {"schema": "ltt-stream/raccoon/2"}))
    elif damage == "shape":
        known["architecture"]["width"] = 32
        config.write_text(json.dumps(known))
    else:
        known["architecture"]["depth"] = 32
        config.write_text(json.dumps(known))
    with pytest.raises(CheckpointError, match=said) as refused:
        load(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
