"""Git hooks that bring the index up to date in the background after each commit and merge."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from pipeline.codesearch.parts import CodeIndexError

HOOKS: Final = ("post-commit", "post-merge")
_BEGIN: Final = "# >>> ltt-stream codesearch: keeps the index up to date\n"
_END: Final = "# <<< ltt-stream codesearch\n"
_WAIT_S: Final = 600


def install(index: Path) -> list[Path]:
    """Add our lines to the hooks of the repository that the index lies in; the hooks' paths.

    A hook that is there keeps what it does. Raises CodeIndexError where there is no repository,
    or where a hook is no shell script; OSError.
    """
    paths = [_folder(index.resolve().parent) / name for name in HOOKS]
    for path in paths:
        old = _without_ours(path.read_text()) if path.exists() else "#!/bin/sh\n"
        first = old.partition("\n")[0]
        if not first.startswith("#!") or not first.rstrip().endswith("sh"):
            raise CodeIndexError(
                f"{path}: is no shell script; call `ltt-stream codesearch update` in it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        head, body = old.split("\n", 1) if "\n" in old else (old, "")
        # First, for a hook that is there may end with `exit`.
        _write(path, f"{head}\n{_BEGIN}{_command(index)}{_END}{body}")
    return paths


def remove(index: Path) -> list[Path]:
    """Take our lines out again; the hooks that had them. Raises CodeIndexError, OSError."""
    found = []
    for path in (_folder(index.resolve().parent) / name for name in HOOKS):
        if not path.exists() or _BEGIN not in (text := path.read_text()):
            continue
        rest = _without_ours(text)
        if rest.strip() in ("", "#!/bin/sh"):
            path.unlink()
        else:
            _write(path, rest)
        found.append(path)
    return found


def _command(index: Path) -> str:
    program = shlex.quote(str(Path(sys.executable).with_name("ltt-stream")))
    where = shlex.quote(str(index.resolve()))
    return (
        f"({program} codesearch update --quiet --wait-s {_WAIT_S} --index {where} "
        "</dev/null >/dev/null 2>&1 &)\n"
    )


def _folder(inside: Path) -> Path:
    asked = ["git", "-C", str(inside), "rev-parse", "--git-path", "hooks"]
    # A hook runs with these set, for the repository that it is of.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    except FileNotFoundError as error:
        raise CodeIndexError("hook: git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise CodeIndexError(f"{inside}: not in a git repository") from error
    return inside / said.stdout.rstrip("\n")


def _without_ours(text: str) -> str:
    before, ours, after = text.partition(_BEGIN)
    return before + after.partition(_END)[2] if ours else text


def _write(path: Path, text: str) -> None:
    """Replace a hook; git never runs half of one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod((path.stat().st_mode if path.exists() else 0o644) | 0o111)
    fresh.replace(path)
