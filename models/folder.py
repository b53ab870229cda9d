"""A model on disk: a folder with weights (safetensors) and `config.json`; never pickle (no torch).

The configuration names the schema and the digest of the weights, and takes its place by a rename:
a reader sees the old folder, the new one or none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from models.errors import CheckpointError

CONFIG = "config.json"


class Folder(NamedTuple):
    config: dict[str, Any]
    weights: bytes
    digest: str
    """SHA-256 of the weights."""


def write_folder(
    path: Path, schema: str, name: str, weights: bytes, config: dict[str, Any]
) -> str:
    """Write the weights under `name` and the configuration; the digest. Raises OSError."""
    digest = hashlib.sha256(weights).hexdigest()
    config = {"schema": schema, "weights_sha256": digest, **config}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    write_synced(fresh / name, weights)
    write_synced(fresh / CONFIG, msgspec.json.format(msgspec.json.encode(config)) + b"\n")
    old = path.with_name(f".{path.name}.old.{os.getpid()}")
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return digest


def read_folder(path: Path, schema: str, name: str) -> Folder:
    """Read what `write_folder` wrote.

    Raises CheckpointError, one line naming the file, for one that is missing, truncated or of
    another schema.
    """
    config_path, weights_path = path / CONFIG, path / name
    try:
        config = msgspec.json.decode(config_path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{config_path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{config_path}: truncated or not JSON: {error}") from error
    found = config.get("schema") if isinstance(config, dict) else None
    if found != schema:
        raise CheckpointError(f"{config_path}: schema {found!r}, this program reads {schema!r}")
    try:
        weights = weights_path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{weights_path}: {error.strerror}") from error
    digest = hashlib.sha256(weights).hexdigest()
    if digest != config.get("weights_sha256"):
        raise CheckpointError(f"{weights_path}: truncated or damaged (its SHA-256 is another)")
    return Folder(config, weights, digest)


def misfit(path: Path, error: Exception) -> CheckpointError:
    """That weights and configuration do not go together, in one line."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(f"{path / CONFIG}: does not fit its weights: {reason}")


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
