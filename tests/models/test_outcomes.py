"""Statements whose severity hangs on a number: the text that the model sees must keep it."""

from collections import defaultdict

from models.text import canonical
from models.training.outcomes import outcomes


def test_severity_follows_from_what_the_model_sees() -> None:
    severities = defaultdict(set)
    for outcome in outcomes():
        severities[canonical(outcome.text)].add(outcome.severity)
    assert {text: found for text, found in severities.items() if len(found) > 1} == {}


def test_success_is_info_and_failure_is_an_error() -> None:
    severity = {outcome.text: outcome.severity for outcome in outcomes()}
    assert severity["process exited with code 0"] == 6
    assert severity["process exited with code 1"] == 3
    assert severity["service killed by signal 15"] == 6
    assert severity["service killed by signal 11"] == 3
    assert severity['"GET <path> HTTP/1.1" 200 <num>'] == 6
    assert severity['"GET <path> HTTP/1.1" 500 <num>'] == 3
    assert severity["disk usage at 12%"] == 6
    assert severity["disk usage at 100%"] == 3


def test_each_phrase_teaches_both_that_it_is_fine_and_that_it_is_not() -> None:
    """Else the words would be the answer, not the number."""
    by_words = defaultdict(set)
    for outcome in outcomes():
        words = "".join(x for x in outcome.text if not x.isdigit())
        by_words[words].add(outcome.severity <= 4)
    assert all(found == {True, False} for found in by_words.values())
