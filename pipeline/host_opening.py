"""Which host dynamics a stream runs with: those it is told of, or those in its state directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CheckpointError
from models.folder import CONFIG
from models.host_checkpoint import HostModel, load_hosts
from pipeline.config import Config, ConfigError
from pipeline.hosts import HostTrajectories

if TYPE_CHECKING:
    from pipeline.scorer import Scorer

FOLDER = "trajectories"
"""In the state directory."""


def open_trajectories(
    config: Config, scorer: Scorer, say: Callable[[str], None]
) -> HostTrajectories | None:
    """None where there are none, or none are wanted.

    Raises ConfigError where they are wanted and not there, CheckpointError, one line, where they
    cannot be used.
    """
    asked = config.trajectories
    if asked is False:
        return None
    if isinstance(asked, str):
        path = Path(asked)
    else:
        path = Path(config.state_dir or ".") / FOLDER
        if config.state_dir is None or not (path / CONFIG).exists():
            if asked:
                raise ConfigError(
                    "trajectories: nothing was fitted; give the DIR of `ltt-stream trajectory fit "
                    f"--out DIR`, or let it write to {FOLDER} in the state directory"
                )
            return None
    model = fitting(path, scorer.engine.latent_dim)
    if model.raccoon != scorer.model_version:
        say(
            f"{path}: fitted with {model.raccoon}, and {scorer.model_version} is in use: after a "
            "change of models fit it again"
        )
    return HostTrajectories(model)


def fitting(path: Path, latent_dim: int) -> HostModel:
    """Load dynamics for latents of so many numbers; raises CheckpointError."""
    model = load_hosts(path)
    if model.dynamics.latent_dim != latent_dim:
        raise CheckpointError(
            f"{path}: fitted to latents of {model.dynamics.latent_dim} numbers, the model's have "
            f"{latent_dim}: fit it again"
        )
    return model
