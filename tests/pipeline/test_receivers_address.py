"""Listener URLs: read as meant, or refused in one line that says the mend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import ConfigError
from pipeline.receivers.address import Listener, parse_listener


@pytest.mark.parametrize(
    ("text", "listener", "source"),
    [
        ("stdin", Listener("stdin"), "stdin"),
        ("-", Listener("stdin"), "stdin"),
        ("udp://0.0.0.0:514", Listener("udp", "0.0.0.0", 514), "udp://0.0.0.0:514"),
        ("udp://0.0.0.0", Listener("udp", "0.0.0.0", 514), "udp://0.0.0.0:514"),
        ("UDP://LogHost:5514/", Listener("udp", "loghost", 5514), "udp://loghost:5514"),
        ("udp://[::]:514", Listener("udp", "::", 514), "udp://[::]:514"),
        ("udp://[::1]", Listener("udp", "::1", 514), "udp://[::1]:514"),
        ("udp://[fe80::1%eth0]:9", Listener("udp", "fe80::1%eth0", 9), "udp://[fe80::1%eth0]:9"),
        ("udp://127.0.0.1:0", Listener("udp", "127.0.0.1", 0), "udp://127.0.0.1:0"),
    ],
)
def test_a_listener_is_read(text: str, listener: Listener, source: str) -> None:
    assert parse_listener(text) == listener
    assert listener.source == source


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("tcp://0.0.0.0:514", "not available in this version"),
        ("tls://h:6514", "not available in this version"),
        ("unix:///dev/log", "not available in this version"),
        ("file:///var/log/syslog", "not available in this version"),
        ("journald:", "not available in this version"),
        ("0.0.0.0:514", "use stdin or udp://HOST:PORT"),
        ("udp:514", "use stdin or udp://HOST:PORT"),
        ("http://h", "use stdin or udp://HOST:PORT"),
        ("", "use stdin or udp://HOST:PORT"),
        ("udp://::1:514", "in brackets"),
        ("udp://:514", "the host is missing"),
        ("udp://", "the host is missing"),
        ("udp://h:99999", "port 0 to 65535"),
        ("udp://h:-1", "port 0 to 65535"),
        ("udp://h:syslog", "port 0 to 65535"),
        ("udp://[::1:514", "udp://HOST:PORT"),
        ("udp://[example]:514", "udp://HOST:PORT"),
        ("udp://h:514/path", "only a host and a port"),
        ("udp://h:514?rcvbuf=1", "only a host and a port"),
        ("udp://me@h:514", "only a host and a port"),
        ("udp://a b:514", "only a host and a port"),
        ("udp://h:514\n", "only a host and a port"),
    ],
)
def test_a_bad_listener_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_listener(text)
    assert repr(text) in str(refused.value)
    assert mend in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=30).map(lambda text: f"udp://{text}") | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        listener = parse_listener(text)
    except ConfigError:
        return
    assert parse_listener(listener.source) == listener


@given(st.ip_addresses().map(str), st.integers(0, 65535))
def test_source_and_listener_are_inverses(host: str, port: int) -> None:
    listener = Listener("udp", host, port)
    assert parse_listener(listener.source) == listener
