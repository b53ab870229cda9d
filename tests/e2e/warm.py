"""`ltt-stream` in a process of its own whose imports are done: forked, it starts in no time.

A command is what it always is, `pipeline.cli.main` with its own descriptors, folder and end.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from select import select

_ROOT = Path(__file__).resolve().parents[2]


def run(
    args: list[str], cwd: Path, kill_after_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, or for so long and then kill it: its code is −9 where that ended it."""
    parent = _parent()
    assert parent.stdin is not None
    assert parent.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "request").write_text(json.dumps([*args]))
        for name in ("out", "err"):
            Path(folder, name).touch()
        # What holds a line is one: paths are in JSON.
        parent.stdin.write(json.dumps([folder, str(cwd)]) + "\n")
        parent.stdin.flush()
        pid = int(parent.stdout.readline())
        if kill_after_s is not None and not select([parent.stdout], [], [], kill_after_s)[0]:
            os.kill(pid, signal.SIGKILL)  # its parent has not waited for it: the number is its own
        code = int(parent.stdout.readline())
        out, err = (
            (Path(folder) / name).read_text("utf-8", "surrogateescape") for name in ("out", "err")
        )
    return subprocess.CompletedProcess(args, code, out, err)


@cache
def _parent() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.warm"], cwd=_ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    atexit.register(process.communicate)
    return process


def _child(folder: Path, cwd: str) -> int:
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(folder / name, os.O_WRONLY)
        os.dup2(file, descriptor)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(cwd)
    sys.argv = ["ltt-stream", *json.loads((folder / "request").read_text())]
    from pipeline.cli import main

    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> None:
    import pipeline.cli
    import pipeline.codesearch.actions
    import pipeline.codesearch.hook
    import pipeline.codesearch.shown
    import pipeline.codesearch.status  # noqa: F401

    for line in sys.stdin:
        folder, cwd = json.loads(line)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                code = _child(Path(folder), cwd)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
