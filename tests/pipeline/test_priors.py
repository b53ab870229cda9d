"""The prior of each source: what it comes to, what it keeps to, and what it never looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import priors
from pipeline.predict import Prediction, posterior, predict
from pipeline.priors import (
    EMISSION,
    ESTIMATED,
    ESTIMATED_LINES,
    FLOOR,
    LABELLED,
    LABELLED_HALF_LIFE,
    LABELLED_LINES,
    MAX_SOURCES,
    MAX_STRETCH,
    MIN_STRETCH,
    PriorTracker,
)
from pipeline.templates import TemplateTable

CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(2, 8)
EMITTED = np.array([0.001, 0.002, 0.015, 0.09, 0.165, 0.145, 0.524, 0.058])
TEMPLATES, APPS = 40, 5


def table(likelihood: npt.NDArray[np.float64] | None = None) -> TemplateTable:
    """Templates of random likelihoods, of APPS programs in turn, as the scorer leaves them."""
    if likelihood is None:
        likelihood = np.random.default_rng(0).dirichlet(np.ones(8), TEMPLATES)
    found = TemplateTable(len(likelihood), 3)
    found.size = len(likelihood)
    found.template_id[:] = np.arange(1, len(likelihood) + 1)
    found.latent[:] = np.random.default_rng(1).normal(size=found.latent.shape)
    found.likelihood[:] = likelihood
    found.app[:] = np.arange(len(likelihood)) % APPS
    emitted = posterior(found.likelihood, EMITTED.astype(np.float32))
    found.keep_prediction(np.arange(len(likelihood)), emitted, stamp=0)
    return found


def batch(
    tracker: PriorTracker,
    templates: TemplateTable,
    rows: Sequence[int],
    declared: Sequence[int] | int,
    source: str = "udp",
) -> Prediction:
    labels = np.full(len(rows), declared, np.int16)
    return predict(templates, tracker, [(source, len(rows))], np.array(rows, np.int32), labels)


def prior_of(tracker: PriorTracker, app: int = 0, source: str = "udp") -> npt.NDArray[np.float64]:
    found = tracker.of_source(source).of_apps(np.array([app], np.int32))[0]
    assert found.sum() == pytest.approx(1, abs=1e-5)
    return np.array(found, np.float64)


def test_of_an_unknown_source_it_is_the_emission_prior() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    np.testing.assert_allclose(prior_of(tracker), EMITTED, rtol=1e-6)
    found = batch(tracker, templates, [3, 1, 3], -1)
    np.testing.assert_allclose(
        found.probability, posterior(templates.likelihood[[3, 1, 3]], EMITTED.astype(np.float32))
    )
    assert found.prior.tolist() == [EMISSION] * 3


def test_labels_are_believed_once_there_are_some() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    assert LABELLED_LINES < MIN_STRETCH
    found = batch(tracker, templates, [0] * (MIN_STRETCH + 1), WARNING)
    assert found.prior.tolist() == [EMISSION] * MIN_STRETCH + [LABELLED]
    assert prior_of(tracker)[WARNING] > 1.5 * EMITTED[WARNING]


def test_many_labels_are_the_prior() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    emits = np.array([0, 0, 0, 0.05, 0.1, 0.25, 0.6, 0])
    declared = np.random.default_rng(1).choice(8, 20_000, p=emits)
    batch(tracker, templates, [0] * len(declared), declared.tolist())
    np.testing.assert_allclose(prior_of(tracker), emits, atol=FLOOR)
    assert prior_of(tracker)[DEBUG] >= FLOOR * EMITTED[DEBUG], "nothing is ruled out"


def test_a_program_that_declared_nothing_goes_by_its_source() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    batch(tracker, templates, [0, 0, 0, 1] * 5000, [INFO, INFO, INFO, WARNING] * 5000)
    info, warning, unheard = (prior_of(tracker, app) for app in range(3))
    assert info[INFO] > 0.95
    assert warning[WARNING] > 0.95
    assert unheard[INFO] == pytest.approx(0.75, abs=0.02)
    assert unheard[WARNING] == pytest.approx(0.25, abs=0.02)


def test_it_follows_what_changes() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    batch(tracker, templates, [0] * 50_000, INFO)
    assert prior_of(tracker)[NOTICE] < 0.01
    batch(tracker, templates, [0] * int(LABELLED_HALF_LIFE), NOTICE)
    assert prior_of(tracker)[NOTICE] > 0.4
    batch(tracker, templates, [0] * 50_000, NOTICE)
    assert prior_of(tracker)[NOTICE] > 0.8


def test_lines_without_a_pri_leave_what_was_declared_alone() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    batch(tracker, templates, [0] * 200, INFO)
    before = prior_of(tracker)
    later = batch(tracker, templates, list(range(TEMPLATES)) * 500, -1)
    np.testing.assert_allclose(prior_of(tracker), before, atol=0.02)
    assert set(later.prior) == {LABELLED}


def test_sources_keep_to_themselves() -> None:
    """Two in one batch, line about, are as each alone."""
    mixed, alone, templates = PriorTracker(EMITTED), PriorTracker(EMITTED), table()
    rows = np.arange(600, dtype=np.int32) % TEMPLATES
    declared = np.where(np.arange(600) % 2, INFO, ERR).astype(np.int16)
    sources = [("quiet" if n % 2 else "loud", 1) for n in range(600)]
    found = predict(templates, mixed, sources, rows, declared)
    for source, lines in (("loud", slice(0, None, 2)), ("quiet", slice(1, None, 2))):
        expected = batch(alone, templates, rows[lines].tolist(), declared[lines].tolist(), source)
        np.testing.assert_allclose(found.probability[lines], expected.probability, rtol=1e-5)
        np.testing.assert_array_equal(found.severity[lines], expected.severity)
        np.testing.assert_array_equal(found.prior[lines], expected.prior)


# ---- without labels


def plain_em(likelihood: npt.NDArray[np.float64], rounds: int) -> npt.NDArray[np.float64]:
    """Saerens et al. 2002, undamped."""
    prior = EMITTED.copy()
    for _ in range(rounds):
        weights = likelihood * prior
        prior = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    return prior


def test_an_estimate_does_not_run_off_where_plain_em_does() -> None:
    """All lines read a little more like debug than like info: to EM there is no info at all."""
    likelihood = np.tile([0.01, 0.01, 0.02, 0.05, 0.1, 0.11, 0.33, 0.37], (TEMPLATES, 1))
    assert plain_em(likelihood, 300)[[ERR, INFO]].max() < 1e-3
    tracker, templates = PriorTracker(EMITTED), table(likelihood)
    for _ in range(100):
        found = batch(tracker, templates, list(range(TEMPLATES)) * 50, -1)
    assert tracker.of_source("udp").kind == ESTIMATED
    assert (prior_of(tracker) >= 0.799 * EMITTED).all()
    assert found.prior.tolist() == [ESTIMATED] * len(found.prior)


def test_an_estimate_goes_to_where_the_lines_are() -> None:
    likelihood = np.full((TEMPLATES, 8), 0.02)
    likelihood[:, WARNING] = 0.86
    tracker, templates = PriorTracker(EMITTED), table(likelihood)
    found = batch(tracker, templates, [0] * (ESTIMATED_LINES - 1), -1)
    assert set(found.prior) == {EMISSION}
    batch(tracker, templates, list(range(TEMPLATES)) * 500, -1)
    assert prior_of(tracker)[WARNING] > 1.5 * EMITTED[WARNING]
    assert prior_of(tracker)[INFO] < 0.9 * EMITTED[INFO]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, TEMPLATES - 1), min_size=1, max_size=30), st.integers(1, 40))
def test_an_estimate_is_bounded_whatever_comes(rows: list[int], times: int) -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    batch(tracker, templates, rows * times * 10, -1)
    assert (prior_of(tracker) >= 0.799 * EMITTED).all()


# ---- line by line

lines = st.lists(
    st.tuples(st.integers(0, TEMPLATES - 1), st.integers(-1, 7)), min_size=1, max_size=400
)


@settings(max_examples=40, deadline=None)
@given(lines, st.integers(1, 90))
def test_batches_make_no_difference(stream: list[tuple[int, int]], size: int) -> None:
    rows, declared = [row for row, _ in stream], [label for _, label in stream]
    whole = batch(PriorTracker(EMITTED), table(), rows, declared)
    tracker, templates = PriorTracker(EMITTED), table()
    parts = [
        batch(tracker, templates, rows[i : i + size], declared[i : i + size])
        for i in range(0, len(rows), size)
    ]
    found = np.concatenate([part.probability for part in parts])
    np.testing.assert_allclose(found, whole.probability, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(whole.probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.concatenate([part.prior for part in parts]), whole.prior)
    np.testing.assert_array_equal(whole.severity, whole.probability.argmax(axis=1))
    np.testing.assert_array_equal(whole.confidence, whole.probability.max(axis=1))


@settings(max_examples=40, deadline=None)
@given(lines, st.data())
def test_no_line_is_judged_by_its_own_label_or_a_later_one(
    stream: list[tuple[int, int]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(stream) - 1))
    others = data.draw(
        st.lists(st.integers(-1, 7), min_size=len(stream) - at, max_size=len(stream) - at)
    )
    rows, declared = [row for row, _ in stream], [label for _, label in stream]
    one = batch(PriorTracker(EMITTED), table(), rows, declared)
    other = batch(PriorTracker(EMITTED), table(), rows, declared[:at] + others)
    np.testing.assert_array_equal(one.probability[: at + 1], other.probability[: at + 1])


def test_a_templates_own_labels_are_kept_too() -> None:
    """And those of its neighbours: what was said of others is known after a restart as well."""
    through, templates = PriorTracker(EMITTED), table()
    rows = np.random.default_rng(6).integers(0, TEMPLATES, 600)
    declared = np.where(rows % 3, templates.likelihood[rows].argmin(axis=1), -1)
    batch(through, templates, rows.tolist(), declared.tolist())
    every = list(range(TEMPLATES))
    restarted = PriorTracker(EMITTED)
    restarted.restore(through.kept())
    expected = batch(through, templates, every, -1)
    labelled = np.arange(TEMPLATES) % 3 > 0
    np.testing.assert_array_equal(
        expected.severity[labelled], templates.likelihood.argmin(axis=1)[labelled]
    )
    found = batch(restarted, table(), every, -1)
    np.testing.assert_allclose(found.probability, expected.probability, rtol=1e-4, atol=1e-6)


def test_lines_without_a_template_are_passed_over() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    found = batch(tracker, templates, [-1, 3, -1], CRIT)
    assert found.probability.sum(axis=1).tolist() == pytest.approx([0, 1, 0])
    assert tracker.of_source("udp").lines == 1


# ---- bounds and keeping


def test_sources_are_bounded_and_the_quiet_ones_go() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    batch(tracker, templates, [0] * 500, INFO, "busy")
    batch(tracker, templates, [0] * 500, INFO, "quiet")
    for n in range(3 * MAX_SOURCES):
        batch(tracker, templates, [0], INFO, f"other {n}")
        batch(tracker, templates, [0], INFO, "busy")
    kept = tracker.kept()
    assert len(kept["prior_lines"]) == MAX_SOURCES
    assert prior_of(tracker, source="busy")[INFO] > 0.9
    assert prior_of(tracker, source="quiet")[INFO] == pytest.approx(EMITTED[INFO])


def test_a_prior_stands_still_for_a_bounded_stretch() -> None:
    tracker, templates = PriorTracker(EMITTED), table()
    prior = tracker.of_source("udp")
    for _ in range(300):
        batch(tracker, templates, [0] * 500, INFO)
        assert 0 < prior.due - prior.lines <= MAX_STRETCH


@pytest.mark.parametrize("declares", [INFO, -1])
def test_what_was_kept_goes_on_the_same(declares: int) -> None:
    through, templates = PriorTracker(EMITTED), table()
    rng = np.random.default_rng(5)
    rows = rng.integers(0, TEMPLATES, 900).tolist()
    declared = np.where(rng.random(900) < 0.5, declares, -1).tolist()
    for source in ("udp", "stdin"):
        batch(through, templates, rows, declared, source)
    restarted = PriorTracker(EMITTED)
    restarted.restore(through.kept())
    for source in ("udp", "stdin", "new"):
        expected = batch(through, templates, rows, declared, source)
        found = batch(restarted, table(), rows, declared, source)
        np.testing.assert_allclose(found.probability, expected.probability, rtol=1e-5)
        np.testing.assert_array_equal(found.prior, expected.prior)


def test_nothing_known_is_kept_as_nothing() -> None:
    restarted = PriorTracker(EMITTED)
    restarted.restore(PriorTracker(EMITTED).kept())
    assert len(restarted.kept()["prior_lines"]) == 0


def test_the_names_are_in_the_order_of_their_numbers() -> None:
    assert priors.PRIORS[EMISSION] == "emission"
    assert priors.PRIORS[ESTIMATED] == "estimated"
    assert priors.PRIORS[LABELLED] == "labelled"
