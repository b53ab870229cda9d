"""Lines off real pipes, files and terminals, however they are cut."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batcher import FrameQueue
from pipeline.receivers import ReceiverError
from pipeline.receivers.stdin import MAX_LINE_BYTES, StdinReceiver
from tests.support import ROOT

LONG_S = 30.0
KEPT = MAX_LINE_BYTES + 1


class Reading:
    """A receiver on a descriptor, with its queue."""

    def __init__(self, fd: int, *, queue_lines: int = 100_000) -> None:
        self.queue = FrameQueue(queue_lines)
        self.receiver = StdinReceiver(fd)
        self.receiver.start(self.queue)

    def lines(self, count: int) -> list[bytes]:
        """Wait for `count` lines."""
        lines: list[bytes] = []
        end_s = time.monotonic() + LONG_S
        while len(lines) < count and time.monotonic() < end_s:
            for chunk in self.queue.take(1000, 0.0, 1.0) or []:
                lines += chunk.data
        return lines

    def rest(self) -> list[bytes]:
        """What comes until the receiver has finished."""
        lines: list[bytes] = []
        while not (self.receiver.finished and not self.queue.lines):
            for chunk in self.queue.take(1000, 0.0, LONG_S) or []:
                lines += chunk.data
        assert self.receiver.join(LONG_S)
        assert self.receiver.error is None
        assert not self.queue.dropped
        return lines


@pytest.fixture
def pipe() -> Iterator[tuple[Reading, int]]:
    """A reading and the descriptor to write to."""
    read_fd, write_fd = os.pipe()
    reading = Reading(read_fd)
    yield reading, write_fd
    reading.receiver.stop()
    assert reading.receiver.join(LONG_S)
    for fd in (read_fd, write_fd):
        try:
            os.close(fd)
        except OSError:  # the test closed it
            continue


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def expected(data: bytes) -> tuple[list[bytes], int]:
    """The lines and the number of blank ones, said in the plainest way."""
    *ended, last = data.split(b"\n")
    lines = [line.removesuffix(b"\r") for line in ended] + ([last] if last else [])
    return [line[:KEPT] for line in lines if line], lines.count(b"")


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\0", b"\xff\xfe"]),
        st.sampled_from([b"x" * 40_000, b"y" * KEPT, b"\0" * (KEPT + 1), b"z" * 200_000]),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(PIECES)
def test_lines_do_not_depend_on_how_the_stream_was_cut(pieces: list[bytes]) -> None:
    read_fd, write_fd = os.pipe()
    reading = Reading(read_fd)
    try:
        for piece in pieces:
            write_all(write_fd, piece)
        os.close(write_fd)
        lines, blank = expected(b"".join(pieces))
        assert reading.rest() == lines
        assert reading.receiver.blank == blank
        assert reading.queue.received["stdin"] == len(lines)
    finally:
        os.close(read_fd)


def test_a_slow_line_comes_at_once(pipe: tuple[Reading, int]) -> None:
    reading, fd = pipe
    for line in (b"one", b"two"):
        write_all(fd, line + b"\nunfinished")
        got = reading.lines(1)
        assert got[0].endswith(line)
    os.close(fd)
    assert reading.rest() == [b"unfinished"]
    assert reading.receiver.finished


def test_a_crlf_cut_in_two_is_one_line_end(pipe: tuple[Reading, int]) -> None:
    reading, fd = pipe
    write_all(fd, b"first\nsecond\r")
    assert reading.lines(1) == [b"first"]
    write_all(fd, b"\nthird\rstill\n")
    os.close(fd)
    assert reading.rest() == [b"second", b"third\rstill"]


def test_an_over_long_line_is_cut_where_the_parser_can_see_it(pipe: tuple[Reading, int]) -> None:
    reading, fd = pipe
    write_all(fd, b"a" * (1 << 20) + b"\nnext\n" + b"b" * KEPT + b"\n" + b"c" * (KEPT + 1))
    os.close(fd)
    assert reading.rest() == [b"a" * KEPT, b"next", b"b" * KEPT, b"c" * KEPT]


def test_a_long_line_read_at_once_is_cut_the_same(tmp_path: Path) -> None:
    data = b"first\n" + b"a" * 500_000 + b"\r\n" + b"b" * KEPT + b"\r\nlast"
    log = tmp_path / "long.log"
    log.write_bytes(data)
    with log.open("rb") as file:
        assert Reading(file.fileno()).rest() == expected(data)[0]


def test_endless_input_without_a_line_end_takes_no_memory() -> None:
    def figure(path: str, key: str) -> int:
        text = Path(path).read_text(encoding="ascii")
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith(key)))

    read_before = figure("/proc/self/io", "rchar:")
    resident_before = figure("/proc/self/status", "VmRSS:")
    with Path("/dev/zero").open("rb") as zero:
        reading = Reading(zero.fileno())
        assert reading.lines(1) == [b"\0" * KEPT]
        until(lambda: figure("/proc/self/io", "rchar:") - read_before > 1 << 29)
        assert figure("/proc/self/status", "VmRSS:") - resident_before < 32 * 1024  # KiB
        reading.receiver.stop()
        assert reading.rest() == []


def test_stop_ends_a_read_that_waits_and_keeps_the_line_begun(pipe: tuple[Reading, int]) -> None:
    reading, fd = pipe
    write_all(fd, b"whole\nhalf")
    assert reading.lines(1) == [b"whole"]
    reading.receiver.stop()
    assert reading.rest() == [b"half"]


def test_a_stop_before_the_start_finishes() -> None:
    read_fd, write_fd = os.pipe()
    receiver = StdinReceiver(read_fd)
    receiver.stop()
    assert receiver.finished
    assert receiver.join(0.0)
    os.close(read_fd)
    os.close(write_fd)


def test_a_file_larger_than_the_queue_is_read_whole(tmp_path: Path) -> None:
    lines = [b"line %d %s" % (i, b"." * (i % 200)) for i in range(50_000)]
    log = tmp_path / "big.log"
    log.write_bytes(b"\r\n".join(lines))
    with log.open("rb") as file:
        reading = Reading(file.fileno(), queue_lines=500)
        got: list[bytes] = []
        while not (reading.receiver.finished and not reading.queue.lines):
            for chunk in reading.queue.take(100, LONG_S, LONG_S) or []:
                assert not reading.queue.overloaded
                got += chunk.data
    assert got == lines
    assert not reading.queue.dropped


def test_closing_the_queue_frees_a_reader_that_waits_for_room() -> None:
    read_fd, write_fd = os.pipe()
    reading = Reading(read_fd, queue_lines=10)
    write_all(write_fd, b"x\n" * 100)
    os.close(write_fd)
    until(lambda: reading.queue.lines == 5)
    reading.queue.close()
    assert reading.receiver.join(LONG_S)
    assert reading.queue.received["stdin"] == reading.queue.dropped["stdin", "shutdown"] + 5
    os.close(read_fd)


def test_a_terminal_is_read_like_a_pipe() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    reading = Reading(theirs)
    write_all(ours, b"typed\n")
    assert reading.lines(1) == [b"typed"]
    reading.receiver.stop()
    assert reading.rest() == []
    os.close(ours)
    os.close(theirs)


def test_a_non_blocking_descriptor_is_waited_for() -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    reading = Reading(read_fd)

    def write_late() -> None:
        write_all(write_fd, b"late\n")
        os.close(write_fd)

    threading.Timer(0.05, write_late).start()
    assert reading.rest() == [b"late"]
    os.close(read_fd)


def test_an_empty_input_is_the_end() -> None:
    with Path("/dev/null").open("rb") as null:
        assert Reading(null.fileno()).rest() == []


def test_an_input_that_cannot_be_read_says_so_and_finishes() -> None:
    with Path("/proc/self/mem").open("rb") as unreadable:  # page 0: EIO
        reading = Reading(unreadable.fileno())
        until(lambda: reading.receiver.finished)
    assert reading.receiver.error is not None
    assert reading.receiver.error.startswith("stdin: ")


def test_a_directory_and_a_closed_descriptor_are_refused(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(ReceiverError, match="stdin is a directory"):
        StdinReceiver(fd)
    os.close(fd)
    with pytest.raises(ReceiverError, match="stdin is closed"):
        StdinReceiver(fd)


def test_a_standard_input_closed_at_the_start_is_refused() -> None:
    """Other files have taken number 0 by the time that it is looked at."""
    code = (
        "import sys; from pipeline.receivers import open_receivers\n"
        "file = open('/dev/zero')\n"
        "try:\n    open_receivers([])\n"
        "except OSError as error:\n    print(error)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1" <&-', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("stdin is closed: ")
