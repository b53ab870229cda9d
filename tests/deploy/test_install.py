"""install.sh and uninstall.sh, run for real below a DESTDIR."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ROOT, tool

pytestmark = pytest.mark.slow
DEPLOY = ROOT / "deploy"
INSTALLED = (
    "etc/systemd/system/ltt-stream.service",
    "etc/systemd/system/ltt-stream.socket",
    "etc/systemd/system/ltt-stream@.service",
    "etc/sysctl.d/60-ltt-stream.conf",
)
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a script of deploy/ below tmp_path; pip then takes the one wheel, not torch."""

    def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", DEPLOY / name, *arguments],
            env={**os.environ, "DESTDIR": str(tmp_path), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_install_again_and_uninstall(script: Script, wheel: Path, tmp_path: Path) -> None:
    mine = tmp_path / "var/lib/ltt-stream/out/a.arrow"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"data")
    settings = tmp_path / "etc/default/ltt-stream"
    settings.parent.mkdir(parents=True)
    settings.write_text("OPTIONS=--anomalies-only\n")
    before = files(tmp_path)

    for _ in ("install", "upgrade"):
        result = script("install.sh", "--python", sys.executable, wheel)
        assert result.returncode == 0, result.stderr
        assert set(INSTALLED) <= files(tmp_path)
        program = tmp_path / "opt/ltt-stream/bin/ltt-stream"
        # The dependencies were left out: lend it those of this interpreter.
        libraries = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
        version = subprocess.check_output([program, "--version"], env=libraries, timeout=60)
        assert version.startswith(b"ltt-stream")

    result = script("uninstall.sh")
    assert result.returncode == 0, result.stderr
    assert files(tmp_path) == before

    result = script("uninstall.sh", "--purge")
    assert result.returncode == 0, result.stderr
    assert files(tmp_path) == set()


def test_another_prefix_is_the_one_that_the_units_start(
    script: Script, wheel: Path, tmp_path: Path
) -> None:
    prefix = ("--prefix", "/srv/log-reader")
    result = script("install.sh", *prefix, "--python", sys.executable, wheel)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "srv/log-reader/bin/ltt-stream").exists()
    unit = (tmp_path / INSTALLED[0]).read_text()
    assert "\nExecStart=/srv/log-reader/bin/ltt-stream run " in unit
    assert "/opt/" not in unit
    assert script("uninstall.sh", *prefix).returncode == 0
    assert files(tmp_path) == set()


@pytest.mark.parametrize("name", ["install.sh", "uninstall.sh"])
def test_a_folder_of_somebody_else_is_not_touched(
    script: Script, name: str, tmp_path: Path
) -> None:
    theirs = tmp_path / "opt/ltt-stream/notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    result = script(name)
    assert result.returncode == 1
    assert str(theirs.parent) in result.stderr
    assert files(tmp_path) == {"opt/ltt-stream/notes.txt"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prefix", "relative"], "absolute path"),
        (["--prefix", "/opt/a b"], "letters"),
        (["--prefix"], "needs a value"),
        (["--python", "no-such-python"], "--python"),
        (["/no/such.whl"], "/no/such.whl: no such wheel"),
        (["--frobnicate"], "Usage"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    script: Script, arguments: list[str], words: str, tmp_path: Path
) -> None:
    result = script("install.sh", *arguments)
    assert result.returncode != 0
    assert words in result.stderr
    assert files(tmp_path) == set()


@pytest.mark.system
def test_shellcheck_finds_nothing() -> None:
    subprocess.run([tool("shellcheck"), *DEPLOY.glob("*.sh")], check=True, timeout=60)
