"""What the judgement of a stream rests on, kept over a restart.

Without it a restarted program takes every template for new and knows no surprise of this stream.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pipeline.hosts import HostTrajectories
from pipeline.judge import Judge
from pipeline.priors import PriorTracker
from pipeline.surprise import Surprise

if TYPE_CHECKING:
    from pipeline.process import Processor

FILE = "stream.npz"
SCHEMA = 2
READABLE = (1, 2)
SAVE_EVERY_S = 300.0


class StateError(Exception):
    """A state file that cannot be used; one line."""


def claim(directory: Path) -> int:
    """Make the directory and lock it for this process; the lock's descriptor, kept open.

    Raises OSError, one line, when it cannot be made or another process has it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OSError(f"--state-dir {directory}: cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise OSError(
            f"--state-dir {directory}: another ltt-stream has it; give each its own"
        ) from None
    return fd


def save_state(
    directory: Path, processor: Processor, more: Mapping[str, Any] | None = None
) -> None:
    """Write DIR/stream.npz, atomically; raises OSError where there is no room or no right.

    more: named arrays that others want kept beside.
    """
    scorer = processor.scorer
    if scorer is None:
        return
    ids, seen = scorer.remembered()
    apps, lines, once = scorer.novelty.counts()
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".{FILE}.new"
    # Typed so that numpy's stub does not take the rest for its flag allow_pickle.
    columns: dict[str, Any] = {
        **scorer.priors.kept(),
        **scorer.surprise.kept(),
        **processor.judge.kept(),
        **({} if processor.trajectories is None else processor.trajectories.kept()),
        **(more or {}),
    }
    with fresh.open("wb") as file:
        np.savez(
            file,
            schema=np.array(SCHEMA),
            template_id=ids,
            seen=seen,
            apps=np.frombuffer(msgspec.json.encode(apps), np.uint8),
            lines=lines,
            once=once,
            model=np.array(scorer.model_version),
            scored_lines=np.array(processor.scored_lines),
            **columns,
        )
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / FILE)


def load_state(directory: Path, processor: Processor) -> dict[str, Any]:
    """Take up what an earlier run kept; all that there was, nothing where there is nothing.

    Raises StateError where the file is damaged or of another schema; nothing is changed then.
    """
    scorer = processor.scorer
    path = directory / FILE
    if scorer is None or not path.exists():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            found = {name: kept[name] for name in kept.files}
        if int(found["schema"]) not in READABLE:
            raise StateError(f"{path}: schema {found['schema']}, this program reads {READABLE}")
        counted = dict(zip(found["template_id"].tolist(), found["seen"].tolist(), strict=True))
        apps = msgspec.json.decode(found["apps"].tobytes(), type=list[str])
        lines, once = found["lines"], found["once"]
        if not len(apps) == len(lines) == len(once):
            raise ValueError("columns of different lengths")
        scored_lines = int(found["scored_lines"])
        priors = PriorTracker(scorer.engine.emission_prior, scorer.engine.prior_strength)
        # Another model's latents and surprises are no measure for this one's.
        same_model = str(found["model"]) == scorer.model_version
        if "prior_sources" in found:  # an older state has none
            priors.restore(found, same_model=same_model)
        surprise = Surprise(scorer.engine.reference_surprise, scorer.engine.latent_dim)
        if {"sources", "surprise_sources"} & found.keys():
            surprise.restore(found, same_model=same_model)
        judge = Judge()
        if "discoveries" in found:
            judge.restore(found)
        trajectories = processor.trajectories
        if trajectories is not None:
            trajectories = HostTrajectories(trajectories.model)
            trajectories.restore(found)
    except StateError:
        raise
    except Exception as error:  # numpy and zipfile raise nearly anything for damaged bytes
        raise StateError(f"{path}: damaged, or no state of ltt-stream") from error
    scorer.remember(counted)
    scorer.novelty.restore(apps, lines, once)
    scorer.surprise = surprise
    scorer.priors = priors
    processor.judge = judge
    processor.trajectories = trajectories
    processor.scored_lines = scored_lines
    return found
