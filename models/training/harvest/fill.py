"""A template's placeholders filled with values that its arguments could have had.

What a value may look like is guessed from the argument's source text and the word in front of the
placeholder: `inet_ntoa(addr)` gives an address, `strerror(errno)` an error text. Guesses are
often implausible in detail; the words around them are what a model learns from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

PLACEHOLDER = re.compile(
    r"%(?P<key>\(\w+\))?(?P<flags>[-+ #0]*)(?P<width>\d*|\*)(?:\.(?P<precision>\d+|\*))?"
    r"(?P<size>hh|h|ll|l|z|j|t|q|L)?(?P<verb>p[A-Z][A-Za-z0-9]*|[A-Za-z])"
    r"|(?P<escape>%%)|\{(?P<name>[^{}]{0,60})\}"
)
_ERRORS = (
    "No such file or directory",
    "Permission denied",
    "Connection refused",
    "Connection timed out",
    "Invalid argument",
    "Input/output error",
    "Cannot allocate memory",
    "No route to host",
    "Broken pipe",
    "Resource temporarily unavailable",
    "Operation not permitted",
    "Address already in use",
    "unexpected end of file",
    "timed out",
)
_PATHS = (
    "/etc/hosts",
    "/etc/app/main.conf",
    "/var/lib/app/state.db",
    "/var/run/app.sock",
    "/var/log/messages",
    "/usr/lib/app/module.so",
    "/home/anna/.config/settings",
    "/tmp/tmp.k3Qz9",
    "/dev/sdb1",
)
_HOSTS = ("web01", "db-2", "mail.example.org", "ns1.example.com", "node4", "gw.example.net")
_USERS = ("root", "anna", "www-data", "postgres", "backup", "nobody", "test")
_INTERFACES = ("eth0", "ens3", "wlan0", "br0", "docker0", "lo")
_NAMES = ("main", "default", "backup", "alpha", "node1", "queue", "vol2", "session", "cache")
_COMMANDS = ("sshd", "nginx", "bash", "cron", "rsync", "java", "python3")
_STATES = ("idle", "running", "offline", "connected", "closing", "unknown")
_FUNCTIONS = ("probe_device", "read_header", "send_reply", "open_session", "update_state")
_ERRNOS = (1, 2, 5, 12, 16, 22, 110)
_SIGNALS = (1, 2, 6, 9, 11, 13, 15)
_DRIVERS = ("e1000e", "usb", "nvme", "ahci", "i2c", "mmc0", "xhci_hcd", "snd_hda_intel")

_Maker = Callable[[Random], str]
_TEXTS: tuple[tuple[str, _Maker], ...] = (
    (r"errno|\berr|error|exception|reason|\bexc\b|\be\b|ex\b", lambda r: r.choice(_ERRORS)),
    (r"__func__|__FUNCTION__|func(?:tion)?$", lambda r: r.choice(_FUNCTIONS)),
    (r"ntop|ntoa|addr|\bip[46v_]?|peer|remote_host|gateway", lambda r: _address(r)),
    (r"mac\b|ether|bssid|hwaddr", lambda r: _hardware_address(r)),
    (r"path|file|\bdir|fname|folder|conf|script|\bcwd\b", lambda r: r.choice(_PATHS)),
    (r"url|uri|endpoint|href", lambda r: f"http://{r.choice(_HOSTS)}:8080/v1/items"),
    (r"host|domain|server|node\b|realm|fqdn", lambda r: r.choice(_HOSTS)),
    (r"user|login|owner|account|principal|group", lambda r: r.choice(_USERS)),
    (r"iface|ifname|interface|\bdev\b|netdev|nic\b|link", lambda r: r.choice(_INTERFACES)),
    (r"cmd|command|prog|argv|comm\b|process|exec", lambda r: r.choice(_COMMANDS)),
    (r"state|status|mode", lambda r: r.choice(_STATES)),
    (r"uuid|guid", lambda r: _uuid(r)),
    (r"\bid\b|_id\b|hash|digest|token|key|cookie", lambda r: f"{r.getrandbits(48):012x}"),
    (r"version|\bver\b|release", lambda r: f"{r.randrange(10)}.{r.randrange(30)}.1"),
    (r"time|date|stamp|elapsed", lambda r: f"2026-0{r.randint(1, 9)}-1{r.randrange(9)} 02:12:04"),
    (r"port\b", lambda r: str(r.choice((22, 25, 80, 443, 514, 8080)))),
    (r"count|size|len|\bnum|total|bytes|index", lambda r: str(r.randrange(5000))),
)  # fmt: skip
_TEXT_RULES = tuple((re.compile(hint, re.IGNORECASE), maker) for hint, maker in _TEXTS)
_NUMBERS: tuple[tuple[str, _Maker], ...] = (
    (r"port\b", lambda r: str(r.choice((22, 25, 53, 80, 443, 514, 3306, 8080, 41822)))),
    (r"\bpid|tid\b|process", lambda r: str(r.randint(300, 40_000))),
    (r"\buid|\bgid", lambda r: str(r.choice((0, 33, 104, 1000, 1001)))),
    (r"signal|\bsig", lambda r: str(r.choice(_SIGNALS))),
    (r"errno|\bret\b|\brc\b|\berr\b|status|result", lambda r: str(-r.choice(_ERRNOS))),
    (r"line|column", lambda r: str(r.randint(1, 1500))),
    (r"\bfd\b|socket|sock\b|handle", lambda r: str(r.randint(3, 60))),
    (r"time|delay|interval|sec|msec|_ms", lambda r: str(r.choice((1, 5, 30, 60, 250, 3600)))),
    (r"size|len|bytes|memory|total", lambda r: str(2 ** r.randint(3, 22))),
)  # fmt: skip
_NUMBER_RULES = tuple((re.compile(hint, re.IGNORECASE), maker) for hint, maker in _NUMBERS)
_INTEGER_VERBS = frozenset("diu")
_FLOAT_VERBS = frozenset("feEgGF")


def filled(template: str, arguments: Sequence[str], seed: int) -> str:
    """The template with every placeholder filled.

    Equal template, arguments and seed give the equal line, in whatever order lines are made.
    """
    random = Random(f"{seed}\0{template}\0{arguments}".encode("utf-8", "surrogatepass"))
    rest = list(arguments)

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return "%"
        if "*" in (match["width"], match["precision"]) and rest:
            rest.pop(0)
        name = match["name"] or (match["key"] or "").strip("()")
        argument = rest.pop(0) if rest else name
        before = re.findall(r"\w+", template[: match.start()])[-1:]
        return _value(match["verb"] or "s", match, f"{argument} {name}", before, random)

    return PLACEHOLDER.sub(value, template)


def kernel_prefix(line: str, function: str, seed: int) -> str:
    """What dev_err() and its like print in front of the message, on 70 % of such lines."""
    random = Random(f"{seed}\0{function}\0{line}".encode("utf-8", "surrogatepass"))
    if not re.match(r"(?:net)?dev_|pci_|hid_|usb_", function) or random.random() > 0.7:
        return line
    bus = f"0000:{random.randrange(256):02x}:{random.randrange(32):02x}.{random.randrange(8)}"
    driver = random.choice(_DRIVERS)
    return (
        f"{driver} {random.choice((bus, f'{random.randrange(9)}-{random.randrange(9)}'))}: {line}"
    )


def _value(
    verb: str, match: re.Match[str], argument: str, before: list[str], random: Random
) -> str:
    if verb in _INTEGER_VERBS:
        return _number(argument, before, random)
    if verb in "xX":
        prefix = "0x" if "#" in (match["flags"] or "") else ""
        digits = int(match["width"]) if (match["width"] or "").isdecimal() else 1
        return prefix + f"{random.getrandbits(random.choice((4, 8, 16, 32))):0{min(digits, 16)}x}"
    if verb in _FLOAT_VERBS:
        places = int(match["precision"]) if (match["precision"] or "").isdecimal() else 2
        return f"{random.uniform(0, 100):.{min(places, 9)}f}"
    if verb == "c":
        return random.choice("adnrx")
    if verb == "m":
        return random.choice(_ERRORS)
    if verb in ("pM", "pm"):
        return _hardware_address(random)
    if verb.startswith(("pI", "pi")):
        return _address(random)
    if verb == "p":
        return f"0x{random.getrandbits(44):012x}"
    if verb == "q":
        return f'"{_text(argument, before, random)}"'
    if verb == "r":
        return repr(_text(argument, before, random))
    return _text(argument, before, random)


def _number(argument: str, before: list[str], random: Random) -> str:
    for text in (argument, " ".join(before)):
        for hint, maker in _NUMBER_RULES:
            if hint.search(text):
                return maker(random)
    return str(random.randrange(10 ** random.randint(1, 5)))


def _text(argument: str, before: list[str], random: Random) -> str:
    literal = re.search(r'\?\s*"([^"\\]{1,40})"\s*:\s*"([^"\\]{0,40})"', argument)
    if literal:
        return random.choice((literal[1], literal[2]))
    for text in (argument, " ".join(before)):
        for hint, maker in _TEXT_RULES:
            if hint.search(text):
                return maker(random)
    return random.choice(_NAMES)


def _address(random: Random) -> str:
    net = random.choice(("10.{}.{}.{}", "192.168.{}.{}", "203.0.113.{}", "172.16.{}.{}"))
    return net.format(*(random.randint(1, 254) for _ in range(net.count("{}"))))


def _hardware_address(random: Random) -> str:
    return ":".join(f"{random.randrange(256):02x}" for _ in range(6))


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
