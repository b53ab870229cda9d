"""Plain log files as what each host said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.host_logs import read_logs, written_s
from pipeline.scorer import Scorer


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(dtype="fp32")


def test_hosts_are_told_apart_and_joined_over_files(tmp_path: Path, scorer: Scorer) -> None:
    newer, older = tmp_path / "syslog", tmp_path / "syslog.1"
    newer.write_bytes(
        b"<11>1 2026-11-20T10:00:09Z web app - - - disk sda1 failed\n\n"
        b"<14>1 2026-11-20T10:00:10Z db app - - - checkpoint complete\n"
    )
    older.write_bytes(b"<14>1 2026-11-20T10:00:02Z web app - - - disk sdb1 failed\n")
    logs = read_logs([newer, older], Scorer(scorer.engine))
    assert logs.lines == 3
    assert [host.name for host in logs.hosts] == ["web", "db"]
    web = logs.hosts[0]
    assert np.diff(web.times_s).tolist() == [7]
    assert web.severity.tolist() == [6, 3], "as declared"
    assert logs.latents.shape == (len(logs.ids), scorer.engine.latent_dim)
    assert web.templates.max() < len(logs.ids)


def test_lines_without_a_header_are_of_a_host_of_their_files_name(
    tmp_path: Path, scorer: Scorer
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(
        b"2015-10-18 18:01:47,978 INFO [main] Created master\n"
        b"    at some.Class(Some.java:1)\n"
        b"2015-10-18 18:01:48,978 WARN [main] no executors\n"
    )
    (host,) = read_logs([path], Scorer(scorer.engine)).hosts
    assert host.name == "app.log"
    np.testing.assert_allclose(host.times_s - host.times_s[0], [0, 0, 1])
    assert ((host.severity >= 0) & (host.severity < 8)).all()


def test_an_empty_file_has_no_hosts(tmp_path: Path, scorer: Scorer) -> None:
    (tmp_path / "empty.log").touch()
    assert read_logs([tmp_path / "empty.log"], scorer).hosts == []


def test_leading_dates() -> None:
    assert written_s(b"1970-01-01 00:00:01,5 x") == 1.5
    assert written_s(b"[1970-01-01T00:01:00] x") == 60.0
    assert written_s(b"1970-13-01 00:00:00 x") is None
    assert written_s(b"Jan  1 00:00:00 x") is None
