"""The baselines learn what each of them can learn, and nothing more."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import CorpusError
from models.training.baselines import Lookup, Majority, NGrams, shares

TEXTS = [f"cannot open file {i}" for i in range(30)] + [f"client {i} connected" for i in range(90)]
SEVERITY = np.array([3] * 30 + [6] * 90)
LOG_PRIOR = np.log(shares(SEVERITY))


def test_majority_is_its_prior() -> None:
    assert shares(SEVERITY)[[3, 6]] == pytest.approx([0.25, 0.75])
    assert ((Majority().log_likelihood(TEXTS) + LOG_PRIOR).argmax(1) == 6).all()


def test_lookup_knows_templates_by_their_canonical_text() -> None:
    lookup = Lookup(TEXTS, SEVERITY)
    asked = ["cannot open file 999", "client 4711 connected", "out of memory"]
    assert lookup.seen(asked).tolist() == [True, True, False]
    found = lookup.log_likelihood(asked)
    assert (found + LOG_PRIOR).argmax(1).tolist() == [3, 6, 6]
    assert (found[2] == 0).all()  # nothing but the prior for what it has not seen


def test_lookup_says_the_majority_of_a_template_with_two_severities() -> None:
    lookup = Lookup(["disk full"] * 5 + ["up"] * 5, np.array([3, 3, 3, 4, 4] + [6] * 5))
    prior = shares(np.array([3, 3, 3, 4, 4] + [6] * 5))
    assert (lookup.log_likelihood(["disk full"]) + np.log(prior)).argmax(1).tolist() == [3]


def test_ngrams_carry_over_to_texts_never_seen() -> None:
    found = NGrams(TEXTS, SEVERITY).log_likelihood(["cannot open socket", "peer connected"])
    assert found.shape == (2, 8)
    assert found[0, 3] > found[0, 6]
    assert found[1, 6] > found[1, 3]
    # The corpus's prior is divided out: put back, the levels that it had add up to one.
    posterior = np.exp(found + LOG_PRIOR)
    assert posterior[:, [3, 6]].sum(1) == pytest.approx(1)
    assert (posterior[:, [0, 1, 2, 4, 5, 7]] < 1e-6).all()


def test_ngrams_of_one_severity_are_refused_in_one_line() -> None:
    with pytest.raises(CorpusError, match="one severity teaches nothing"):
        NGrams(["a", "b"], np.array([3, 3]))
