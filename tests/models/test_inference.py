"""The engine as the pipeline uses it, most of it with the checkpoint that ships."""

import re

import numpy as np
import pytest

from models.checkpoint import Checkpoint, pretrained_path
from models.inference import Engine, Scores, Uncertainty
from models.text import canonical
from models.training.metrics import softmax
from tests.models.lines import LINES
from tests.support import shared


@pytest.fixture(scope="module")
def fp32() -> Engine:
    return Engine.load(pretrained_path(), dtype="fp32")


@pytest.fixture(scope="module")
def real_lines() -> list[str]:
    """1,000 canonical lines of real logs, no two alike."""
    header = re.compile(r"[A-Z][a-z]{2} +\d+ [\d:]+ \S+ ([\w./()-]+)(?:\[\d+\])?: ")
    seen: dict[str, None] = {}
    for file in sorted(shared("data/logs").glob("*.log")):
        lines = file.read_text("utf-8", "replace").splitlines()
        texts = dict.fromkeys(canonical(header.sub("", line)) for line in lines)
        seen |= dict.fromkeys(list(texts)[:500])
    assert len(seen) >= 1000
    return list(seen)[:1000]


def close(a: Scores, b: Scores, tolerance: float) -> None:
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance, rtol=tolerance)


def test_shapes_and_types(fp32: Engine) -> None:
    scores = fp32.encode([""] * len(LINES), LINES)
    assert scores.latent.shape == (len(LINES), fp32.latent_dim)
    assert scores.log_likelihood.shape == (len(LINES), 8)
    assert scores.surprise.shape == (len(LINES),)
    assert {x.dtype for x in scores} == {np.dtype(np.float32)}
    assert all(np.isfinite(x).all() for x in scores)
    empty = fp32.encode([], [])
    assert empty.latent.shape == (0, fp32.latent_dim)
    assert (np.diff(fp32.reference_surprise) >= 0).all()
    assert 0 < len(fp32.reference_surprise) <= 4096


def test_company_changes_nothing(fp32: Engine, real_lines: list[str]) -> None:
    lines = real_lines[:300]
    apps = ["sshd", "", "kernel"] * 100
    together = fp32.encode(apps, lines)
    alone = [fp32.encode([a], [t]) for a, t in zip(apps[:40], lines[:40], strict=True)]
    for i, one in enumerate(alone):
        close(Scores(*(x[i : i + 1] for x in together)), one, 1e-3)
    backwards = fp32.encode(apps[::-1], lines[::-1])
    close(Scores(*(x[::-1] for x in together)), backwards, 1e-3)
    close(together, Engine.load(pretrained_path(), dtype="fp32").encode(apps, lines), 1e-3)


def test_equal_lines_of_a_call_are_equal(fp32: Engine, real_lines: list[str]) -> None:
    scores = fp32.encode([""] * 1200, real_lines[:600] * 2)
    close(Scores(*(x[:600] for x in scores)), Scores(*(x[600:] for x in scores)), 1e-3)


def test_bf16_and_fp32_agree_on_real_lines(fp32: Engine, real_lines: list[str]) -> None:
    bf16 = Engine.load(pretrained_path(), dtype="bf16")
    apps = [""] * len(real_lines)
    log_prior = np.log(fp32.emission_prior)
    one = softmax(fp32.encode(apps, real_lines).log_likelihood + log_prior)
    other = softmax(bf16.encode(apps, real_lines).log_likelihood + log_prior)
    assert bf16.dtype == "bf16"
    assert not np.array_equal(one, other)  # bf16 was really used
    assert (one.argmax(1) == other.argmax(1)).mean() >= 0.99
    assert (np.abs(one - other).max(1) <= 0.02).mean() >= 0.99


