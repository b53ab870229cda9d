"""Writes sample.log from scenarios.txt, the same bytes every time.

Run it as `.venv/bin/python pipeline/sample/generate.py`. Every address is from the ranges kept
for documentation (RFC 5737, RFC 3849), every domain from RFC 2606.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
START = datetime(2026, 11, 20, 6, 25, 1, tzinfo=UTC)
DAY_S = 24 * 3600
UPTIME_S = {"web-1": 1_640_322, "gw-1": 7_911_048}
SEED = 7


@dataclass(frozen=True)
class Clock:
    """One moment, as the programs of a machine write it."""

    now: datetime
    host: str

    @property
    def stamp(self) -> str:
        """RFC 3164: the day is padded with a space."""
        return f"{self.now:%b} {self.now.day:2d} {self.now:%H:%M:%S}"

    @property
    def clf(self) -> str:
        return f"{self.now:%d/%b/%Y:%H:%M:%S +0000}"

    @property
    def nginx(self) -> str:
        return f"{self.now:%Y/%m/%d %H:%M:%S}"

    @property
    def iso(self) -> str:
        return self.now.isoformat(timespec="milliseconds").removesuffix("+00:00")

    @property
    def epoch(self) -> str:
        return str(int(self.now.timestamp()))

    @property
    def uptime(self) -> str:
        return f"{(self.now - START).total_seconds() + UPTIME_S[self.host]:.6f}"


Draw = Callable[[Random], str]


def one_of(*values: str) -> Draw:
    return lambda rng: rng.choice(values)


def often_first(values: Sequence[str]) -> Draw:
    """Few of them make most of the traffic: the k-th is drawn with a weight of 1/k."""
    weights = [1 / rank for rank in range(1, len(values) + 1)]
    return lambda rng: rng.choices(values, weights)[0]


def number(low: int, high: int) -> Draw:
    return lambda rng: str(rng.randint(low, high))


def letters(alphabet: str, length: int) -> Draw:
    return lambda rng: "".join(rng.choice(alphabet) for _ in range(length))


HEX = "0123456789abcdef"
SCANNERS4 = [f"203.0.113.{n}" for n in (9, 41, 77, 118, 162, 200, 231)] + [
    f"198.51.100.{n}" for n in (14, 23, 66, 140, 187, 211, 250)
]
SCANNERS6 = ["2001:db8:bad::17", "2001:db8:bad:4::2", "2001:db8:c0de::a1f"]

VALUES: dict[str, Draw] = {
    "admin": one_of("mara", "mara", "jonas"),
    "agent": one_of(
        "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148",
    ),
    "asset": one_of("/css/shop.css", "/js/cart.js", "/img/logo.svg", "/img/p/1042.webp"),
    "b64": letters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 43),
    "botagent": one_of("curl/8.5.0", "python-requests/2.32.3", "Go-http-client/1.1", "-"),
    "bytes": number(1_200, 98_000),
    "client": often_first(
        [f"198.51.100.{n}" for n in range(30, 60)] + [f"2001:db8:77:{n:x}::5" for n in range(9)]
    ),
    "command": one_of(
        "/usr/bin/systemctl status nginx",
        "/usr/bin/apt list --upgradable",
        "/usr/bin/less /var/log/mail.log",
    ),
    "conn": number(1_000, 99_999),
    "digit": number(1, 9),
    "guess": often_first(["admin", "test", "oracle", "ubuntu", "postgres", "git", "user1", "ftp"]),
    "hex8": letters(HEX, 8),
    "hex10": letters(HEX, 10),
    "hex12": letters(HEX, 12),
    "hex16": letters(HEX, 16),
    "hex32": letters(HEX, 32),
    "id": number(1, 65_535),
    "latin1": lambda _: "\udce9",
    "lowport": often_first(["23", "445", "3389", "8080", "22", "5900", "1433", "6379", "2222"]),
    "mailhost": often_first(
        ["mail.example.net", "lists.example.net", "out3.example.net", "relay.example.net"]
    ),
    "ms": number(40, 990),
    "office": one_of("192.0.2.77", "192.0.2.78", "2001:db8:0:2::77"),
    "page": often_first(
        ["/", "/shop", "/shop/lamps", "/shop/chairs/oak", "/search?q=lamp", "/about"]
    ),
    "pid": number(1_300, 32_000),
    "port": number(32_768, 60_999),
    "probe": often_first(
        ["/wp-login.php", "/.env", "/phpmyadmin/index.php", "/.git/config", "/old/"]
    ),
    "queue": letters("0123456789ABCDEF", 10),
    "renewal": number(1_500, 1_900),
    "resolver": one_of("192.0.2.53", "198.51.100.53", "203.0.113.53"),
    "scanner": often_first(SCANNERS4 + SCANNERS6),
    "scanner4": often_first(SCANNERS4),
    "scanner6": often_first(SCANNERS6),
    "session": number(100, 999),
    "small": number(10, 99),
    "temp": number(101, 119),
    "ttl": number(40, 245),
    "udpport": often_first(["1900", "5060", "161", "123", "11211"]),
}


class Values(dict[str, object]):
    """What one scenario draws: a name is drawn once; `port1` is another draw of `port`."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self.rng = rng

    def __missing__(self, name: str) -> str:
        draw = VALUES[name] if name in VALUES else VALUES[name.rstrip("0123456789")]
        self[name] = value = draw(self.rng)
        return value


