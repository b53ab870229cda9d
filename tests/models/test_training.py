"""Training as a user runs it: a subprocess, killed and started again."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

from models.checkpoint import load_checkpoint, pretrained_path
from models.errors import CorpusError, StateError
from models.raccoon import Architecture
from models.training.batches import batches_per_epoch, epoch
from models.training.corpus import held_out, read_corpus, sampling_weights
from models.training.loop import Options, prepare, schedule, train
from models.training.metrics import auroc, calibration_error, fit_temperature, macro_f1, softmax
from tests.support import ROOT

SMALL = Architecture(
    buckets=256, ngram_width=8, width=16, heads=2, inner=16, latent=4,
    sde_hidden=8, flow_hidden=8, head_hidden=8,
)  # fmt: skip
PHRASES = {
    "err": ["cannot open file", "write failed on disk", "connection refused by peer"],
    "warning": ["retry after timeout", "deprecated option used", "queue almost full"],
    "info": ["service started", "configuration loaded", "new client connected"],
    "debug": ["entering function", "state machine tick", "buffer flushed to cache"],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rng = random.Random(0)
    lines = [
        f"{level}\t{rng.choice(phrases)} {rng.choice('abcdefgh')}{rng.randrange(1000)} {i}"
        for i in range(200)
        for level, phrases in PHRASES.items()
    ]
    path = tmp_path / "corpus.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tests.models.cli_train_main", *map(str, arguments)]


def invoke(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stderr
    return done


def weights(out: Path) -> bytes:
    return (out / "raccoon" / "model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    options = Options(epochs=2, batch_size=64, architecture=SMALL)
    train(corpus, tmp_path / "a", options)
    train(corpus, tmp_path / "b", options)
    train(corpus, tmp_path / "c", Options(epochs=2, batch_size=64, seed=1, architecture=SMALL))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_it_learns_what_can_be_learned(corpus: Path, tmp_path: Path) -> None:
    options = Options(epochs=12, batch_size=32, learning_rate=1e-2, architecture=SMALL)
    losses: list[float] = []
    result = train(
        corpus,
        tmp_path / "out",
        options,
        dev=corpus,
        report=lambda i, n, loss: losses.append(loss),
    )
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert result["dev"]["corpus_prior"]["accuracy"] > 0.9
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == result
    card = load_checkpoint(tmp_path / "out" / "raccoon").card
    assert card.corpus_prior[3] == pytest.approx(0.25, abs=0.01)
    assert card.training["rows"] == 800


def test_stopped_and_resumed_equals_never_stopped(corpus: Path, tmp_path: Path) -> None:
    options = Options(epochs=3, batch_size=64, state_every_s=0.0, architecture=SMALL)
    train(corpus, tmp_path / "whole", options)

    class StoppedError(Exception):
        pass

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 17:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(corpus, tmp_path / "halves", options, report=stop)
    said: list[str] = []
    train(corpus, tmp_path / "halves", options, say=said.append)
    assert any("resumed at step 16" in s for s in said)
    assert weights(tmp_path / "whole") == weights(tmp_path / "halves")


def test_a_state_of_other_options_or_a_damaged_one_is_refused(
    corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train(corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL))
    with pytest.raises(StateError, match=r"another epochs; use --no-resume"):
        train(corpus, out, Options(epochs=2, batch_size=64, architecture=SMALL))
    state = out / "training.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(StateError, match=r"training\.safetensors: damaged"):
        train(corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL))
    train(corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL), resume=False)


def test_after_kill_9_it_goes_on(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = command("train", "--corpus", corpus, "--out", out, "--epochs", "4", "--batch-size", "16",
                  "--state-every-s", "0.3", "--dev", corpus)  # fmt: skip
    first = subprocess.Popen(run, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE)
    state = out / "training.safetensors"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        assert first.poll() is None, first.stderr and first.stderr.read()
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    _, piped = first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert b"%|" not in piped  # no progress bar in a pipe
    assert not (out / "raccoon").exists()
    status, screen = on_a_terminal(run)
    assert status == 0, screen
    assert "resumed at step" in screen
    assert "/196" in screen  # the bar
    assert load_checkpoint(out / "raccoon").card.training["steps"] == 4 * 49
    shown = invoke("evaluate", "--corpus", corpus, "--model", out / "raccoon", "--json")
    assert json.loads(shown.stdout)["corpus_prior"]["rows"] == 800


def on_a_terminal(command: list[str]) -> tuple[int, str]:
    """Exit status, and what stderr showed on a terminal."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stderr=theirs, stdout=subprocess.DEVNULL
    )
    os.close(theirs)
    screen = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while piece := os.read(ours, 65536):
            screen += piece
    os.close(ours)
    return process.wait(60), screen.decode("utf-8", "replace")


def test_model_info_and_evaluate_show_the_shipped_model(corpus: Path) -> None:
    shown = invoke("model", "info", "--json")
    facts = json.loads(shown.stdout)
    assert facts["version"].startswith("raccoon-")
    assert facts["parameters"] > 1_000_000
    assert "emission prior" in invoke("model", "info").stdout
    table = invoke("evaluate", "--corpus", corpus, "--dtype", "fp32").stdout
    assert "auroc warning" in table
    assert "(fp32)" in table


