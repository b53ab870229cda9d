"""Git hooks that bring the index up to date in the background after each commit and merge."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from pipeline.codesearch.manifest import read_manifest
from pipeline.codesearch.parts import CodeIndexError
from pipeline.codesearch.place import root_of

HOOKS: Final = ("post-commit", "post-merge")
_BEGIN: Final = "# >>> ltt-stream codesearch: keeps the index up to date\n"
_END: Final = "# <<< ltt-stream codesearch\n"
_MADE: Final = f"# which made this file\n{_END}"
_NEW: Final = "#!/bin/sh\n"
_SHELL: Final = re.compile(
    r"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?(?:\S*/)?)?(?:ba|da|k|z|a)?sh(?:\s|$)"
)
_WAIT_S: Final = 600


def install(index: Path) -> list[Path]:
    """Add our lines to the hooks of the repository that the indexed folder lies in; their paths.

    A hook that is there keeps what it does. Raises CodeIndexError where there is no repository,
    or where a hook is no shell script or is switched off; OSError.
    """
    paths = _hooks(index)
    hooks = [_read(path) for path in paths]  # all are looked at before one is written
    for path, (old, made) in zip(paths, hooks, strict=True):
        head, _, body = old.partition("\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        # First, for a hook that is there may end with `exit`.
        _write(path, f"{head}\n{_BEGIN}{_command(index)}{_MADE if made else _END}{body}")
    return paths


def remove(index: Path) -> list[Path]:
    """Take our lines out again; the hooks that had them. Raises CodeIndexError, OSError."""
    found = []
    for path in _hooks(index):
        text = _text(path)
        rest, made = _without_ours(text)
        if rest == text:
            continue
        if made and rest == _NEW:
            path.unlink()
        else:
            _write(path, rest)
        found.append(path)
    return found


def _read(path: Path) -> tuple[str, bool]:
    """A hook without our lines, and whether we are who makes it."""
    if not path.exists():
        return _NEW, True
    old, made = _without_ours(_text(path))
    if not _SHELL.match(old):
        raise CodeIndexError(
            f"{path}: is no shell script; call `ltt-stream codesearch update` in it"
        )
    if not os.access(path, os.X_OK):
        raise CodeIndexError(f"{path}: git does not run it; make it executable or remove it")
    return old, made


def _command(index: Path) -> str:
    program = shlex.quote(str(Path(sys.executable).with_name("ltt-stream")))
    where = shlex.quote(str(index.resolve()))
    return (
        f"({program} codesearch update --quiet --unless-waiting --wait-s {_WAIT_S} "
        f"--index {where} </dev/null >/dev/null 2>&1 &)\n"
    )


def _hooks(index: Path) -> list[Path]:
    inside = root_of(index, os.fsdecode(read_manifest(index).root))
    asked = ["git", "-C", str(inside), "rev-parse", "--git-path", "hooks"]
    # A hook runs with these set, for the repository that it is of.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        said = subprocess.run(asked, capture_output=True, check=True, env=environment)
    except FileNotFoundError as error:
        raise CodeIndexError("hook: git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise CodeIndexError(f"{inside}: not in a git repository") from error
    folder = os.path.realpath(inside / os.fsdecode(said.stdout.removesuffix(b"\n")))
    # What a link leads to is written, so that the link stays one.
    return [Path(os.path.realpath(f"{folder}/{name}")) for name in HOOKS]


def _text(path: Path) -> str:
    return os.fsdecode(path.read_bytes()) if path.exists() else ""


def _without_ours(text: str) -> tuple[str, bool]:
    """What others wrote, and whether the file began with us."""
    before, ours, after = text.partition(_BEGIN)
    lines, end, rest = after.partition(_END)
    if not ours or not end:
        return text, False
    return before + rest, lines.endswith(_MADE.removesuffix(_END))


def _write(path: Path, text: str) -> None:
    """Replace a hook; git never runs half of one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(os.fsencode(text))
    fresh.chmod(path.stat().st_mode if path.exists() else 0o755)
    fresh.replace(path)
