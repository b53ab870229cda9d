"""A model and its baselines, measured on a corpus with every prior treatment.

The result is made for JSON: each system has figures by prior, and by class, by source and for
texts that the baselines' corpus had or had not, those with the corpus prior.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.inference import Engine
from models.raccoon import CLASSES
from models.text import canonical
from models.training.baselines import Lookup, Majority, NGrams, shares
from models.training.corpus import NAMES, Rows
from models.training.metrics import (
    Floats,
    Ints,
    confusion,
    fit_calibration,
    metrics,
    per_class,
    reliability,
    softmax,
)

Say = Callable[[str], None]
EXTRA = "pip install 'ltt-stream[evaluate]'"


@dataclass
class System:
    """What one model says of N texts."""

    log_likelihood: Floats  # (N, 8)
    priors: dict[str, Floats]
    """By name: (8,), or (N, 8) where each line has its own."""
    strength: float = 1.0
    """The power of every prior."""

    def log_prior(self, name: str) -> Floats:
        """What is added to the log-likelihoods."""
        return self.strength * np.log(self.priors[name])

    def take(self, chosen: npt.NDArray[Any]) -> System:
        """The same for some of the texts."""
        priors = {k: p if p.ndim == 1 else p[chosen] for k, p in self.priors.items()}
        return System(self.log_likelihood[chosen], priors, self.strength)


@dataclass
class Baselines:
    """Learnt from one corpus."""

    lookup: Lookup
    ngrams: NGrams | None
    prior: Floats  # (8,)

    @classmethod
    def learn(cls, rows: Rows, say: Say) -> Baselines:
        """Without scikit-learn there are no n-grams, which is said."""
        try:
            say("training n-grams + logistic regression: minutes for a large corpus")
            ngrams = NGrams(rows.texts, rows.severity)
        except ImportError:
            say(f"no scikit-learn, n-grams are left out: {EXTRA}")
            ngrams = None
        return cls(Lookup(rows.texts, rows.severity), ngrams, shares(rows.severity))

    def systems(self, texts: Sequence[str], emission: Floats) -> dict[str, System]:
        """By name, with the priors that the model is measured with."""
        priors = {"corpus": self.prior, "uniform": uniform(), "emission": emission}
        decided = {name: p for name, p in priors.items() if name != "uniform"}
        found = {
            "majority": System(Majority().log_likelihood(texts), decided),
            "lookup": System(self.lookup.log_likelihood(texts), decided),
        }
        if self.ngrams is not None:
            found["ngrams"] = System(self.ngrams.log_likelihood(texts), priors)
        return found


def uniform() -> Floats:
    return np.full(CLASSES, 1 / CLASSES)


def of_engine(
    engine: Engine, apps: Sequence[str], texts: Sequence[str], facilities: Sequence[int] | None
) -> System:
    """What the model says of messages, which are made canonical here."""
    scores = engine.encode(apps, [canonical(text) for text in texts], facilities)
    priors = {
        "corpus": engine.corpus_prior,
        "uniform": uniform(),
        "emission": engine.emission_prior,
    }
    return System(scores.log_likelihood, dict(priors), engine.prior_strength)


def by_prior(system: System, severity: Ints) -> dict[str, Any]:
    """models.training.metrics.Metrics for each prior."""
    return {
        name: metrics(system.log_likelihood, system.log_prior(name), severity)
        for name in system.priors
    }


def calibrated(system: System, severity: Ints) -> System:
    """The same with a temperature and a prior's strength fitted on these very rows."""
    fit = fit_calibration(system.log_likelihood, system.log_prior("corpus"), severity)
    return System(system.log_likelihood / fit.temperature, system.priors, fit.prior_strength)


def by_class(system: System, prior: str, severity: Ints) -> dict[str, Any]:
    """Precision, recall and F1 of each severity that occurs."""
    guess = _probability(system, prior).argmax(1)
    return {NAMES[c]: figures for c, figures in per_class(confusion(guess, severity)).items()}


def by_group(
    system: System, prior: str, severity: Ints, groups: Mapping[str, npt.NDArray[np.bool_]]
) -> dict[str, Any]:
    """models.training.metrics.Metrics of each group of rows that is not empty."""
    return {
        name: by_prior(system.take(chosen), severity[chosen])[prior]
        for name, chosen in groups.items()
        if chosen.any()
    }


def picture(system: System, prior: str, severity: Ints) -> dict[str, Any]:
    """What plots.py draws: the confusion matrix (8, 8) and the bins of confidence."""
    probability = _probability(system, prior)
    guess = probability.argmax(1)
    return {
        "confusion": confusion(guess, severity).tolist(),
        "reliability": reliability(probability.max(1), guess == severity),
    }


def evaluate_corpus(engine: Engine, rows: Rows, baselines: Baselines | None) -> dict[str, Any]:
    """All figures of the model, and of the baselines where there are some."""
    systems = {"model": of_engine(engine, rows.apps, rows.texts, None)}
    groups: dict[str, npt.NDArray[np.bool_]] = {}
    if baselines is not None:
        systems |= baselines.systems(rows.texts, engine.emission_prior)
        if "ngrams" in systems:
            systems["ngrams, calibrated"] = calibrated(systems["ngrams"], rows.severity)
        seen = baselines.lookup.seen(rows.texts)
        groups = {"seen": seen, "unseen": ~seen}
    sources: dict[str, npt.NDArray[np.bool_]] = {}
    if rows.origins != rows.texts:  # else the corpus does not say where a text is from
        origins = np.array(rows.origins)
        sources = {str(name): origins == name for name in np.unique(origins)}
    measured = {
        name: {
            "priors": by_prior(system, rows.severity),
            "per_class": by_class(system, "corpus", rows.severity),
            "per_source": by_group(system, "corpus", rows.severity, sources),
            "by_template": by_group(system, "corpus", rows.severity, groups),
        }
        for name, system in systems.items()
    }
    return {
        "rows": len(rows.texts),
        "bad_rows": rows.bad,
        "systems": measured,
        **picture(systems["model"], "corpus", rows.severity),
    }


def _probability(system: System, prior: str) -> Floats:
    return softmax(system.log_likelihood + system.log_prior(prior))
