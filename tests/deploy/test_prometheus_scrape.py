"""A real Prometheus with the shipped configuration scrapes the metrics port; its rules fire."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from pipeline.health import Health
from pipeline.metrics import Metrics
from pipeline.server import MetricsServer
from pipeline.sockets import listen_tcp
from tests.support import ROOT, tool

pytestmark = pytest.mark.system
SHIPPED = ROOT / "deploy" / "prometheus"


@pytest.fixture
def metrics() -> Iterator[tuple[Metrics, MetricsServer]]:
    metrics = Metrics()
    server = MetricsServer(listen_tcp("127.0.0.1:0"), metrics.registry, Health())
    server.start()
    yield metrics, server
    server.close()


@pytest.fixture
def prometheus(
    metrics: tuple[Metrics, MetricsServer], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Asks the API of a Prometheus that scrapes the server five times a second."""
    binary = tool("prometheus")
    target = metrics[1].url.removeprefix("http://")
    config = (SHIPPED / "scrape.yml").read_text()
    config = config.replace("127.0.0.1:9514", target).replace("15s", "200ms")
    (tmp_path / "prometheus.yml").write_text(config)
    (tmp_path / "alerts.yml").write_text((SHIPPED / "alerts.yml").read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
        )

    def ask(path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urlencode(parameters)}"
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except URLError:  # not listening yet, or still starting (503)
            return None

    try:
        yield ask
    finally:
        process.terminate()
        process.wait(30)


def wait_for(what: Callable[[], Any], limit_s: float = 60.0) -> Any:
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        if found := what():
            return found
        time.sleep(0.1)
    pytest.fail(f"not seen within {limit_s:.0f} s")


def test_values_arrive_and_a_loss_raises_its_alert(
    metrics: tuple[Metrics, MetricsServer], prometheus: Callable[..., Any]
) -> None:
    here, server = metrics
    here.open_source("stdin", ["queue_full"])
    here.advance(here.received_messages_total, 1234, "stdin")
    here.latency_seconds.observe_many([0.003] * 100)

    def value(query: str) -> str | None:
        data = prometheus("query", query=query)
        return data["result"][0]["value"][1] if data and data["result"] else None

    assert wait_for(lambda: value("ltt_stream_received_messages_total")) == "1234"
    assert value('ltt_stream_latency_seconds_bucket{le="0.005"}') == "100"
    assert value("up") == "1"
    (target,) = prometheus("targets")["activeTargets"]
    assert target["scrapeUrl"] == f"{server.url}/metrics"
    assert target["lastError"] == ""

    def firing() -> set[str]:
        alerts = prometheus("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    assert firing() == set()
    here.add(here.dropped_messages_total, 7, "stdin", "queue_full")
    assert wait_for(firing) == {"LttStreamDroppedMessages"}
