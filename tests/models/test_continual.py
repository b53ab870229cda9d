"""The laws of learning from a stream: what moves, what stands still, and what comes back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from models.continual import Examples, Learning
from models.inference import Engine

Floats = npt.NDArray[np.float32]

EMERG, ALERT, ERR, INFO, DEBUG = 0, 1, 3, 6, 7
EVEN = np.full(8, -np.log(8), np.float32)
RATE = 3e-3
PHRASES = {
    ERR: ("write failed on disk <num>", "connection refused by <ip>", "no space left"),
    INFO: ("session opened for user root", "listening on <ip> port <num>", "service started"),
    DEBUG: ("entering loop", "buffer flushed to cache of <num> pages", "tick"),
}
TEXTS = [text for texts in PHRASES.values() for text in texts]
LABELS = [severity for severity, texts in PHRASES.items() for _ in texts]


def examples(
    texts: list[str],
    severity: list[int],
    log_prior: Floats = EVEN,
    apps: list[str] | None = None,
) -> Examples:
    """Without a program's name nothing about a step is random."""
    n = len(texts)
    return Examples(
        apps or [""] * n,
        texts,
        [-1] * n,
        np.array(severity, np.int64),
        np.broadcast_to(log_prior, (n, 8)),
    )


def lines() -> Examples:
    return examples(TEXTS, LABELS)


def ones(n: int) -> Floats:
    return np.ones(n, np.float32)


def loss(learning: Learning, of: Examples) -> Floats:
    """(N,) cross-entropy, nats."""
    joint = learning.log_likelihood(of) + of.log_prior
    total: Floats = np.logaddexp.reduce(joint, axis=1)
    return total - joint[np.arange(len(joint)), of.severity]


def parameters(learning: Learning) -> dict[str, torch.Tensor]:
    model = learning.checkpoint.model
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.fixture
def learning(small_checkpoint: Checkpoint) -> Learning:
    return Learning(small_checkpoint, rate=RATE)


def test_what_it_sees_surprises_it_less_with_every_step(learning: Learning) -> None:
    before = loss(learning, lines()).mean()
    for _ in range(10):
        learning.update(lines())
        after = loss(learning, lines()).mean()
        assert after < before
        before = after


def test_words_the_vectors_of_code_and_the_noise_stand_still(learning: Learning) -> None:
    before = parameters(learning)
    then = learning.log_likelihood(lines())
    for _ in range(5):
        learning.update(lines(), lines(), weights=ones(9), stored=then)
    stood = before.keys() - moved(before, parameters(learning))
    assert stood == {
        name
        for name in before
        if name == "encoder.ngrams" or name.startswith(("search.", "sde.g_", "to_log_variance."))
    }


def test_an_update_says_what_it_saw_in_its_order_and_before_its_step(learning: Learning) -> None:
    new, old = lines(), examples(TEXTS[::-1], [INFO] * 9)
    expected = loss(learning, new), learning.log_likelihood(new), loss(learning, old)
    seen = learning.update(new, old, weights=ones(9), stored=np.zeros((9, 8), np.float32))
    for found, known in zip(seen, expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-5)
    assert abs(loss(learning, new) - expected[0]).max() > 1e-3, "the step makes a difference"


def test_what_is_common_where_it_comes_from_is_divided_out(learning: Learning) -> None:
    """A text that is info as often as all lines there are says nothing of a severity."""
    many = examples(["the text"] * 10, [ERR] + [INFO] * 9)
    shares = np.full(8, 1e-3, np.float32)
    shares[ERR], shares[INFO] = 0.1, 0.9
    for prior, expected in ((EVEN, np.log(9)), (np.log(shares / shares.sum()), 0.0)):
        for _ in range(80):
            learning.update(many._replace(log_prior=np.broadcast_to(prior, (10, 8))))
        found = learning.log_likelihood(many)[0]
        assert found[INFO] - found[ERR] == pytest.approx(expected, abs=0.3)
        learning.roll_back()


# ---- the way back


def test_rolled_back_is_bit_for_bit_what_was_kept(learning: Learning) -> None:
    start = parameters(learning)
    learning.update(lines())
    learning.roll_back()
    assert not moved(start, parameters(learning))
    learning.update(lines())
    learning.keep()
    kept = parameters(learning)
    for _ in range(3):
        learning.update(lines())
    learning.roll_back()
    assert not moved(kept, parameters(learning))
    assert moved(start, kept)


def test_rolled_back_it_learns_as_if_nothing_had_been(learning: Learning) -> None:
    learning.update(lines())
    once = parameters(learning)
    nonsense = examples(TEXTS, LABELS[::-1])
    for _ in range(3):
        learning.update(nonsense)
    learning.roll_back()
    learning.update(lines())
    assert not moved(once, parameters(learning)), "no momentum is left"


