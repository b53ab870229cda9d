"""`trajectory sample` and `trajectory train`, as a user has them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from parsers.syslog import parse
from pipeline import cli
from pipeline.feedback import SEVERITIES
from pipeline.synthesis import nearest, writable

RECEIVED = datetime(2026, 11, 20, 12, tzinfo=UTC)


def run(
    arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of the whole program."""
    monkeypatch.setattr("sys.argv", ["ltt-stream", "trajectory", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def sample(*arguments: str) -> list[str]:
    result = CliRunner().invoke(cli.cli, ["trajectory", "sample", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_syslog_lines_are_read_back_as_they_were_asked_for() -> None:
    options = ("--severity", "err", "--app", "sshd", "-n", "6", "--seed", "4", "--candidates", "2")
    lines = sample(
        *options, "--format", "syslog", "--host", "db-7", "--start", "2026-11-20T09:00:00"
    )
    assert len(lines) == 6
    read = [parse(line.encode(), received=RECEIVED) for line in lines]
    for line, message in zip(lines, read, strict=True):
        assert re.match(r"<83>Nov 20 09:0\d:\d\d db-7 sshd\[\d+\]: \S", line)
        assert (message.severity, message.app_name, message.hostname) == (3, "sshd", "db-7")
        assert message.errors == ()
    stamps = [message.timestamp for message in read if message.timestamp]
    assert stamps == sorted(stamps)
    assert len(stamps) == 6
    assert sample(*options) == [f"sshd: {message.message}" for message in read], "as text"
    records = [json.loads(line) for line in sample(*options, "--format", "jsonl")]
    assert records == [
        {"severity": 3, "app_name": "sshd", "message": message.message} for message in read
    ]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_severity_can_be_asked_for(severity: str) -> None:
    lines = sample("--severity", severity, "-n", "2", "--candidates", "2", "--format", "syslog")
    read = [parse(line.encode(), received=RECEIVED).severity for line in lines]
    assert read == [SEVERITIES.index(severity)] * 2


def test_without_a_severity_lines_are_as_machines_have_them() -> None:
    lines = sample("-n", "30", "--seed", "1", "--candidates", "1", "--format", "jsonl")
    severities = [json.loads(line)["severity"] for line in lines]
    assert severities.count(6) > 15
    assert len(set(severities)) > 1


def test_an_unknown_program_is_written_as_the_nearest_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["-n", "1", "--candidates", "2", "--severity", "err"]
    code, out, err = run(["sample", *few, "--app", "openssh-sshd"], monkeypatch, capsys)
    assert (code, out.count("\n"), err.count("\n")) == (0, 1, 1)
    assert out.startswith("openssh-sshd: ")
    assert "has not met 'openssh-sshd', and writes as sshd would" in err
    code, out, err = run(["sample", *few, "--app", "zzzyx"], monkeypatch, capsys)
    assert (code, err.count("\n")) == (0, 1)
    assert out.startswith("zzzyx: ")
    assert "as no program in particular would" in err


def test_the_nearest_name() -> None:
    known = ["sshd", "smtpd", "NetworkManager", "kernel"]
    assert nearest("SSHD", known) == "sshd"
    assert nearest("postfix/smtpd", known) == "smtpd"
    assert nearest("networkmanager", known) == "NetworkManager"
    assert nearest("kernal", known) == "kernel"
    assert nearest("qqq", known) is None


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--severity", "bad"], 2, "'bad' is not one of 'emerg'"),
        (["--app", "two words"], 2, "'two words' cannot stand in a syslog header"),
        (["--app", ""], 2, "cannot stand in a syslog header"),
        (["--host", "a b"], 2, "'a b' cannot stand in a syslog header"),
        (["-n", "0"], 2, "0 is not in the range"),
        (["--model", "/nowhere"], 1, "/nowhere/config.json: No such file or directory"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    options: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, out, err = run(["sample", *options], monkeypatch, capsys)
    assert (found, out, err.count("\n")) == (code, "", 1), err
    assert said in err


def test_a_header_carries_names_that_our_parser_reads_back() -> None:
    assert writable("cyrus/imapd", "web-1")
    assert writable("systemd-networkd", "gw.example.net")
    assert not writable("a[1]", "web-1")
    assert not writable("sshd", "")


def test_train_writes_what_sample_reads_and_the_same_twice(tmp_path: Path) -> None:
    corpus = tmp_path / "few.tsv"
    corpus.write_text(
        "".join(
            f"{severity}\t{word} number {n} {what} in the {place}\n"
            for n in range(4)
            for word, severity in (("disk", "err"), ("user", "info"), ("fan", "warning"))
            for what in ("failed", "returned", "was seen", "is late")
            for place in ("house", "rack", "hall")
        )
    )
    for out in ("one", "two"):
        arguments = ["trajectory", "train", "--corpus", str(corpus), "--lines", "512"]
        done = CliRunner().invoke(cli.cli, [*arguments, "--out", str(tmp_path / out)])
        assert done.exit_code == 0, done.output
    weights = [(tmp_path / out / "model.safetensors").read_bytes() for out in ("one", "two")]
    assert weights[0] == weights[1]
    lines = sample("-n", "3", "--model", str(tmp_path / "one"), "--seed", "1", "--severity", "err")
    assert all(line.startswith("app: ") for line in lines), "the corpus names no programs"


def test_train_refuses_what_is_no_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").write_bytes(b"PAR1 and no more")
    arguments = ["train", "--corpus", str(tmp_path / "bad"), "--out", str(tmp_path / "out")]
    code, _, err = run(arguments, monkeypatch, capsys)
    assert (code, err.count("\n")) == (1, 1)
    assert "not readable Parquet" in err
