"""Which exceptions are words to the user rather than faults of ours, and their exit codes."""

from __future__ import annotations

FAILED, USAGE = 1, 2


def exit_code(error: Exception) -> int | None:
    """2 for a bad option, 1 for a file, port or checkpoint that cannot be used; None: a fault."""
    from pipeline.config import ConfigError

    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, OSError):
        return FAILED
    # Known by its name: its module brings torch, which a wrong flag must not wait for.
    return FAILED if type(error).__name__ == "CheckpointError" else None
