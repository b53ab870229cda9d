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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.checkpoint import Checkpoint, load_checkpoint, pretrained_path
from models.errors import CorpusError, StateError
from models.inference import Engine
from models.raccoon import Architecture
from models.searching import SearchEngine
from models.text import canonical
from models.training import loop
from models.training.corpus import read_corpus
from models.training.loop import Options, schedule, train
from models.training.opinions import save_opinions
from tests.support import ROOT

SMALL = Architecture(
    buckets=256, ngram_width=8, linear_buckets=512, weight_buckets=512, width=16, heads=2,
    inner=16, latent=4, sde_hidden=8, flow_hidden=8, head_hidden=8,
)  # fmt: skip
PHRASES = {
    "err": ["cannot open file", "write failed on disk", "connection refused by peer"],
    "warning": ["retry after timeout", "deprecated option used", "queue almost full"],
    "info": ["service started", "configuration loaded", "new client connected"],
    "debug": ["entering function", "state machine tick", "buffer flushed to cache"],
}


MEANS = {
    "opens": "acquire", "closes": "release", "sends": "transmit", "reads": "fetch",
    "deletes": "unlink", "counts": "tally", "sorts": "rank", "checks": "verify",
    "socket": "endpoint", "file": "handle", "message": "packet", "user": "account",
    "password": "secret", "picture": "bitmap", "number": "integer", "list": "vector",
}  # fmt: skip
"""What code calls it: no word of a docstring is spelt like its code's."""


def doc_and_code(rng: random.Random) -> tuple[str, str]:
    chosen = rng.sample(sorted(MEANS), 4)
    names = [MEANS[word] for word in chosen]
    return " ".join(chosen), f"def {names[0]}_{names[1]}({names[2]}): return {names[3]}"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rng = random.Random(1)
    docs, codes = zip(*(doc_and_code(rng) for _ in range(500)), strict=True)
    path = tmp_path / "pairs.parquet"
    packages = [f"package{i % 7}" for i in range(500)]
    pq.write_table(pa.table({"doc": docs, "code": codes, "package": packages}), path)
    return path


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
    assert result["dev"]["corpus"]["accuracy"] > 0.9
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == result
    assert (tmp_path / "out" / "training.png").read_bytes().startswith(b"\x89PNG")
    card = load_checkpoint(tmp_path / "out" / "raccoon").card
    assert card.corpus_prior[3] == pytest.approx(0.25, abs=0.01)
    assert card.training["rows"] == 800


