"""The corpus that is measured on, and the arithmetic of the tables."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from benchmarks.bench_stream import middle
from benchmarks.corpus import draw, pool, write
from benchmarks.soak import verdict
from pipeline.sample import sample_log


def test_the_corpus_repeats_and_its_lines_do_not() -> None:
    lines = pool(None)
    corpus = list(draw(lines, 20_000))
    assert corpus == list(draw(lines, 20_000))
    assert list(islice(draw(lines, 20_000, seed=2), 100)) != corpus[:100]
    assert len(set(corpus)) > 2 * len(lines)


def test_redrawn_numbers_keep_a_line_as_long_as_it_was() -> None:
    [line] = [x for x in sample_log().splitlines() if b"Out of memory: Killed" in x]
    for other in draw([line], 100):
        assert len(other) == len(line)
        assert b" web-1 kernel: [" in other
        assert b"(php-fpm8.2) total-vm:" in other


def test_a_message_for_every_line(tmp_path: Path) -> None:
    (tmp_path / "other.log").write_bytes(b"first\n\n \nsecond \xff\n")
    corpus, messages = tmp_path / "corpus", tmp_path / "messages"
    write(corpus, messages, logs=tmp_path, count=30_000, seed=1)
    lines = corpus.read_bytes().split(b"\n")
    stripped = messages.read_text(encoding="utf-8").split("\n")
    assert len(lines) == len(stripped) == 30_001
    assert "second \\xff" in stripped
    assert not any(x.startswith("Nov 20 ") for x in stripped), "headers are off"


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \*\.log files"):
        pool(tmp_path)


def test_median_and_deviation() -> None:
    assert middle([1.0, 9.0, 2.0]) == (2.0, 1.0)


GOOD: dict[str, float] = {
    "sent": 100,
    "received": 98,
    "kernel_dropped": 2,
    "dropped": 3,
    "rows": 95,
    "rss_second_quarter_mb": 400,
    "rss_last_quarter_mb": 401,
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"received": 97}, "neither received nor counted"),
        ({"rows": 94}, "neither rows nor counted"),
        ({"rss_last_quarter_mb": 440}, "memory grew"),
    ],
)
def test_the_soak_sees_what_is_wrong(change: dict[str, float], complaint: str) -> None:
    assert verdict(GOOD, allow_drops=True, growth_mb=32) == []
    wrong = verdict(GOOD | change, allow_drops=True, growth_mb=32)
    assert any(complaint in line for line in wrong)
    assert verdict(GOOD, allow_drops=False, growth_mb=32) == ["lines were dropped"]
