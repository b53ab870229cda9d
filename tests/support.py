"""What tests share: corpora, system tools, and the honest skip where they are missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def missing(what: str) -> NoReturn:
    """Skip, saying what is missing; in CI a skip is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {what}", pytrace=False)
    pytest.skip(f"missing: {what}", allow_module_level=True)


def shared(path: str) -> Path:
    """A file of the corpora that lie beside the checkout; skips where there are none."""
    found = SHARED / path
    if not found.exists():
        missing(f"corpus file {path}")
    return found


def tool(name: str) -> str:
    """The path of a system tool; skips where it is not installed."""
    found = shutil.which(name)
    if found is None:
        missing(f"system tool {name}")
    return found
