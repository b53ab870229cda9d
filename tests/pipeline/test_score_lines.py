"""`score --paths`: the uncertainty of a line is about the prediction that was made of it."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from models.text import canonical
from pipeline.process import Processor
from pipeline.score_lines import SOURCE, log_prior, score_lines
from pipeline.scorer import Scorer, softmax


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def score(lines: bytes, *, paths: int) -> list[dict[str, Any]]:
    out = io.BytesIO()
    score_lines(
        io.BytesIO(lines), out, model_dir=None, dtype="fp32", threads=1, paths=paths, zone="UTC"
    )
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_prior_is_found_back() -> None:
    rng = np.random.default_rng(0)
    likelihood, prior = rng.dirichlet(np.full(8, 0.3), (2, 50)).astype(np.float32).clip(1e-9)
    probability = likelihood * prior
    probability /= probability.sum(1, keepdims=True)
    found = log_prior(probability, likelihood)
    np.testing.assert_allclose(found, np.log(prior / prior.sum(1, keepdims=True)), atol=1e-3)
    impossible = np.zeros((1, 8), np.float32)
    impossible[0, 3] = 1
    assert np.isfinite(log_prior(impossible, impossible)).all()


def test_the_prior_of_a_line_is_its_programs(scorer: Scorer) -> None:
    """After 200 lines that one program labels info, and 200 that another labels err.

    The template's own labels count beside the program's, and point the same way.
    """
    mine = Scorer(scorer.engine)
    processor = Processor(mine)
    apps, messages = [b"good", b"bad"] * 200, [b"transfer has ended"] * 400
    processor.assess([(SOURCE, 400)], apps, messages, np.array([30, 27] * 200, np.int16))
    codes = np.array([mine.novelty.code(app) for app in ("good", "bad")], np.int32)
    prior = mine.priors.of_source(SOURCE).of_apps(codes) ** scorer.engine.prior_strength
    found = processor.assess([(SOURCE, 2)], apps[:2], messages[:2], np.full(2, -1, np.int16))
    logs = log_prior(found.predicted.probability, mine.table.likelihood[found.at])
    known = np.log(prior / prior.sum(1, keepdims=True))
    assert logs[0, 6] > known[0, 6]
    assert logs[1, 3] > known[1, 3]
    assert logs[0, 6] > logs[1, 6] + 1
    assert logs[1, 3] > logs[0, 3] + 1


def test_uncertainty_is_of_the_lines_own_facility_and_prior(scorer: Scorer) -> None:
    line = b"<%d>Oct 11 22:14:15 h app: connection to server lost, will try again\n"
    engine, text = scorer.engine, canonical("connection to server lost, will try again")

    def expected(row: dict[str, Any], facility: int) -> float:
        likelihood = softmax(engine.encode(["app"], [text], [facility]).log_likelihood)
        logs = log_prior(np.array([row["probabilities"]], np.float32), likelihood)
        spread = engine.uncertainty(["app"], [text], [facility], log_prior=logs, paths=512)
        return float(spread.probability_std[0, row["predicted_severity"]])

    for facility in (0, 3, 10):
        (cold,) = score(line % (8 * facility + 6), paths=512)
        assert cold["prior"] == "emission"
        assert cold["uncertainty"] == pytest.approx(expected(cold, facility), rel=1e-3)
    *_, warm = score(line % 30 * 200, paths=512)
    assert warm["prior"] == "labelled"
    assert warm["uncertainty"] == pytest.approx(expected(warm, 3), rel=0.2)  # other draws
    assert 0 < warm["uncertainty"] < 1
