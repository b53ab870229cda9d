"""systemd's protocols, against real sockets and systemd's own systemd-socket-activate."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import systemd
from tests.support import ROOT, tool

LONG_S = 30.0


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_notifications_arrive(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"@ltt-stream-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(LONG_S)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert systemd.notify("READY=1\nSTATUS=läuft")
        assert systemd.notify("WATCHDOG=1")
        assert manager.recv(100).decode() == "READY=1\nSTATUS=läuft"
        assert manager.recv(100) == b"WATCHDOG=1"


def test_without_a_manager_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    for address in ("", str(tmp_path / "nobody"), "vsock:2:1", "@" + "x" * 200):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("limit_us", "pid", "interval_s"),
    [
        ("30000000", None, 15.0),
        ("30000000", "self", 15.0),
        ("30000000", "1", None),
        (None, None, None),
        ("0", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit(
    limit_us: str | None,
    pid: str | None,
    interval_s: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if limit_us is not None:
        monkeypatch.setenv("WATCHDOG_USEC", limit_us)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "self" else pid)
    assert systemd.watchdog_interval_s() == interval_s


ACTIVATED = """
import json, os, socket, sys
from pipeline import systemd
taken = systemd.listen_fds()
print(json.dumps({
    "sockets": [
        [each.name, each.socket.type.name, each.socket.getsockname()[1],
         os.get_inheritable(each.socket.fileno())]
        for each in taken
    ],
    "first": taken[0].socket.recv(100).decode() if sys.argv[1:] == ["datagram"] else None,
    "again": len(systemd.listen_fds()),
    "environment": [key for key in os.environ if key.startswith("LISTEN_")],
}))
"""


@pytest.fixture
def ports() -> list[int]:
    """Two ports that are free for UDP and TCP."""
    free: list[int] = []
    while len(free) < 2:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            except OSError:
                continue
            free.append(tcp.getsockname()[1])
    return free


@pytest.mark.system
@pytest.mark.parametrize("kind", ["datagram", "stream"])
def test_sockets_from_systemd_are_taken_over(kind: str, ports: list[int]) -> None:
    """systemd holds the sockets, starts us at the first packet and hands them over, names too."""
    options = ["--datagram"] if kind == "datagram" else []
    process = subprocess.Popen(
        [
            tool("systemd-socket-activate"),
            *options,
            *(f"--listen=127.0.0.1:{port}" for port in ports),
            "--fdname=syslog:other",
            *(sys.executable, "-c", ACTIVATED, kind),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _knock(kind, ports[0], process)
        out, _ = process.communicate(timeout=LONG_S)
    finally:
        process.kill()
        process.wait()
    told = json.loads(out)
    socket_type = "SOCK_DGRAM" if kind == "datagram" else "SOCK_STREAM"
    assert told["sockets"] == [
        ["syslog", socket_type, ports[0], False],
        ["other", socket_type, ports[1], False],
    ]
    assert told["first"] == ("hello" if kind == "datagram" else None)
    assert (told["again"], told["environment"]) == (0, [])


def _knock(kind: str, port: int, process: subprocess.Popen[str]) -> None:
    end_s = time.monotonic() + LONG_S
    while process.poll() is None:
        assert time.monotonic() < end_s
        with socket.socket(
            type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM
        ) as sock:
            try:
                sock.connect(("127.0.0.1", port))
                sock.send(b"hello")
                if kind == "datagram":
                    time.sleep(0.02)
                    sock.send(b"hello")  # a port that nobody holds has refused the first
            except ConnectionRefusedError:
                time.sleep(0.02)
                continue
        return


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )


SHOW = """
import os
{setup}
from pipeline import systemd
try:
    print(systemd.{call}())
except OSError as error:
    print("refused:", error)
print([key for key in os.environ if key.startswith("LISTEN_")])
"""
AS_OURS = "os.environ['LISTEN_PID'] = str(os.getpid())"


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    done = _run(SHOW.format(setup="", call="listen_fds"), LISTEN_PID="1", LISTEN_FDS="1")
    assert done.stdout == "[]\n[]\n"


@pytest.mark.parametrize("count", ["x", "-1", "1²", ""])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    done = _run(SHOW.format(setup=AS_OURS, call="listen_fds"), LISTEN_FDS=count)
    assert done.stdout.startswith(f"refused: LISTEN_FDS={count!r} is not a number")


def test_a_descriptor_that_is_no_socket_is_refused() -> None:
    setup = AS_OURS + "\nos.dup2(os.open('/dev/null', os.O_RDONLY), 3)"
    done = _run(SHOW.format(setup=setup, call="listen_fds"), LISTEN_FDS="1")
    assert done.stdout.startswith("refused: LISTEN_FDS: descriptor 3 is not a socket")


def test_lines_and_metrics_come_on_their_own_kinds_of_socket() -> None:
    setup = f"""{AS_OURS}
import socket
kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_DGRAM)
for i, kind in enumerate(kinds):
    os.dup2(socket.socket(type=kind).detach(), 100 + i)
for i in range(3):
    os.dup2(100 + i, 3 + i)
"""
    show = SHOW.replace("print(systemd.{call}())", "show(systemd.{call}())")
    setup += "show = lambda kinds: print([[sock.fileno() for sock in kind] for kind in kinds])\n"
    done = _run(show.format(setup=setup, call="listen_sockets"), LISTEN_FDS="3")
    assert done.stdout.startswith("[[4, 5], [3]]\n")
