"""The template cache: what falls together, what stays apart, and what hostile input can do."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.predict import posterior
from pipeline.scorer import SHED, Scorer, softmax
from pipeline.templates import template_id


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def small(scorer: Scorer, **bounds: int) -> Scorer:
    return Scorer(scorer.engine, **bounds)


def rows(scorer: Scorer, *messages: bytes, app: bytes | None = b"app") -> list[int]:
    return scorer.resolve([app] * len(messages), messages).rows.tolist()


TOGETHER = [
    (b"connection from 192.0.2.1 port 22", b"connection from 198.51.100.77 port 60022"),
    (b"took 5 ms", b"took 51234 ms"),
    (b"opened /var/lib/a/1.db", b"opened /srv/x/22.db"),
    (b"id 0x7f01aa", b"id 0x11bbcc"),
]
APART = [
    (b"exited with code 0", b"exited with code 1"),
    (b"exited on signal 11", b"exited on signal 15"),
    (b'"GET /a HTTP/1.1" 200 5', b'"GET /a HTTP/1.1" 500 5'),
    (b"IN=eth0 OUT= PROTO=TCP SPT=1 DPT=22", b"IN=eth0 OUT= PROTO=TCP SPT=1 DPT=3306"),
    (b"connection opened", b"connection closed"),
    (b"exited with code 5000", b"exited with code 5"),
    (b"job done rc= pid=3", b"job done rc=0 pid=3"),
    (b'"GET / HTTP/1.1" 0 12', b'"GET / HTTP/1.1" 500 12'),
    (b"status=/FAILURE", b"status=1/FAILURE"),
]


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_fillings_of_one_template_are_one(scorer: Scorer, one: bytes, other: bytes) -> None:
    first, second = rows(scorer, one, other)
    assert first == second
    assert rows(scorer, other, one) == [first, first]


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_changes_the_meaning_stays_apart(scorer: Scorer, one: bytes, other: bytes) -> None:
    first, second = rows(scorer, one, other)
    assert first != second
    assert rows(scorer, other, one, other) == [second, first, second], "also out of the cache"


def test_the_program_is_part_of_the_template(scorer: Scorer) -> None:
    assert rows(scorer, b"started", app=b"one") != rows(scorer, b"started", app=b"two")


def test_a_line_scores_the_same_alone_cached_and_in_any_company(scorer: Scorer) -> None:
    messages = [b"disk %c failed with error %d" % (65 + n % 26, n) for n in range(300)]
    together, alone = small(scorer), small(scorer)
    of_batch = together.resolve([b"x"] * 300, messages).rows
    again = together.resolve([b"x"] * 300, messages).rows
    np.testing.assert_array_equal(of_batch, again)
    for n in (0, 7, 255, 299):
        row = alone.resolve([b"x"], [messages[n]]).rows[0]
        assert alone.table.template_id[row] == together.table.template_id[of_batch[n]]
        np.testing.assert_allclose(
            alone.table.probability[row], together.table.probability[of_batch[n]], atol=1e-4
        )


def test_overload_sheds_unknown_templates_and_serves_known_ones(scorer: Scorer) -> None:
    cache = small(scorer)
    (known,) = rows(cache, b"a known line")
    shed = cache.resolve(
        [b"app"] * 2, [b"a known line", b"never seen before"], overloaded=lambda: True
    )
    assert shed.rows.tolist() == [known, SHED]
    assert rows(cache, b"never seen before")[0] >= 0, "it comes back once the flood is over"


def test_overload_in_mid_batch_forgets_what_was_not_scored(scorer: Scorer) -> None:
    # Two looks while masking, at two slices of 512, then one before each slice of the model.
    calls = iter([False] * 3 + [True] * 100)
    cache = small(scorer)
    words = b"alpha beta gamma delta omega sigma kappa theta zeta iota".split()
    messages = [
        b" ".join((a, b, c, b"happened")) for a in words for b in words for c in words
    ]  # 1000 templates: two slices of the model
    found = cache.resolve([b"app"] * 1000, messages, overloaded=lambda: next(calls))
    scored = found.rows >= 0
    assert 0 < scored.sum() < 1000
    assert cache.table.size == scored.sum() == len(found.new)
    later = cache.resolve([b"app"] * 1000, messages)
    assert (later.rows >= 0).all()
    np.testing.assert_array_equal(later.rows[scored], found.rows[scored])


def test_hostile_input_cannot_grow_the_cache(scorer: Scorer) -> None:
    """Every line a new template and a new key: the least used templates go."""
    cache = small(scorer, max_templates=400, max_keys=900)
    rng = np.random.default_rng(0)
    for batch in range(30):
        letters = rng.integers(97, 123, (100, 12), np.uint8)
        messages = [b"zz " + bytes(row) for row in letters]
        messages[0] = b"the one line that always comes"
        found = cache.resolve([b"app"] * 100, messages)
        cache.observe(found.rows)
        assert cache.table.size <= 400
        assert len(cache._keys) <= 900
        assert (found.rows >= 0).all()
        expected = template_id("app", "the one line that always comes")
        assert cache.table.template_id[found.rows[0]] == expected
        assert cache.table.seen[found.rows[0]] == batch + 1, "what is used is not forgotten"


def test_very_long_lines_are_known_by_their_beginning(scorer: Scorer) -> None:
    cache = small(scorer)
    start = b"a long line that goes on " + b"and on " * 500
    first, second = rows(cache, start + b"to here", start + b"to there")
    assert first == second
    digits = b"7" * 1100 + start
    (alone,) = rows(small(scorer), digits)
    after = rows(cache, digits)[0]
    assert cache.table.texts[after] == ("app", "<num>")
    assert alone == 0
    assert all(sum(map(len, (k[2],))) <= 512 for k in cache._keys.stems)


def test_the_memory_of_a_template_outlives_shedding_and_eviction(scorer: Scorer) -> None:
    cache = small(scorer, max_templates=64)
    cache.remember({template_id("app", "an old friend"): 1000})
    calls = iter([False] + [True] * 10)
    cache.resolve([b"app"], [b"an old friend"], overloaded=lambda: next(calls))
    (row,) = rows(cache, b"an old friend")
    assert cache.table.seen[row] == 1000
    for n in range(40):
        letters = chr(97 + n % 26) * (5 + n // 26)
        found = cache.resolve(
            [b"app"] * 16, [f"{letters} {chr(97 + k)}".encode() for k in range(16)]
        )
        cache.observe(found.rows)
    (row,) = rows(cache, b"an old friend")
    assert cache.table.seen[row] == 1000


@pytest.mark.parametrize("part", ["app", "message"])
def test_very_long_names_and_texts_are_bounded(scorer: Scorer, part: str) -> None:
    cache = small(scorer)
    long = [b"%c" % (97 + n) * 60_000 for n in range(20)]
    apps, messages = (long, [b"x"] * 20) if part == "app" else ([b"x"] * 20, long)
    cache.resolve(apps, messages)
    assert sum(len(k[0] or b"") + len(k[2]) for k in cache._keys.stems) < 20 * 2000
    assert sum(len(a) + len(t) for a, t in cache.table.texts) < 20 * 2000


def test_template_ids_are_the_same_on_every_machine() -> None:
    assert template_id("sshd", "Failed password for <num>") == 0xFDB447F78C6E7CA2
    assert template_id("a", "b") != template_id("", "a\0b")
    assert 0 < template_id("", "") < 1 << 64


def test_posterior_is_bayes_rule() -> None:
    likelihood = np.array([[0.5] * 8, [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9]], np.float32)
    prior = np.array([0.001, 0.001, 0.004, 0.05, 0.12, 0.1, 0.7, 0.024], np.float32)
    found = posterior(softmax(np.log(likelihood)), prior)
    expected = likelihood * prior / (likelihood * prior).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_facility_is_another_template_to_the_model_but_no_news(scorer: Scorer) -> None:
    """With another facility the text is scored anew; its id and its count stay."""
    cache = small(scorer)
    message = [b"session 5 opened"]
    (bare,) = cache.resolve([b"sshd"], message).rows
    for _ in range(3):
        cache.observe(np.array([bare], np.int32))
    found = cache.resolve([b"sshd"] * 2, message * 2, [10, -1])
    facility, again = found.rows
    assert again == bare
    assert facility != bare
    assert found.new.tolist() == [facility]
    assert cache.table.facility[[bare, facility]].tolist() == [-1, 10]
    assert cache.table.template_id[facility] == cache.table.template_id[bare]
    assert cache.table.seen[facility] == 3
    ids, seen = cache.remembered()
    assert (len(ids), seen.tolist()) == (1, [3])
