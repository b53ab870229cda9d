"""Which exceptions are words to the user rather than faults of ours, and their exit codes."""

from __future__ import annotations

FAILED, USAGE = 1, 2


def exit_code(error: Exception) -> int | None:
    """2 for a bad option, 1 for a file, port or checkpoint that cannot be used; None: a fault."""
    from models.errors import CheckpointError, CorpusError, StateError
    from pipeline.config import ConfigError

    if isinstance(error, ConfigError):
        return USAGE
    return (
        FAILED if isinstance(error, CheckpointError | CorpusError | StateError | OSError) else None
    )
