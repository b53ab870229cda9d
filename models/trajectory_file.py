"""A Trajectory on disk: a directory with `model.safetensors` and `config.json`; never pickle.

What else belongs to the model (the prior of whole paths, a vocabulary, a head, facts of the
training) lies beside it in the same two files. Weights that are exact in bf16 are stored as bf16
(`round_for_storage` makes them so), others as they are: what is loaded is bit for bit what was
saved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from models.flow_matching import TrajectoryFlow
from models.folder import misfit, read_folder, write_folder
from models.trajectory import Trajectory, TrajectoryArchitecture

SCHEMA = "ltt-stream/trajectory/1"
WEIGHTS = "model.safetensors"
_MODEL, _FLOW, _EXTRA = "model.", "flow.", "extra."


@dataclass
class Stored:
    """What a file holds, in evaluation mode, weights in fp32."""

    model: Trajectory
    flow: TrajectoryFlow | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """By the names that `save` was given: tensors, and what JSON can say."""
    version: str = ""


def save(path: Path, model: Trajectory, flow: TrajectoryFlow | None = None, **extra: Any) -> None:
    """Write beside `path` and rename: a reader sees the old one, the new one or none.

    extra: tensors, and whatever JSON can say; `load` gives it back by the same names.
    """
    state = {_MODEL + name: tensor for name, tensor in model.state_dict().items()}
    config: dict[str, Any] = {"architecture": model.architecture.as_dict()}
    if flow is not None:
        config["flow"] = {
            "length": flow.length,
            "hidden": flow.net.enter.out_features,
            "blocks": len(flow.net.blocks),
        }
        state |= {_FLOW + name: tensor for name, tensor in flow.state_dict().items()}
    state |= {_EXTRA + name: value for name, value in extra.items() if isinstance(value, Tensor)}
    config["extra"] = {n: value for n, value in extra.items() if not isinstance(value, Tensor)}
    weights = save_tensors({name: _compact(tensor.detach()) for name, tensor in state.items()})
    write_folder(path, SCHEMA, WEIGHTS, weights, config)


def load(path: Path) -> Stored:
    """Read what `save` wrote.

    Raises CheckpointError, one line naming the file, for one that is missing, truncated, of
    another schema or not of the shape it says.
    """
    config, weights, digest = read_folder(path, SCHEMA, WEIGHTS)
    try:
        tensors = {name: _wide(tensor) for name, tensor in load_tensors(weights).items()}
        architecture = TrajectoryArchitecture(**config["architecture"])
        model = Trajectory(architecture)
        model.load_state_dict(_under(_MODEL, tensors))
        flow = None
        if "flow" in config:
            flow = TrajectoryFlow(latent=architecture.latent, **config["flow"])
            flow.load_state_dict(_under(_FLOW, tensors))
            flow.eval()
        extra = {**config["extra"], **_under(_EXTRA, tensors)}
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise misfit(path, error) from error
    model.eval()
    return Stored(model, flow, extra, f"{path.name}-{digest[:8]}")


def round_for_storage(module: nn.Module) -> None:
    """Give weights the values that two bytes can hold: half the file, the same model read back."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.to(torch.bfloat16).float())


def _compact(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32:
        return tensor.contiguous()
    rounded = tensor.to(torch.bfloat16)
    return (rounded if torch.equal(rounded.float(), tensor) else tensor).contiguous()


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
