"""Fitted dynamics on the disk: the same again, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.errors import CheckpointError
from models.folder import CONFIG
from models.host_checkpoint import WEIGHTS, load_hosts, save_hosts
from tests.models.host_models import model


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    version = save_hosts(tmp_path / "hosts", model())
    save_hosts(tmp_path / "hosts", model())  # over what is there
    found = load_hosts(tmp_path / "hosts")
    assert found.version == version
    assert found.raccoon == "raccoon-test"
    for part in ("dynamics", "forecast"):
        for name, value in vars(getattr(model(), part)).items():
            np.testing.assert_array_equal(getattr(getattr(found, part), name), value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosts"]


def _truncate(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-40])


def _no_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def _no_json(folder: Path) -> None:
    (folder / CONFIG).write_bytes(b'{"schema": ')


def _other_schema(folder: Path) -> None:
    (folder / CONFIG).write_bytes(b'{"schema": "ltt-stream/raccoon/2"}')


def _no_facts(folder: Path) -> None:
    config = msgspec.json.decode((folder / CONFIG).read_bytes())
    del config["training"]
    (folder / CONFIG).write_bytes(msgspec.json.encode(config))


@pytest.mark.parametrize("damage", [_truncate, _no_weights, _no_json, _other_schema, _no_facts])
def test_a_damaged_one_is_refused_in_one_line(tmp_path: Path, damage: object) -> None:
    folder = tmp_path / "hosts"
    save_hosts(folder, model())
    assert callable(damage)
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        load_hosts(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
