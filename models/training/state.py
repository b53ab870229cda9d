"""The state of a training run on disk: weights and optimiser moments; never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.errors import StateError
from models.folder import write_synced


def save_state(
    path: Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    facts: dict[str, Any],
    step: int,
) -> None:
    """Write atomically. `facts` must be equal when the run is resumed."""
    tensors = {f"model.{name}": t.detach().contiguous() for name, t in model.state_dict().items()}
    for i, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": t.contiguous() for name, t in moments.items()}
    metadata = {"facts": msgspec.json.encode(facts).decode(), "step": str(step)}
    fresh = path.with_suffix(".new")
    write_synced(fresh, save(tensors, metadata))
    fresh.replace(path)


def load_state(
    path: Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> int:
    """Put a saved state into model and optimiser; returns the step to go on with, 0 without one.

    Raises StateError when the file is damaged or comes from a run with other options.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise StateError(f"{path}: damaged ({error}); use --no-resume to begin anew") from error
    saved = msgspec.json.decode(metadata["facts"])
    if saved != msgspec.json.decode(msgspec.json.encode(facts)):
        other = sorted(k for k in facts if saved.get(k) != facts[k])
        raise StateError(
            f"{path}: from a run with another {', '.join(other)}; use --no-resume to begin anew"
        )
    model.load_state_dict(
        {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    )
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, i, key = name.split(".")
            moments.setdefault(int(i), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
    return int(metadata["step"])
