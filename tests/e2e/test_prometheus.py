"""A real Prometheus scrapes the real program."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from tests.e2e.program import Program, free_port
from tests.support import tool

CONTRACT = """
received_messages_total received_bytes_total dropped_messages_total
kernel_dropped_datagrams_total malformed_messages_total written_messages_total
scored_messages_total predicted_severity_total anomalies_total latency_seconds
stage_duration_seconds batch_messages queue_messages templates replay_buffer_entries
learner_updates_total learner_holdout_accuracy drift_events_total model_info
last_snapshot_timestamp_seconds
"""


def test_prometheus_reads_what_the_stream_counted(tmp_path: Path) -> None:
    prometheus = tool("prometheus")
    udp, web = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    with Program(
        "--listen", f"udp://127.0.0.1:{udp}", "--format", "none", tmp=tmp_path
    ) as program:
        program.ready()
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: ltt-stream\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{program.metrics_port}']}}]\n"
        )
        server = subprocess.Popen(
            [prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{web}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for n in range(777):
                    s.sendto(b"<13>Nov 21 10:00:00 h app: line %d" % n, ("127.0.0.1", udp))
            for name in ("received", "written", "scored"):
                _wait_for(web, f"sum(ltt_stream_{name}_messages_total)", 777)
            _wait_for(web, 'up{job="ltt-stream"}', 1)
            _wait_for(web, "ltt_stream_latency_seconds_count", 777)
        finally:
            server.terminate()
            server.wait(30)


def test_the_exposition_is_clean_and_whole(tmp_path: Path) -> None:
    promtool = tool("promtool")
    udp = free_port(socket.SOCK_DGRAM)
    with Program(
        "--listen", f"udp://127.0.0.1:{udp}", "--format", "none", tmp=tmp_path
    ) as program:
        program.ready()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"<4444>bad", ("127.0.0.1", udp))
        program.wait_for("malformed_messages_total", 1)
        text = program.get("/metrics")[1]
        program.assert_conserved()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == b""
    missing = [name for name in CONTRACT.split() if f"# TYPE ltt_stream_{name} " not in text]
    assert not missing
    for sample in ('scored_messages_total{path="cache"}', 'predicted_severity_total{severity="'):
        assert f"ltt_stream_{sample}" in text


def _wait_for(port: int, query: str, value: float) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    end = time.monotonic() + 60
    result = None
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                result = json.load(reply)["data"]["result"]
        except OSError:
            result = None
        if result and float(result[0]["value"][1]) == value:
            return
        time.sleep(0.3)
    raise AssertionError(f"{query} is {result}, not {value}")
