"""Host trajectories through the real program: fitted to a log, used by a stream, forecast."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pyarrow.compute as pc
import pytest

from tests.e2e.program import LTT_STREAM, arrow_rows

STEPS = (
    (6, "sshd[{n}]: Accepted publickey for backup from 192.0.2.{m} port {n} ssh2"),
    (6, "systemd-logind[7]: New session {n} of user backup."),
    (6, "backup[{n}]: snapshot of volume data begins"),
    (3, "backup[{n}]: cannot read block {n}: Input/output error"),
    (6, "backup[{n}]: snapshot complete, {n} blocks"),
    (6, "sshd[{n}]: Received disconnect from 192.0.2.{m} port {n}:11: disconnected by user"),
)


def lines(host: str, n: int, seed: int, *, shuffled: bool = False) -> list[bytes]:
    """Backups, one after the other, a step every ten seconds; or the same steps in any order."""
    rng = random.Random(seed)
    order = [i % len(STEPS) for i in range(n)]
    if shuffled:
        rng.shuffle(order)
    found = []
    for i, step in enumerate(order):
        severity, text = STEPS[step]
        hour, rest = divmod(i * 10, 3600)
        stamp = f"2026-11-20T{hour % 24:02}:{rest // 60:02}:{rest % 60:02}Z"
        tag, _, message = text.format(n=rng.randrange(1000, 9999), m=i % 250).partition("[")
        procid, _, message = message.partition("]: ")
        found.append(f"<{24 + severity}>1 {stamp} {host} {tag} {procid} - - {message}".encode())
    return found


def ltt(*args: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(LTT_STREAM), *map(str, args)], input=stdin, capture_output=True, timeout=300
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    (folder / "old.log").write_bytes(b"\n".join(lines("alpha", 360, 0)) + b"\n")
    done = ltt("trajectory", "fit", folder / "old.log", "--out", folder / "hosts", "--steps", 90)
    assert done.returncode == 0, done.stderr.decode()
    assert b"360 lines of 1 host in" in done.stdout
    return folder / "hosts"


def test_what_comes_out_of_order_is_surprising_and_a_restart_goes_on(
    tmp_path: Path, fitted: Path
) -> None:
    state, out = tmp_path / "state", tmp_path / "out"
    state.mkdir()
    (state / "trajectories").symlink_to(fitted)
    stream = [*lines("beta", 120, 1), *lines("gamma", 120, 2, shuffled=True)]
    run = ("run", "--state-dir", state, "--out", out, "--format", "none")
    for half in (stream[:120], stream[120:]):
        done = ltt(*run, stdin=b"\n".join(half) + b"\n")
        assert done.returncode == 0, done.stderr.decode()
    rows = arrow_rows(out)
    assert rows.column("trajectory_surprise").null_count == 0
    mean = {}
    for host in ("beta", "gamma"):
        of = rows.filter(pc.equal(rows.column("hostname").combine_chunks(), host))
        mean[host] = pc.mean(of.column("trajectory_surprise")).as_py()
    assert mean["beta"] < 0 < mean["gamma"]

    said = ltt("trajectory", "forecast", "--state-dir", state, "--json", "--minutes", 5)
    assert said.returncode == 0, said.stderr.decode()
    hosts = [json.loads(line) for line in said.stdout.splitlines()]
    assert sorted(host["hostname"] for host in hosts) == ["beta", "gamma"]
    for host in hosts:
        assert host["lines"] == 120
        assert len(host["probability"]) == 8
        assert all(0 <= p <= 1 for p in host["probability"])
        assert host["probability"][6] > host["probability"][0]
    shown = ltt("trajectory", "forecast", "--state-dir", state, "--host", "beta").stdout.decode()
    assert shown.count("beta") == 1
    assert "gamma" not in shown


def test_without_dynamics_or_when_told_so_the_column_is_null(tmp_path: Path, fitted: Path) -> None:
    log = b"\n".join(lines("beta", 30, 1)) + b"\n"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "trajectories").symlink_to(fitted)
    (tmp_path / "off.toml").write_text("trajectories = false\n")
    for name, args in (
        ("none", []),
        ("off", ["--state-dir", tmp_path / "state", "--no-trajectories"]),
        ("toml", ["--state-dir", tmp_path / "state", "--config", tmp_path / "off.toml"]),
    ):
        done = ltt("run", "--out", tmp_path / name, "--format", "none", *args, stdin=log)
        assert done.returncode == 0, done.stderr.decode()
        assert arrow_rows(tmp_path / name).column("trajectory_surprise").null_count == 30


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, fitted: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((fitted / "config.json").read_bytes())
    (broken / "hosts.safetensors").write_bytes(b"no weights")
    (tmp_path / "wanted.toml").write_text("trajectories = true\n")
    (tmp_path / "short.log").write_bytes(b"\n".join(lines("a", 10, 0)))
    for args, code, word in (
        (["run", "--trajectories", broken], 1, "damaged"),
        (["run", "--trajectories", tmp_path / "nowhere"], 1, "No such file"),
        (["run", "--config", tmp_path / "wanted.toml"], 2, "nothing was fitted"),
        (["run", "--trajectories", fitted, "--no-trajectories"], 2, "give one of them"),
        (["trajectory", "forecast", "--state-dir", tmp_path], 1, "No such file"),
        (
            ["trajectory", "forecast", "--state-dir", tmp_path, "--trajectories", fitted],
            1,
            "no stream has kept anything",
        ),
        (
            ["trajectory", "fit", tmp_path / "short.log", "--out", tmp_path / "hosts"],
            1,
            "too few",
        ),
    ):
        done = ltt(*args)
        assert done.returncode == code, done.stderr.decode()
        assert word in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1
