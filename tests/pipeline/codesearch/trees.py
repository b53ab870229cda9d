"""Folders of files to walk over, with git and without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support import tool

_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": "/none"}


def plant(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files, with the folders that they lie in; gives the root back."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def git(folder: Path, *words: str) -> str:
    """What git says, whatever the user's settings are."""
    done = subprocess.run(
        [tool("git"), *words],
        cwd=folder,
        env={**os.environ, **_ALONE},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()
