"""How well probabilities of a severity fit the severity that was meant: what each figure is."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

COARSE = np.array([0, 0, 0, 0, 1, 2, 2, 3])
"""Severity → error or worse, warning, notice or info, debug."""

TROUBLE = 4
"""Warning or worse is trouble."""


class Metrics(TypedDict):
    rows: int
    accuracy: float
    macro_f1: float
    within_one: float
    coarse_accuracy: float
    coarse_macro_f1: float
    auroc_warning: float
    log_loss: float
    calibration_error: float


class ClassFigures(TypedDict):
    """Of one severity; precision is NaN where it was never guessed."""

    rows: int
    precision: float
    recall: float
    f1: float


class Bin(TypedDict):
    """Predictions of about the same confidence."""

    rows: int
    confidence: float
    accuracy: float


def metrics(log_likelihood: Floats, log_prior: Floats, severity: Ints) -> Metrics:
    """All figures for scores (N, 8) seen with a prior, (8,) or (N, 8), against severities (N,)."""
    probability = softmax(log_likelihood + log_prior)
    guess = probability.argmax(1)
    coarse = np.stack([probability[:, c == COARSE].sum(1) for c in range(4)], axis=1)
    coarse_guess, coarse_truth = coarse.argmax(1), COARSE[severity]
    picked = probability[np.arange(len(severity)), severity]
    return Metrics(
        rows=len(severity),
        accuracy=float((guess == severity).mean()),
        macro_f1=macro_f1(guess, severity),
        within_one=float((np.abs(guess - severity) <= 1).mean()),
        coarse_accuracy=float((coarse_guess == coarse_truth).mean()),
        coarse_macro_f1=macro_f1(coarse_guess, coarse_truth),
        auroc_warning=auroc(probability[:, : TROUBLE + 1].sum(1), severity <= TROUBLE),
        log_loss=float(-np.log(np.maximum(picked, 1e-12)).mean()),
        calibration_error=calibration_error(probability.max(1), guess == severity),
    )


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    result: Floats = shifted / shifted.sum(-1, keepdims=True)
    return result


def confusion(guess: Ints, truth: Ints, classes: int = 8) -> Ints:
    """(classes, classes) how often each truth (row) was taken for each guess (column)."""
    counts = np.bincount(truth * classes + guess, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def per_class(confused: Ints) -> dict[int, ClassFigures]:
    """The figures of each class that occurs in the truth, from `confusion`."""
    hits, guessed, meant = confused.diagonal(), confused.sum(0), confused.sum(1)
    return {
        c: ClassFigures(
            rows=int(meant[c]),
            precision=float(hits[c] / guessed[c]) if guessed[c] else float("nan"),
            recall=float(hits[c] / meant[c]),
            f1=float(2 * hits[c] / (guessed[c] + meant[c])),
        )
        for c in np.flatnonzero(meant).tolist()
    }


def macro_f1(guess: Ints, truth: Ints) -> float:
    """Mean F1 over the classes that occur in the truth; NaN of none."""
    figures = per_class(confusion(guess, truth)).values()
    return float(np.mean([f["f1"] for f in figures])) if figures else float("nan")


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


def reliability(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15) -> list[Bin]:
    """Mean confidence and accuracy in each bin of equal width that is not empty."""
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return [
        Bin(
            rows=int((place == b).sum()),
            confidence=float(confidence[place == b].mean()),
            accuracy=float(right[place == b].mean()),
        )
        for b in np.unique(place)
    ]


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over rows, by bins of
    equal width (Guo et al. 2017).
    """
    gaps = [
        abs(b["confidence"] - b["accuracy"]) * b["rows"]
        for b in reliability(confidence, right, bins)
    ]
    return float(sum(gaps) / len(confidence))


CALIBRATED = 0.05


class Fit(NamedTuple):
    temperature: float
    prior_strength: float


def fit_calibration(log_likelihood: Floats, log_prior: Floats, severity: Ints) -> Fit:
    """The power of the prior, and if need be the divisor of the logits, with the least log-loss.

    Log-loss hardly tells a weaker prior from flatter logits, but flat logits leave the decision to
    the prior. So the power is fitted first, among 15 between 0.3 and 1; the divisor only where
    the expected calibration error is above `CALIBRATED` still, among 31 between ½ and 4, with it.
    """
    picked = np.arange(len(severity)), severity

    def probability(fit: Fit) -> Floats:
        return softmax(log_likelihood / fit.temperature + fit.prior_strength * log_prior)

    def loss(fit: Fit) -> float:
        return float(-np.log(np.maximum(probability(fit)[picked], 1e-12)).mean())

    strengths, temperatures = np.linspace(0.3, 1.0, 15).tolist(), np.geomspace(0.5, 4.0, 31)
    best = min((Fit(1.0, strength) for strength in strengths), key=loss)
    found = probability(best)
    if calibration_error(found.max(1), found.argmax(1) == severity) > CALIBRATED:
        best = min((Fit(t, s) for t in temperatures.tolist() for s in strengths), key=loss)
    return best
