"""The Processor with host dynamics: the column, the reason, the state directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.errors import CheckpointError
from models.host_checkpoint import save_hosts
from pipeline import anomaly
from pipeline.anomaly import judge
from pipeline.config import Config, ConfigError
from pipeline.frames import Frames
from pipeline.host_opening import FOLDER, open_trajectories
from pipeline.hosts import HostTrajectories
from pipeline.process import Processor
from pipeline.sample import sample_log
from pipeline.scorer import Scorer
from pipeline.state import load_state, save_state
from tests.models.host_models import model

LINES = sample_log().splitlines()[:600]
NOW_US = 1_795_176_000_000_000


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def processor(scorer: Scorer) -> Processor:
    made = Processor(Scorer(scorer.engine))
    made.trajectories = HostTrajectories(model(latent_dim=scorer.engine.latent_dim))
    return made


def nats(batch: pa.RecordBatch) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(batch.column("trajectory_surprise"))


def test_each_scored_line_has_one_and_a_restart_goes_on(scorer: Scorer, tmp_path: Path) -> None:
    one, two = processor(scorer), processor(scorer)
    first = one.process([Frames("stdin", NOW_US, LINES[:300])])
    assert first.column("trajectory_surprise").null_count == 0
    save_state(tmp_path, one)
    load_state(tmp_path, two)
    assert one.trajectories is not None
    assert two.trajectories is not None
    for name, column in one.trajectories.hosts.columns().items():
        np.testing.assert_array_equal(column, two.trajectories.hosts.columns()[name])
    # Templates are encoded anew, in other company: their last bits may differ.
    rest = [Frames("stdin", NOW_US + 1, LINES[300:])]
    np.testing.assert_allclose(nats(one.process(rest)), nats(two.process(rest)), atol=1e-4)


def test_it_changes_no_other_score(scorer: Scorer) -> None:
    frames = [Frames("stdin", NOW_US, LINES)]
    with_them = processor(scorer).process(frames)
    without = Processor(Scorer(scorer.engine)).process(frames)
    assert without.column("trajectory_surprise").null_count == len(LINES)
    for name in ("surprise", "p_value", "predicted_severity", "template_id"):
        assert with_them.column(name).equals(without.column(name))


def test_a_batch_of_lines_without_stamps_goes_by_their_arrival(scorer: Scorer) -> None:
    made = processor(scorer)
    for second in (0, 90):
        frames = Frames("udp", NOW_US + second * 1_000_000, [b"link is down"], ["192.0.2.1"])
        made.process([frames])
    assert made.trajectories is not None
    assert made.trajectories.hosts.keys == [("udp 192.0.2.1", None)]
    assert made.trajectories.hosts.age_s[0] == 90


def test_shed_lines_have_none(scorer: Scorer) -> None:
    batch = processor(scorer).process(
        [Frames("stdin", NOW_US, [b"a line never seen"])], overloaded=lambda: True
    )
    assert batch.column("trajectory_surprise").to_pylist() == [None]


@pytest.mark.parametrize(("position", "verdict", "flagged"), [(0, 0, 0), (500, 0, 1), (500, 1, 0)])
def test_the_reason(position: int, verdict: int, flagged: int) -> None:
    found = judge(
        position=np.array([position]),
        before=np.array([1000]),
        novelty=np.zeros(1),
        surprising=np.zeros(1, bool),
        likelihood=np.full((1, 8), 1 / 8, np.float32),
        declared=np.array([-1], np.int16),
        mismatch=np.zeros(1, bool),
        burst=np.zeros(1, bool),
        verdict=np.array([verdict], np.int8),
        trajectory=np.ones(1, bool),
    )
    assert found.anomaly.sum() == flagged
    assert not flagged or "trajectory" in anomaly.names(found.fired[0].tolist())


def test_which_dynamics_a_stream_runs_with(scorer: Scorer, tmp_path: Path) -> None:
    said: list[str] = []
    state = Config(state_dir=str(tmp_path))
    assert open_trajectories(state, scorer, said.append) is None
    save_hosts(tmp_path / FOLDER, model(latent_dim=scorer.engine.latent_dim))
    found = open_trajectories(state, scorer, said.append)
    assert found is not None
    assert len(said) == 1, "fitted with another model than is in use"
    off = Config(state_dir=str(tmp_path), trajectories=False)
    assert open_trajectories(off, scorer, said.append) is None
    with pytest.raises(ConfigError, match="nothing was fitted"):
        open_trajectories(Config(trajectories=True), scorer, said.append)
    save_hosts(tmp_path / "narrow", model(latent_dim=5))
    narrow = Config(trajectories=str(tmp_path / "narrow"))
    with pytest.raises(CheckpointError, match="fit it again"):
        open_trajectories(narrow, scorer, said.append)
