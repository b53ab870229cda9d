"""Slots: what stands in a decoded line where a value belongs, and values to put there.

`<num>`, `<ip>`, `<path>` and so on. Values are made up: addresses from the ranges kept for
documentation (RFC 5737, RFC 3849), hardware addresses from RFC 7042's, domains from RFC 2606.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

_Maker = Callable[[Random], str]

_ERRORS = (
    "No such file or directory", "Permission denied", "Connection refused", "Invalid argument",
    "Connection timed out", "Input/output error", "Cannot allocate memory", "Broken pipe",
    "No route to host", "Operation not permitted", "Address already in use", "timed out",
    "Resource temporarily unavailable", "Device or resource busy", "No space left on device",
)  # fmt: skip
_PATHS = (
    "/etc/hosts", "/etc/app/main.conf", "/var/lib/app/state.db", "/run/app.sock", "/srv/www/index",
    "/var/log/messages", "/usr/lib/app/module.so", "/home/anna/.config/settings", "/dev/sdb1",
    "/tmp/tmp.k3Qz9", "/etc/ssl/certs/server.pem", "/var/spool/queue/7A31",
)  # fmt: skip
_HOSTS = (
    "web-1.example.org", "db-2.example.net", "mail.example.org", "ns1.example.com",
    "gw.example.net",
)  # fmt: skip
_USERS = ("root", "anna", "www-data", "postgres", "backup", "nobody", "test", "deploy")
_INTERFACES = ("eth0", "ens3", "wlan0", "br0", "docker0", "lo", "eno1")
_NAMES = (
    "main", "default", "backup", "alpha", "node1", "queue", "vol2", "session", "cache", "primary",
    "web", "pool0", "tmp3", "index", "job-17", "local", "guest", "data", "monitor", "table",
)  # fmt: skip
# What an untyped value is, by the word before it.
_HINTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"user|login|owner|for|account|uid", _USERS),
    (r"dev|device|interface|link|iface|nic|port", _INTERFACES),
    (r"host|server|peer|domain|node|from", _HOSTS),
    (r"file|open|path|directory|read|load|stat", _PATHS),
)
_HINT_RULES = tuple((re.compile(rf"(?:{hint})\W*$", re.I), values) for hint, values in _HINTS)
_NUMBERS: tuple[tuple[str, tuple[int, ...]], ...] = (
    (r"port", (22, 25, 53, 80, 443, 514, 3306, 8080, 41822)),
    (r"uid|gid", (0, 33, 104, 1000, 1001)),
    (r"signal|sig", (1, 2, 6, 9, 11, 15)),
    (r"errno|ret|rc|err|status|result|error|code", (-1, -2, -5, -12, -16, -22, -110)),
    (r"fd|socket|sock|handle|cpu|queue|channel|slot", (0, 1, 2, 3, 5, 7, 12, 31)),
    (r"after|every|timeout|interval|delay|within", (1, 5, 30, 60, 250, 3600)),
    (r"size|length|bytes|len|memory", (64, 512, 1500, 4096, 65536, 1048576)),
)
_NUMBER_RULES = tuple((re.compile(rf"(?:{h})\W*$", re.I), numbers) for h, numbers in _NUMBERS)


def _address(random: Random) -> str:
    if random.random() < 0.1:
        return f"2001:db8::{random.getrandbits(16) | 1:x}"
    net = random.choice(("192.0.2", "198.51.100", "203.0.113"))
    return f"{net}.{random.randint(1, 254)}"


def _hardware_address(random: Random) -> str:
    return f"00:00:5e:00:53:{random.randrange(256):02x}"


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


_MAKERS: dict[str, _Maker] = {
    "num": lambda r: str(r.randrange(10 ** r.randint(1, 4))),
    "hex": lambda r: f"{r.getrandbits(r.choice((8, 16, 32))):x}",
    "pointer": lambda r: f"0x{r.getrandbits(32) | 1 << 31:x}",
    "float": lambda r: f"{r.uniform(0, 100):.2f}",
    "ip": _address,
    "mac": _hardware_address,
    "uuid": _uuid,
    "url": lambda r: f"http://{r.choice(_HOSTS)}:8080/v1/items",
    "path": lambda r: r.choice(_PATHS),
    "host": lambda r: r.choice(_HOSTS),
    "user": lambda r: r.choice(_USERS),
    "dev": lambda r: r.choice(_INTERFACES),
    "error": lambda r: r.choice(_ERRORS),
    "time": lambda r: f"2026-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} 02:12:04",
    "name": lambda r: r.choice(_NAMES),
}  # fmt: skip
SLOTS = tuple(f"<{name}>" for name in _MAKERS)
_SLOT = re.compile("<(" + "|".join(_MAKERS) + ")>")

# What a value was, by its look: the first that matches it whole.
_LOOKS = tuple(
    (name, re.compile(look, re.I))
    for name, look in (
        ("float", r"-?\d+\.\d+"),
        ("num", r"-?\d+(?:[smh%]|ms)?"),
        ("pointer", r"0x[0-9a-f]+"),
        ("ip", r"\[?(?:\d+\.\d+\.\d+\.\d+(?:[:/#]\d+)?|[0-9a-f]*:[0-9a-f:]*::?[0-9a-f:]*)\]?"),
        ("mac", r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"),
        ("uuid", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("url", r"\w+://\S+"),
        ("path", r"/\S+"),
        ("time", r"\d{4}-\d\d-\d\d.*"),
        ("hex", r"(?=.*\d)[0-9a-f]{4,}"),
        ("user", r"root|alice|bob|www-data|nobody|anna"),
        ("dev", r"(?:eth|ens|wlan|br|bond|enp|docker)\w*\d|lo"),
        ("host", r"[\w-]+(?:\.[\w-]+)+|(?:srv|web|db|mail|host|gw|worker)-?[\w-]*\d\w*"),
        ("error", r"[A-Za-z]\S*(?: [\w/:.-]+)+"),
    )
)


def slot_for(value: str) -> str:
    """The slot that a value of this look belongs into."""
    for name, look in _LOOKS:
        if look.fullmatch(value):
            return f"<{name}>"
    return "<name>"


def filled(text: str, random: Random) -> str:
    """The text with a value in every slot."""
    out: list[str] = []
    at = 0
    for match in _SLOT.finditer(text):
        out.append(text[at : match.start()])
        out.append(_value(match[1], "".join(out)[-24:], random))
        at = match.end()
    return "".join(out) + text[at:]


def _value(kind: str, before: str, random: Random) -> str:
    if kind == "num":
        for hint, numbers in _NUMBER_RULES:
            if hint.search(before):
                return str(random.choice(numbers))
    if kind == "name":
        for hint, values in _HINT_RULES:
            if hint.search(before):
                return random.choice(values)
    return _MAKERS[kind](random)
