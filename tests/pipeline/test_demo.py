"""`trajectory demo`: what it prints and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from models.trajectory_file import load
from pipeline.cli import cli


@pytest.mark.parametrize("prior", ["trajectory", "summary"])
def test_the_demo_learns_shows_judges_and_keeps(prior: str, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = CliRunner().invoke(
        cli,
        [
            *("trajectory", "demo", "--steps", "8", "--look-every", "4", "--prior", prior),
            *("--samples", "20", "--out", str(out)),
            *("--threads", str(torch.get_num_threads())),
        ],
    )
    assert done.exit_code == 0, done.output
    for step in (4, 8):
        assert f"step {step}  reconstruction" in done.output
    assert "shared z" in done.output
    assert "random z" in done.output
    rows = [line for line in done.output.splitlines() if line.startswith(("| ODE", "| flow"))]
    assert len(rows) == 14
    for name in ("convergence", "paths", "samples"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    kept = load(out)
    assert kept.flow is not None
    assert kept.flow.length == (1 if prior == "summary" else kept.model.architecture.length)


def test_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    weights = []
    for name in ("a", "b"):
        out = tmp_path / name
        args = [
            "trajectory",
            "demo",
            "--steps",
            "4",
            "--samples",
            "20",
            "--out",
            str(out),
            "--seed",
            "3",
        ]
        done = CliRunner().invoke(cli, [*args, "--threads", str(torch.get_num_threads())])
        assert done.exit_code == 0, done.output
        weights.append((out / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
