"""A disk that is full for real: nothing is lost, nothing is doubled, and it goes on afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.sinks import SinkFull
from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.recovery import recover
from pipeline.sinks.stdout import StdoutSink
from tests.pipeline.batches import NOON_US, Batches
from tests.pipeline.test_sink_arrow import copying, names, numbers
from tests.support import tool


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = [tool("mount"), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("missing: permission to mount a tmpfs")
    yield where
    subprocess.run([tool("umount"), where], check=True)


def ballast(disk: Path, leave: int) -> Path:
    """A file that leaves so many bytes free."""
    free = os.statvfs(disk)
    path = disk / "ballast"
    path.write_bytes(bytes(free.f_bavail * free.f_frsize - leave))
    return path


def problem(sink: ArrowSink) -> str:
    """What keeps files from being finished, once the sink has tried."""
    sink._finisher.wait()
    return sink.problem or ""


def fill(sink: ArrowSink, make: Batches) -> tuple[pa.RecordBatch, int]:
    """Write until there is no room: the batch that did not fit, and how many did."""
    for count in range(100_000):
        batch = make.batch(100)
        try:
            sink.write(batch)
        except SinkFull:
            return batch, count
    raise AssertionError("the disk never filled up")


@pytest.mark.parametrize("large", [8192, 100], ids=["regrouped", "copied"])
def test_the_refused_batch_goes_in_once_there_is_room(
    disk: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    copying(monkeypatch, large)
    out = disk / "out"
    make = Batches(latent_dim=4)
    sink = ArrowSink(out, make.schema)
    weight = ballast(disk, leave=300_000)
    batch, count = fill(sink, make)
    assert count > 1
    for _ in range(3):
        with pytest.raises(SinkFull, match="No space left"):
            sink.write(batch)
    weight.unlink()
    sink.write(batch)
    sink.write(make.batch(100))
    sink.close()
    assert sink.problem is None
    assert numbers(out) == list(range(make.rows))


def test_a_refused_batch_can_be_given_up(disk: Path) -> None:
    out = disk / "out"
    make = Batches(latent_dim=4)
    sink = ArrowSink(out, make.schema)
    weight = ballast(disk, leave=300_000)
    _, count = fill(sink, make)
    for _ in range(3):  # dropped by the caller, one after the other, still full
        with pytest.raises(SinkFull):
            sink.write(make.batch(100))
    weight.unlink()
    first = make.rows
    sink.write(make.batch(100))
    sink.write(make.batch(100))
    sink.close()
    recover(out)
    assert numbers(out) == [*range(count * 100), *range(first, first + 200)]


@pytest.mark.parametrize("large", [8192, 100], ids=["regrouped", "copied"])
def test_no_room_for_the_finished_file_keeps_the_open_one(
    disk: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    copying(monkeypatch, large)
    out = disk / "out"
    make = Batches(latent_dim=4)
    sink = ArrowSink(out, make.schema)
    for _ in range(20):
        sink.write(make.batch(100))
    weight = ballast(disk, leave=4096)
    sink.rotate()
    assert "No space left" in problem(sink)
    assert [Path(name).name.endswith(".arrows.open") for name in names(out)] == [True]
    weight.unlink()
    # Room again: the next rotation takes the one that waited along.
    sink.write(make.batch(100))
    sink.close()
    assert problem(sink) == ""
    assert {Path(name).suffix for name in names(out)} == {".arrow"}
    assert numbers(out) == list(range(2_100))


def test_what_waits_is_tried_again_by_time(disk: Path) -> None:
    out = disk / "out"
    make = Batches(latent_dim=4)
    sink = ArrowSink(out, make.schema)
    sink.write(make.batch(500))
    weight = ballast(disk, leave=4096)
    sink.rotate()
    assert "No space left" in problem(sink)
    weight.unlink()
    sink.tick(NOON_US)
    assert problem(sink) == ""
    assert numbers(out) == list(range(500))
    sink.close()


def test_recovery_without_room_leaves_the_file_for_later(disk: Path) -> None:
    out = disk / "out"
    make = Batches(latent_dim=4)
    sink = ArrowSink(out, make.schema)
    sink.write(make.batch(500))
    weight = ballast(disk, leave=4096)
    sink.close()
    done = recover(out)
    assert (done.waiting, done.rows) == (1, 0)
    assert done.problem is not None
    assert "No space left" in done.problem
    weight.unlink()
    assert recover(out).rows == 500
    assert numbers(out) == list(range(500))


def test_stdout_into_a_file_on_a_full_disk_cuts_and_doubles_no_line(disk: Path) -> None:
    make = Batches()
    batches = [make.batch(400) for _ in range(3)]
    shown = disk / "shown.jsonl"
    fd = os.open(shown, os.O_CREAT | os.O_WRONLY)
    sink = StdoutSink("jsonl", make.schema, fd=fd)
    weight = ballast(disk, leave=100_000)
    with pytest.raises(SinkFull):
        sink.write(batches[0])
    with pytest.raises(SinkFull):
        sink.write(batches[1])
    weight.unlink()
    sink.write(batches[1])
    sink.write(batches[2])
    sink.close()
    os.close(fd)
    found = [
        line.split('"template_id":')[1].split(",")[0] for line in shown.read_text().splitlines()
    ]
    assert found == [str(number) for number in range(1_200)]
