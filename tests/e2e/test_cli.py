"""The other commands, and what is said to people when something is wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.program import LTT_STREAM


def ltt(
    *args: str, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [LTT_STREAM, *args], input=stdin, capture_output=True, timeout=120, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


@pytest.mark.parametrize("args", [["--help"], ["parse"], ["run", "--help"], ["score", "--help"]])
def test_light_commands_start_without_the_heavy_libraries(args: list[str]) -> None:
    done = ltt(*args, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.decode().splitlines()}
    assert "pipeline.cli" in loaded
    assert not loaded & {"torch", "numpy", "pyarrow", "prometheus_client"}


def test_parse_gives_a_json_line_a_line() -> None:
    done = ltt("parse", stdin=b"<34>Oct 11 22:14:15 h su: failed for root\nplain\n\n\xff")
    first, second, empty, last = map(json.loads, done.stdout.splitlines())
    assert (first["facility"], first["severity"], first["hostname"]) == (4, 2, "h")
    assert (first["app_name"], first["message"]) == ("su", "failed for root")
    assert first["errors"] == []
    assert second["format"] == "bare"
    assert second["severity"] is None
    assert empty["message"] == ""
    assert last["message"] == r"\xff"


def test_score_gives_the_contract_s_fields_in_order() -> None:
    lines = [b"<34>Oct 11 22:14:15 h su: failed for root", b"", b"Started Session 5 of user x"]
    done = ltt("score", stdin=b"\n".join(lines) + b"\n")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["message"] for row in rows] == [
        "failed for root",
        "",
        "Started Session 5 of user x",
    ]
    for row in rows:
        assert list(row) == [
            "message", "app_name", "predicted_severity", "probabilities", "surprise", "p_value",
            "anomaly", "reasons", "prior",
        ]  # fmt: skip
        assert 0 <= row["predicted_severity"] <= 7
        assert len(row["probabilities"]) == 8
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert row["probabilities"][row["predicted_severity"]] == max(row["probabilities"])
        assert 0 < row["p_value"] <= 1
        assert row["prior"] == "emission"


def test_score_uses_the_labels_that_came_before() -> None:
    unlabelled = b"Oct 11 22:14:15 h app: connection to server lost, will try again\n"
    cold = json.loads(ltt("score", stdin=unlabelled).stdout)
    done = ltt("score", stdin=b"".join(b"<30>" + unlabelled for _ in range(200)) + unlabelled)
    *_, last = map(json.loads, done.stdout.splitlines())
    assert (cold["prior"], last["prior"]) == ("emission", "labelled")
    assert last["predicted_severity"] == 6
    assert last["probabilities"][6] > cold["probabilities"][6]


def test_score_reports_an_uncertainty_on_request() -> None:
    done = ltt("score", "--paths", "64", stdin=b"kernel: Out of memory: Killed process 1\n")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert 0 < row["uncertainty"] < 1


BAD = {
    "an unknown flag": (["--colour"], 2, "--colour"),
    "an unknown command": (["frobnicate"], 2, "frobnicate"),
    "not a listener": (["--listen", "514"], 2, "514"),
    "a transport to come": (["--listen", "tcp://0.0.0.0:514"], 2, "tcp"),
    "a format that is none": (["--format", "xml"], 2, "--format"),
    "no number": (["--batch-lines", "many"], 2, "--batch-lines"),
    "out of range": (["--threads", "0"], 2, "--threads"),
    "a batch over the queue": (["--queue-lines", "10"], 2, "--batch-lines"),
    "no such zone": (["--zone", "Mars/Olympus"], 2, "--zone"),
    "no such file": (["--config", "/nonexistent.toml"], 2, "/nonexistent.toml"),
    "no such checkpoint": (["--model", "/nonexistent"], 1, "/nonexistent"),
    "a directory that cannot be": (["--out", "/proc/nothing"], 1, "/proc/nothing"),
    "no metrics address": (["--metrics", "nowhere"], 2, "nowhere"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_option_is_refused_in_one_line(name: str) -> None:
    args, code, named = BAD[name]
    done = ltt(*args)
    assert done.returncode == code, done.stderr
    said = done.stderr.decode().splitlines()
    assert len(said) == 1, said
    assert named in said[0]
    assert done.stdout == b""


TOML = {
    "unknown key": ("colour = 1", "colour"),
    "wrong type": ('batch_lines = "many"', "batch_lines"),
    "out of range": ("batch-delay-s = -1", "batch_delay_s"),
    "not toml": ("batch_lines 5", "not TOML"),
}


@pytest.mark.parametrize("name", TOML)
def test_a_bad_configuration_names_the_file_and_the_key(name: str, tmp_path: Path) -> None:
    text, named = TOML[name]
    file = tmp_path / "bad.toml"
    file.write_text(text)
    done = ltt("--config", str(file))
    assert done.returncode == 2
    (said,) = done.stderr.decode().splitlines()
    assert str(file) in said
    assert named in said


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text('format = "jsonl"\nbatch-lines = 10\n')
    line = b"Nov 21 10:00:00 h app[1]: hello\n"
    from_file = ltt("--config", str(file), stdin=line)
    assert json.loads(from_file.stdout)["message"] == "hello"
    from_flag = ltt("--config", str(file), "--format", "none", stdin=line)
    assert from_flag.stdout == b""


def test_a_busy_port_is_named_with_its_holder() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        done = ltt("--listen", f"udp://127.0.0.1:{port}")
    assert done.returncode == 1
    (said,) = done.stderr.decode().splitlines()
    assert str(port) in said
    assert str(os.getpid()) in said
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = ltt("--metrics", f"127.0.0.1:{port}")
    assert done.returncode == 1
    (said,) = done.stderr.decode().splitlines()
    assert str(port) in said


@pytest.mark.parametrize("damage", ["truncated weights", "another schema", "no JSON"])
def test_a_damaged_checkpoint_is_refused_by_name(damage: str, tmp_path: Path) -> None:
    import shutil

    from models.checkpoint import pretrained_path

    copy = tmp_path / "copy"
    shutil.copytree(pretrained_path(), copy)
    if damage == "truncated weights":
        named = copy / "model.safetensors"
        os.truncate(named, named.stat().st_size // 2)
    else:
        named = copy / "config.json"
        config = json.loads(named.read_text())
        config["schema"] = "ltt-stream/raccoon/999"
        named.write_text("{" if damage == "no JSON" else json.dumps(config))
    done = ltt("--model", str(copy))
    assert done.returncode == 1
    (said,) = done.stderr.decode().splitlines()
    assert named.name in said


def test_learning_from_a_short_pipe_ends_with_it() -> None:
    """The learner has hardly begun: it is not waited for, and leaves nothing behind."""
    done = ltt("--learn", "--format", "none", stdin=b"Nov 21 10:00:00 h app[1]: hello\n")
    assert done.returncode == 0
    assert done.stderr == b"ltt-stream: 1 lines in, 1 out, 0 dropped, 0 flagged\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--learn-from", "friends"], "choose one of pri, feedback, none"),
        (["--learn-exclude", "cron"], "write app=NAME or facility=NAME"),
        (["--learn-from", "udp://127.0.0.1:1=none"], "nothing listens there"),
        (["--learn-budget", "2"], "--learn-budget"),
        (["--feedback-token-file", "/dev/null"], "--metrics"),
    ],
)
def test_learning_options_that_cannot_be_used_are_refused(options: list[str], said: str) -> None:
    done = ltt(*options, stdin=b"")
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
