"""The replay buffer over a restart, and what a damaged file or a full disk does to it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.replay import Replay, Teaching
from models.reservoir import PERSON, PRI
from pipeline.replay_file import ReplayFileError, load_buffer, save_buffer
from tests.support import ROOT, tool


def teach(buffer: Replay, n: int, seed: int = 0, *, quality: int = PRI, text: str = "") -> None:
    """n new templates of five sources, info ten times as often as the rest."""
    rng = np.random.default_rng([seed, n])
    template_id = rng.integers(1, 2**64, n, dtype=np.uint64)
    taught = Teaching(
        template_id=template_id,
        app=[f"app{i % 7}" for i in range(n)],
        text=[f"template {i} {text}" for i in template_id.tolist()],
        facility=rng.integers(-1, 24, n).astype(np.int8),
        source=[f"udp://192.0.2.{i % 5}" for i in range(n)],
        severity=rng.choice(np.array([6] * 10 + [0, 3, 4, 7]), n).astype(np.uint8),
        quality=np.full(n, quality, np.uint8),
        count=rng.integers(1, 3000, n),
    )
    stored = rng.normal(size=(n, 8)).astype(np.float32)
    buffer.add(taught, stored, rng.exponential(size=n).astype(np.float32))


def same(a: Replay, b: Replay) -> None:
    """They hold the same in the same places, and say the same of it."""
    for x, y in zip(a.kept()[0], b.kept()[0], strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.options == b.options
    assert (len(a), a.bytes, a.beta) == (len(b), b.bytes, b.beta)


def next_sample(buffer: Replay) -> tuple[list[int], list[float], list[str]]:
    sampled = buffer.sample(64)
    return sampled.at.tolist(), sampled.weight.tolist(), buffer.take(sampled.at).text


@pytest.mark.parametrize("lessons", [40, 2000], ids=["half full", "overfull"])
def test_a_restart_draws_what_would_have_been_drawn(tmp_path: Path, lessons: int) -> None:
    path = tmp_path / "replay.arrow"
    before = Replay(128, source_share=0.5, alpha=0.7, beta=0.3, uniform=0.1, seed=5)
    teach(before, lessons, text="größer \0 als\n🦝")
    before.forget(before.take(np.arange(10)).template_id.tolist())
    for _ in range(3):
        at = before.sample(64).at
        before.reprioritise(at, np.full(64, 0.3, np.float32))
    save_buffer(path, before)
    after = load_buffer(path)
    same(before, after)
    assert next_sample(before) == next_sample(after)
    # What comes after finds both the same: ranks, shares and labels have been kept too.
    for buffer in (before, after):
        teach(buffer, 500, seed=1)
        teach(buffer, 40, quality=PERSON)
    same(before, after)
    assert next_sample(before) == next_sample(after)


def test_an_empty_buffer_comes_back(tmp_path: Path) -> None:
    save_buffer(tmp_path / "b", Replay(64, seed=3))
    same(load_buffer(tmp_path / "b"), Replay(64, seed=3))


def test_saving_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "replay.arrow"
    buffer = Replay(64)
    for seed in range(3):
        teach(buffer, 20, seed)
        save_buffer(path, buffer)
    same(load_buffer(path), buffer)
    assert list(tmp_path.iterdir()) == [path]


def test_any_arrow_reader_can_look_inside(tmp_path: Path) -> None:
    buffer = Replay(64)
    teach(buffer, 20)
    save_buffer(tmp_path / "replay.arrow", buffer)
    table = pa.ipc.open_file(pa.OSFile(str(tmp_path / "replay.arrow"))).read_all()
    kept, _ = buffer.kept()
    assert table.column("text").to_pylist() == kept.text
    assert table.column("stored").to_pylist() == kept.stored.tolist()
    assert table.column("template_id").to_pylist() == kept.template_id.tolist()


def test_narrower_bounds_hold_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "replay.arrow"
    wide = Replay(512)
    teach(wide, 20, quality=PERSON)
    teach(wide, 1000, seed=1)
    save_buffer(path, wide)
    narrow = load_buffer(path, max_entries=64)
    assert len(narrow) == 64
    assert (narrow.kept()[0].quality == PERSON).sum() == 20
    assert narrow.options == {**wide.options, "max_entries": 64}
    small = load_buffer(path, max_bytes=1 << 16)
    assert 0 < small.bytes <= 1 << 16
    assert small.evicted + small.refused == len(wide) - len(small)


def test_an_option_out_of_range_is_not_taken_for_damage(tmp_path: Path) -> None:
    save_buffer(tmp_path / "b", Replay(64))
    with pytest.raises(ValueError, match="max_entries 3"):
        load_buffer(tmp_path / "b", max_entries=3)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    buffer = Replay(16)
    teach(buffer, 16)
    save_buffer(tmp_path / "replay.arrow", buffer)
    return tmp_path / "replay.arrow"


def test_a_file_cut_short_anywhere_is_refused_by_name(saved: Path) -> None:
    data = saved.read_bytes()
    for length in range(0, len(data), 41):
        saved.write_bytes(data[:length])
        with pytest.raises(
            ReplayFileError, match=r"replay\.arrow: truncated or damaged"
        ) as caught:
            load_buffer(saved)
        assert "\n" not in str(caught.value)


def test_no_damaged_bit_is_taken_for_knowledge(saved: Path) -> None:
    """A flipped bit is refused, or it lay in what means nothing (padding)."""
    data, whole, rng = saved.read_bytes(), load_buffer(saved), random.Random(0)
    refused = []
    for _ in range(600):
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        saved.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
        try:
            found = load_buffer(saved)
        except ReplayFileError as error:
            refused.append(str(error))
        else:
            same(found, whole)
    assert len(refused) > 400
    assert all(line.startswith(f"{saved}: ") and "\n" not in line for line in refused)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "replay.arrow"
    with pytest.raises(ReplayFileError, match=r"replay\.arrow: No such file"):
        load_buffer(path)
    with pytest.raises(ReplayFileError, match="Is a directory"):
        load_buffer(tmp_path)
    batch = pa.record_batch({"x": [1, 2]})
    for name in (None, b"ltt-stream/replay/999"):
        schema = batch.schema.with_metadata({b"ltt_stream.schema": name} if name else None)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as out:
            out.write_batch(batch)
        with pytest.raises(ReplayFileError, match="this program reads 'ltt-stream/replay/1'"):
            load_buffer(path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = [tool("mount"), "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(where)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("missing: permission to mount a tmpfs")
    yield where
    subprocess.run([tool("umount"), where], check=True)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(disk: Path) -> None:
    path = disk / "replay.arrow"
    small = Replay(4096)
    teach(small, 100)
    save_buffer(path, small)
    large = Replay(4096)
    teach(large, 4000)
    with pytest.raises(OSError, match=r"No space left on device: '.*replay\.arrow'"):
        save_buffer(path, large)
    assert list(disk.iterdir()) == [path]
    same(load_buffer(path), small)
    large.forget(large.take(np.arange(len(large) - 200)).template_id.tolist())
    save_buffer(path, large)  # there is room again
    same(load_buffer(path), large)


WRITER = """
import sys
from pathlib import Path
from pipeline.replay_file import load_buffer, save_buffer
path = Path(sys.argv[1])
buffer = load_buffer(path)
print("ready", flush=True)
while True:
    save_buffer(path, buffer)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "replay.arrow"
    buffer = Replay(2048)
    teach(buffer, 3000)
    save_buffer(path, buffer)
    rng = random.Random(0)
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(rng.uniform(0, 0.2))
            os.kill(writer.pid, signal.SIGKILL)
        same(load_buffer(path), buffer)
    save_buffer(path, buffer)
    assert list(tmp_path.iterdir()) == [path]
