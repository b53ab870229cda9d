"""`ltt-stream evaluate` as a user runs it, and what its priors may know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from models.training.evaluate import System
from pipeline.evaluate_logs import LABELS, mean_of_logs, remembered, tracked_prior
from pipeline.evaluate_report import table
from pipeline.labelled_lines import LabelledLines
from tests.support import ROOT

PHRASES = {3: "cannot write to disk", 4: "queue almost full", 6: "session opened", 7: "tick"}
FIGURES = {
    "rows", "accuracy", "macro_f1", "within_one", "coarse_accuracy", "coarse_macro_f1",
    "auroc_warning", "log_loss", "calibration_error",
}  # fmt: skip


def run(
    *arguments: str | Path, status: int = 0, without: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command, perhaps where a library is not installed."""
    start = f"import sys; sys.modules.update(dict.fromkeys({without.split()!r})); "
    start += "from tests.models.cli_train_main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "evaluate", *map(str, arguments)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training corpus and another with a package column, and a log of each kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("files")
    for name, count, phrase in (("train", 40, "{} {}"), ("dev", 10, "{} {} now")):
        rows = [
            {"sample": phrase.format(text, i), "severity": severity, "package": f"p{i % 2}"}
            for i in range(count)
            for severity, text in PHRASES.items()
        ]
        rows.append({"sample": "tick 1", "severity": 7, "package": "p0"})
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    lines = [(s, t, i) for i in range(75) for s, t in PHRASES.items()]
    word = {3: "ERROR", 4: "WARN", 6: "INFO", 7: "DEBUG"}
    (folder / "App.structured.csv").write_text(
        "Content,Level,Component\n" + "".join(f"{t} {i},{word[s]},c{s}\n" for s, t, i in lines)
    )
    (folder / "raw.log").write_text(
        "".join(f"<{8 + s}>Nov  1 10:00:00 h app[1]: {t} {i}\n" for s, t, i in lines[:60])
    )
    return folder


@pytest.fixture(scope="module")
def everything(files: Path) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    done = run(
        "--corpus", files / "dev.parquet", "--train", files / "train.parquet",
        "--logs", files / "App.structured.csv", "--logs", files / "raw.log",
        "--plots", files / "plots", "--json",
    )  # fmt: skip
    return json.loads(done.stdout), done


Everything = tuple[dict[str, Any], subprocess.CompletedProcess[str]]


def test_the_corpus_by_system_prior_class_source_and_template(everything: Everything) -> None:
    corpus = everything[0]["corpus"]
    assert (corpus["rows"], corpus["bad_rows"]) == (41, 0)
    systems = corpus["systems"]
    assert list(systems) == ["model", "majority", "lookup", "ngrams", "ngrams, calibrated"]
    for name, system in systems.items():
        priors = {"corpus", "emission"} | (
            set() if name in ("majority", "lookup") else {"uniform"}
        )
        assert set(system["priors"]) == priors
        assert all(set(figures) == FIGURES for figures in system["priors"].values())
        assert list(system["per_class"]) == ["err", "warning", "info", "debug"]
        assert sum(f["rows"] for f in system["per_class"].values()) == 41
        assert {s: f["rows"] for s, f in system["per_source"].items()} == {"p0": 21, "p1": 20}
        assert {s: f["rows"] for s, f in system["by_template"].items()} == {
            "seen": 1,
            "unseen": 40,
        }
    assert systems["lookup"]["by_template"]["seen"]["accuracy"] == 1
    assert systems["ngrams"]["priors"]["corpus"]["accuracy"] > 0.9
    assert np.sum(corpus["confusion"]) == sum(b["rows"] for b in corpus["reliability"]) == 41


def test_logs_cold_and_with_labels_heard(everything: Everything) -> None:
    logs = everything[0]["logs"]
    assert list(logs) == ["App", "raw"]
    app, raw = logs["App"], logs["raw"]
    model = app["systems"]["model"]["priors"]
    assert set(model) == {"corpus", "uniform", "emission", "labelled", "remembered"}
    assert (model["emission"]["rows"], model["labelled"]["rows"]) == (300, 100)
    assert model["labelled"]["accuracy"] > 0.9  # the component tells
    assert (model["remembered"]["rows"], model["remembered"]["accuracy"]) == (100, 1)
    assert "labelled" not in raw["systems"]["model"]["priors"]  # 60 lines: no label was enough
    half = app["second_half"]
    assert list(half) == ["model", "model_tracked", "majority", "lookup"]
    assert half["lookup"]["seen"]["rows"] == half["lookup"]["all"]["rows"] == 150
    assert half["lookup"]["seen"]["accuracy"] == 1
    mean = everything[0]["logs_mean"]["model"]["priors"]["emission"]["accuracy"]
    ours = [log["systems"]["model"]["priors"]["emission"]["accuracy"] for log in (app, raw)]
    assert mean == pytest.approx(np.mean(ours))


def test_pictures_are_pictures(everything: Everything, files: Path) -> None:
    names = sorted(path.name for path in (files / "plots").iterdir())
    assert names == sorted(
        f"{of}-{kind}.png"
        for of in ("corpus", "log-App", "log-raw")
        for kind in ("confusion", "reliability")
    )
    for name in names:
        pixels = matplotlib.image.imread(files / "plots" / name)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05  # something is drawn


