"""A checkpoint is a directory: `model.safetensors` and `config.json`; never pickle.

The table of n-grams is stored as int8 with a scale for each row; other weights that training has
rounded to bf16 as bf16. All are read back as fp32, bit for bit what they were when they were
saved: training rounds them (`round_for_storage`) before it measures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from models.errors import CheckpointError as CheckpointError
from models.folder import misfit, read_folder, write_folder
from models.places import SCALE, SCHEMA, TABLE, WEIGHTS, checkpoint_in, version_of
from models.places import pretrained_path as pretrained_path
from models.raccoon import CLASSES, Architecture, Raccoon

EMISSION_PRIOR = (0.001, 0.001, 0.004, 0.05, 0.12, 0.1, 0.7, 0.024)
"""Severities that running machines emit, emerg … debug: mostly info, little debug."""
_REFERENCE = "reference_surprise"
_BF16 = ("linear.votes", "search.weight")


@dataclass
class Card:
    """What is known of a model beside its weights: `config.json` without the architecture."""

    corpus_prior: list[float]
    """Shares of the severities in the training corpus."""
    apps: list[str]
    """Apps the model was taught, in lower case; it takes all others as unknown."""
    emission_prior: list[float] = field(default_factory=lambda: list(EMISSION_PRIOR))
    temperature: float = 1.0
    """Logits are divided by it (Guo et al. 2017)."""
    prior_strength: float = 1.0
    """The power of every prior. What the likelihoods leave out speaks for the rare severities more
    often than not: a prior taken at its word wins too often on programs never seen."""
    training: dict[str, Any] = field(default_factory=dict)
    """Facts: corpus rows, epochs, seed, held-out figures …"""


@dataclass
class Checkpoint:
    model: Raccoon
    card: Card
    reference_surprise: npt.NDArray[np.float32]  # (≤ 4096,) sorted
    version: str = ""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write beside `path` and rename: a reader sees the old one, the new one or none."""
    state = {name: t.detach() for name, t in checkpoint.model.state_dict().items()}
    table, scale = _quantised(state.pop(TABLE))
    tensors = {name: _compact(tensor) for name, tensor in state.items()}
    tensors |= {TABLE: table, SCALE: scale}
    tensors[_REFERENCE] = torch.from_numpy(np.sort(checkpoint.reference_surprise)[:4096])
    config = {"architecture": checkpoint.model.architecture.as_dict(), **vars(checkpoint.card)}
    write_folder(path, SCHEMA, WEIGHTS, save(tensors), config)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; the model is in evaluation mode, in fp32.

    Raises CheckpointError, one line naming the file, for one that is missing, truncated, of
    another schema or not of the shape it says. A folder that `train` has written is taken for the
    checkpoint in it.
    """
    path = checkpoint_in(path)
    config, weights, digest = read_folder(path, SCHEMA, WEIGHTS)
    try:
        architecture = Architecture(**config["architecture"])
        card = Card(**{f.name: config[f.name] for f in fields(Card)})
        if len(card.corpus_prior) != CLASSES or len(card.emission_prior) != CLASSES:
            raise ValueError(f"priors need {CLASSES} numbers")
        model = Raccoon(architecture)
        tensors = {name: tensor.float() for name, tensor in load(weights).items()}
        tensors[TABLE] *= tensors.pop(SCALE)
        reference = tensors.pop(_REFERENCE).numpy()
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise misfit(path, error) from error
    model.eval()
    return Checkpoint(model, card, reference, version_of(path, digest))


def round_for_storage(model: Raccoon) -> None:
    """Give the large tables the values that a checkpoint can hold."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == TABLE:
                table, scale = _quantised(parameter)
                parameter.copy_(table.float() * scale.float())
            elif name in _BF16:
                parameter.copy_(parameter.to(torch.bfloat16).float())


def _quantised(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as int8 and a bf16 scale each; rows that were so come out the same again."""
    # The scale is rounded up to a power of two: it is exact in bf16 whatever was rounded before.
    largest = table.abs().amax(1, keepdim=True).clamp_min(1e-30)  # (R, 1)
    scale = torch.exp2(torch.ceil(torch.log2(largest / 127)))
    return (table / scale).round().to(torch.int8), scale.to(torch.bfloat16)


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    rounded = tensor.to(torch.bfloat16)
    exact = bool((rounded.float() == tensor).all())
    return (rounded if exact else tensor).contiguous()
