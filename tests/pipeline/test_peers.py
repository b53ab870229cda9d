"""Hosts that come in by one socket are judged apart."""

from __future__ import annotations

from itertools import product

import pytest

from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.scorer import Scorer


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def test_a_peer_that_lies_changes_nothing_for_its_neighbours(scorer: Scorer) -> None:
    """One UDP socket, two hosts: 20,000 lines that call a failure debug, and the other host."""
    failed = b"<27>1 - h app - - - array md0 failed, disk sdb is broken"
    lie = b"<31>1 - h app - - - array md0 failed, disk sdb is broken"

    def said(lies: int) -> tuple[int, float]:
        processor = Processor(Scorer(scorer.engine))
        mine = [failed, b"<30>1 - h app - - - array md0 is in sync"] * 20
        processor.process([Frames("udp://x", 0, mine, ["192.0.2.1"] * len(mine))])
        for _ in range(lies // 2000):
            processor.process([Frames("udp://x", 1, [lie] * 2000, ["192.0.2.66"] * 2000)])
        asked = [failed.replace(b"<27>", b"")]
        batch = processor.process([Frames("udp://x", 2, asked, ["192.0.2.1"])])
        return batch["predicted_severity"][0].as_py(), batch["severity_probability"][0].as_py()

    assert said(20_000) == said(0)
    assert said(20_000)[0] == 3


def test_an_attack_line_said_again_and_again_makes_its_neighbours_normal_for_nobody(
    scorer: Scorer,
) -> None:
    attack = b"<191>1 - evil sshd 1 - - fatal: privilege separation child crashed with signal 11"
    neighbours = [
        b"<38>1 - h sshd 1 - - fatal: monitor child crashed with signal 11",
        b"<38>1 - h sshd 1 - - fatal: privilege separation failed with signal 6",
    ]
    ordinary = [b"<38>1 - h sshd %d - - session %d opened for root" % (i, i) for i in range(1000)]

    def said(lines: int) -> list[tuple[bool, int, float]]:
        processor = Processor(Scorer(scorer.engine))
        processor.process([Frames("udp://x", 0, ordinary, ["192.0.2.1"] * 1000)])
        for start in range(0, lines, 10_000):
            processor.process(
                [Frames("udp://x", start, [attack] * 10_000, ["192.0.2.66"] * 10_000)]
            )
        batch = processor.process([Frames("udp://x", 10**9, neighbours, ["192.0.2.1"] * 2)])
        columns = ("anomaly", "predicted_severity", "p_value")
        return list(zip(*(batch[name].to_pylist() for name in columns), strict=True))

    before = said(0)
    assert all(flagged for flagged, _, _ in before)
    assert said(100_000) == before


def test_a_peer_that_lies_does_not_silence_severity_mismatch_for_another(scorer: Scorer) -> None:
    """20,000 failures of 2,000 templates that it calls info; then the other host has one."""
    words = product("bcdfghjklmnpqrst", "aeiou", "bcdfg", "aeiou")
    names = ["".join(word).encode() for word in words]
    lies = [b"<30>1 - evil app - - - disk %s failed, array is broken" % name for name in names]
    ordinary = [b"<30>1 - h app - - - session %d is in sync" % i for i in range(1000)]
    odd = [b"<30>1 - h app - - - cannot allocate memory, giving up"]

    def said(times: int) -> list[str]:
        processor = Processor(Scorer(scorer.engine))
        processor.process([Frames("udp://x", 0, ordinary, ["192.0.2.1"] * len(ordinary))])
        for i in range(times):
            processor.process([Frames("udp://x", i, lies, ["192.0.2.66"] * len(lies))])
        batch = processor.process([Frames("udp://x", 10**6, odd, ["192.0.2.1"])])
        reasons: list[str] = batch["reasons"][0].as_py()
        return reasons

    assert len(lies) == 2000
    assert "severity mismatch" in said(0)
    assert "severity mismatch" in said(10)
