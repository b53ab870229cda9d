"""Logs that say their severity, in both kinds; what does not say it is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import CorpusError
from pipeline.labelled_lines import read_labelled
from tests.support import shared


def test_a_structured_log(tmp_path: Path) -> None:
    path = tmp_path / "loghub_App.structured.csv"
    path.write_text(
        "LineId,Level,Component,Content\n"
        '1,WARN,net.Peer,"slow, very slow"\n2,error,,lost\n3,combo,x,no level\n4,INFO,x,\n'
    )
    log = read_labelled(path)
    assert log.name == "App"
    assert log.texts == ["slow, very slow", "lost"]
    assert (log.apps, log.severity) == (["net.Peer", ""], [4, 3])
    assert log.facilities == [-1, -1]
    assert log.left_out == 2


def test_a_structured_log_without_components(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Level,Content\nE,lost\n")
    assert read_labelled(path)._asdict() == {
        "name": "x", "texts": ["lost"], "apps": [""], "facilities": [-1], "severity": [3],
        "left_out": 0,
    }  # fmt: skip


def test_a_raw_log_of_lines_with_and_without_priorities(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(
        b"<19>Nov  1 10:00:00 mx postfix/smtpd[7]: fatal: no \xff\n\n"
        b"Nov  1 10:00:00 mx cron[8]: no PRI\n"
        b"<165>1 2026-11-01T10:00:00Z mx app 9 - - up"
    )
    log = read_labelled(path)
    assert log.name == "mail"
    assert log.texts == ["fatal: no \\xff", "up"]
    assert log.apps == ["postfix/smtpd", "app"]
    assert log.facilities == [2, 20]
    assert log.severity == [3, 5]
    assert log.left_out == 1  # an empty line is none


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "Content\nlost\n"), ("b.csv", ""), ("c.log", "no PRI here\n"), ("d.log", "")],
)
def test_a_log_that_says_no_severity_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(CorpusError, match=f"{name}: no line says its severity"):
        read_labelled(path)


@pytest.mark.parametrize("system", ["Apache", "HDFS", "Hadoop", "Zookeeper", "Spark", "Android"])
def test_every_line_of_the_samples_has_a_level(system: str) -> None:
    log = read_labelled(shared(f"data/logs/loghub_{system}.structured.csv"))
    assert (log.name, len(log.texts), log.left_out) == (system, 2000, 0)
