"""The units, judged by systemd's own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline.config import Config
from tests.support import ROOT, tool

pytestmark = pytest.mark.system
SHIPPED = ROOT / "deploy" / "systemd"
UNITS = ("ltt-stream.service", "ltt-stream.socket", "ltt-stream@.service")


def analyze(*arguments: str | Path) -> tuple[int, str]:
    result = subprocess.run(
        [tool("systemd-analyze"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they are where the program is installed: what ExecStart names is there."""
    program = tmp_path / "bin" / "ltt-stream"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = (SHIPPED / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/opt/ltt-stream/bin/ltt-stream", str(program)))
    return tmp_path


def test_verify_has_nothing_to_say(units: Path) -> None:
    assert analyze("verify", *(units / unit for unit in UNITS)) == (0, "")


def test_verify_is_not_blind(units: Path) -> None:
    unit = units / "ltt-stream.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSecs="))
    assert "WatchDogSecs" in analyze("verify", unit)[1]


@pytest.mark.parametrize(("unit", "limit"), [(UNITS[0], 0.2), (UNITS[2], 1.4)])
def test_the_sandbox_is_as_tight_as_it_was(units: Path, unit: str, limit: float) -> None:
    said = analyze("security", "--offline=true", "--no-pager", units / unit)[1]
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert score is not None, said
    assert float(score[1]) <= limit


@pytest.mark.parametrize("unit", [UNITS[0], UNITS[2]])
def test_what_the_sandbox_must_leave_open(unit: str) -> None:
    lines = (SHIPPED / unit).read_text().splitlines()
    assert "MemoryDenyWriteExecute=no" in lines  # oneDNN's kernels are made at run time
    assert "ProcSubset=all" in lines  # the process_* metrics


@pytest.mark.parametrize("unit", [UNITS[0], UNITS[2]])
def test_the_command_uses_options_that_there_are(unit: str) -> None:
    command = re.search(r"^ExecStart=(.*)$", (SHIPPED / unit).read_text(), re.MULTILINE)
    assert command is not None
    options = re.findall(r"--([a-z-]+)", command[1])
    assert options
    assert {option.replace("-", "_") for option in options} <= set(Config.__struct_fields__)
