"""UDP to a file, measured for real: the books of every run, the sender, and peers that lack."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.bench_udp import OURS, table
from benchmarks.syslog_peers import CACHE, PEERS, PeerError, find
from benchmarks.udp_runs import check_law
from benchmarks.udp_sender import Messages, send, with_pri
from parsers import parse
from tests.support import ROOT, tool


def at_hand() -> list[str]:
    """syslog-ng, which the tests ask for, and rsyslog where it can be had without a download."""
    try:
        find(PEERS["rsyslog"], CACHE, download=False)
    except PeerError:
        return ["syslog-ng"]
    return ["syslog-ng", "rsyslog"]


@pytest.mark.parametrize("name", [OURS, *at_hand()])
def test_a_short_run_keeps_its_books(name: str, tmp_path: Path) -> None:
    if name == "syslog-ng":
        tool("syslog-ng")
    command = [sys.executable, "-m", "benchmarks.bench_udp", "--seconds", "0.5"]
    command += ["--rates", "2000", "--burst", "0", "--rounds", "1", "--json"]
    command += ["--systems", name, "--scratch", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["missing"] == {}
    [point] = result["points"]
    run = {key: value["median"] for key, value in point["systems"][name].items()}
    assert run["sent"] == 1000
    assert run["written"] + run["kernel_dropped"] + run.get("dropped", 0) == 1000
    assert run["loss"] == pytest.approx((1000 - run["written"]) / 10)
    assert 0 < run["rate"] <= 2100
    assert run["cpu_us_per_message"] > 0
    assert run["peak_rss_mb"] > 1
    [row] = [line for line in table(result).splitlines() if f"| {name} |" in line]
    assert row.startswith("| 2,000 |")
    assert f"| {run['cpu_us_per_message']:.2f} ± 0.00 |" in row
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "books",
    [
        {"rows": 96, "dropped": 1, "kernel_dropped": 2},
        {"rows": 98, "dropped": 1, "kernel_dropped": 2},
        {"rows": 98, "dropped": 1, "kernel_dropped": 1},
    ],
)
def test_a_message_that_is_not_accounted_for_is_an_error(books: dict[str, float]) -> None:
    run = {"sent": 100.0, "kernel_dropped": 2.0}
    check_law(run, rows=97, dropped=1, kernel_dropped=2)
    with pytest.raises(RuntimeError, match="100 sent, but"):
        check_law(run, **books)


def test_the_sender_sends_all_in_order_round_and_round() -> None:
    sent = [b"<13>one", b"", b"<13>three " + b"x" * 2000]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        there.bind(("127.0.0.1", 0))
        there.settimeout(10)
        here.connect(there.getsockname())
        messages = Messages(b"".join(line + b"\n" for line in sent))
        for rate in (None, 1000.0):
            assert send(here, messages, 8, rate).messages == 8
            assert [there.recv(4096) for _ in range(8)] == (sent * 3)[:8]


def test_a_sender_that_nobody_listens_to_says_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("127.0.0.1", 0))
            here.connect(there.getsockname())
        with pytest.raises(ConnectionRefusedError):
            send(here, Messages(b"<13>one\n"), 8, None)


@pytest.mark.parametrize(
    ("line", "facility", "severity"),
    [
        (b"Nov 20 06:25:02 web-1 sshd[1]: Failed password for root", 10, 3),
        (b"Nov  2 06:25:02 web-1 kernel: [1.0] eth0: link up", 0, 6),
        (b"    at org.example.Main", 3, 6),
        (b"<165>1 2026-11-20T06:25:02Z h app - - - error", 20, 5),
    ],
)
def test_every_message_has_a_pri(line: bytes, facility: int, severity: int) -> None:
    message = with_pri(line)
    assert message.endswith(line)
    parsed = parse(message, received=datetime(2026, 11, 20, tzinfo=UTC))
    assert (parsed.facility, parsed.severity) == (facility, severity)


def test_a_peer_that_cannot_be_had_says_why_in_its_rows(tmp_path: Path) -> None:
    unknown = PEERS["rsyslog"]._replace(package="no-such-package", command="no-such-daemon")
    with pytest.raises(PeerError, match=r"apt-get|no-such") as refused:
        find(unknown, tmp_path)
    figures = {"median": 1.0, "mad": 0.0}
    result = {
        "processor": "p",
        "rounds": 1,
        "seconds": 1,
        "sender_on_own_core": True,
        "versions": {OURS: "0"},
        "missing": {"rsyslog": str(refused.value)},
        "points": [
            {
                "rate": None,
                "systems": {OURS: {"rate": figures, "receive_buffer_bytes": figures}},
                "ratios": {},
            }
        ],
    }
    assert f"| burst | rsyslog | not measured: {refused.value} |" in table(result)
