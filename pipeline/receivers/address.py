"""Listener URLs: where lines come from, as the user writes it."""

from __future__ import annotations

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pipeline.config import ConfigError

SYSLOG_PORT = 514
_LATER = ("tcp", "tls", "unix", "file", "journald")


class Listener(NamedTuple):
    """A parsed listener URL; `host` and `port` mean something for "udp" only."""

    kind: Literal["stdin", "udp"]
    host: str = ""
    port: int = 0

    @property
    def source(self) -> str:
        """The canonical URL: the `source` of messages and metrics."""
        return self.kind if self.kind == "stdin" else udp_source(self.host, self.port)


def udp_source(host: str, port: int) -> str:
    """ "udp://192.0.2.1:514", "udp://[::1]:514"."""
    return f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"


def parse_listener(text: str) -> Listener:
    """Read "stdin", "-" or "udp://HOST[:PORT]" (IPv6 in brackets; port 0 is any free one).

    Raises ConfigError, one line that names the value and the mend.
    """
    if text in ("stdin", "-"):
        return Listener("stdin")
    scheme = text.partition(":")[0].lower()
    if scheme in _LATER:
        raise _refused(text, "not available in this version; use stdin or udp://HOST:PORT")
    if scheme != "udp" or not text.lower().startswith("udp://"):
        raise _refused(text, "not a listener; use stdin or udp://HOST:PORT")
    authority = text[len("udp://") :].removesuffix("/")
    if authority.count(":") > 1 and "[" not in authority:
        raise _refused(text, "write an IPv6 address in brackets, for example udp://[::1]:514")
    try:
        parts = urlsplit(f"udp://{authority}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refused(
            text, "host or port can't be read; write udp://HOST:PORT, port 0 to 65535"
        ) from None
    if parts.netloc != authority or "@" in authority or any(map(str.isspace, authority)):
        raise _refused(text, "only a host and a port belong here, for example udp://0.0.0.0:514")
    if not host:
        raise _refused(text, "the host is missing; udp://0.0.0.0:514 is every IPv4 address")
    return Listener("udp", host, SYSLOG_PORT if port is None else port)


def _refused(text: str, why: str) -> ConfigError:
    return ConfigError(f"--listen {text!r}: {why}")
