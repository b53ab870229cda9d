"""Fitted host dynamics on the disk: `hosts.safetensors` and `config.json`; never pickle."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.errors import CheckpointError
from models.host_dynamics import Dynamics
from models.host_forecast import Forecast

SCHEMA = "ltt-stream/hosts/1"
WEIGHTS, CONFIG = "hosts.safetensors", "config.json"


class HostModel(NamedTuple):
    """What `ltt-stream trajectory fit` makes."""

    dynamics: Dynamics
    forecast: Forecast
    raccoon: str
    """Version of the model whose latents it was fitted to."""
    training: dict[str, Any]
    """Facts: lines, hosts, steps, held-out figures …"""
    version: str = ""


def save_hosts(path: Path, model: HostModel) -> str:
    """Write beside `path` and rename; the version. Raises OSError."""
    tensors = {f"dynamics.{name}": value for name, value in vars(model.dynamics).items()}
    tensors |= {f"forecast.{name}": value for name, value in vars(model.forecast).items()}
    weights = save(tensors)
    digest = hashlib.sha256(weights).hexdigest()
    config = {
        "schema": SCHEMA,
        "weights_sha256": digest,
        "raccoon": model.raccoon,
        "training": model.training,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    _write_synced(fresh / WEIGHTS, weights)
    _write_synced(fresh / CONFIG, msgspec.json.format(msgspec.json.encode(config)) + b"\n")
    old = path.with_name(f".{path.name}.old.{os.getpid()}")
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return f"hosts-{digest[:8]}"


def load_hosts(path: Path) -> HostModel:
    """Read what was fitted.

    Raises CheckpointError, one line naming the file, for one that is missing, truncated, of
    another schema or not of the shape it says.
    """
    config_path, weights_path = path / CONFIG, path / WEIGHTS
    try:
        config = msgspec.json.decode(config_path.read_bytes())
        weights = weights_path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{error.filename}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{config_path}: truncated or not JSON: {error}") from error
    schema = config.get("schema") if isinstance(config, dict) else None
    if schema != SCHEMA:
        raise CheckpointError(f"{config_path}: schema {schema!r}, this program reads {SCHEMA!r}")
    digest = hashlib.sha256(weights).hexdigest()
    if digest != config.get("weights_sha256"):
        raise CheckpointError(f"{weights_path}: truncated or damaged (its SHA-256 is another)")
    try:
        tensors = load(weights)
        dynamics = Dynamics(**{f.name: tensors[f"dynamics.{f.name}"] for f in fields(Dynamics)})
        dynamics.check()
        forecast = Forecast(**{f.name: tensors[f"forecast.{f.name}"] for f in fields(Forecast)})
        forecast.check(len(dynamics.hidden_bias))
        raccoon, training = str(config["raccoon"]), dict(config["training"])
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{config_path}: does not fit its weights: {reason}") from error
    return HostModel(dynamics, forecast, raccoon, training, f"hosts-{digest[:8]}")


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
