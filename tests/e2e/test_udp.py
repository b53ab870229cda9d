"""Syslog over UDP from the clients that people have: logger and loggen."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.program import Program, arrow_rows, free_port
from tests.support import tool

FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


def url(host: str, port: int) -> str:
    return f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"


@pytest.mark.parametrize("host", FAMILIES)
def test_logger_in_both_formats(host: str, tmp_path: Path) -> None:
    logger = tool("logger")
    port = free_port(socket.SOCK_DGRAM, FAMILIES[host])
    out = tmp_path / "out"
    with Program(
        "--listen", url(host, port), "--out", str(out), "--format", "none", tmp=tmp_path
    ) as p:
        p.ready()
        to = ["-d", "-n", host, "-P", str(port)]
        subprocess.run(
            [logger, *to, "--rfc3164", "-p", "auth.err", "-t", "old", "--id=42", "from 3164"],
            check=True,
        )
        subprocess.run(
            [logger, *to, "--rfc5424", "-p", "cron.info", "-t", "new", "--id=43", "--msgid", "M1",
             "--sd-id", "x@32473", "--sd-param", 'k="a \\"quoted\\" value"', "from 5424"],
            check=True,
        )  # fmt: skip
        p.wait_for("written_messages_total", 2)
        p.assert_conserved()
        p.stop()
    rows = {row["message"]: row for row in arrow_rows(out).to_pylist()}
    old, new = rows["from 3164"], rows["from 5424"]
    assert (old["facility"], old["severity"], old["app_name"], old["procid"]) == (
        4,
        3,
        "old",
        "42",
    )
    assert (new["facility"], new["severity"], new["app_name"], new["procid"]) == (
        9,
        6,
        "new",
        "43",
    )
    assert new["msgid"] == "M1"
    assert dict(dict(new["structured_data"])["x@32473"]) == {"k": 'a "quoted" value'}
    assert new["timestamp"] is not None
    for row in (old, new):
        assert row["source"] == url(host, port)
        assert row["peer"] == host
        assert row["scored"]
        assert row["errors"] == []


def test_one_datagram_is_one_message_whatever_is_in_it(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sent = [
        b"<13>Nov 21 10:00:00 h app: two\nlines",
        b"<4444>Nov 21 10:00:00 h app: bad priority",
        b"\xff\xfe\x00",
        b"x" * 60_000,
        b"",
        b"<",
    ]
    out = tmp_path / "out"
    with Program("--listen", f"udp://127.0.0.1:{port}", "--out", str(out), tmp=tmp_path) as p:
        p.ready()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for datagram in sent:
                s.sendto(datagram, ("127.0.0.1", port))
        p.wait_for("written_messages_total", len(sent))
        p.assert_conserved()
        assert p.total("malformed_messages_total") >= 1
        p.stop()
    rows = arrow_rows(out).to_pylist()
    assert len(rows) == len(sent)
    assert rows[0]["message"] == "two\nlines"
    assert rows[1]["errors"]
    assert rows[3]["message"] == "x" * 60_000


@pytest.mark.slow
def test_loggen_at_20_000_a_second_loses_nothing(tmp_path: Path) -> None:
    loggen = tool("loggen")
    port = free_port(socket.SOCK_DGRAM)
    out = tmp_path / "out"
    with Program(
        "--listen", f"udp://127.0.0.1:{port}", "--out", str(out), "--format", "none", tmp=tmp_path
    ) as p:
        p.ready()
        done = subprocess.run(
            [loggen, "--inet", "--dgram", "--rate", "20000", "--interval", "10", "--size", "256",
             "127.0.0.1", str(port)],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        # It reports as it goes; the last report is the whole.
        sent = int(re.findall(r"count=(\d+)", done.stderr + done.stdout)[-1])
        assert sent > 150_000
        p.wait_for("written_messages_total", sent)
        p.assert_conserved()
        assert p.total("received_messages_total") == sent
        assert p.total("dropped_messages_total") == 0
        assert p.total("kernel_dropped_datagrams_total") == 0
        assert p.total("scored_messages_total") == sent
        _, err = p.stop()
    assert arrow_rows(out).num_rows == sent
    assert f"{sent:,} lines in, {sent:,} out, 0 dropped" in err


def test_what_the_kernel_drops_is_counted_to_the_message(tmp_path: Path) -> None:
    """A socket's buffer overruns while the program stands still: none of it goes unsaid."""
    port = free_port(socket.SOCK_DGRAM)
    sent = 60_000
    with Program("--listen", f"udp://127.0.0.1:{port}", "--format", "none", tmp=tmp_path) as p:
        p.ready()
        p.process.send_signal(signal.SIGSTOP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            line = b"<13>Nov 21 10:00:00 h app: " + b"x" * 900
            for _ in range(sent):
                s.sendto(line, ("127.0.0.1", port))
        p.process.send_signal(signal.SIGCONT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.sendto(b"<13>Nov 21 10:00:01 h app: one more", ("127.0.0.1", port))
        p.wait_for("kernel_dropped_datagrams_total", 1)
        received = p.total("received_messages_total")
        lost = p.total("kernel_dropped_datagrams_total")
        while received + lost < sent + 1:
            before = received
            p.wait_for("received_messages_total", before + 1, timeout_s=20)
            received = p.total("received_messages_total")
            lost = p.total("kernel_dropped_datagrams_total")
        assert received + lost == sent + 1
        p.wait_for("written_messages_total", received - p.total("dropped_messages_total"))
        p.assert_conserved()
        p.stop()
