"""The real program as a subprocess, and what the tests ask of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import pyarrow as pa
import pyarrow.dataset as ds
from prometheus_client.parser import text_string_to_metric_families

from tests.support import missing

LTT_STREAM = Path(sys.executable).with_name("ltt-stream")
START_S = 60.0
"""Loading torch and the model on a busy two-core machine takes a while."""


def free_port(kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET) -> int:
    """A port that nobody holds right now."""
    with socket.socket(family, kind) as s:
        s.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class Program:
    """`ltt-stream run ARGS`, started; ready once it said so over NOTIFY_SOCKET."""

    def __init__(
        self,
        *args: str,
        tmp: Path,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        prefix: Iterable[str] = (),
        env: dict[str, str] | None = None,
        command: str = "run",
    ) -> None:
        self.tmp = tmp
        self.metrics_port = free_port(socket.SOCK_STREAM)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = tmp / f"notify-{time.monotonic_ns()}"
        self._notify.bind(str(address))
        self.states: list[str] = []
        """What the program told its service manager, in order."""
        self.process = subprocess.Popen(
            [
                *prefix,
                str(LTT_STREAM),
                command,
                "--metrics",
                f"127.0.0.1:{self.metrics_port}",
                *args,
            ],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": str(address), **(env or {})},
        )

    @classmethod
    def attached(cls, process: subprocess.Popen[bytes], metrics_port: int) -> Program:
        """A program that the test has started in a way of its own."""
        program = cls.__new__(cls)
        program.process, program.metrics_port, program.states = process, metrics_port, []
        program._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        return program

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self._notify.close()

    def hear(self, state: str, timeout_s: float = START_S) -> None:
        """Wait until the program has told its service manager `state`."""
        end = time.monotonic() + timeout_s
        while not any(said.startswith(state) for said in self.states):
            self._notify.settimeout(0.2)
            try:
                self.states += self._notify.recv(4096).decode().split("\n")
            except TimeoutError:
                assert self.process.poll() is None, self.process.communicate()[1].decode()
                assert time.monotonic() < end, f"{state} not heard in {timeout_s} s: {self.states}"

    def ready(self) -> Program:
        self.hear("READY=1")
        return self

    def get(self, path: str) -> tuple[int, str]:
        """HTTP GET on the metrics port: status and body."""
        url = f"http://127.0.0.1:{self.metrics_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        """Every sample of the program's own metrics: `name{label="x"}` → value."""
        found = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for s in family.samples:
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items()))
                found[f"{s.name}{{{labels}}}" if labels else s.name] = s.value
        return found

    def total(self, name: str) -> float:
        """The sum of a metric over all its labels."""
        full = f"ltt_stream_{name}"
        return sum(v for k, v in self.metrics().items() if k.split("{")[0] == full)

    def wait_for(self, name: str, at_least: float, timeout_s: float = 60.0) -> None:
        """Wait until a metric's total has come up to a figure."""
        end = time.monotonic() + timeout_s
        seen: float | None = None
        while seen is None or seen < at_least:
            assert time.monotonic() < end, f"{name} is {seen}, not {at_least}, after {timeout_s} s"
            time.sleep(0.05)
            try:
                seen = self.total(name)
            except (OSError, urllib.error.URLError):  # it is not listening yet
                assert self.process.poll() is None, self.process.communicate()[1].decode()

    def assert_conserved(self, timeout_s: float = 5.0) -> None:
        """received = written + dropped, once what was just written has been counted."""

        def total(name: str) -> float:
            return sum(v for k, v in m.items() if k.split("{")[0] == f"ltt_stream_{name}")

        end_s = time.monotonic() + timeout_s
        while True:
            m = self.metrics()
            received, dropped = total("received_messages_total"), total("dropped_messages_total")
            name = "ltt_stream_written_messages_total"
            sinks = {k: v for k, v in m.items() if k.startswith(name)}
            assert sinks
            if all(received == written + dropped for written in sinks.values()):
                return
            assert time.monotonic() < end_s, (sinks, received, dropped)
            time.sleep(0.05)

    def stop(self, sig: int = signal.SIGTERM, timeout_s: float = 60.0) -> tuple[bytes, str]:
        """Signal it and wait for its end: stdout and stderr. It must have exited with 0."""
        self.process.send_signal(sig)
        return self.finish(timeout_s)

    def finish(self, timeout_s: float = 120.0) -> tuple[bytes, str]:
        """Wait for its end by itself: stdout and stderr. It must have exited with 0."""
        out, err = self.process.communicate(timeout=timeout_s)
        assert self.process.returncode == 0, err.decode()
        return out, err.decode()


@contextmanager
def tiny_tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own that is soon full."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        missing("the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def arrow_rows(directory: Path) -> pa.Table:
    """All finished files of an output directory, read the way a user would."""
    files = sorted(directory.glob("date=*/*.arrow"))
    return ds.dataset(files, format="ipc").to_table()
