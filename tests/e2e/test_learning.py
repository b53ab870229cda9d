"""The learner beside the real stream: it teaches, it may die, and its disk may be full."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.program import LTT_STREAM, Program, arrow_rows, tiny_tmpfs

DELAY_S = 0.1
LEARN = ["--learn", "--learn-budget", "1", "--format", "none", "--batch-delay-s", str(DELAY_S)]
WORDS = (
    *("disk", "array", "session", "link", "port", "queue", "mail", "volume", "cache", "user"),
    *("backup", "certificate", "lease", "route", "tunnel", "index", "shard", "node", "job"),
)
FAILED = ("failed", "is broken", "timed out", "was refused", "is corrupt", "cannot be read")
FINE = ("is ready", "was opened", "was closed", "completed", "is up to date", "was added")


def template(i: int) -> tuple[int, str]:
    """The severity and the text of one of many templates; one in three is an error."""
    rng = random.Random(i)
    severe = i % 3 == 0
    what = " ".join(rng.sample(WORDS, 3))
    return (3 if severe else 6), f"{what} {rng.choice(FAILED if severe else FINE)}"


def line(i: int, templates: int) -> bytes:
    severity, text = template(i % templates)
    return f"<{24 + severity}>1 - host app{i % 5} - - - {text}\n".encode()


class Feed:
    """Lines into a program's stdin, at a steady rate, until it is closed."""

    def __init__(self, program: Program, templates: int, lines_per_s: float = 2000.0) -> None:
        self.sent = 0
        self._program, self._templates, self._rate = program, templates, lines_per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pipe = self._program.process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            while not self._stop.is_set():
                pipe.write(b"".join(line(self.sent + k, self._templates) for k in range(50)))
                pipe.flush()
                self.sent += 50
                time.sleep(50 / self._rate)

    def rest(self) -> None:
        """Send no more; the program goes on waiting for it."""
        self._stop.set()
        self._thread.join(30)

    def close(self) -> None:
        self.rest()
        assert self._program.process.stdin is not None
        self._program.process.stdin.close()
        self._program.process.stdin = None


def learner_of(program: Program) -> int | None:
    """The learner's process id, from /proc."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                command = (entry / "cmdline").read_bytes()
                if int(parent) == program.process.pid and b"pipeline.learner" in command:
                    return int(entry.name)
    return None


def history(state: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [LTT_STREAM, "model", "history", "--state-dir", str(state), "--json"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    return [json.loads(row) for row in done.stdout.splitlines() if row.startswith("{")]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with tiny_tmpfs(tmp_path / "tiny", "8m") as disk:
        yield disk


def test_it_learns_publishes_takes_over_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "out"
    options = [*LEARN, "--state-dir", str(state), "--out", str(out)]
    with Program(*options, tmp=tmp_path, stdin=subprocess.PIPE) as program:
        program.ready()
        learner = None
        while learner is None:
            learner = learner_of(program)
        assert os.getpriority(os.PRIO_PROCESS, learner) in (0, 19)
        feed = Feed(program, templates=3000)
        program.wait_for("model_swaps_total", 1, timeout_s=120)
        assert os.getpriority(os.PRIO_PROCESS, learner) == 19
        metrics = program.metrics()
        assert metrics["ltt_stream_learner_updates_total"] >= 32
        assert metrics["ltt_stream_replay_buffer_entries"] > 100
        assert metrics["ltt_stream_learner_holdout_accuracy"] > 0.5
        feed.close()
        _, err = program.finish()
    assert f"{feed.sent:,} lines in, {feed.sent:,} out, 0 dropped" in err
    published = [row for row in history(state) if row["action"] == "published"]
    assert published
    versions = arrow_rows(out)["model_version"].to_pylist()
    assert len(set(versions)) >= 2, "lines before and after the swap name their model"
    assert (state / "replay.arrow").exists()
    # Two restarts from the same state say the same of the same lines, to the bit.
    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(line(i, 4000) for i in range(1000)))
    predictions = []
    for name in ("one", "two"):
        copy = tmp_path / name
        subprocess.run(["cp", "-a", str(state), str(copy)], check=True)
        again = [*LEARN[3:], "--state-dir", str(copy), "--out", str(tmp_path / f"out-{name}")]
        with lines.open("rb") as file, Program(*again, tmp=tmp_path, stdin=file) as program:
            program.finish()
        rows = arrow_rows(tmp_path / f"out-{name}")
        assert set(rows["model_version"].to_pylist()) == {published[-1]["version"]}
        predictions.append(rows)
    for column in ("predicted_severity", "severity_probability", "surprise", "p_value"):
        one, two = (rows[column].to_numpy() for rows in predictions)
        np.testing.assert_array_equal(one, two)
    latents = [np.array(rows["latent"].to_pylist(), np.float32) for rows in predictions]
    np.testing.assert_array_equal(*latents)


def test_a_learner_that_is_killed_again_and_again_delays_and_loses_nothing(tmp_path: Path) -> None:
    options = [*LEARN, "--state-dir", str(tmp_path / "state"), "--out", str(tmp_path / "out")]
    with Program(*options, tmp=tmp_path, stdin=subprocess.PIPE) as program:
        program.ready()
        feed = Feed(program, templates=500)
        killed = 0
        end = time.monotonic() + 8
        while time.monotonic() < end or killed < 3:
            assert time.monotonic() < end + 60
            learner = learner_of(program)
            if learner is not None:
                os.kill(learner, signal.SIGKILL)
                killed += 1
            time.sleep(1.0)
        feed.rest()
        program.wait_for("written_messages_total", feed.sent)
        program.assert_conserved()
        starts = program.total("learner_starts_total")
        feed.close()
        _, err = program.finish()
    assert starts >= killed
    assert err.count("killed by signal 9") == killed
    assert f"{feed.sent:,} lines in, {feed.sent:,} out, 0 dropped" in err


def test_a_disk_that_is_full_keeps_the_model_in_use(tiny_disk: Path, tmp_path: Path) -> None:
    """A snapshot is 11 MB and the disk has 8: none can be written, all are counted."""
    state = tiny_disk / "state"
    with Program(
        *LEARN, "--state-dir", str(state), tmp=tmp_path, stdin=subprocess.PIPE
    ) as program:
        program.ready()
        feed = Feed(program, templates=3000)
        program.wait_for("snapshot_failures_total", 1, timeout_s=120)
        feed.close()
        _, err = program.finish()
    assert "snapshot not written" in err
    assert "stays in use" in err
    assert f"{feed.sent:,} lines in, {feed.sent:,} out, 0 dropped" in err
    assert not (state / "snapshots" / "current").exists()
    assert not list((state / "snapshots").glob(".new*")), "nothing is left half written"
    assert history(state)[-1]["action"] == "failed"
