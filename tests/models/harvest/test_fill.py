"""Filled templates look like lines, and are the same lines every time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.harvest.fill import PLACEHOLDER, filled, kernel_prefix

SEEDS = range(20)


@given(st.text(), st.lists(st.text(max_size=20), max_size=4), st.integers(0, 5))
def test_any_text_is_filled_and_always_alike(text: str, values: list[str], seed: int) -> None:
    assert filled(text, values, seed) == filled(text, values, seed)


@given(st.text(alphabet=st.characters(exclude_characters="%{")))
def test_text_without_placeholders_stays(text: str) -> None:
    assert filled(text, [], 0) == text


@pytest.mark.parametrize(
    "template",
    [
        "%-20.*s|%5.2f|%#04x|%llu|%hhd|%zu|%c",
        "%p and %pM at %pI4",
        "{} and {name} and {0:>8}",
        "%(host)s is %r, %q, %v, %+v",
        "errno %d: %m",
    ],
)
def test_no_placeholder_is_left(template: str) -> None:
    for seed in SEEDS:
        assert not PLACEHOLDER.search(filled(template, [], seed))


def test_the_percent_sign_that_is_meant_stays() -> None:
    assert re.fullmatch(r"disk \d+% full", filled("disk %d%% full", ["used"], 0))


def test_seeds_differ() -> None:
    assert len({filled("open %s failed: %s", ["path", "why"], seed) for seed in SEEDS}) > 5


@pytest.mark.parametrize(
    ("template", "argument", "looks"),
    [
        ("from %s", "inet_ntoa(sin.sin_addr)", r"from \d+\.\d+\.\d+\.\d+"),
        ("open %s", "config_path", r"open /\S+"),
        ("bad: %s", "strerror(errno)", r"bad: [A-Za-z/ ]+"),
        ("port %d", "ntohs(sin.sin_port)", r"port \d+"),
        ("mac %pM", "dev->dev_addr", r"mac (?:[0-9a-f]{2}:){5}[0-9a-f]{2}"),
        ("is %s", 'up ? "online" : "down"', r"is (?:online|down)"),
        ("who: %q", "name", r'who: "[^"]+"'),
        ("took %.3f s", "x", r"took \d+\.\d{3} s"),
        ("flags %#x", "flags", r"flags 0x[0-9a-f]+"),
    ],
)
def test_values_follow_the_argument(template: str, argument: str, looks: str) -> None:
    for seed in SEEDS:
        assert re.fullmatch(looks, filled(template, [argument], seed))


def test_a_starred_width_takes_an_argument_of_its_own() -> None:
    for seed in SEEDS:
        line = filled("%.*s at %s", ["length", "name", "file_path"], seed)
        assert re.search(r" at /\S+$", line)


def test_device_messages_mostly_name_their_device() -> None:
    lines = [kernel_prefix("link is up", "dev_info", seed) for seed in range(300)]
    named = sum(line != "link is up" for line in lines)
    assert 150 < named < 270
    assert all(line.endswith("link is up") for line in lines)
    assert kernel_prefix("link is up", "pr_info", 0) == "link is up"