def test_the_kept_model_is_asked_without_losing_the_candidate(learning: Learning) -> None:
    start = learning.log_likelihood(lines())
    learning.update(lines())
    candidate, taught = learning.log_likelihood(lines()), parameters(learning)
    np.testing.assert_array_equal(learning.kept_log_likelihood(lines()), start)
    assert not moved(taught, parameters(learning))
    np.testing.assert_array_equal(learning.log_likelihood(lines()), candidate)
    learning.keep()
    np.testing.assert_array_equal(learning.kept_log_likelihood(lines()), candidate)


# ---- replay


def test_replayed_templates_are_not_forgotten(
    small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """All that is new is debug and spelt alike; with replay the old labels hold."""
    save_checkpoint(tmp_path / "raccoon", small_checkpoint)
    words = [word for text in TEXTS for word in text.split() if "<" not in word]
    new = examples([f"{a} {b}" for a, b in pairwise(words)][:18], [DEBUG] * 18)

    def old_loss(*, replaying: bool) -> float:
        learning = Learning(load_checkpoint(tmp_path / "raccoon"), rate=RATE)
        for _ in range(40):
            learning.update(lines())
        assert loss(learning, lines()).mean() < 0.5
        stored = learning.log_likelihood(lines())
        for _ in range(40):
            if replaying:
                learning.update(new, lines(), weights=ones(9), stored=stored)
            else:
                learning.update(new)
        assert loss(learning, new).mean() < 0.5, "the new is learnt"
        return float(loss(learning, lines()).mean())

    assert old_loss(replaying=True) < 0.5
    assert old_loss(replaying=False) > 1.0


def test_stored_logits_draw_what_is_replayed_to_where_it_was(learning: Learning) -> None:
    """What the labels leave open, here which of two others is likelier, the logits keep."""
    start = learning.log_likelihood(lines())
    turns = np.arange(9) % 2
    leaning = []
    for likelier in (turns, 1 - turns):
        stored = start.copy()
        stored[np.arange(9), np.where(likelier, EMERG, ALERT)] += 6
        for _ in range(20):
            learning.update(lines(), lines(), weights=ones(9), stored=stored)
        found = learning.log_likelihood(lines())
        leaning.append(found[:, EMERG] - found[:, ALERT])
        learning.roll_back()
    assert ((leaning[0] - leaning[1]) * (2 * turns - 1) > 0.2).all()


def test_what_is_replayed_without_weight_teaches_nothing(learning: Learning) -> None:
    weights = ones(9)
    weights[0] = 0
    stored = learning.log_likelihood(lines())
    after = []
    for label in (ERR, DEBUG):
        replayed = examples(TEXTS, [label, *LABELS[1:]])
        learning.update(lines(), replayed, weights=weights, stored=stored)
        after.append(parameters(learning))
        learning.roll_back()
    assert not moved(*after)


# ---- as it is stored


def test_a_snapshot_scores_the_same_from_the_disk(learning: Learning, tmp_path: Path) -> None:
    for _ in range(5):
        learning.update(lines())
    snapshot = learning.snapshot()
    candidate = learning.log_likelihood(lines())
    save_checkpoint(tmp_path / "raccoon", snapshot)
    for _ in range(5):
        learning.update(lines())  # nothing of this is in the copy
    given = Engine(snapshot, dtype="fp32").encode([""] * 9, TEXTS)
    read = Engine.load(tmp_path / "raccoon", dtype="fp32").encode([""] * 9, TEXTS)
    for one, other in zip(given, read, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(read.log_likelihood, candidate, atol=0.02)
    # The next learner goes on from the disk: rounded once, it is not rounded again.
    again = Learning(load_checkpoint(tmp_path / "raccoon")).snapshot()
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, snapshot.model.state_dict()[name]), name


def test_a_program_it_knows_tells_it_something_and_is_often_hidden(learning: Learning) -> None:
    """Training drops names, so that it can do without; asking never does."""
    named = examples(TEXTS, LABELS, apps=["sshd"] * 9)
    unknown = examples(TEXTS, LABELS, apps=["nobody-has-heard-of"] * 9)
    bare = learning.log_likelihood(lines())
    np.testing.assert_array_equal(learning.log_likelihood(unknown), bare)
    asked = learning.log_likelihood(named)
    np.testing.assert_array_equal(learning.log_likelihood(named), asked)
    assert (abs(asked - bare).max(axis=1) > 1e-4).all()
    trained = learning.update(named).new_log_likelihood
    hidden = np.isclose(trained, bare, atol=1e-5).all(axis=1)
    shown = np.isclose(trained, asked, atol=1e-5).all(axis=1)
    assert (hidden ^ shown).all()
    assert hidden.any()
    assert shown.any()


def test_nothing_to_say_of_nothing(learning: Learning) -> None:
    assert learning.log_likelihood(examples([], [])).shape == (0, 8)
