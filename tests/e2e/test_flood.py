"""A flood of lines that are all new: the model is shed, no line is lost, the gaps are filled."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.e2e.program import LTT_STREAM, Program, arrow_rows, free_port

FLOOD, NORMAL = 8_000, 200
QUEUE = 9_000
"""Room for all of the flood; from half of it on the model is shed."""
SYLLABLES = ["ka", "lo", "mi", "ren", "tus", "vor", "zel", "pax", "qui", "dro", "fen", "gal"]


def flood() -> Iterator[bytes]:
    """Lines that differ in their words: each is a template of its own."""
    pick = random.Random(7).choices
    for _ in range(FLOOD):
        words = ("".join(pick(SYLLABLES, k=3)) for _ in range(6))
        yield b"Nov 21 10:00:00 h app: " + " ".join(words).encode()


def drained(program: Program, sent: int) -> int:
    """Wait until each line is written, or counted as dropped by the kernel; those written."""
    end = time.monotonic() + 60
    while True:
        lost = program.total("kernel_dropped_datagrams_total")
        written = program.total("written_messages_total")
        if written + lost >= sent:
            return int(written)
        assert time.monotonic() < end, f"{written} written and {lost} lost of {sent}"
        time.sleep(0.05)


def test_a_flood_sheds_the_model_and_rescore_fills_the_gaps(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    out = tmp_path / "out"
    with Program(
        "--listen", f"udp://127.0.0.1:{port}", "--out", str(out), "--format", "none",
        "--queue-lines", str(QUEUE), "--batch-lines", "1000", tmp=tmp_path,
    ) as program, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # fmt: skip
        program.ready()
        s.connect(("127.0.0.1", port))
        for n, line in enumerate(flood()):
            s.send(line)
            if n % 500 == 0:
                time.sleep(0.005)  # the kernel's buffer is not what is tested here
        time.sleep(0.2)
        s.send(b"Nov 21 10:00:08 h app: with this line the kernel tells what it has dropped")
        arrived = drained(program, FLOOD + 1)
        program.assert_conserved()
        for n in range(NORMAL):
            s.send(b"<30>Nov 21 10:00:09 h sshd[%d]: Connection closed by 192.0.2.1 port 22" % n)
        program.wait_for("written_messages_total", arrived + NORMAL)
        program.assert_conserved()
        assert program.total("dropped_messages_total") == 0
        assert program.total("kernel_dropped_datagrams_total") == FLOOD + 1 - arrived
        program.stop()
    before = arrow_rows(out)
    scored = np.asarray(before["scored"])
    assert len(scored) == arrived + NORMAL
    shed = int((~scored).sum())
    assert 0 < shed < arrived
    assert scored[-NORMAL:].all(), "it is over when it is over"
    done = subprocess.run(
        [LTT_STREAM, "rescore", str(out)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    (said,) = done.stderr.splitlines()
    assert f"rescored {shed:,} of {before.num_rows:,} rows in 1 files" in said
    after = arrow_rows(out)
    assert np.asarray(after["scored"]).all()
    assert after["message"].equals(before["message"])
    assert after["latent"].null_count == 0
    assert 0 not in after["template_id"].to_pylist()
