"""Every way a writer can die: what was complete is kept once, what was not is counted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.openfile import OpenFile
from pipeline.sinks.recovery import recover
from tests.pipeline.batches import Batches
from tests.pipeline.test_sink_arrow import copying, group_sizes, names, numbers, rows, written
from tests.support import ROOT

OPEN = "_20240501T120000.000000Z-0badcafe.arrows.open"
DONE = "date=2024-05-01/20240501T120000.000000Z-0badcafe"


def stream_file(batches: list[pa.RecordBatch], directory: Path) -> tuple[bytes, list[int]]:
    """The bytes of an open file as the sink writes it, and the offset after each batch."""
    sink = ArrowSink(directory, batches[0].schema)
    ends = []
    for batch in batches:
        sink.write(batch)
        (path,) = directory.glob("*.arrows.open")
        ends.append(path.stat().st_size)
    content = path.read_bytes()
    sink.close()
    return content, ends


def left_behind(directory: Path, content: bytes) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / OPEN
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("large", "places"), [(8192, 250), (1, 60)], ids=["regrouped", "copied"])
def test_a_file_cut_anywhere_keeps_every_complete_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int, places: int
) -> None:
    copying(monkeypatch, large)
    make = Batches(latent_dim=2)
    batches = [make.batch(3), make.batch(20), make.batch(60)]
    content, ends = stream_file(batches, tmp_path / "writer")
    header = 8 + int.from_bytes(content[4:8], "little")
    cuts = {*range(0, len(content), len(content) // places), len(content)}
    cuts |= {end + d for end in (0, header, *ends) for d in range(-9, 10)}
    for cut in sorted(c for c in cuts if 0 <= c <= len(content)):
        directory = tmp_path / str(cut)
        left_behind(directory, content[:cut])
        done = recover(directory)
        count = len([end for end in ends if end <= cut])
        assert (done.files, done.batches) == (1, count), cut
        assert done.rows == sum(batch.num_rows for batch in batches[:count])
        assert done.lost_bytes == cut - max(at for at in (0, header, *ends) if at <= cut)
        assert (done.damaged, done.waiting) == ([], 0), cut
        if count:
            assert names(directory) == [f"{DONE}.arrow"]
            assert rows(directory) == written(batches[:count])
            assert len(group_sizes(directory)) == (count if large == 1 else 1)
        else:
            assert list(directory.rglob("*")) == []


def test_recovery_repeats_and_finds_nothing_more(tmp_path: Path) -> None:
    content, _ = stream_file([Batches().batch(30)], tmp_path / "writer")
    left_behind(tmp_path / "out", content)
    assert recover(tmp_path / "out").rows == 30
    again = recover(tmp_path / "out")
    assert (again.files, again.rows) == (0, 0)
    assert recover(tmp_path / "nowhere").files == 0
    assert numbers(tmp_path / "out") == list(range(30))


def test_what_was_finished_before_the_kill_is_not_doubled(tmp_path: Path) -> None:
    content, _ = stream_file([Batches().batch(30)], tmp_path / "writer")
    left_behind(tmp_path / "out", content)
    recover(tmp_path / "out", "arrow")
    # Killed after the rename, before the open file was removed; then started for Parquet.
    left_behind(tmp_path / "out", content)
    recover(tmp_path / "out", "parquet")
    assert names(tmp_path / "out") == [f"{DONE}.arrow"]
    assert numbers(tmp_path / "out") == list(range(30))


def test_temporary_leftovers_go(tmp_path: Path) -> None:
    content, _ = stream_file([Batches().batch(30)], tmp_path / "writer")
    out = tmp_path / "out"
    left_behind(out, content)
    (out / DONE).parent.mkdir()
    leftover = out / "date=2024-05-01/_20240501T120000.000000Z-0badcafe.parquet.tmp"
    leftover.write_bytes(b"half a file")
    recover(out)
    assert names(out) == [f"{DONE}.arrow"]


def test_a_live_writer_is_left_alone(tmp_path: Path) -> None:
    make = Batches()
    sink = ArrowSink(tmp_path, make.schema)
    sink.write(make.batch(10))
    assert recover(tmp_path).files == 0
    sink.write(make.batch(10))
    sink.close()
    assert recover(tmp_path).files == 0
    assert numbers(tmp_path) == list(range(20))


def test_a_claimed_file_is_nobody_elses(tmp_path: Path) -> None:
    path = left_behind(tmp_path, b"anything")
    mine = OpenFile.claim(path)
    assert mine is not None
    assert OpenFile.claim(path) is None
    mine.remove()
    assert OpenFile.claim(path) is None


@pytest.mark.parametrize("junk", [b"not an Arrow stream at all", b"\xff" * 400, b"ARROW1\0\0"])
def test_what_never_was_a_stream_is_set_aside(tmp_path: Path, junk: bytes) -> None:
    path = left_behind(tmp_path, junk)
    done = recover(tmp_path)
    aside = path.with_suffix(".damaged")
    assert (done.damaged, done.rows, done.lost_bytes) == ([aside], 0, len(junk))
    assert aside.read_bytes() == junk
    assert recover(tmp_path).files == 0


def test_a_stream_in_the_older_format_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying(monkeypatch, 1)
    batch = Batches().batch(40)
    old = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_legacy_format=True)
    with pa.ipc.new_stream(old, batch.schema, options=options) as out:
        out.write_batch(batch)
    left_behind(tmp_path, old.getvalue().to_pybytes())
    assert recover(tmp_path).rows == 40
    assert rows(tmp_path) == written([batch])


def test_damage_in_the_middle_keeps_what_precedes_it_and_the_original(tmp_path: Path) -> None:
    make = Batches()
    batches = [make.batch(40) for _ in range(3)]
    content, ends = stream_file(batches, tmp_path / "writer")
    hole = bytearray(content)
    hole[ends[0] + 8 : ends[0] + 400] = bytes(392)
    path = left_behind(tmp_path / "out", bytes(hole))
    done = recover(tmp_path / "out")
    assert (done.batches, done.rows, done.damaged) == (1, 40, [path.with_suffix(".damaged")])
    assert path.with_suffix(".damaged").read_bytes() == hole
    assert rows(tmp_path / "out") == written(batches[:1])


@pytest.mark.parametrize("large", [8192, 1], ids=["regrouped", "copied"])
def test_values_that_a_power_cut_zeroed_never_reach_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    """Pages that never hit the disk read as zeros: offsets that run backwards must be caught."""
    copying(monkeypatch, large)
    make = Batches()
    batches = [make.batch(400) for _ in range(2)]
    content, ends = stream_file(batches, tmp_path / "writer")
    for page in range(ends[0] // 4096 + 1, ends[1] // 4096):
        out = tmp_path / str(page)
        hole = bytearray(content)
        hole[page * 4096 : (page + 1) * 4096] = bytes(4096)
        left_behind(out, bytes(hole))
        done = recover(out)
        assert done.batches in (1, 2)
        assert done.batches == 2 or done.damaged
        assert len(rows(out)) == done.rows


WRITER = """
import os, signal, sys
from pathlib import Path
from pipeline.sinks import arrow, copied
from pipeline.sinks.arrow import ArrowSink
from tests.pipeline.batches import Batches
make = Batches(latent_dim=4)
arrow.COPIED_ROWS = copied.COPIED_ROWS = int(sys.argv[4])
sink = ArrowSink(Path(sys.argv[1]), make.schema, rotate_bytes=int(sys.argv[5]))
batches = [make.batch(40) for _ in range(int(sys.argv[2]))]
left = int(sys.argv[3])

