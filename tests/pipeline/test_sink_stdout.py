"""Stdout for people and for programs, into real pipes and terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipeline.sinks import SinkClosed
from pipeline.sinks.jsonl import jsonl
from pipeline.sinks.stdout import StdoutFormat, StdoutSink
from pipeline.sinks.text import shown, text
from pipeline.sinks.values import values
from tests.pipeline.batches import NOON_US, Batches
from tests.support import ROOT


def piped(work: Callable[[int], None]) -> bytes:
    """What `work` writes to a pipe that a slow reader empties."""
    reading, writing = os.pipe()
    taken: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 65_536):
            taken.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    work(writing)
    os.close(writing)
    reader.join()
    os.close(reading)
    return b"".join(taken)


def through(output: StdoutFormat, batches: list[pa.RecordBatch], **options: bool) -> bytes:
    def work(fd: int) -> None:
        sink = StdoutSink(output, batches[0].schema, fd=fd, **options)
        for batch in batches:
            sink.write(batch)
        sink.close()

    return piped(work)


def row(**cells: Any) -> pa.RecordBatch:
    """One scored line with these cells."""
    make = Batches(latent_dim=1)
    (given,) = make.batch(1).to_pylist()
    given |= {
        "timestamp": None, "hostname": "web1", "app_name": "sshd", "procid": "7",
        "severity": None, "predicted_severity": 4, "anomaly": False, "reasons": [],
        "alert_count": None,
        "scored": True, "message": "hello",
    } | cells  # fmt: skip
    return pa.RecordBatch.from_pylist([given], schema=make.schema)


def test_a_line_shows_time_host_program_severity_and_message() -> None:
    assert text(row(), colour=False) == (
        b"2024-05-01T12:00:00.000Z web1 sshd[7]: warning  hello\n"
    )


def test_the_lines_own_time_comes_before_that_of_its_arrival() -> None:
    assert text(row(timestamp=NOON_US - 1), colour=False).startswith(b"2024-05-01T11:59:59.999Z ")


def test_missing_names_are_dashes() -> None:
    line = text(row(hostname=None, app_name=None, procid=None), colour=False)
    assert line.split(b" ", 1)[1] == b"- -: warning  hello\n"


def test_an_anomaly_and_its_reasons_are_marked() -> None:
    line = text(row(anomaly=True, reasons=["surprise", "rare"]), colour=False)
    assert line.endswith(b": warning  !surprise,rare! hello\n")


def test_an_alert_says_how_many_lines_it_stands_for() -> None:
    again = row(anomaly=True, reasons=["severity"], alert_count=4000)
    assert text(again, colour=False).endswith(b": warning  !severity! (\xc3\x974000) hello\n")
    first = row(anomaly=True, reasons=["severity"], alert_count=1)
    assert text(first, colour=False).endswith(b": warning  !severity! hello\n")
    assert json.loads(jsonl(again))["alert_count"] == 4000
    assert json.loads(jsonl(row()))["alert_count"] is None


def test_the_declared_severity_follows_where_it_differs() -> None:
    assert text(row(severity=6), colour=False).endswith(b": warning  (info) hello\n")
    assert text(row(severity=4), colour=False).endswith(b": warning  hello\n")


def test_an_unscored_line_says_so() -> None:
    line = text(row(predicted_severity=None, scored=False), colour=False)
    assert line.endswith(b": unscored hello\n")


HOSTILE = (
    ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
    ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
    ("8-bit \x9b31m CSI", r"8-bit \x9b31m CSI"),
    ("nul \x00 del \x7f", r"nul \x00 del \x7f"),
    ("\u202egnp.exe", r"\u202egnp.exe"),
    ("a\u2028b\u200bc\ufeff", r"a\u2028b\u200bc\ufeff"),
    ("tag \U000e0041", r"tag \U000e0041"),
    ("naïve 日本語 😀 \u00a0nbsp", "naïve 日本語 😀 \u00a0nbsp"),
    (r"already \x1b shown", r"already \x1b shown"),
)


@pytest.mark.parametrize(("message", "safe"), HOSTILE)
def test_nothing_in_a_line_acts_on_the_terminal(message: str, safe: str) -> None:
    assert shown(message) == safe
    line = text(row(message=message), colour=False).decode()
    assert line.endswith(f": warning  {safe}\n")
    assert line.count("\n") == 1
    for name in ("hostname", "app_name", "procid"):
        assert safe in text(row(**{name: message}), colour=False).decode()


def test_colour_on_a_terminal_and_none_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    batch = row(predicted_severity=3, message="\x1b[0m")

    def on_terminal() -> str:
        ours, theirs = pty.openpty()
        try:
            StdoutSink("text", batch.schema, fd=theirs).write(batch)
            return os.read(ours, 4096).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    coloured = on_terminal()
    assert "\x1b[31merr\x1b[0m" in coloured
    plain = through("text", [batch]).decode()
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r\n", "\n") == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_terminal()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in on_terminal()


def test_json_lines_hold_every_column_but_the_latent() -> None:
    make = Batches()
    batches = [make.batch(700), make.batch(300)]
    lines = through("jsonl", batches).splitlines()
    want = [line for batch in batches for line in batch.to_pylist()]
    assert len(lines) == 1_000
    for line, whole in zip(lines, want, strict=True):
        found = json.loads(line)
        assert list(found) == [name for name in make.schema.names if name != "latent"]
        for name in ("received_at", "timestamp"):
            stamp = whole[name] and whole[name].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            assert found.pop(name) == stamp
        data = whole["structured_data"]
        if data is not None:
            assert found.pop("structured_data") == {name: dict(pairs) for name, pairs in data}
        for name in ("severity_probability", "surprise", "p_value"):
            number = found.pop(name)
            assert pa.scalar(number, pa.float32()).as_py() == whole[name]
        assert all(whole[name] == value for name, value in found.items())


def test_json_has_no_word_for_what_is_not_finite() -> None:
    found = json.loads(jsonl(row(surprise=float("inf"), p_value=float("nan"))))
    assert (found["surprise"], found["p_value"]) == (None, None)


def test_values_of_slices_and_of_empty_batches() -> None:
    batch = Batches().batch(200)
    for name in batch.schema.names:
        whole = values(batch.column(name))
        assert values(batch.column(name).slice(33, 40)) == whole[33:73], name
        assert values(batch.column(name).slice(5, 0)) == [], name
    assert values(batch.column("latent"))[:2] == [
        pa.array(x, pa.float32()).cast(pa.string()).cast(pa.float64()).to_pylist() if x else None
        for x in batch.column("latent")[:2].to_pylist()
    ]


def test_the_arrow_stream_is_read_by_pyarrow_and_polars(tmp_path: Path) -> None:
    make = Batches()
    batches = [make.batch(100), make.batch(200)]
    make.restart()
    batches.append(make.batch(50))
    stream = through("arrow", batches)
    want = [line for batch in batches for line in batch.to_pylist()]
    assert pa.ipc.open_stream(stream).read_all().to_pylist() == want
    frame = pl.read_ipc_stream(stream)
    assert frame["message"].to_list() == [line["message"] for line in want]
    assert frame["hostname"].to_list() == [line["hostname"] for line in want]


def test_an_arrow_stream_of_nothing_still_has_its_schema() -> None:
    make = Batches()
    stream = through("arrow", [make.batch(0)])
    assert pa.ipc.open_stream(stream).read_all().schema.equals(make.schema, check_metadata=True)


@pytest.mark.parametrize("output", ["text", "jsonl"])
def test_only_anomalies_on_request(output: StdoutFormat) -> None:
    make = Batches()
    batches = [make.batch(300), make.batch(300)]
    flagged = [batch.filter(batch.column("anomaly")) for batch in batches]
    assert 0 < sum(batch.num_rows for batch in flagged) < 600
    assert through(output, batches, anomalies_only=True) == through(output, flagged)
    silent = batches[0].filter(pa.compute.invert(batches[0].column("anomaly")))
    assert through(output, [silent], anomalies_only=True) == b""


@pytest.mark.parametrize("output", ["text", "jsonl", "arrow"])
def test_a_reader_that_goes_ends_it(output: StdoutFormat) -> None:
    make = Batches()
    reading, writing = os.pipe()
    sink = StdoutSink(output, make.schema, fd=writing)
    os.close(reading)
    with pytest.raises(SinkClosed):
        sink.write(make.batch(10))
    sink.close()
    os.close(writing)


def test_a_reader_that_is_slow_is_waited_for() -> None:
    make = Batches()
    batches = [make.batch(2_000) for _ in range(3)]

    def work(fd: int) -> None:
        os.set_blocking(fd, False)
        sink = StdoutSink("jsonl", make.schema, fd=fd)
        for batch in batches:
            sink.write(batch)

    assert piped(work) == b"".join(jsonl(batch) for batch in batches)


WRITER = """
import sys
from pipeline.sinks import SinkClosed
from pipeline.sinks.stdout import StdoutSink
from tests.pipeline.batches import Batches
make = Batches(latent_dim=1)
sink = StdoutSink("text", make.schema)
try:
    while True:
        sink.write(make.batch(100))
except SinkClosed:
    sink.close()
    print("closed", file=sys.stderr)
"""


def test_head_ends_it_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        head = subprocess.run(
            ["head", "-n", "3"], stdin=writer.stdout, capture_output=True, check=True
        )
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.stderr is not None
        assert writer.stderr.read() == b"closed\n"
        assert writer.wait(timeout=60) == 0
    assert head.stdout.count(b"\n") == 3
