"""What is kept over a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.sample import sample_log
from pipeline.scorer import Scorer
from pipeline.state import FILE, StateError, load_state, save_state

LINES = [line for line in sample_log().split(b"\n") if line]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def frames(lines: list[bytes]) -> list[Frames]:
    return [Frames("stdin", 1_700_000_000_000_000, lines)]


@pytest.mark.parametrize("labelled", [0, 200])
def test_a_restart_goes_on_as_if_there_had_been_none(
    scorer: Scorer, tmp_path: Path, labelled: int
) -> None:
    half = len(LINES) // 2
    start = [b"<29>" + line for line in LINES[:labelled]] + LINES[labelled:half]
    through = Processor(Scorer(scorer.engine))
    through.process(frames(start))
    expected = through.process(frames(LINES[half:]))

    before = Processor(Scorer(scorer.engine))
    before.process(frames(start))
    save_state(tmp_path, before)
    after = Processor(Scorer(scorer.engine))
    assert load_state(tmp_path, after)
    found = after.process(frames(LINES[half:]))
    for name in ("anomaly", "reasons", "predicted_severity", "prior"):
        assert found.column(name).to_pylist() == expected.column(name).to_pylist(), name
    np.testing.assert_allclose(
        np.array(found.column("severity_probability")),
        np.array(expected.column("severity_probability")),
        atol=1e-4,
    )
    np.testing.assert_allclose(
        np.array(found.column("p_value")), np.array(expected.column("p_value")), atol=0.07
    )


def test_saving_again_keeps_what_has_not_come_back(scorer: Scorer, tmp_path: Path) -> None:
    first = Processor(Scorer(scorer.engine))
    first.process(frames(LINES[:500]))
    save_state(tmp_path, first)
    second = Processor(Scorer(scorer.engine))
    load_state(tmp_path, second)
    second.process(frames(LINES[:3]))
    save_state(tmp_path, second)
    third = Processor(Scorer(scorer.engine))
    load_state(tmp_path, third)
    assert third.scorer is not None
    assert first.scorer is not None
    known = set(third.scorer.remembered()[0].tolist())
    assert set(first.scorer.remembered()[0].tolist()) <= known
    assert third.scored_lines == 503


@pytest.mark.parametrize("damage", ["truncated", "empty", "not a state"])
def test_a_damaged_state_is_refused_by_name(scorer: Scorer, tmp_path: Path, damage: str) -> None:
    processor = Processor(Scorer(scorer.engine))
    processor.process(frames(LINES[:100]))
    save_state(tmp_path, processor)
    path = tmp_path / FILE
    data = path.read_bytes()
    path.write_bytes({"truncated": data[:300], "empty": b"", "not a state": b"hello"}[damage])
    fresh = Processor(Scorer(scorer.engine))
    with pytest.raises(StateError, match=FILE):
        load_state(tmp_path, fresh)
    assert fresh.scored_lines == 0


def test_a_state_of_before_priors_were_kept_is_taken_up(scorer: Scorer, tmp_path: Path) -> None:
    processor = Processor(Scorer(scorer.engine))
    processor.process(frames(LINES[:200]))
    save_state(tmp_path, processor)
    with np.load(tmp_path / FILE) as kept:
        older = {name: kept[name] for name in kept.files if not name.startswith("prior_")}
    np.savez(tmp_path / FILE, **older)
    after = Processor(Scorer(scorer.engine))
    assert load_state(tmp_path, after)
    assert after.scored_lines == 200
    assert set(after.process(frames(LINES[:5])).column("prior").to_pylist()) == {"emission"}


def test_no_state_is_no_error(scorer: Scorer, tmp_path: Path) -> None:
    assert not load_state(tmp_path, Processor(Scorer(scorer.engine)))


def test_everything_that_is_said_of_a_line_is_the_same_to_the_bit(
    scorer: Scorer, tmp_path: Path
) -> None:
    """After a restart: surprise, p-values, alerts with their counts, and what is a burst."""
    half = len(LINES) // 2
    minute = 60_000_000

    def stream(lines: list[bytes], start: int) -> list[Frames]:
        return [
            Frames("stdin", 1_700_000_000_000_000 + (start + i) * minute // 2, [line])
            for i, line in enumerate(lines)
        ]

    through, before, after = (Processor(Scorer(scorer.engine)) for _ in range(3))
    labelled = [b"<%d>" % (24 + i % 8) + line for i, line in enumerate(LINES)]
    start, rest = stream(labelled[:half], 0), stream(labelled[half:], half)
    through.process(start)
    before.process(start)
    save_state(tmp_path, before)
    assert load_state(tmp_path, after)
    expected, found = through.process(rest), after.process(rest)
    for name in ("surprise", "p_value", "anomaly", "reasons", "alert_count"):
        assert found.column(name).to_pylist() == expected.column(name).to_pylist(), name
    counts = set(expected.column("alert_count").to_pylist())
    assert len(counts) > 2, "some alert more than once"


def test_a_state_of_schema_1_is_taken_up(scorer: Scorer, tmp_path: Path) -> None:
    """Of its sources the counts and latents are kept, and p-values go on at once."""
    processor = Processor(Scorer(scorer.engine))
    processor.process(frames(LINES * 2))
    save_state(tmp_path, processor)
    with np.load(tmp_path / FILE) as kept:
        newer = {name: kept[name] for name in kept.files}
    older = {
        name: column
        for name, column in newer.items()
        if not name.startswith("source") and name not in ("discoveries", "mismatch")
    }
    older |= {
        "schema": np.array(1),
        "surprise_sources": newer["sources"],
        "surprise_templates": newer["source_past_ids_lengths"],
        "surprise_rates": newer["source_news"].reshape(-1, 2),
        "surprise_window_lengths": np.array([1]),
        "surprise_windows": np.ones(1, np.float32),
    }
    for name in ("ids", "counts", "latents", "placed"):
        older[f"surprise_{name}"] = newer[f"source_past_{name}"]
    np.savez(tmp_path / FILE, **older)
    after = Processor(Scorer(scorer.engine))
    assert load_state(tmp_path, after)
    p = np.array(after.process(frames(LINES)).column("p_value"))
    assert (p < 1).all()
    assert 0.4 < (p <= 0.5).mean() < 0.6


def test_a_state_of_a_schema_to_come_is_refused(scorer: Scorer, tmp_path: Path) -> None:
    processor = Processor(Scorer(scorer.engine))
    processor.process(frames(LINES[:100]))
    save_state(tmp_path, processor)
    with np.load(tmp_path / FILE) as kept:
        newer = {name: kept[name] for name in kept.files} | {"schema": np.array(3)}
    np.savez(tmp_path / FILE, **newer)
    with pytest.raises(StateError, match="schema 3"):
        load_state(tmp_path, Processor(Scorer(scorer.engine)))