def test_what_is_wrong_is_said_in_one_line(corpus: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(pretrained_path(), broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    empty = tmp_path / "empty.tsv"
    empty.write_text("")
    for arguments, error in (
        (("evaluate", "--corpus", corpus, "--model", broken), "model.safetensors: truncated"),
        (("model", "info", tmp_path / "none"), "none/config.json: No such file"),
        (("train", "--corpus", empty, "--out", tmp_path / "o"), "empty.tsv: no usable row"),
        (("train", "--corpus", corpus, "--out", corpus / "o"), "Not a directory"),
    ):
        failed = invoke(*arguments, status=1)
        assert error in failed.stderr
        assert failed.stderr.count("\n") == 1, failed.stderr
    assert invoke("train", "--corpus", tmp_path / "no", "--out", tmp_path, status=2).stdout == ""


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("nothing useful\n", "no usable row"),
        ("", "no usable row"),
        ("PAR1 but not really", "not readable Parquet"),
    ],
)
def test_a_corpus_of_no_use_is_refused_in_one_line(
    tmp_path: Path, content: str, error: str
) -> None:
    path = tmp_path / "bad"
    path.write_text(content)
    with pytest.raises(CorpusError, match=error) as caught:
        read_corpus(path)
    assert "\n" not in str(caught.value)


def test_text_and_parquet_give_the_same_rows_and_count_the_bad(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = tmp_path / "c.tsv"
    text.write_text("3\tdisk failed\nwarn\tslow\n9\tno such level\n6\t \ninfo\tup\n")
    samples = ["disk failed", "slow", "no such level", " ", "up", "x"]
    table = pa.table({"severity": [3, 4, 9, 6, 6, None], "sample": samples})
    pq.write_table(table, tmp_path / "c.parquet")
    one, other = read_corpus(text), read_corpus(tmp_path / "c.parquet")
    assert one.texts == other.texts == ["disk failed", "slow", "up"]
    assert one.severity.tolist() == other.severity.tolist() == [3, 4, 6]
    assert (one.bad, other.bad) == (2, 3)


def test_templates_and_programs_of_parquet_are_used(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {
        "severity": 3,
        "sample": "read 5 of /x: EIO",
        "template": "read %d of %s: %m",
        "program": "smbd",
        "package": "samba",
    }
    table = pa.Table.from_pylist([row])
    pq.write_table(table, tmp_path / "c.parquet")
    rows = read_corpus(tmp_path / "c.parquet")
    assert rows.templates == ["read 1 of : "]
    assert (rows.apps, rows.origins) == (["smbd"], ["samba"])


def test_held_out_rows_are_whole_packages_and_no_giant() -> None:
    origins = ["giant"] * 900 + [f"p{i % 50}" for i in range(1000)]
    out = held_out(origins, 0.05)
    assert 0.03 < out.mean() < 0.08
    chosen = {o for o, x in zip(origins, out, strict=True) if x}
    assert chosen.isdisjoint({o for o, x in zip(origins, out, strict=True) if not x})
    assert "giant" not in chosen


def test_rare_levels_and_small_packages_are_drawn_more_often() -> None:
    severity = np.array([7] * 90 + [0] * 10)
    weight = sampling_weights(severity, ["a"] * 100)
    assert weight.sum() == pytest.approx(1)
    assert weight[severity == 0].sum() == pytest.approx(0.25)


def test_batches_follow_from_the_seed_and_hold_every_draw(corpus: Path) -> None:
    data = prepare(read_corpus(corpus), 256).data
    first, again = list(epoch(data, 0, 1, 64)), list(epoch(data, 0, 1, 64))
    other = list(epoch(data, 0, 2, 64))
    assert len(first) == batches_per_epoch(data, 64)
    assert sum(len(b.target) for b in first) == len(data.severity)
    assert all((a.words == b.words).all() for a, b in zip(first, again, strict=True))
    assert any(len(a.words) != len(b.words) for a, b in zip(first, other, strict=True))
    for batch in first:
        assert sum(length * n for length, n in batch.groups) == len(batch.words)


def test_schedule_rises_then_falls_to_nothing() -> None:
    rates = [schedule(i, 1000) for i in range(1000)]
    assert max(rates) == 1.0
    assert np.argmax(rates) == 49
    assert rates[-1] < 1e-4
    assert (np.diff(rates[50:]) < 0).all()


def test_metrics_against_their_definitions() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8])
    assert auroc(score, np.array([False, True, False, True])) == 0.875
    assert np.isnan(auroc(score, np.array([True] * 4)))
    truth = np.array([0, 0, 1, 1])
    assert macro_f1(truth, truth) == 1
    assert macro_f1(np.array([0, 0, 0, 0]), truth) == pytest.approx(1 / 3)
    assert calibration_error(np.array([0.9] * 10), np.array([True] * 9 + [False])) < 1e-9
    assert calibration_error(np.array([0.9] * 10), np.array([False] * 10)) == pytest.approx(0.9)


def test_temperature_finds_back_what_was_done_to_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 8))
    severity = (softmax(logits).cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert fit_temperature(2.0 * logits, np.zeros(8), severity) == pytest.approx(2.0, rel=0.1)
