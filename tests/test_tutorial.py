"""Every command and snippet of docs/tutorial.md, in order, in one folder, as a reader would.

Blocks behind `<!-- long -->` take minutes: `make tutorial` runs them too. Without them the blocks
that read what they leave behind use what a short run has left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"(<!-- long -->\n+)?```(console|python)\n(.*?)```", re.DOTALL)
LONG = os.environ.get("LTT_STREAM_LONG") == "1"


class Block(NamedTuple):
    line: int
    kind: str
    code: str
    long: bool


def blocks(text: str) -> list[Block]:
    return [
        Block(text[: found.start()].count("\n") + 1, found[2], found[3], found[1] is not None)
        for found in BLOCK.finditer(text)
    ]


def commands(console: str) -> str:
    """What is typed at the prompts: `$ …` and the lines that it goes on over."""
    typed: list[str] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
        elif typed and typed[-1].endswith("\\"):
            typed[-1] += "\n" + line
    return "\n".join(typed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.mark.parametrize(
    "block",
    [block for block in blocks(TUTORIAL.read_text()) if LONG or not block.long],
    ids=lambda block: f"line-{block.line}",
)
def test_block_runs(block: Block, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if block.kind == "console":
        command = ["bash", "-euo", "pipefail", "-c", commands(block.code)]
    else:
        command = [sys.executable, "-c", block.code]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800 if LONG else 240,
    )
    assert done.returncode == 0, f"{block.code}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_every_picture_it_shows_is_there() -> None:
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TUTORIAL.read_text()):
        assert (TUTORIAL.parent / name).is_file(), name
