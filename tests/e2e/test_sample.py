"""What `make run` shows: every oddity of the sample flagged, and hardly anything else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline.sample import sample_log
from pipeline.sample.check import check
from tests.e2e.program import LTT_STREAM


def test_the_oddities_of_the_sample_are_flagged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = subprocess.run([LTT_STREAM, "sample"], check=True, capture_output=True).stdout
    assert sample == sample_log()
    shown = subprocess.run(
        [LTT_STREAM, "run", "--out", tmp_path / "out", "--anomalies-only"],
        input=sample,
        check=True,
        capture_output=True,
    ).stdout
    missed = check(tmp_path / "out")
    summary = capsys.readouterr().out.splitlines()
    lines = sample.count(b"\n")
    assert missed == [], "\n".join(summary)
    assert len(shown.splitlines()) < lines / 50, "a list that long is not read"
