"""What measures start-up, growth and stages: it runs, and its tables hold what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_start, growth_report, profile_stream
from benchmarks.bench_growth import QUICK, fit
from benchmarks.growth_lines import Templates, mixed, new_ones
from benchmarks.stages import STAGES
from models.text import canonical
from parsers.syslog import Parser
from tests.support import ROOT


def run(module: str, *args: str) -> Any:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--quick", "--json", *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_start_is_in_the_table() -> None:
    result = run("bench_start")
    assert all(one["seconds"]["median"] > 0 for one in result["ways"].values())
    table = bench_start.table(result)
    [ready] = [line for line in table.splitlines() if "READY" in line]
    mb = result["ways"]["`ltt-stream run`: says READY"]["rss_mb"]["median"]
    assert mb > 10
    assert f"| {mb:,.0f} ± 0 |" in ready
    assert table.count("| – |") == 4


def test_every_point_is_in_the_tables(tmp_path: Path) -> None:
    result = run("bench_growth", "--scratch", str(tmp_path))
    curves = result["curves"]
    sizes = {name: len(places) for name, places in curves.items()}
    assert sizes == {
        "novelty": len(QUICK.novelty),
        "batch": len(QUICK.batches),
        "templates": len(QUICK.templates),
        "width": len(QUICK.widths),
    }
    for share in QUICK.novelty:
        asked = curves["novelty"][str(share)]["new"]["median"]
        assert asked == pytest.approx(share, abs=0.05)
    for count in QUICK.templates:
        assert curves["templates"][str(count)]["templates"]["median"] == count
    sizes_on_disk = [curves["width"][str(x)]["bytes_per_row"]["median"] for x in QUICK.widths]
    assert sizes_on_disk == sorted(sizes_on_disk)
    assert result["stream"]["lines"] == QUICK.stream
    report = growth_report.report(result)
    assert "\n| 10 | " in report.partition("new template")[2]
    assert report.count("\n**") == 5
    assert f"| {QUICK.stream:,} |" in report
    assert list(tmp_path.iterdir()) == []


def test_the_cost_of_a_line_is_found_again() -> None:
    def one(batch: float, new: float) -> dict[str, dict[str, float]]:
        cost = {"us_per_line": 5 + 800 / batch + 70 * new, "batch": batch, "new": new}
        return {key: {"median": value, "mad": 0.0} for key, value in cost.items()}

    found = fit(
        {
            "novelty": {x: one(15_000, x) for x in (0.0, 0.01, 1.0)},
            "batch": {float(x): one(x, 0.001) for x in (256, 16_384)},
        }
    )
    assert found == pytest.approx({"line_us": 5, "batch_us": 800, "new_us": 70, "error": 0})


def test_new_lines_are_of_new_templates() -> None:
    def texts(lines: list[bytes]) -> set[str]:
        return {canonical(fields(line, 0)[9].decode()) for line in lines}

    fields = Parser().fields
    new, many = new_ones(500), Templates()
    assert len(texts(new)) == 500
    assert len(texts(list(many.first_of_each(500)))) == 500
    assert len(texts(many.drawn(10, 500))) == 10
    lines = mixed([b"known"] * 500, new, 0.1)
    assert len(lines) == 500
    assert 20 < sum(line != b"known" for line in lines) < 100


def test_stages_are_the_whole(tmp_path: Path) -> None:
    args = Namespace(lines=3000, rounds=1, batch_lines=500, logs=None, scratch=str(tmp_path))
    result = profile_stream.measure(args)
    us = {name: figures["median"] for name, figures in result["stages"].items()}
    assert set(us) == {*STAGES, "all"}
    assert min(us.values()) > 0
    assert sum(us[name] for name in STAGES) <= us["all"]
    table = profile_stream.table(result)
    assert all(f"| {name} | {us[name]:.3f} ± 0.000 |" in table for name in STAGES)
