"""How well probabilities of a severity fit the severity that was meant."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

COARSE = np.array([0, 0, 0, 0, 1, 2, 2, 3])
"""Severity → error or worse, warning, notice or info, debug."""


class Metrics(TypedDict):
    rows: int
    accuracy: float
    macro_f1: float
    coarse_accuracy: float
    coarse_macro_f1: float
    auroc_warning: float
    log_loss: float
    calibration_error: float


def metrics(log_likelihood: Floats, log_prior: Floats, severity: Ints) -> Metrics:
    """All figures for scores (N, 8) seen with a prior (8,), against severities (N,)."""
    probability = softmax(log_likelihood + log_prior)
    guess = probability.argmax(1)
    coarse = np.stack([probability[:, c == COARSE].sum(1) for c in range(4)], axis=1)
    coarse_guess, coarse_truth = coarse.argmax(1), COARSE[severity]
    picked = probability[np.arange(len(severity)), severity]
    return Metrics(
        rows=len(severity),
        accuracy=float((guess == severity).mean()),
        macro_f1=macro_f1(guess, severity),
        coarse_accuracy=float((coarse_guess == coarse_truth).mean()),
        coarse_macro_f1=macro_f1(coarse_guess, coarse_truth),
        auroc_warning=auroc(probability[:, :5].sum(1), severity <= 4),
        log_loss=float(-np.log(np.maximum(picked, 1e-12)).mean()),
        calibration_error=calibration_error(probability.max(1), guess == severity),
    )


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    result: Floats = shifted / shifted.sum(-1, keepdims=True)
    return result


def macro_f1(guess: Ints, truth: Ints) -> float:
    """Mean F1 over the classes that occur in the truth."""
    scores = []
    for c in np.unique(truth):
        hit = ((guess == c) & (truth == c)).sum()
        scores.append(2 * hit / ((guess == c).sum() + (truth == c).sum()))
    return float(np.mean(scores))


def auroc(score: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counted half; NaN without both."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]  # mean rank of ties
    above = rank[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over bins of equal width."""
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(float(confidence[place == b].mean()) - float(right[place == b].mean()))
        * float((place == b).mean())
        for b in np.unique(place)
    ]
    return float(sum(gaps))


def fit_temperature(log_likelihood: Floats, log_prior: Floats, severity: Ints) -> float:
    """The divisor of the logits with the least log-loss, among 61 between ½ and 4."""
    picked = np.arange(len(severity)), severity

    def loss(temperature: float) -> float:
        probability = softmax(log_likelihood / temperature + log_prior)
        return float(-np.log(np.maximum(probability[picked], 1e-12)).mean())

    return float(min(np.geomspace(0.5, 4.0, 61).tolist(), key=loss))
