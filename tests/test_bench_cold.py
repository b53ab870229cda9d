"""The lines that the cold path is measured on, and that all ways of running it agree."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cold_lines import Line, distinct, random_letters, shuffled_sample, thirds
from benchmarks.cold_rivals import rivals
from models.checkpoint import Checkpoint, load_checkpoint, pretrained_path
from models.inference import Engine
from models.text import canonical


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return shuffled_sample(300, 0)


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return load_checkpoint(pretrained_path())


def test_each_line_is_a_template_of_its_own(lines: list[Line]) -> None:
    assert len(lines) == len({canonical(line.message) for line in lines}) == 300
    assert lines == shuffled_sample(300, 0)
    assert distinct([("a", "port 17001"), ("b", "port 17002")]) == [
        Line("a", "port 17001", "port <num>")
    ]


def test_random_letters_keep_lengths_and_masks(lines: list[Line]) -> None:
    [line] = random_letters([Line("sshd", "", "Failed for <user> from <ip> (2x)")], 0)
    assert line.app == "sshd"
    assert line.message.count("<user>") == line.message.count("<ip>") == 1
    assert len(line.message) == len("Failed for <user> from <ip> (2x)")
    assert "Failed" not in line.message
    assert line.message[0].isupper()


def test_thirds_are_by_length(lines: list[Line]) -> None:
    short, medium, long = thirds(lines)
    assert sorted(short + medium + long) == sorted(lines)
    assert max(map(_blanks, short)) < max(map(_blanks, long))
    assert np.mean([*map(_blanks, short)]) < np.mean([*map(_blanks, medium)])
    assert len(short) == len(long) == 100


def _blanks(line: Line) -> int:
    return line.text.count(" ")


def test_all_ways_score_alike(lines: list[Line], shipped: Checkpoint) -> None:
    found, _ = rivals(shipped, compiled=False)
    apps, texts = ["sshd", ""] * 32, [line.text for line in lines[:64]]
    expected = Engine(shipped, dtype="fp32").encode(apps, texts)
    assert found[0].name == "plain, eager fp32"
    for way in found:
        scores = way.encode(apps, texts)
        rounded = "fp32" not in way.name
        tolerance = 0.1 if rounded else 1e-4
        np.testing.assert_allclose(scores.latent, expected.latent, atol=tolerance)
        np.testing.assert_allclose(scores.log_likelihood, expected.log_likelihood, atol=tolerance)
        assert rounded != np.allclose(scores.latent, expected.latent, atol=1e-5)
