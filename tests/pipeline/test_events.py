"""events.jsonl: whole rows, bounded, and no trouble to who writes them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline.events import OLD, Events, read_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_a_row_is_a_json_object_of_when_what_and_the_facts(path: Path) -> None:
    Events(path).write("drift", at_s=1_772_366_400.25, kind="error", before=0.1, worse=True)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "at": "2026-03-01T12:00:00.250+00:00",
            "event": "drift",
            "kind": "error",
            "before": 0.1,
            "worse": True,
        }
    ]


def test_without_a_time_it_is_now_in_utc(path: Path) -> None:
    before = datetime.now(UTC)
    Events(path).write("start")
    at = datetime.fromisoformat(read_events(path)[0]["at"])
    assert at.utcoffset() == datetime.now(UTC).utcoffset()
    assert abs((at - before).total_seconds()) < 60


def test_it_adds_to_what_is_there(path: Path) -> None:
    Events(path).write("first")
    events = Events(path)
    events.write("second")
    events.write("third")
    assert [row["event"] for row in read_events(path)] == ["first", "second", "third"]
    assert events.failed == 0


def test_facts_of_any_kind_are_written(path: Path) -> None:
    events = Events(path)
    events.write(
        "odd",
        share=np.float32(0.5),
        lines=np.int64(7),
        yes=np.bool_(True),
        many=np.arange(3),
        nothing=None,
        unknown=float("nan"),
        where=Path("/var"),
        text="a\nb \x00 \N{SNOWMAN}",
    )
    (row,) = read_events(path)
    assert events.failed == 0
    assert row | {"at": ""} == {
        "at": "",
        "event": "odd",
        "share": 0.5,
        "lines": 7,
        "yes": True,
        "many": [0, 1, 2],
        "nothing": None,
        "unknown": None,
        "where": "/var",
        "text": "a\nb \x00 \N{SNOWMAN}",
    }


def test_without_a_path_nothing_is_kept() -> None:
    said: list[str] = []
    events = Events(None, say=said.append)
    events.write("drift")
    assert (events.failed, said) == (0, [])


def test_it_never_takes_more_than_two_files_of_its_bound(path: Path) -> None:
    events = Events(path, max_bytes=2000)
    old = path.with_name(path.name + OLD)
    for number in range(500):
        events.write("tick", number=number)
        assert path.stat().st_size <= 2000
    assert old.stat().st_size <= 2000
    assert sorted(path.parent.iterdir()) == [path, old]
    numbers = [row["number"] for row in read_events(path)]
    assert numbers == list(range(numbers[0], 500))  # the newest, in order, none missing
    assert len(numbers) >= 20


def test_a_row_larger_than_the_bound_is_counted_and_leaves_the_others(path: Path) -> None:
    events = Events(path, max_bytes=500)
    events.write("small")
    events.write("large", text="x" * 1000)
    assert events.failed == 1
    assert [row["event"] for row in read_events(path)] == ["small"]


def test_a_full_disk_is_counted_said_once_and_got_over(path: Path) -> None:
    said: list[str] = []
    path.symlink_to("/dev/full")
    events = Events(path, say=said.append)
    for _ in range(3):
        events.write("lost")
    assert events.failed == 3
    assert len(said) == 1
    assert "No space left" in said[0]
    assert str(path) in said[0]
    path.unlink()
    events.write("kept")
    assert [row["event"] for row in read_events(path)] == ["kept"]
    assert (events.failed, len(said)) == (3, 1)
    path.unlink()
    path.symlink_to("/dev/full")
    events.write("lost")
    assert (events.failed, len(said)) == (4, 2)  # another time it is news again


def test_a_folder_that_is_gone_is_counted(tmp_path: Path) -> None:
    said: list[str] = []
    events = Events(tmp_path / "gone" / "events.jsonl", say=said.append)
    events.write("lost")
    assert (events.failed, len(said)) == (1, 1)


def test_a_fact_that_cannot_be_written_is_counted(path: Path) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    events = Events(path)
    events.write("lost", odd=Odd())
    events.write("lost", at_s=float("inf"))
    events.write("kept")
    assert events.failed == 2
    assert [row["event"] for row in read_events(path)] == ["kept"]


def test_a_row_cut_short_by_the_disk_spoils_no_other(path: Path) -> None:
    """The room ends in the midst of a row; later there is room again."""
    events = Events(path)
    events.write("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        events.write("cut short")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    events.write("after")
    assert events.failed == 1
    assert [row["event"] for row in read_events(path)] == ["before", "after"]


def test_after_a_kill_in_the_midst_of_a_row_the_next_run_goes_on(path: Path) -> None:
    Events(path).write("whole")
    with path.open("ab") as file:
        file.write(b'{"at":"2026-03-01T12:00')
    Events(path).write("next run")
    assert [row["event"] for row in read_events(path)] == ["whole", "next run"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0\0\0", b"[]", b"7", b'{"event":"no time"}', b"\xff\xfe", b"{", b'"at"', b"null"],
)
def test_damaged_rows_are_passed_over(path: Path, damage: bytes) -> None:
    events = Events(path)
    events.write("one")
    with path.open("ab") as file:
        file.write(damage + b"\n")
    events.write("two")
    assert [row["event"] for row in read_events(path)] == ["one", "two"]


def test_where_there_is_no_file_there_are_no_events(path: Path) -> None:
    assert read_events(path) == []


def test_threads_write_whole_rows_while_files_are_exchanged(path: Path) -> None:
    events = Events(path, max_bytes=20_000)

    def work(name: int) -> None:
        for number in range(100):
            events.write("tick", name=name, number=number)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(row["name"], row["number"]) for row in read_events(path)}
    assert found == {(name, number) for name in range(4) for number in range(100)}
    assert path.with_name(path.name + OLD).exists()
    assert events.failed == 0


def test_what_was_written_outlives_a_kill(path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from pipeline.events import Events\n"
        "Events(Path(sys.argv[1])).write('last words')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=environment, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert [row["event"] for row in read_events(path)] == ["last words"]
