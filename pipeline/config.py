"""What the user asked for: the flags over the TOML file over the defaults, checked once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from pipeline.sockets import parse_host_port

Format = Literal["text", "jsonl", "arrow", "none"]
FileFormat = Literal["arrow", "parquet"]
Dtype = Literal["auto", "bf16", "fp32"]


class ConfigError(ValueError):
    """An option that cannot be used; one line that names it and the mend."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of `ltt-stream run`. Durations are seconds."""

    listen: tuple[str, ...] = ()
    """Where lines come from; empty is stdin, or the sockets that systemd passes in."""
    out: str | None = None
    """Directory of the Arrow files; None stores nothing."""
    file_format: FileFormat = "arrow"
    """Of finished files: Arrow IPC, or Parquet."""
    rotate_mib: Annotated[float, Meta(gt=0, le=1_000_000)] = 96.0
    """An open file is finished at this size, in MiB; at 8/3 of it where it is not compressed."""
    rotate_s: Annotated[float, Meta(gt=0, le=1e9)] = 3600.0
    """An open file is finished at this age."""
    format: Format = "text"
    """What stdout gets."""
    anomalies_only: bool = False
    state_dir: str | None = None
    metrics: str | None = None
    """HOST:PORT of /metrics, /healthz and /readyz."""
    batch_lines: Annotated[int, Meta(ge=1, le=32_768)] = 16_384
    batch_delay_s: Annotated[float, Meta(ge=0.0, le=60.0)] = 0.1
    queue_lines: Annotated[int, Meta(ge=2)] = 131_072
    learn: bool = False
    learn_from: tuple[str, ...] = ()
    """pri, feedback or none; or SOURCE=…, for one source. Without any: pri."""
    learn_exclude: tuple[str, ...] = ()
    """app=NAME or facility=NAME whose declared severities teach nothing."""
    learn_budget: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Share of one core that the learner may use."""
    learn_rate: Annotated[float, Meta(gt=0, le=0.1)] = 1e-4
    """Of AdamW."""
    replay_entries: Annotated[int, Meta(ge=64, le=1_000_000)] = 8192
    """Templates that the replay buffer holds at most."""
    replay_mib: Annotated[float, Meta(gt=0, le=65_536)] = 8.0
    """MiB that it holds at most."""
    snapshots_kept: Annotated[int, Meta(ge=1, le=1000)] = 5
    """Older models kept beside the one in use, to go back to."""
    feedback_token_file: str | None = None
    """Holds the token that POST /feedback on the metrics port asks for; None: no such page."""
    trajectories: str | bool | None = None
    """Directory of fitted host dynamics; false: none; else what is in the state directory."""
    model: str | None = None
    """Directory of a checkpoint; None is the one that ships."""
    dtype: Dtype = "auto"
    threads: Annotated[int, Meta(ge=1, le=256)] = 1
    zone: str = "UTC"
    """Time zone of stamps that name none (IANA name)."""


def zone_named(name: str, option: str = "--zone") -> tzinfo:
    """The time zone of that IANA name; raises ConfigError."""
    if name == "UTC":
        return UTC  # the parser has a short cut for it
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"{option}: no time zone {name!r}; use a name like Europe/Berlin"
        ) from error


def load_config(file: str | None, flags: Mapping[str, Any]) -> Config:
    """Merge and check; a flag that is None was not given.

    Raises ConfigError naming the file or the flag, the key and what is wrong with it.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    if file is not None:
        path = Path(file)
        base = _checked(_read(path), lambda key: f"{path}: {key}")
        given = {**{name: getattr(base, name) for name in base.__struct_fields__}, **given}
    return _checked(given, lambda key: "--" + key.replace("_", "-"))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path}: cannot be read: {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}; write lines like batch_lines = 4096") from (
            error
        )
    return {key.replace("-", "_"): value for key, value in table.items()}


def _words(key: str, what: str) -> str:
    """What is wrong with a value, and the mend."""
    choices = get_args(get_type_hints(Config).get(key))
    if choices and all(isinstance(choice, str) for choice in choices):
        return f"choose one of {', '.join(choices)}"
    if key == "listen":
        return 'write a list, listen = ["udp://0.0.0.0:514"]'
    if key in ("learn_from", "learn_exclude"):
        example = "udp://0.0.0.0:514=none" if key == "learn_from" else "app=cron"
        return f'write a list, {key} = ["{example}"]'
    return what.replace("`", "")


def _checked(values: Mapping[str, Any], name: Callable[[str], str]) -> Config:
    known = Config.__struct_fields__
    for key in values:
        if key not in known:
            raise ConfigError(f"{name(key)}: unknown key; known are {', '.join(known)}")
    try:
        config = msgspec.convert(dict(values), Config, strict=True)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`").split("[")[0] or "?"
        raise ConfigError(f"{name(key)}: {_words(key, what)}, got {values.get(key)!r}") from error
    zone_named(config.zone, name("zone"))
    if config.metrics is not None:
        try:
            parse_host_port(config.metrics)
        except ValueError as error:
            raise ConfigError(f"{name('metrics')}: {error}") from error
    if config.batch_lines > config.queue_lines:
        raise ConfigError(
            f"{name('batch_lines')}: {config.batch_lines} lines do not fit the queue of "
            f"{config.queue_lines}; lower it or raise queue_lines"
        )
    return config