@dataclass(frozen=True)
class Scenario:
    when: str
    host: str
    lines: list[tuple[float, str]]
    """(seconds after the line before, template)"""


def scenarios(text: str) -> Iterator[Scenario]:
    rows = [row for row in text.splitlines() if not row.startswith("#")]
    for block in "\n".join(rows).split("\n\n"):
        head, *body = block.strip("\n").split("\n")
        if not head:
            continue
        _, *when, host = head.split()
        lines = []
        for row in body:
            after, template = row.split(" ", 1) if row.startswith("+") else ("0", row)
            lines.append((float(after), template))
        yield Scenario(" ".join(when), host, lines)


def starts(when: str, rng: Random) -> list[float]:
    """Seconds after START; what happens many times a day is first seen in its first third."""
    if when.startswith("*/"):
        return [minute * 60.0 for minute in range(5, DAY_S // 60, int(when[2:]))]
    if when.startswith(":"):
        return [(minute - 25) * 60.0 for minute in range(60 + int(when[1:]), DAY_S // 60 + 25, 60)]
    if ":" in when:
        hour, minute = map(int, when.split(":"))
        return [((hour * 60 + minute - 385) % 1440) * 60.0 + rng.uniform(0, 40)]
    count, span = when.split()
    if span == "day":  # around 13:00
        times = [rng.triangular(0.01, 0.60, 0.27) for _ in range(int(count))]
    else:
        times = [rng.random() for _ in range(int(count))]
    times[0] = rng.uniform(0.02, 0.30)
    return [time * DAY_S for time in times]


def generate(text: str, seed: int = SEED) -> bytes:
    """The log of the day that `text` (scenarios.txt) describes, sorted by time."""
    log: list[tuple[datetime, bytes]] = []
    for scenario in scenarios(text):
        # one generator each, so that an edit of one scenario leaves the others as they are
        rng = Random(f"{seed} {scenario.host} {scenario.when} {scenario.lines[0][1]}")
        for start in starts(scenario.when, rng):
            now = START + timedelta(seconds=start)
            values = Values(rng)
            for after, template in scenario.lines:
                now += timedelta(seconds=after * rng.uniform(0.6, 1.4) + rng.uniform(0.001, 0.02))
                clock = values["clock"] = Clock(now, scenario.host)
                line = template.format_map(values)
                if template.startswith("LINE "):
                    line = line.removeprefix("LINE ")
                else:
                    line = f"{clock.stamp} {scenario.host} {line}"
                log.append((now, line.encode(errors="surrogateescape")))
    log.sort(key=lambda entry: entry[0])
    return b"".join(line + b"\n" for _, line in log)


if __name__ == "__main__":
    (HERE / "sample.log").write_bytes(generate((HERE / "scenarios.txt").read_text()))
