"""Fitted host dynamics on the disk: `hosts.safetensors` and `config.json`; never pickle."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.folder import misfit, read_folder, write_folder
from models.host_dynamics import Dynamics
from models.host_forecast import Forecast

SCHEMA = "ltt-stream/hosts/1"
WEIGHTS = "hosts.safetensors"


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
    config = {"raccoon": model.raccoon, "training": model.training}
    digest = write_folder(path, SCHEMA, WEIGHTS, save(tensors), config)
    return f"hosts-{digest[:8]}"


def load_hosts(path: Path) -> HostModel:
    """Read what was fitted.

    Raises CheckpointError, one line naming the file, for one that is missing, truncated, of
    another schema or not of the shape it says.
    """
    config, weights, digest = read_folder(path, SCHEMA, WEIGHTS)
    try:
        tensors = load(weights)
        dynamics = Dynamics(**{f.name: tensors[f"dynamics.{f.name}"] for f in fields(Dynamics)})
        dynamics.check()
        forecast = Forecast(**{f.name: tensors[f"forecast.{f.name}"] for f in fields(Forecast)})
        forecast.check(len(dynamics.hidden_bias))
        raccoon, training = str(config["raccoon"]), dict(config["training"])
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise misfit(path, error) from error
    return HostModel(dynamics, forecast, raccoon, training, f"hosts-{digest[:8]}")
