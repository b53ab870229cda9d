"""The shipped Prometheus files, judged by Prometheus's own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from tests.pipeline.test_metrics import used
from tests.support import ROOT, tool

PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = re.findall(r"- alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text())


def promtool(*arguments: str | Path) -> str:
    result = subprocess.run(
        [tool("promtool"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.mark.system
def test_the_scrape_configuration_and_its_rules_are_valid() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "config", PROMETHEUS / "scrape.yml")


@pytest.mark.system
def test_the_alerts_fire_and_stay_quiet_as_their_unit_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "alerts_test.yml")


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_test_that_fires_it_and_one_that_does_not(alert: str) -> None:
    tests = (PROMETHEUS / "alerts_test.yml").read_text()
    assert re.search(
        rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", tests
    )
    assert re.search(rf"alertname: {alert}, eval_time: \w+, exp_alerts: \[\]", tests)


def test_the_rules_ask_only_for_metrics_that_there_are() -> None:
    rules = (PROMETHEUS / "alerts.yml").read_text()
    asked = set(re.findall(r"\b(?:ltt_stream|process)_\w+", rules))
    shown = set(re.findall(r"^(\w+)", generate_latest(used().registry).decode(), re.MULTILINE))
    assert len(asked) > 10
    assert asked <= shown
