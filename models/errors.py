"""What can be wrong with a file, said in one line that names it; importable without torch."""

from __future__ import annotations


class CheckpointError(Exception):
    """A checkpoint that is missing, truncated, of another schema or does not fit itself."""


class CorpusError(Exception):
    """A corpus that cannot be read or holds nothing to learn from."""


class StateError(Exception):
    """A training state that is damaged or belongs to a run with other options."""