def test_more_words_than_are_kept(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.lexicon.CAPACITY", 64)
    monkeypatch.setattr("models.inference._SLICE", 4)
    tight = Engine(small_checkpoint, dtype="fp32")
    letters = "abcdefghij"
    lines = [f"{x}{y}{z} {z}{y} {x}{x}" for x in letters for y in letters for z in letters]
    scores = tight.encode([""] * len(lines), lines)
    monkeypatch.undo()
    roomy = Engine(small_checkpoint, dtype="fp32").encode([""] * len(lines), lines)
    close(scores, roomy, 1e-4)


def test_an_app_that_was_not_taught_is_unknown(small_checkpoint: Checkpoint) -> None:
    engine = Engine(small_checkpoint, dtype="fp32")
    scores = engine.encode(["nosuch", "", "sshd", "sshd(pam_unix)"], ["x y z"] * 4)
    np.testing.assert_array_equal(scores.latent[0], scores.latent[1])
    np.testing.assert_array_equal(scores.latent[2], scores.latent[3])
    assert not np.array_equal(scores.latent[0], scores.latent[2])


def test_a_facility_is_a_word_of_its_own(small_checkpoint: Checkpoint) -> None:
    engine = Engine(small_checkpoint, dtype="fp32")
    apps, texts = [""] * 4, ["disk is full"] * 4
    without = engine.encode(apps, texts)
    close(engine.encode(apps, texts, [-1] * 4), without, 0)
    close(engine.encode(apps, texts, [1, 7, 16, 23]), without, 1e-5)  # never taught
    scores = engine.encode(apps, texts, [-1, 0, 4, 0])
    for found, expected in zip(scores, without, strict=True):
        np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
        np.testing.assert_allclose(found[1], found[3], atol=1e-4)
    for one, other in ((0, 1), (1, 2)):
        assert np.abs(scores.latent[one] - scores.latent[other]).max() > 1e-3
        assert np.abs(scores.log_likelihood[one] - scores.log_likelihood[other]).max() > 1e-3


def test_uncertainty_surrounds_the_score(fp32: Engine) -> None:
    many = fp32.uncertainty([""] * len(LINES), LINES, paths=64, seed=3)
    again = fp32.uncertainty([""] * len(LINES), LINES, paths=64, seed=3)
    np.testing.assert_array_equal(many.probability, again.probability)
    np.testing.assert_allclose(many.probability.sum(1), 1, atol=1e-4)
    assert (many.probability_std.max(1) > 0).all()
    assert (many.surprise_std > 0).all()
    scores = fp32.encode([""] * len(LINES), LINES)
    log_prior = fp32.prior_strength * np.log(fp32.emission_prior)
    quiet = softmax(scores.log_likelihood + log_prior)
    assert np.abs(quiet - many.probability).max() < 0.25


def test_uncertainty_takes_the_prior_of_each_line(small_checkpoint: Checkpoint) -> None:
    engine = Engine(small_checkpoint, dtype="fp32")
    apps, texts = ["sshd", "", "", "cron"], [*LINES[:3], LINES[0]]
    facilities = [4, -1, 0, 9]
    priors = np.random.default_rng(0).dirichlet(np.ones(8), 4).astype(np.float32)

    def draw(prior: np.ndarray | None) -> Uncertainty:
        return engine.uncertainty(apps, texts, facilities, log_prior=prior, paths=8, seed=1)

    together = draw(np.log(priors))
    for i, prior in enumerate(priors):  # the same draws, all lines with the prior of one
        alone = draw(np.log(prior))
        np.testing.assert_allclose(together.probability[i], alone.probability[i], atol=1e-5)
        np.testing.assert_allclose(
            together.probability_std[i], alone.probability_std[i], atol=1e-5
        )
    of_emission = draw(np.log(engine.emission_prior))
    np.testing.assert_allclose(draw(None).probability, of_emission.probability, atol=1e-6)
    sure = np.full((4, 8), -50, np.float32)
    sure[:, 2] = 0
    np.testing.assert_allclose(draw(sure).probability[:, 2], 1, atol=1e-6)
    np.testing.assert_allclose(draw(sure).probability_std, 0, atol=1e-6)


def test_the_shipped_model_knows_trouble_from_routine(fp32: Engine) -> None:
    trouble = [
        "Out of memory: Killed process <num> (postgres)",
        "Failed to start service: Permission denied",
        "I/O error, dev sda, sector <num>",
        "connection refused: cannot reach database",
        "[error] child process crashed",
    ]
    routine = [
        "Started daily cleanup of temporary directories",
        "session opened for user root by (uid=<num>)",
        "Reached target network",
        "Listening on <ip>",
        "[info] configuration loaded",
    ]
    scores = fp32.encode([""] * 10, trouble + routine)
    warning = softmax(scores.log_likelihood)[:, :5].sum(1)
    assert warning[:5].mean() > warning[5:].mean() + 0.3


def test_lists_of_two_lengths_are_refused(fp32: Engine) -> None:
    with pytest.raises(ValueError, match="1 apps, 2 facilities, 2 texts"):
        fp32.encode([""], ["a", "b"])
    with pytest.raises(ValueError, match="2 apps, 1 facilities, 2 texts"):
        fp32.encode(["", ""], ["a", "b"], [3])