def test_tables_for_people(files: Path) -> None:
    shown = run("--corpus", files / "dev.parquet", "--logs", files / "raw.log").stdout
    assert "## Corpus: 41 rows" in shown
    assert "## raw: 60 lines" in shown
    assert "| emission |" in shown
    assert "| majority" in shown.partition("## raw")[2]  # of the log's first half
    assert "ngrams" not in shown  # no --train
    tables = [line for line in shown.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_a_corpus_that_does_not_say_its_packages_has_no_sources(tmp_path: Path) -> None:
    text = tmp_path / "c.tsv"
    text.write_text("3\tcannot write\n6\tup\n")
    result = json.loads(run("--corpus", text, "--json").stdout)
    assert result["corpus"]["systems"]["model"]["per_source"] == {}
    assert result["model"].startswith("raccoon-")


def test_without_the_extra_it_says_what_is_missing(files: Path) -> None:
    train, log = ("--train", files / "train.parquet"), ("--logs", files / "raw.log")
    done = run(*train, *log, "--json", without="sklearn")
    assert "n-grams are left out: pip install 'ltt-stream[evaluate]'" in done.stderr
    assert "ngrams" not in json.loads(done.stdout)["logs"]["raw"]["systems"]
    refused = run(*log, "--plots", files / "none", without="matplotlib", status=2)
    assert "--plots: needs matplotlib: pip install 'ltt-stream[evaluate]'" in refused.stderr
    assert not (files / "none").exists()


def test_what_is_wrong_is_said_in_one_line(files: Path, tmp_path: Path) -> None:
    assert "name --corpus or --logs" in run(status=2).stderr
    (tmp_path / "raw.log").write_text("no PRI\n")
    failed = run("--logs", tmp_path / "raw.log", status=1).stderr
    assert "raw.log: no line says its severity" in failed
    assert failed.count("\n") == 1, failed
    again = run("--logs", files / "raw.log", "--logs", files / "raw.log", status=2)
    assert "two logs of one name" in again.stderr
    occupied = tmp_path / "file"
    occupied.write_text("")
    unwritable = run("--logs", files / "raw.log", "--plots", occupied / "in", status=1).stderr
    assert "Not a directory" in unwritable


def labelled(severity: list[int], apps: list[str]) -> LabelledLines:
    n = len(severity)
    return LabelledLines("x", ["text"] * n, apps, [-1] * n, severity, 0)


def test_the_tracked_prior_knows_the_programs_and_no_label_after_the_first() -> None:
    emission = np.full(8, 1 / 8)
    apps, severity = ["a", "b"] * 250, [3, 6] * 250
    nothing = System(np.zeros((500, 8)), {})
    prior = tracked_prior(nothing, labelled(severity, apps), LABELS, emission)
    assert prior.sum(1) == pytest.approx(1)
    assert prior[0, 3] > 0.7 < prior[1, 6]
    other = severity[:LABELS] + [0] * 300
    again = tracked_prior(nothing, labelled(other, apps), LABELS, emission)
    assert (prior == again).all()
    cold = tracked_prior(nothing, labelled(severity, apps), 0, emission)
    assert cold == pytest.approx(1 / 8)


def test_what_is_remembered_is_of_templates_that_were_heard_and_of_the_first_labels() -> None:
    words = ["lamp", "tree", "node", "path", "user", "link", "disk", "port", "fan", "door"]
    heard, after = [f"heard {words[i % 10]}" for i in range(LABELS)], ["unheard", "heard tree"]
    severity = [3 + i % 10 % 2 for i in range(LABELS)] + [7, 7]
    log = LabelledLines("x", heard + after, ["a"] * 202, [-1] * 202, severity, 0)
    likelihood = np.zeros((202, 8))
    likelihood[:, 6] = 2  # the model takes all for info
    model, prior = System(likelihood, {}), np.full((202, 8), 1 / 8)
    found = np.exp(remembered(model, log, LABELS, prior))
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert found[:LABELS].argmax(axis=1).tolist() == severity[:LABELS]
    assert found[LABELS] == pytest.approx(np.exp(likelihood[0]) / np.exp(likelihood[0]).sum())
    assert found[LABELS + 1].argmax() == 4, "its own label was no part of the first"


def test_means_leave_out_what_a_log_cannot_have() -> None:
    logs = {
        name: {"systems": {"model": {"priors": {"emission": {"rows": 9, "auroc_warning": x}}}}}
        for name, x in (("a", 0.5), ("b", 1.0), ("c", float("nan")))
    }
    assert mean_of_logs(logs) == {"model": {"priors": {"emission": {"auroc_warning": 0.75}}}}


def test_a_table_is_aligned_and_nan_is_a_dash() -> None:
    assert table(("of", "F1"), [("x", 0.25), ("long", float("nan"))]).splitlines() == [
        "| of   | F1    |",
        "|------|-------|",
        "| x    | 0.250 |",
        "| long | –     |",
    ]
