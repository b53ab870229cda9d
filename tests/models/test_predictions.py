"""What a person would rank by reading, the shipped model must rank too."""

import numpy as np
import pytest

from models.checkpoint import pretrained_path
from models.inference import Engine
from models.text import canonical
from models.training.metrics import softmax

# Of each pair the second is the more severe one.
RISING = [
    ("sshd", "child exited with code 0", "child exited with code 1"),
    ("", "exited with code 0", "exited with code 1"),
    ("", "backup.sh exited with code 0", "backup.sh exited with code 2"),
    ("systemd", "foo.service: Main process exited, code=exited, status=0/SUCCESS",
     "foo.service: Main process exited, code=exited, status=1/FAILURE"),
    ("cron", "(root) job finished with exit status 0", "(root) job finished with exit status 127"),
    ("", "rsync returned 0", "rsync returned 23"),
    ("", "worker 17 terminated by signal 15", "worker 17 terminated by signal 11"),
    ("nginx", '10.0.0.1 - - "GET /index.html HTTP/1.1" 200 612',
     '10.0.0.1 - - "GET /index.html HTTP/1.1" 500 612'),
    ("", '10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.0" 200 2326',
     '10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.0" 503 2326'),
    ("", '"POST /login HTTP/1.1" 200 91', '"POST /login HTTP/1.1" 502 91'),
    ("", '"GET /a HTTP/1.1" 304 0', '"GET /a HTTP/1.1" 504 0'),
    ("", "upstream answered HTTP 200", "upstream answered HTTP 503"),
    ("", "/var is 12% full", "/var is 99% full"),
    ("", "disk usage on /dev/sda1 at 40%", "disk usage on /dev/sda1 at 98%"),
    ("", "5 packets transmitted, 0% packet loss", "5 packets transmitted, 100% packet loss"),
    ("", "health check returned status 0", "health check returned status 1"),
    ("", "service started", "service failed to start"),
    ("", "connection established with 10.0.0.1", "connection refused by 10.0.0.1"),
    ("kernel", "eth0: link is up at 1000 Mbps", "eth0: transmit queue 0 timed out"),
    ("kernel", "usb 1-1: new high-speed USB device number 5",
     "usb 1-1: device not accepting address 5, error -71"),
    ("", "opened /etc/app.conf", "cannot open /etc/app.conf: Permission denied"),
    ("", "loaded 12 modules", "out of memory while loading 12 modules"),
    ("", "database connection pool ready", "database connection lost"),
    ("", "certificate renewed for example.org", "certificate for example.org has expired"),
    ("", "checksum verified", "checksum mismatch, data is corrupt"),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(pretrained_path(), dtype="fp32")


def trouble(engine: Engine, app: str, message: str) -> float:
    """Probability of warning or worse, with the emission prior."""
    scores = engine.encode([app], [canonical(message)])
    log_prior = engine.prior_strength * np.log(engine.emission_prior)
    return float(softmax(scores.log_likelihood + log_prior)[0, :5].sum())


@pytest.mark.parametrize(("app", "calm", "bad"), RISING)
def test_what_is_worse_is_scored_worse(engine: Engine, app: str, calm: str, bad: str) -> None:
    assert trouble(engine, app, calm) < trouble(engine, app, bad)


def test_variants_of_a_line_are_scored_alike(engine: Engine) -> None:
    one = "Failed password for bob from 192.0.2.1 port 51234 ssh2"
    other = "Failed password for carol from 2001:db8::7 port 4022 ssh2"
    assert trouble(engine, "sshd", one) == trouble(engine, "sshd", other)
