"""Streams that drift, what is measured on them, and rivals that could be beaten by a bug."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from benchmarks.bench_continual import main
from benchmarks.continual_measures import Run, by_phase, figures, follow, running, transfer
from benchmarks.continual_rivals import (
    INFO,
    Frozen,
    Ints,
    Lookup,
    Majority,
    Rival,
    River,
    Sgd,
)
from benchmarks.drifting_streams import (
    FAILURE,
    MACHINES,
    NAMES,
    PLANS,
    Exam,
    Line,
    Phase,
    Stream,
    key,
    load,
)
from models.checkpoint import Card, Checkpoint
from models.inference import Engine
from models.raccoon import Architecture, Raccoon

VERBS = ("open", "read", "write", "close", "map", "send")
NOUNS = ("socket", "file", "table", "queue", "device", "lease", "zone", "peer")
LEVELS = {3: "ERROR", 4: "WARN", 6: "INFO", 7: "DEBUG"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every statement of every package at four severities, with a failure and without."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "logs").mkdir()
    columns: dict[str, list[object]] = {name: [] for name in ("sample", "severity", "package")}
    packages = {name for plan in PLANS.values() for host in plan.hosts for name in host.packages}
    for package in sorted(packages):
        for verb, noun, severity in product(VERBS, NOUNS, LEVELS):
            text = f"failed to {verb}" if len(verb + noun) % 2 else f"{verb}ing"
            columns["sample"].append(f"{text} {noun} 4711 at {LEVELS[severity]} in {package}")
            columns["severity"].append(severity)
            columns["package"].append(package)
    table = pa.table({**columns, "program": columns["package"]})
    pq.write_table(table, folder / "severity_dev.parquet")
    for log in [log for logs in MACHINES.values() for log in logs]:
        with (folder / "logs" / f"loghub_{log}.structured.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("Level", "Component", "Content"))
            for i, (verb, noun) in enumerate(2 * list(product(VERBS, NOUNS))):
                rows.writerow((LEVELS[[3, 4, 6, 7][i % 4]], log, f"{verb} {noun} {i}"))
    return folder


@pytest.fixture(scope="module")
def streams(data: Path) -> dict[str, Stream]:
    return {name: load(data, name, scale=1 if name == "machines" else 0.1) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_line_is_unseen_when_its_template_never_came(
    streams: dict[str, Stream], name: str
) -> None:
    stream = streams[name]
    first = {key(line): i for i, line in reversed(list(enumerate(stream.lines)))}
    assert np.flatnonzero(stream.unseen).tolist() == sorted(first.values())
    assert 0 < stream.unseen.mean() < 0.6


@pytest.mark.parametrize("name", NAMES)
def test_exams_ask_what_came_and_what_never_comes(streams: dict[str, Stream], name: str) -> None:
    stream = streams[name]
    came = {key(line) for line in stream.lines}
    first = {phase.domain: phase.end for phase in reversed(stream.phases)}
    for domain, exam in enumerate(stream.exams):
        before = {key(line) for line in stream.lines[: first[domain]]}
        assert exam.known
        assert {key(line) for line in exam.known} <= before
        assert exam.new
        assert not {key(line) for line in exam.new} & came


def test_a_seed_gives_one_stream(data: Path, streams: dict[str, Stream]) -> None:
    again = load(data, "gradual", scale=0.1)
    assert again.lines == streams["gradual"].lines
    assert again.exams == streams["gradual"].exams
    assert load(data, "gradual", scale=0.1, seed=1).lines != again.lines


def test_templates_repeat_and_their_lines_do_not(streams: dict[str, Stream]) -> None:
    templates = Counter(key(line) for line in streams["sudden"].lines)
    often, times = templates.most_common(1)[0]
    assert times > 10
    assert len({line for line in streams["sudden"].lines if key(line) == often}) > times / 2


def test_a_sudden_drift_has_one_host_a_phase_and_a_gradual_one_mixes_at_the_ends(
    streams: dict[str, Stream],
) -> None:
    for name, mixed in (("sudden", False), ("gradual", True)):
        stream = streams[name]
        length = stream.phases[0].end
        sources = [line.source for line in stream.lines]
        assert len(set(sources[: length // 2])) == 1
        assert len(set(sources[-length // 2 :])) == 1
        came_back = set(sources[: length // 2]) == set(sources[-length // 2 :])
        assert came_back == (stream.phases[0].domain == stream.phases[-1].domain)
        around = sources[length - length // 8 : length + length // 8]
        changes = sum(a != b for a, b in pairwise(around))
        assert (changes > 5) if mixed else (changes == 1)


@pytest.mark.parametrize("name", ["class shift", "outbreak"])
def test_errors_get_common_where_that_is_the_drift(streams: dict[str, Stream], name: str) -> None:
    stream = streams[name]
    middle = stream.phases[0].end
    severe = np.array([line.severity <= 3 for line in stream.lines])
    assert severe[:middle].mean() < 0.1
    assert severe[middle:].mean() > 0.5
    programs = [{x.app for x in stream.lines if x.phase == phase} for phase in range(2)]
    assert bool(programs[0] & programs[1]) == (name == "outbreak")


def test_in_the_conflict_failures_change_their_meaning(streams: dict[str, Stream]) -> None:
    stream = streams["conflict"]
    said = [
        {x.severity for x in stream.lines if x.phase == phase and FAILURE.search(x.message)}
        for phase in range(3)
    ]
    assert said == [{3}, {6, 7}, {4}]


def line(message: str, severity: int, app: str = "app", phase: int = 0) -> Line:
    return Line(app, message, severity, "host", phase)


class Recorder:
    """Says what it was last taught, and keeps what it was asked and taught."""

    name = "recorder"
    updates = 0

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Line]]] = []
        self._last = 0

    def predict(self, lines: Sequence[Line]) -> Ints:
        self.calls.append(("predict", list(lines)))
        return np.full(len(lines), self._last)

    def learn(self, lines: Sequence[Line]) -> None:
        self.calls.append(("learn", list(lines)))
        self._last = lines[-1].severity


def two_phases() -> Stream:
    lines = [line(f"first {'x' * i}", 3) for i in range(5)]
    lines += [line(f"second {'x' * i}", 6, phase=1) for i in range(3)]
    unseen = np.array([1, 0, 0, 0, 0, 1, 0, 0], np.bool_)
    exams = (Exam([line("first", 3)], [line("other", 3)]), Exam([line("second", 6)], []))
    return Stream("two", ("a", "b"), (Phase(0, 5), Phase(1, 8)), lines, unseen, exams)


def test_every_line_is_predicted_unlabelled_and_then_learnt_once() -> None:
    stream, rival = two_phases(), Recorder()
    run = follow(stream, rival, batch=4)
    taught = [lines for call, lines in rival.calls if call == "learn"]
    assert [len(lines) for lines in taught] == [4, 1, 3]  # no batch of two phases
    assert [x for lines in taught for x in lines] == stream.lines
    for (asking, asked), (call, lines) in pairwise(rival.calls):
        if call == "learn":
            assert asking == "predict"
            assert asked == [x._replace(severity=-1) for x in lines]
    assert run.guess.tolist() == [0, 0, 0, 0, 3, 3, 3, 3]
    assert run.known.tolist() == [[1, 0], [0, 1]]
    assert run.new[:, 0].tolist() == [1, 0]
    assert np.isnan(run.new[:, 1]).all()


def test_figures_of_a_run() -> None:
    stream = two_phases()
    guess = np.array([3, 3, 6, 3, 3, 3, 6, 6])
    run = Run("x", guess, np.eye(2), np.array([[1, 0], [0.5, 1]]), 7, 0.5)
    row = figures(stream, run)
    assert row.accuracy == 6 / 8
    assert row.unseen_accuracy == 1 / 2
    assert row.macro_f1 == pytest.approx((2 * 4 / (5 + 5) + 2 * 2 / (3 + 3)) / 2)
    assert (row.bwt_known, row.bwt_new, row.bwt) == (-1, -0.5, -0.75)
    assert by_phase(stream, run) == [(4 / 5, 1), (2 / 3, 0)]
    assert running(guess == 3, 2).tolist() == [1, 1, 0.5, 0.5, 1, 1, 0.5, 0]


def test_transfer_as_the_papers_have_it() -> None:
    matrix = np.array([[0.9, 0.1, 0.2], [0.7, 0.8, 0.3], [0.6, 0.85, 0.7]])
    found = transfer(matrix, [Phase(0, 1), Phase(1, 2), Phase(2, 3)])
    assert found.acc == pytest.approx((0.6 + 0.85 + 0.7) / 3)
    assert found.bwt == pytest.approx(((0.6 - 0.9) + (0.85 - 0.8)) / 2)
    assert found.forgetting == pytest.approx((0.3 + 0 + 0) / 3)
    back = np.vstack([matrix, [0.95, 0.8, 0.7]])
    again = transfer(back, [Phase(0, 1), Phase(1, 2), Phase(2, 3), Phase(0, 4)])
    assert again.bwt == pytest.approx(((0.95 - 0.9) + (0.8 - 0.8) + (0.7 - 0.7)) / 3)


LEARNERS: list[Callable[[], Rival]] = [Majority, Lookup, lambda: Sgd(0)]
if find_spec("river") is not None:
    LEARNERS.append(River)


def lessons() -> list[Line]:
    lines = [line(f"cannot {verb} {noun} {i}", 3) for i, (verb, noun) in enumerate(
        product(VERBS, NOUNS[:-1]))]  # fmt: skip
    others = [line(f"{verb} {noun} {i} done", 6, "other") for i, (verb, noun) in enumerate(
        product(VERBS, NOUNS[:-1]))]  # fmt: skip
    return [both for pair in zip(lines, others, strict=True) for both in pair]


@pytest.mark.parametrize("make", LEARNERS)
def test_asking_teaches_nothing(make: Callable[[], Rival]) -> None:
    asked, alone = make(), make()
    exam = [line(f"never heard {noun} before", -1, noun) for noun in NOUNS]
    before = asked.predict(exam)
    assert (before == INFO).all()
    for begin in range(0, 32, 8):
        asked.learn(lessons()[begin : begin + 8])
        asked.predict(exam)
        alone.learn(lessons()[begin : begin + 8])
    some = exam + lessons()
    assert asked.predict(some).tolist() == alone.predict(some).tolist()
    assert asked.updates == alone.updates


@pytest.mark.parametrize("make", LEARNERS)
def test_what_was_taught_is_said(make: Callable[[], Rival]) -> None:
    rival = make()
    for _ in range(3):
        for begin in range(0, len(lessons()), 8):
            rival.learn(lessons()[begin : begin + 8])
    new = [line("cannot poll peer 5", -1), line("poll peer 6 done", -1, "other")]
    assert rival.predict([*lessons(), *new]).tolist() == [3, 6] * (len(lessons()) // 2 + 1)


def test_a_new_template_goes_with_its_app_and_a_new_app_with_the_stream() -> None:
    lookup = Lookup()
    lookup.learn([line("disk is full", 2), line("all is well now", 5), line("so it is", 5)])
    lookup.learn([line("tick", 7, "clock")] * 4)
    asked = [line("disk is full", -1), line("x y z", -1), line("x y z", -1, "nobody")]
    assert lookup.predict(asked).tolist() == [2, 5, 7]


def test_frozen_is_the_model_with_the_emission_prior() -> None:
    architecture = Architecture(buckets=4096, ngram_width=32, linear_buckets=64, weight_buckets=64)
    card = Card(corpus_prior=[0.125] * 8, apps=[], emission_prior=[0.3] + [0.1] * 7)
    engine = Engine(Checkpoint(Raccoon(architecture), card, np.ones(1, np.float32)), dtype="fp32")
    frozen, lines = Frozen(engine), lessons()
    texts = [key(x)[1] for x in lines]
    found = engine.encode([x.app for x in lines], texts).log_likelihood
    expected = (found + engine.prior_strength * np.log(engine.emission_prior)).argmax(1)
    assert frozen.predict(lines).tolist() == expected.tolist()
    frozen.learn(lines)
    assert frozen.predict(lines).tolist() == expected.tolist()


def test_the_bench_on_a_folder(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data), "--quick", "--streams", "conflict", "--plots", str(tmp_path)]
    options += ["--rivals", "lookup", "--rivals", "majority"]
    done = CliRunner().invoke(main, [*options, "--json"])
    assert done.exit_code == 0, done.output
    lookup, majority = json.loads(done.stdout)
    assert (lookup["rival"], majority["rival"]) == ("lookup", "majority")
    assert lookup["lines"] == majority["lines"] == 1800
    assert np.shape(lookup["r_known"]) == (3, 3)
    shown = CliRunner().invoke(main, options).stdout
    assert f"| conflict | lookup | {lookup['accuracy']:.3f} |" in shown
    if find_spec("matplotlib") is not None:
        assert (tmp_path / "conflict.png").read_bytes().startswith(b"\x89PNG")


def test_data_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for name, file in (("machines", "loghub_Hadoop.structured.csv"), ("sudden", "severity_dev")):
        done = CliRunner().invoke(main, ["--data", str(tmp_path), "--streams", name])
        assert done.exit_code == 1
        assert file in done.stderr
        assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_docs_are_not_of_a_part(data: Path) -> None:
    done = CliRunner().invoke(main, ["--data", str(data), "--quick", "--write-docs"])
    assert done.exit_code == 2
    assert "--write-docs wants all" in done.stderr
