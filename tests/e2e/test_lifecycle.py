"""Signals, the service manager, inherited sockets."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.program import LTT_STREAM, START_S, Program, arrow_rows, free_port
from tests.support import tool


def _send(port: int, count: int, host: str = "127.0.0.1") -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        for n in range(count):
            s.sendto(b"<13>Nov 21 10:00:00 h app[1]: line %d" % n, (host, port))


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_0(sig: signal.Signals, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    out = tmp_path / "out"
    with Program(
        "--listen", f"udp://127.0.0.1:{port}", "--out", str(out), "--format", "none",
        "--batch-delay-s", "30", tmp=tmp_path,
    ) as program:  # fmt: skip
        program.ready()
        _send(port, 300)
        program.wait_for("received_messages_total", 300)
        _, err = program.stop(sig)
    assert arrow_rows(out).num_rows == 300, "lines that wait for their batch are drained"
    assert "300 lines in, 300 out, 0 dropped" in err
    assert program.states[0] == "READY=1"


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """The first one drains; while stdout is not read, that takes for ever."""
    with Program("--format", "text", tmp=tmp_path, stdin=subprocess.PIPE) as program:
        program.ready()
        pipe = program.process.stdin
        assert pipe is not None
        pipe.write(b"Nov 21 10:00:00 h app[1]: a line that fills the pipe of stdout\n" * 5000)
        pipe.flush()
        time.sleep(1.0)
        program.process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert program.process.poll() is None
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(10) == 1


def test_sighup_rotates_the_output(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    out = tmp_path / "out"
    with Program(
        "--listen", f"udp://127.0.0.1:{port}", "--out", str(out), "--format", "none", tmp=tmp_path
    ) as program:
        program.ready()
        for round_ in (1, 2):
            _send(port, 50)
            program.wait_for("written_messages_total", 50 * round_)
            program.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 20
            while len(list(out.glob("date=*/*.arrow"))) < round_:
                assert time.monotonic() < end
                time.sleep(0.05)
            assert arrow_rows(out).num_rows == 50 * round_, "finished files are readable at once"
        program.assert_conserved()
        program.stop()
    assert arrow_rows(out).num_rows == 100


def test_the_watchdog_is_fed_from_the_loop(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    with Program(
        "--listen", f"udp://127.0.0.1:{port}", "--format", "none", tmp=tmp_path,
        env={"WATCHDOG_USEC": "600000"},
    ) as program:  # fmt: skip
        program.ready()
        program.hear("WATCHDOG=1", 10)
        program.process.send_signal(signal.SIGTERM)
        program.hear("STOPPING=1", 30)
        program.finish()


def test_systemd_hands_its_sockets_over(tmp_path: Path) -> None:
    """systemd-socket-activate holds UDP and the metrics port; the first datagram starts us."""
    activate = tool("systemd-socket-activate")
    metrics_port = free_port(socket.SOCK_STREAM)
    out = tmp_path / "out"
    port = free_port(socket.SOCK_DGRAM)
    # One run of the tool makes sockets of one kind only: both kinds are handed over below.
    process = subprocess.Popen(
        [activate, "-d", "-l", f"127.0.0.1:{port}", "--fdname=syslog",
         str(LTT_STREAM), "run", "--out", str(out), "--format", "none",
         "--metrics", f"127.0.0.1:{metrics_port}"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with Program.attached(process, metrics_port) as program:
        end = time.monotonic() + START_S
        sent = 0
        ready = False
        while not ready:
            assert time.monotonic() < end
            _send(port, 1)
            sent += 1
            time.sleep(0.3)
            try:
                ready = program.get("/readyz")[0] == 200
            except OSError:
                continue
        _send(port, 100)
        # The tool may eat what came before it listened; nothing after the start is lost.
        program.wait_for("written_messages_total", 101)
        time.sleep(0.5)
        written = int(program.total("written_messages_total"))
        assert written <= sent + 100
        program.assert_conserved()
        program.stop()
    assert arrow_rows(out).num_rows == written


def test_udp_and_the_metrics_port_are_handed_over_together(tmp_path: Path) -> None:
    """As ltt-stream.socket passes them: descriptors 3 and 4, told apart by their type."""
    out = tmp_path / "out"
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("::", 0))
        port = udp.getsockname()[1]
        # What was sent before the program runs is not lost: systemd has bound the port already.
        _send(port, 5)
        give = (
            f"exec 3<&{udp.fileno()} 4<&{tcp.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=2;"
            f"exec {LTT_STREAM} run --out {out} --format none"
        )
        process = subprocess.Popen(
            ["bash", "-c", give], pass_fds=[udp.fileno(), tcp.fileno()],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        program = Program.attached(process, tcp.getsockname()[1])
    with program:
        program.wait_for("written_messages_total", 5, START_S)
        _send(port, 100)
        _send(port, 100, "::1")
        program.wait_for("written_messages_total", 205)
        program.assert_conserved()
        program.stop()
    rows = arrow_rows(out)
    assert rows.num_rows == 205
    assert set(rows["peer"].to_pylist()) == {"127.0.0.1", "::1"}
