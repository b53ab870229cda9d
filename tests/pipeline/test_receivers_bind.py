"""Opening UDP sockets, and what is said when one cannot be opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipeline.receivers import ReceiverError, open_receivers
from pipeline.receivers.address import parse_listener
from pipeline.receivers.udp import UdpReceiver, bind_udp
from pipeline.sockets import BindError
from tests.support import ROOT


@pytest.fixture
def ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")


@pytest.fixture
def held() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_port_in_use_names_its_holder(held: int) -> None:
    with pytest.raises(BindError) as refused:
        open_receivers([f"udp://127.0.0.1:{held}"])
    assert str(held) in str(refused.value)
    assert f"pid {os.getpid()}" in str(refused.value)


def test_both_families_can_listen_on_one_port(held: int, ipv6: None) -> None:
    four = bind_udp(parse_listener("udp://0.0.0.0:0"))
    six = bind_udp(parse_listener(f"udp://[::]:{four.getsockname()[1]}"))
    four.close()
    six.close()


def test_an_address_that_is_not_ours_is_refused_in_one_line() -> None:
    for url in ("udp://192.0.2.1:5514", "udp://no-such-host.invalid:5514"):
        with pytest.raises(BindError) as refused:
            bind_udp(parse_listener(url))
        assert str(refused.value).startswith(url)
        assert "\n" not in str(refused.value)


UNPRIVILEGED = """
import os
from pipeline.receivers.udp import bind_udp
from pipeline.receivers.address import parse_listener
bind_udp(parse_listener("udp://127.0.0.1:0")).close()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    bind_udp(parse_listener("udp://127.0.0.1:514"))
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give it up")
def test_a_low_port_without_privilege_says_the_mend() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("udp://127.0.0.1:514: ")
    assert "CAP_NET_BIND_SERVICE" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_failed_listener_leaves_nothing_open(held: int) -> None:
    free = bind_udp(parse_listener("udp://127.0.0.1:0"))
    url = f"udp://127.0.0.1:{free.getsockname()[1]}"
    free.close()
    with pytest.raises(BindError):
        open_receivers([url, f"udp://127.0.0.1:{held}"])
    bind_udp(parse_listener(url)).close()


def test_sockets_of_other_kinds_are_refused() -> None:
    for family, kind in (
        (socket.AF_UNIX, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_STREAM),
    ):
        with (
            socket.socket(family, kind) as sock,
            pytest.raises(ReceiverError, match=f"{family.name} {kind.name}"),
        ):
            UdpReceiver(sock)


def test_what_is_named_and_what_is_passed_in_is_opened() -> None:
    passed = bind_udp(parse_listener("udp://127.0.0.1:0"))
    source = f"udp://127.0.0.1:{passed.getsockname()[1]}"
    receivers = open_receivers(["udp://127.0.0.1:0", "stdin"], [passed])
    assert receivers[0].source == source
    assert receivers[1].source.startswith("udp://127.0.0.1:")
    assert not receivers[1].source.endswith(":0")
    assert [r.can_wait for r in receivers] == [False, False, True]
    for receiver in receivers:
        receiver.stop()
    (alone,) = open_receivers([])
    assert alone.source == "stdin"
