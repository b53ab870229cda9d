"""Each figure against its definition and against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from models.training.metrics import (
    COARSE,
    auroc,
    calibration_error,
    confusion,
    fit_calibration,
    macro_f1,
    metrics,
    per_class,
    reliability,
    softmax,
)

LEVELS = np.arange(8)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60))
def test_auroc_is_scikit_learns_with_ties(rows: list[tuple[int, bool]]) -> None:
    score = np.array([s for s, _ in rows], float)
    positive = np.array([p for _, p in rows])
    if positive.all() or not positive.any():
        assert np.isnan(auroc(score, positive))
    else:
        assert auroc(score, positive) == pytest.approx(roc_auc_score(positive, score))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=60))
def test_f1_of_each_class_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    guess, truth = np.array(rows).T
    confused = confusion(guess, truth)
    assert (confused == confusion_matrix(truth, guess, labels=LEVELS)).all()
    expected = precision_recall_fscore_support(
        truth, guess, labels=np.unique(truth), zero_division=np.nan
    )
    ours = per_class(confused)
    assert list(ours) == np.unique(truth).tolist()
    for (level, figures), precision, recall, f1, support in zip(
        ours.items(), *expected, strict=True
    ):
        assert figures["rows"] == support == (truth == level).sum()
        assert figures["precision"] == pytest.approx(precision, nan_ok=True)
        assert figures["recall"] == pytest.approx(recall)
        assert figures["f1"] == pytest.approx(f1)
    assert macro_f1(guess, truth) == pytest.approx(np.mean(expected[2]))


def test_calibration_error_by_hand() -> None:
    # 0.90, 0.92 fall into one bin of 15, accuracy ½; 0.50 in another, right.
    confidence, right = np.array([0.90, 0.92, 0.50]), np.array([True, False, True])
    assert calibration_error(confidence, right) == pytest.approx(
        (2 * abs(0.91 - 0.5) + 1 * abs(0.5 - 1)) / 3
    )
    bins = reliability(confidence, right)
    assert [b["rows"] for b in bins] == [1, 2]
    assert bins[1]["confidence"] == pytest.approx(0.91)
    assert bins[1]["accuracy"] == 0.5
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, False])) == 0.5


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_all_figures_of_a_prior_are_those_of_the_probabilities_it_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, prior = rng.normal(size=(200, 8)), rng.dirichlet(np.ones(8))
    severity = rng.integers(0, 8, 200)
    found = metrics(logits, np.log(prior), severity)
    probability = np.exp(logits) * prior
    probability /= probability.sum(1, keepdims=True)
    assert probability == pytest.approx(softmax(logits + np.log(prior)))
    guess = probability.argmax(1)
    coarse = np.stack([probability[:, c == COARSE].sum(1) for c in range(4)], 1).argmax(1)
    assert found["rows"] == 200
    assert found["accuracy"] == np.mean(guess == severity)
    assert found["within_one"] == np.mean(abs(guess - severity) < 2)
    assert found["coarse_accuracy"] == np.mean(coarse == COARSE[severity])
    assert found["coarse_macro_f1"] == macro_f1(coarse, COARSE[severity])
    assert found["log_loss"] == pytest.approx(log_loss(severity, probability, labels=LEVELS))
    assert found["auroc_warning"] == pytest.approx(
        roc_auc_score(severity <= 4, probability[:, :5].sum(1))
    )


def test_a_prior_for_each_line_is_taken_line_by_line() -> None:
    severity = np.array([3, 6, 3, 6])
    prior = np.full((4, 8), 0.01)
    prior[np.arange(4), severity] = 0.93
    found = metrics(np.zeros((4, 8)), np.log(prior), severity)
    assert found["accuracy"] == found["auroc_warning"] == found["macro_f1"] == 1


def test_figures_of_a_few_rows_by_hand() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8])
    assert auroc(score, np.array([False, True, False, True])) == 0.875
    assert np.isnan(auroc(score, np.array([True] * 4)))
    truth = np.array([0, 0, 1, 1])
    assert macro_f1(truth, truth) == 1
    assert macro_f1(np.array([0, 0, 0, 0]), truth) == pytest.approx(1 / 3)
    assert calibration_error(np.array([0.9] * 10), np.array([True] * 9 + [False])) < 1e-9
    assert calibration_error(np.array([0.9] * 10), np.array([False] * 10)) == pytest.approx(0.9)


def test_calibration_finds_back_what_was_done_to_logits_and_prior() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 8))
    log_prior = np.log(softmax(2 * rng.normal(size=8)))
    posterior = softmax(logits + 0.5 * log_prior)
    severity = (posterior.cumsum(1) > rng.random((20000, 1))).argmax(1)
    fit = fit_calibration(2.0 * logits, log_prior, severity)
    assert fit.temperature == pytest.approx(2.0, rel=0.1)
    assert fit.prior_strength == pytest.approx(0.5, abs=0.08)