def test_it_learns_what_words_mean(corpus: Path, pairs: Path, tmp_path: Path) -> None:
    """A docstring finds its code among 200 that training has not seen."""
    rng = random.Random(2)
    docs, codes = zip(*(doc_and_code(rng) for _ in range(200)), strict=True)

    def found(out: Path) -> float:
        search = SearchEngine.load(out / "raccoon")
        scores = search.queries(docs) @ search.codes(codes).T
        return float((scores.argmax(1) == np.arange(200)).mean())

    architecture = replace(SMALL, buckets=2048, ngram_width=16)
    options = Options(
        epochs=1, pair_epochs=8, pair_batch_size=64, pair_learning_rate=2e-2,
        architecture=architecture,
    )  # fmt: skip
    result = train(corpus, tmp_path / "with", options, pairs=pairs)
    train(corpus, tmp_path / "without", Options(epochs=1, architecture=architecture))
    assert found(tmp_path / "without") < 0.1
    assert found(tmp_path / "with") > 0.5
    assert result["training"]["pairs"] == 500
    assert result["training"]["steps"] == 8 * (500 // 64) + 2


def test_fewer_pairs_than_a_batch_are_learnt_too(
    corpus: Path, pairs: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(pairs).slice(0, 20), few)
    said: list[str] = []
    options = Options(epochs=1, pair_epochs=3, architecture=SMALL)
    result = train(corpus, tmp_path / "out", options, pairs=few, say=said.append)
    assert result["training"]["steps"] == 3 + 2
    assert any("20 pairs" in line for line in said)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("last", [3, 7, 12, 20, 27])
def test_stopped_and_resumed_equals_never_stopped(
    last: int, corpus: Path, pairs: Path, tmp_path: Path
) -> None:
    """In either epoch of the pairs alone, between them, in either of the severities."""
    options = Options(
        epochs=2, pair_epochs=2, batch_size=64, pair_batch_size=100, state_every_s=0.0,
        architecture=SMALL,
    )  # fmt: skip

    def stop(step: int, steps: int, loss: float) -> None:
        if step == last + 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(corpus, tmp_path / "halves", options, pairs=pairs, report=stop)
    said: list[str] = []
    train(corpus, tmp_path / "halves", options, pairs=pairs, say=said.append)
    assert any(f"resumed at step {last} of " in line for line in said)
    train(corpus, tmp_path / "whole", options, pairs=pairs)
    assert weights(tmp_path / "whole") == weights(tmp_path / "halves")
    assert figures(tmp_path / "whole") == figures(tmp_path / "halves")


def test_checkpointed_blocks_learn_the_same(corpus: Path, tmp_path: Path) -> None:
    """A run may be stopped without and resumed with them."""
    two_blocks = replace(SMALL, blocks=2)
    options = Options(epochs=1, batch_size=64, state_every_s=0.0, architecture=two_blocks)

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 3:
            raise StoppedError

    train(corpus, tmp_path / "without", options)
    with pytest.raises(StoppedError):
        train(corpus, tmp_path / "with", options, report=stop)
    train(corpus, tmp_path / "with", replace(options, checkpoint_blocks=True))
    one, other = (load_checkpoint(tmp_path / out / "raccoon") for out in ("without", "with"))
    for (name, a), b in zip(
        one.model.state_dict().items(), other.model.state_dict().values(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=name)


def figures(out: Path) -> list[dict[str, float]]:
    """One for each epoch."""
    found: list[dict[str, float]] = json.loads((out / "epochs.json").read_text())
    return found


@pytest.mark.parametrize("fails_at", [1, 2])
def test_stopped_before_an_epoch_was_measured(
    fails_at: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last step is saved, its model not yet."""
    options = Options(epochs=2, batch_size=64, state_every_s=0.0, architecture=SMALL)
    measured = loop.calibrated
    calls = iter(range(1, 3))

    def killed(*given: Any) -> Checkpoint:
        if next(calls) == fails_at:
            raise StoppedError
        return measured(*given)

    monkeypatch.setattr(loop, "calibrated", killed)
    with pytest.raises(StoppedError):
        train(corpus, tmp_path / "halves", options)
    monkeypatch.undo()
    train(corpus, tmp_path / "halves", options)
    train(corpus, tmp_path / "whole", options)
    assert weights(tmp_path / "whole") == weights(tmp_path / "halves")
    assert figures(tmp_path / "whole") == figures(tmp_path / "halves")


def test_it_ends_when_it_gets_no_better_and_keeps_the_best(corpus: Path, tmp_path: Path) -> None:
    """On a dev corpus where all is the other way round each epoch is worse than the last."""
    swap = {"err": "debug", "debug": "err", "info": "warning", "warning": "info"}
    dev = tmp_path / "dev.tsv"
    rows = (line.partition("\t") for line in corpus.read_text().splitlines())
    dev.write_text("".join(f"{swap[level]}\t{text}\n" for level, _, text in rows))
    options = Options(epochs=8, patience=2, batch_size=32, architecture=SMALL)
    said: list[str] = []
    result = train(corpus, tmp_path / "out", options, dev=dev, say=said.append)
    rankings = [epoch["auroc_warning"] for epoch in figures(tmp_path / "out")]
    best = rankings.index(max(rankings)) + 1
    assert len(rankings) == best + 2 < 8
    assert result["training"]["epoch"] == best
    assert result["training"]["auroc_warning"] == max(rankings)
    card = load_checkpoint(tmp_path / "out" / "raccoon").card
    assert card.training["steps"] == best * 25
    # a run that has ended stays as it is
    assert train(corpus, tmp_path / "out", options, dev=dev) == result


def test_what_a_run_leaves(corpus: Path, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = Options(
        epochs=2, pair_epochs=1, batch_size=64, pair_batch_size=64, architecture=SMALL
    )
    result = train(corpus, out, options, pairs=pairs)
    assert sorted(path.name for path in out.iterdir()) == [
        "epochs.json", "metrics.json", "raccoon", "training.png",
        "training.safetensors",
    ]  # fmt: skip
    assert json.loads((out / "metrics.json").read_text()) == result
    assert result["epochs"] == figures(out)
    assert [epoch["epoch"] for epoch in result["epochs"]] == [1, 2]
    assert set(result) == {"model", "training", "epochs", "held_out"}
    assert result["model"] == load_checkpoint(out / "raccoon").version
    assert result["training"]["options"]["pair_epochs"] == 1
    assert result["training"]["pairs"] == 500
    of_corpus = result["held_out"]["corpus"]
    assert of_corpus["rows"] == 800 - result["training"]["rows"]
    best = result["epochs"][result["training"]["epoch"] - 1]
    assert of_corpus["log_loss"] == pytest.approx(best["log_loss"], abs=1e-3)


def test_a_teachers_opinion_is_learnt_beside_the_labels(corpus: Path, tmp_path: Path) -> None:
    """It finds that what is labelled debug might be notice as well; nothing else says so."""
    rows = read_corpus(corpus)
    opinions = np.full((len(rows.texts), 8), -9, np.float32)
    opinions[np.arange(len(opinions)), rows.severity] = 0
    opinions[rows.severity == 7, 5] = 0
    save_opinions(tmp_path / "teacher.npz", opinions, rows.texts)
    debug = [canonical(text) for text, level in zip(rows.texts, rows.severity, strict=True)
             if level == 7]  # fmt: skip
    options = Options(epochs=3, batch_size=50, learning_rate=1e-2, architecture=SMALL)
    notice = []
    for teacher in (None, tmp_path / "teacher.npz"):
        out = tmp_path / f"out{len(notice)}"
        train(corpus, out, options, dev=corpus, teacher=teacher)
        engine = Engine.load(out / "raccoon", dtype="fp32")
        found = engine.encode([""] * len(debug), debug).log_likelihood
        notice.append(np.exp(found[:, 5]).mean())
    assert notice[1] > 2 * notice[0]
    assert load_checkpoint(out / "raccoon").card.training["options"]["teacher"]
    with pytest.raises(StateError, match=r"another teacher; use --no-resume"):
        train(corpus, out, options, dev=corpus)


def test_a_teacher_needs_a_corpus_to_choose_by(corpus: Path, tmp_path: Path) -> None:
    rows = read_corpus(corpus)
    opinions, out = tmp_path / "teacher.npz", tmp_path / "out"
    save_opinions(opinions, np.zeros((len(rows.texts), 8), np.float32), rows.texts)
    failed = invoke(
        "train", "--corpus", corpus, "--out", out, "--teacher", opinions, status=1
    ).stderr
    assert failed.endswith("teacher.npz: has seen all rows of the corpus: give --dev as well\n")
    assert not (out / "raccoon").exists()
    save_opinions(opinions, np.zeros((1, 8), np.float32), ["another corpus"])
    with pytest.raises(CorpusError, match=r"teacher\.npz: made of another corpus"):
        train(corpus, out, Options(architecture=SMALL), dev=corpus, teacher=opinions)


def test_one_package_alone_cannot_be_split(tmp_path: Path) -> None:
    path = tmp_path / "alone.parquet"
    table = pa.table({"sample": ["a", "b"] * 50, "severity": [3, 6] * 50, "package": ["p"] * 100})
    pq.write_table(table, path)
    with pytest.raises(CorpusError, match=r"alone\.parquet: no package .* use --dev"):
        train(path, tmp_path / "out", Options(architecture=SMALL))


def test_a_state_of_other_options_or_a_damaged_one_is_refused(
    corpus: Path, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train(corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL))
    with pytest.raises(StateError, match=r"another epochs; use --no-resume"):
        train(corpus, out, Options(epochs=2, batch_size=64, architecture=SMALL))
    with pytest.raises(StateError, match=r"another dev, pairs; use --no-resume"):
        train(
            corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL),
            dev=corpus, pairs=pairs,
        )  # fmt: skip
    state = out / "training.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(StateError, match=r"training\.safetensors: damaged"):
        train(corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL))
    train(corpus, out, Options(epochs=1, batch_size=64, architecture=SMALL), resume=False)


def test_after_kill_9_it_goes_on(corpus: Path, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = command(
        "train", "--corpus", corpus, "--out", out, "--dev", corpus, "--pairs", pairs,
        "--epochs", "2", "--pair-epochs", "1", "--patience", "1", "--batch-size", "16",
    )  # fmt: skip
    often = [*run, "--state-every-s", "0.3"]
    first = subprocess.Popen(often, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE)
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
    assert "/101" in screen  # the bar
    training = load_checkpoint(out / "raccoon").card.training
    assert training["steps"] == 1 + 50 * training["epoch"]
    assert training["pairs"] == 500
    options = {"epochs": 2, "pair_epochs": 1, "patience": 1, "batch_size": 16, "seed": 0}
    assert training["options"].items() >= options.items()
    shown = invoke("evaluate", "--corpus", corpus, "--model", out / "raccoon", "--json")
    assert json.loads(shown.stdout)["corpus"]["rows"] == 800


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
    assert "AUROC" in table
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


def test_schedule_rises_then_falls_to_nothing() -> None:
    rates = [schedule(i, 1000) for i in range(1000)]
    assert max(rates) == 1.0
    assert np.argmax(rates) == 49
    assert rates[-1] < 1e-4
    assert (np.diff(rates[50:]) < 0).all()