def die(event, args):
    global left
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.listdir"):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(die)
for number, batch in enumerate(batches):
    sink.write(batch)
    print(number, flush=True)
sink.close()
print("closed", flush=True)
"""


@pytest.mark.parametrize(
    ("large", "rotate_bytes"), [(8192, 22_000), (1, 60_000)], ids=["regrouped", "copied"]
)
def test_a_kill_at_any_step_of_a_rotation_loses_and_doubles_nothing(
    tmp_path: Path, large: int, rotate_bytes: int
) -> None:
    """The writer is killed before its first, second, … operation on a file's name."""
    for step in range(100):
        out = tmp_path / str(step)
        ran = subprocess.run(
            [sys.executable, "-c", WRITER, out, "9", str(step), str(large), str(rotate_bytes)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = ran.stdout.split()
        acknowledged = 40 * len([word for word in said if word != "closed"])
        done = recover(out)
        assert (done.waiting, done.damaged, done.lost_bytes) == (0, [], 0)
        found = numbers(out) if acknowledged or done.rows else []
        # The batch in flight may be in the file already when its writer dies.
        assert found in (list(range(acknowledged)), list(range(acknowledged + 40))), step
        assert all(name.endswith(".arrow") for name in names(out))
        if ran.returncode == 0:
            assert said[-1] == "closed"
            break
        assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert step > 8  # one rotation takes that many steps


ENDLESS = """
import itertools, sys
from pathlib import Path
from pipeline.sinks.arrow import ArrowSink
from tests.pipeline.batches import Batches
make = Batches(latent_dim=4)
sink = ArrowSink(Path(sys.argv[1]), make.schema, rotate_bytes=200_000)
for number in itertools.count():
    sink.write(make.batch(50))
    print(number, flush=True)
"""


def test_kill_9_loses_at_most_the_batch_in_flight(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == 120:
                writer.kill()
                break
        acknowledged = max([120, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    done = recover(tmp_path)
    assert done.damaged == []
    found = numbers(tmp_path)
    assert found == list(range(len(found)))
    assert len(found) // 50 in (acknowledged + 1, acknowledged + 2)
