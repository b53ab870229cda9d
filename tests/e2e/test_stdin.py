"""Lines piped in, as a user pipes them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest

from tests.e2e.program import LTT_STREAM, Program, arrow_rows

DELAY_S = 0.2


def test_a_line_appended_to_a_followed_file_comes_out_within_the_delay(tmp_path: Path) -> None:
    log = tmp_path / "syslog"
    log.write_bytes(b"")
    with subprocess.Popen(["tail", "-n0", "-F", str(log)], stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        with Program(
            "--format", "jsonl", "--batch-delay-s", str(DELAY_S), tmp=tmp_path, stdin=tail.stdout
        ) as program:
            program.ready()
            out = program.process.stdout
            assert out is not None
            for n in range(3):
                with log.open("ab") as f:
                    f.write(b"Nov 21 10:00:00 h app[1]: line %d\n" % n)
                    f.flush()
                written_s = time.monotonic()
                readable, _, _ = select.select([out], [], [], DELAY_S + 0.5)
                assert readable, f"nothing after {time.monotonic() - written_s:.2f} s"
                assert json.loads(out.readline())["message"] == f"line {n}"
            tail.terminate()
            program.assert_conserved()
            program.finish()


def test_partial_reads_a_last_line_without_newline_nul_bytes_and_a_mebibyte_line(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    with Program("--out", str(out), "--format", "none", tmp=tmp_path, stdin=subprocess.PIPE) as p:
        pipe = p.process.stdin
        assert pipe is not None
        os.set_blocking(pipe.fileno(), True)
        pipe.write(b"<34>Oct 11 22:14:15 h su: first ha")
        pipe.flush()
        p.ready()
        pipe.write(b"lf\n\n<34>Oct 11 22:14:15 h su: nul \x00 inside\r\n")
        pipe.write(b"x" * (1 << 20) + b"\nafter\nnot utf-8 \xff\xfe\nlast without newline")
        pipe.flush()
        p.wait_for("written_messages_total", 5)
        pipe.close()
        p.process.stdin = None
        _, err = p.finish()
    rows = arrow_rows(out).sort_by("received_at")
    messages = rows["message"].to_pylist()
    assert messages[:2] == ["first half", "nul \x00 inside"]
    assert len(messages[2]) == 65536
    assert "over-long" in rows["errors"].to_pylist()[2]
    assert messages[3:] == ["after", r"not utf-8 \xff\xfe", "last without newline"]
    assert "6 lines in, 6 out, 0 dropped" in err


def test_every_line_of_a_file_is_scored_however_fast_it_comes(tmp_path: Path) -> None:
    lines = 200_000
    log = tmp_path / "big.log"
    with log.open("wb") as f:
        for n in range(lines):
            f.write(
                b"Nov 21 10:00:%02d host app%d[%d]: connection %d from 192.0.2.%d closed\n"
                % (n % 60, n % 7, n, n, n % 250)
            )
    out = tmp_path / "out"
    with (
        log.open("rb") as stdin,
        Program("--out", str(out), "--format", "none", tmp=tmp_path, stdin=stdin) as program,
    ):
        _, err = program.finish()
    rows = arrow_rows(out)
    assert rows.num_rows == lines
    assert pc.all(rows["scored"]).as_py()
    assert pc.count_distinct(rows["template_id"]).as_py() == 7
    assert f"{lines:,} lines in, {lines:,} out, 0 dropped" in err


def test_order_and_text_survive(tmp_path: Path) -> None:
    lines = [f"Nov 21 10:00:00 host app[{n}]: Grüße {n} ☃" for n in range(10_000)]
    done = subprocess.run(
        [LTT_STREAM, "--format", "jsonl"],
        input="\n".join(lines).encode(), capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["message"] for row in rows] == [f"Grüße {n} ☃" for n in range(10_000)]
    assert [row["procid"] for row in rows] == [str(n) for n in range(10_000)]


@pytest.mark.parametrize("form", ["text", "jsonl", "arrow"])
def test_head_ends_it_quietly(form: str) -> None:
    feed = "yes 'Nov 21 10:00:00 h app[1]: the same line again'"
    done = subprocess.run(
        ["bash", "-c",
         f"{feed} | {LTT_STREAM} --format {form} | head -c 300 | wc -c; echo ${{PIPESTATUS[1]}}"],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [b"300", b"0"]
    assert done.stderr == b""


def test_a_pipe_that_ends_at_once_is_no_error(tmp_path: Path) -> None:
    with Program("--out", str(tmp_path / "out"), tmp=tmp_path) as program:
        out, err = program.finish()
    assert out == b""
    assert "0 lines in, 0 out, 0 dropped" in err
    assert not list((tmp_path / "out").glob("**/*.arrow"))
