"""Kill -9 in mid-stream, and a disk that runs full."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.e2e.program import Program, arrow_rows, free_port, tiny_tmpfs

BATCH = 500


def _feed(program: Program, count: int, stop: threading.Event) -> None:
    pipe = program.process.stdin
    assert pipe is not None
    try:
        for n in range(count):
            pipe.write(b"Nov 21 10:00:00 h app[1]: line %d\n" % n)
            if n % 1000 == 0:
                pipe.flush()
                if stop.is_set():
                    return
    except (BrokenPipeError, ValueError):
        return


def test_kill_9_loses_at_most_the_batch_in_flight(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--out", str(out), "--format", "none", "--batch-lines", str(BATCH)]
    stop = threading.Event()
    with Program(*options, tmp=tmp_path, stdin=subprocess.PIPE) as program:
        program.ready()
        feeder = threading.Thread(target=_feed, args=(program, 10_000_000, stop))
        feeder.start()
        program.wait_for("written_messages_total", 20 * BATCH)
        acknowledged = int(program.total("written_messages_total"))
        program.process.send_signal(signal.SIGKILL)
        stop.set()
        feeder.join(30)
        program.process.wait()
    with Program(*options, tmp=tmp_path) as again:
        again.finish()
    assert not list(out.glob("**/*.open")), "the next start salvages what was open"
    rows = arrow_rows(out)
    messages = rows["message"].to_pylist()
    # What the program had counted as written is there, without a gap and without a copy.
    assert len(messages) >= acknowledged
    assert messages == [f"line {n}" for n in range(len(messages))]
    polars = pl.scan_ipc(out / "**/*.arrow").select(pl.len()).collect().item()
    assert polars == len(messages)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with tiny_tmpfs(tmp_path / "tiny", "2m") as disk:
        yield disk


def test_a_full_disk_stops_reading_and_resumes(tiny_disk: Path, tmp_path: Path) -> None:
    """A pipe can wait: not a line is lost, however long the disk is full."""
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"\0" * (1 << 20))
    lines = 30_000
    with Program(
        "--out", str(tiny_disk / "out"), "--format", "none", "--batch-lines", str(BATCH),
        "--queue-lines", "2000", tmp=tmp_path, stdin=subprocess.PIPE,
    ) as program:  # fmt: skip
        program.ready()
        assert program.get("/readyz")[0] == 200
        stop = threading.Event()
        feeder = threading.Thread(target=_feed, args=(program, lines, stop))
        feeder.start()
        end = time.monotonic() + 60
        while program.get("/readyz")[0] == 200:
            assert time.monotonic() < end, "never ran full"
            time.sleep(0.05)
        status, reason = program.get("/readyz")
        assert status == 503
        assert "space" in reason
        assert program.get("/healthz")[0] == 200
        stuck = program.total("received_messages_total")
        time.sleep(1.5)
        assert program.total("received_messages_total") - stuck <= 2000
        assert program.total("dropped_messages_total") == 0
        # Room comes: the ballast goes, and the tiny disk grows.
        ballast.unlink()
        subprocess.run(
            ["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True, capture_output=True
        )
        feeder.join(60)
        assert program.process.stdin is not None
        program.process.stdin.close()
        program.process.stdin = None
        _, err = program.finish()
    messages = arrow_rows(tiny_disk / "out")["message"].to_pylist()
    assert messages == [f"line {n}" for n in range(lines)]
    assert f"{lines:,} lines in, {lines:,} out, 0 dropped" in err
    assert "going on" in err


def test_a_full_disk_under_udp_drops_and_counts(tiny_disk: Path, tmp_path: Path) -> None:
    """UDP cannot wait: what finds no room is counted, and the program goes on."""
    port = free_port(socket.SOCK_DGRAM)
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"\0" * (2 << 20))
    with Program(
        "--listen", f"udp://127.0.0.1:{port}", "--out", str(tiny_disk / "out"), "--format", "none",
        "--batch-lines", "100", "--queue-lines", "1000", tmp=tmp_path,
    ) as program:  # fmt: skip
        program.ready()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"<13>Nov 21 10:00:00 h app: the first to find no room", ("127.0.0.1", port))
            end = time.monotonic() + 60
            while program.get("/readyz")[0] == 200:
                assert time.monotonic() < end, "never ran full"
                time.sleep(0.05)
            for n in range(5000):
                s.sendto(b"<13>Nov 21 10:00:00 h app: line %d" % n, ("127.0.0.1", port))
        program.wait_for("dropped_messages_total", 1)
        drops = {
            k: v for k, v in program.metrics().items() if "dropped_messages_total{" in k and v
        }
        assert all('reason="disk_full"' in k for k in drops), drops
        ballast.unlink()
        subprocess.run(
            ["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True, capture_output=True
        )
        received = program.total("received_messages_total")
        program.wait_for(
            "written_messages_total", received - program.total("dropped_messages_total")
        )
        program.assert_conserved()
        written = int(program.total("written_messages_total"))
        assert written > 0
        program.stop()
    assert arrow_rows(tiny_disk / "out").num_rows == written
