"""What a model has to beat: the commonest severity, a table of templates, and n-grams.

Each learns from texts and severities, and gives log-likelihoods (N, 8) with the prior of its
corpus divided out, as the model does: the same priors can be put to all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from models.errors import CorpusError
from models.raccoon import CLASSES
from models.text import canonical

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NEVER = 1e-9
"""Stands for the share of a severity that a corpus has not."""


class Baseline(Protocol):
    """Learnt from a corpus."""

    def log_likelihood(self, texts: Sequence[str]) -> Floats:
        """(N, 8) log p(text | severity) up to a constant of each text."""


def shares(severity: Ints) -> Floats:
    """(8,) how common the severities are."""
    counts = np.bincount(severity, minlength=CLASSES)
    return np.asarray(np.maximum(counts / counts.sum(), _NEVER), np.float64)


class Majority:
    """Knows how common the severities are, and nothing of the text."""

    def log_likelihood(self, texts: Sequence[str]) -> Floats:
        return np.zeros((len(texts), CLASSES))


class Lookup:
    """Severities counted for each canonical text; one never seen says nothing."""

    def __init__(self, texts: Sequence[str], severity: Ints) -> None:
        self._prior = shares(severity)
        self._counts: dict[str, Floats] = {}
        for text, level in zip(texts, severity.tolist(), strict=True):
            row = self._counts.setdefault(canonical(text), np.zeros(CLASSES))
            row[level] += 1

    def seen(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(N,) whose canonical text was in the corpus."""
        return np.fromiter((canonical(t) in self._counts for t in texts), np.bool_, len(texts))

    def log_likelihood(self, texts: Sequence[str]) -> Floats:
        nothing = np.zeros(CLASSES)
        counts = np.stack([self._counts.get(canonical(text), nothing) for text in texts])
        # The prior counts as one line more.
        return np.asarray(np.log((counts + self._prior) / self._prior), np.float64)


class NGrams:
    """Logistic regression on hashed word 1- and 2-grams and character 3- to 5-grams.

    Needs scikit-learn: raises ImportError without it. Raises CorpusError for a corpus of one
    severity. Some minutes and 4 GB for 360,000 lines.
    """

    def __init__(self, texts: Sequence[str], severity: Ints) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        if len(np.unique(severity)) < 2:
            raise CorpusError("n-grams: a corpus of one severity teaches nothing")
        self._log_prior = np.log(shares(severity))
        features = _features(texts)
        # A hash that no text of the corpus has would get no weight: it need not be stored.
        self._used = np.flatnonzero(features.getnnz(0))
        self._model = LogisticRegression(C=4.0, max_iter=60, tol=1e-3)
        with warnings.catch_warnings():
            # Sixty steps are as good on texts never seen as hundreds are.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(features[:, self._used], severity)

    def log_likelihood(self, texts: Sequence[str]) -> Floats:
        known = self._model.predict_log_proba(_features(texts)[:, self._used])
        posterior = np.full((len(texts), CLASSES), np.log(_NEVER))
        posterior[:, self._model.classes_] = known
        posterior[:, self._model.classes_] -= self._log_prior[self._model.classes_]
        return posterior


def _features(texts: Sequence[str]) -> csr_matrix:
    """(N, 2²¹) of canonical texts, each half of unit length."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    clean = [canonical(text) for text in texts]
    halves = (
        HashingVectorizer(ngram_range=(1, 2), alternate_sign=False, dtype=np.float32),
        HashingVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), alternate_sign=False, dtype=np.float32
        ),
    )
    return hstack([half.transform(clean) for half in halves], format="csr")
