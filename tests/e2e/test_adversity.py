"""Ends that nobody planned: stuck readers, closed descriptors, full devices, failing parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.program import LTT_STREAM, Program, arrow_rows

LINE = b"Nov 21 10:00:00 h app[1]: a line that fills the pipe of stdout\n"


def shell(command: str, tmp: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", command.replace("ltt-stream", str(LTT_STREAM))],
        cwd=tmp, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_stdout_that_nobody_reads_stops_neither_sigterm_nor_the_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Program("--out", str(out), "--format", "text", tmp=tmp_path, stdin=subprocess.PIPE) as p:
        p.ready()
        assert p.process.stdin is not None
        p.process.stdin.write(LINE * 5000)
        p.process.stdin.flush()
        end = time.monotonic() + 60
        while p.metrics().get('ltt_stream_written_messages_total{sink="arrow"}', 0) == 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert p.get("/healthz")[0] == 200, "it waits, and is alive"
        p.process.send_signal(signal.SIGTERM)
        assert p.process.wait(30) == 0
        _, err = p.process.communicate()
    assert not list(out.glob("*.open"))
    received = int(err.decode().split(" lines in")[0].split()[-1].replace(",", ""))
    assert arrow_rows(out).num_rows == received
    assert f"{received:,} lines in, {received:,} out, 0 dropped" in err.decode()


def test_one_full_sink_of_two_is_counted_for_that_sink_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device, not a path of ours
        process = subprocess.Popen(
            [LTT_STREAM, "--out", str(out), "--format", "jsonl"],
            stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(LINE * 100)
        process.stdin.close()
        assert process.stderr is not None
        assert b"waiting for room" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        err = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait(60) == 1, "lines were lost on stdout, and the exit code says so"
    assert "100 lines in, 100 out, 0 dropped" in err
    assert arrow_rows(out).num_rows == 100


@pytest.mark.parametrize("how", ["2>/dev/full", "2>&-"])
def test_a_stderr_that_takes_nothing_does_not_end_the_stream(how: str, tmp_path: Path) -> None:
    (tmp_path / "s.log").write_bytes(LINE * 300)
    done = shell(f"ltt-stream --out out --format jsonl < s.log {how}", tmp_path)
    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 300
    assert arrow_rows(tmp_path / "out").num_rows == 300


def test_a_closed_stdout_is_nobody_s_file(tmp_path: Path) -> None:
    (tmp_path / "s.log").write_bytes(LINE * 300)
    done = shell("ltt-stream --out out --format text < s.log >&-", tmp_path)
    assert done.returncode == 0, done.stderr
    assert arrow_rows(tmp_path / "out").num_rows == 300


@pytest.mark.parametrize("command", ["parse", "score", "sample", "run"])
def test_the_reader_of_any_command_may_leave(command: str, tmp_path: Path) -> None:
    (tmp_path / "s.log").write_bytes(LINE * 20_000)
    done = shell(
        f"ltt-stream {command} < s.log | head -1 | wc -l; echo ${{PIPESTATUS[0]}}", tmp_path
    )
    assert done.stdout.split() == [b"1", b"0"]
    assert done.stderr == b""


def test_an_output_directory_that_is_gone_is_an_error_not_a_loop(tmp_path: Path) -> None:
    real, link = tmp_path / "disk", tmp_path / "out"
    real.mkdir()
    link.symlink_to(real)
    with Program("--out", str(link), "--format", "none", tmp=tmp_path, stdin=subprocess.PIPE) as p:
        p.ready()
        real.rmdir()
        assert p.process.stdin is not None
        p.process.stdin.write(LINE)
        p.process.stdin.flush()
        assert p.process.wait(30) == 1
        _, err = p.process.communicate()
    said = err.decode().splitlines()
    assert "1 lines in, 0 out, 1 dropped" in err.decode()
    assert str(link) in said[-1]


def test_two_programs_do_not_share_a_state_directory(tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path / "state"), "--format", "none"]
    with Program(*state, tmp=tmp_path, stdin=subprocess.PIPE) as first:
        first.ready()
        second = subprocess.run(
            [LTT_STREAM, *state], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert second.returncode == 1
        (said,) = second.stderr.decode().splitlines()
        assert str(tmp_path / "state") in said
        first.stop()


def test_a_restart_with_its_state_does_not_flag_again(tmp_path: Path) -> None:
    sample = subprocess.run([LTT_STREAM, "sample"], capture_output=True, check=True).stdout
    flagged = []
    for _ in range(2):
        done = subprocess.run(
            [LTT_STREAM, "--state-dir", str(tmp_path / "state"), "--anomalies-only"],
            input=sample, capture_output=True, check=True, timeout=120,
        )  # fmt: skip
        flagged.append(len(done.stdout.splitlines()))
    assert flagged[0] > 10
    assert flagged[1] == 0


def test_long_junk_without_a_newline_stays_small(tmp_path: Path) -> None:
    for command in ("parse", "run --format jsonl"):
        done = shell(
            f"head -c 50M /dev/zero | (ulimit -v 4000000; ltt-stream {command})", tmp_path
        )
        assert done.returncode == 0, done.stderr
        (row,) = map(json.loads, done.stdout.splitlines())
        assert "over-long" in row["errors"]


def test_sighup_while_it_starts_does_not_kill_it(tmp_path: Path) -> None:
    with Program("--format", "none", tmp=tmp_path, stdin=subprocess.PIPE) as p:
        time.sleep(0.4)
        os.kill(p.process.pid, signal.SIGHUP)
        p.ready()
        p.stop()
