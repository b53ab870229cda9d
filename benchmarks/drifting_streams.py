"""Labelled streams that drift, made of real logs and of the statements of real programs.

Nothing in them was trained on: samples of loghub (https://github.com/logpai/loghub) and the
packages of `severity_dev.parquet`. A machine's lines come in the order of its logs, each once. Of
a package's statements some hundreds run, each as often as Zipf's law has it, with digits drawn
anew where that leaves the template as it is; severities are mixed half as the package has them
and half as running machines send them. Some templates of every domain never come: what they are
taken for was learnt, not remembered.

In `gradual` and `conflict` the statements are chosen so that a word that speaks of a failure is on
an error at first, then on anything but trouble, then on a warning: what is learnt last denies what
was learnt first. In `class shift` errors get common as other programs come; in `outbreak` the same
programs fall ill.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.text import canonical
from models.training.corpus import Rows, read_corpus
from pipeline.labelled_lines import read_labelled

STATEMENTS = 900
"""Statements of a host that run."""
TESTED = 300
"""Templates of an exam that came, and as many that did not, at most."""
HELD_OUT = 0.25
"""Share of a machine's templates that never come, but for the `COMMON` ones of each log."""
COMMON = 5
RUNNING = np.array([0.001, 0.001, 0.004, 0.05, 0.12, 0.10, 0.70, 0.024])
"""How common the severities are on running machines."""
RAMP = 0.25
"""Before and after its end, share of a gradual phase that has lines of the next one."""
FAILURE = re.compile(
    r"fail|error|cannot|can't|could not|couldn't|unable|invalid|unexpected|missing|not found"
    r"|no such|timeout|timed out|unknown",
    re.IGNORECASE,
)

_DIGITS = re.compile(r"\d+", re.ASCII)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Key = tuple[str, str]


class Line(NamedTuple):
    app: str
    message: str
    severity: int
    """-1 where it is not told: the line is to be predicted."""
    source: str
    phase: int


class Phase(NamedTuple):
    domain: int
    """What the lines are of; in a gradual drift, what most of them are of."""
    end: int
    """The first line after it."""


class Exam(NamedTuple):
    """One line for each of some templates of a domain."""

    known: list[Line]
    """Of templates that came before the end of the domain's first phase."""
    new: list[Line]
    """Of templates that never come."""


class Stream(NamedTuple):
    name: str
    domains: tuple[str, ...]
    phases: tuple[Phase, ...]
    lines: list[Line]
    unseen: npt.NDArray[np.bool_]
    """(N,) no line before has the same app and canonical text."""
    exams: tuple[Exam, ...]
    """One for each domain."""


class Host(NamedTuple):
    """What runs the programs of some packages."""

    name: str
    packages: tuple[str, ...]
    failures: tuple[int, ...] = tuple(range(8))
    """Of the statements that speak of a failure, only those of these severities run."""
    others: tuple[int, ...] = tuple(range(8))
    """Of the other statements, only those of these."""
    severe: float | None = None
    """Share of lines at err or worse, where it is not the packages' own."""


class Plan(NamedTuple):
    """Hosts that log in turn, `length` lines each time."""

    hosts: tuple[Host, ...]
    turns: tuple[int, ...]
    length: int
    gradual: bool = False


MACHINES = {
    "cluster": ("Hadoop", "HDFS", "Spark"),
    "phone": ("Android",),
    "servers": ("Zookeeper", "Apache"),
}
_MIXED = ("bluez", "docker.io", "pacemaker", "postfix", "rabbitmq-server", "unbound")
PLANS = {
    "sudden": Plan(
        (
            Host("node", ("pacemaker", "chrony")),
            Host("cloud", ("cinder", "docker.io")),
            Host("mail", ("postfix", "unbound")),
        ),
        (0, 1, 2, 0),
        3000,
    ),
    "gradual": Plan(
        (
            Host("devices", ("bluez", "gpsd", "openvpn"), (3,), (6, 7)),
            Host("services", ("rabbitmq-server", "jetty9", "cloud-init"), (6, 7), (3, 4)),
            Host("edge", ("haproxy", "postfix", "unbound"), (4,), (3, 6, 7)),
        ),
        (0, 1, 2),
        4000,
        gradual=True,
    ),
    "class shift": Plan(
        (
            Host("calm", ("bluez", "docker.io", "pacemaker"), severe=0.03),
            Host("trouble", ("postfix", "rabbitmq-server", "unbound"), severe=0.6),
        ),
        (0, 1),
        5000,
    ),
    "outbreak": Plan(
        (Host("calm", _MIXED, severe=0.03), Host("trouble", _MIXED, severe=0.6)), (0, 1), 5000
    ),
    "conflict": Plan(
        (
            Host("failed is err", ("bluez", "cinder", "docker.io"), (3,), (6, 7)),
            Host("failed is debug", ("chrony", "gpsd", "jetty9", "pacemaker"), (6, 7), (3, 4)),
            Host("failed is warning", ("haproxy", "rabbitmq-server", "unbound"), (4,), (3, 6, 7)),
        ),
        (0, 1, 2),
        3000,
    ),
}
"""Streams of packages by name."""
NAMES = ("machines", *PLANS)


class Domain(NamedTuple):
    """Lines of one kind in the order in which they come, and others, which don't."""

    name: str
    lines: list[Line]
    held_out: list[Line]


def key(line: Line) -> Key:
    """What two lines of one template share."""
    return line.app, canonical(line.message)


def machine(data: Path, name: str, logs: Sequence[str], seed: int) -> Domain:
    """A host whose services log side by side, each in the order of its log."""
    placed: list[tuple[float, Line]] = []
    held_out: list[Line] = []
    for log in logs:
        read = read_labelled(data / "logs" / f"loghub_{log}.structured.csv")
        columns = zip(read.apps, read.texts, read.severity, strict=True)
        lines = [Line(app, text, severity, name, -1) for app, text, severity in columns]
        rare = [of for of, _ in Counter(map(key, lines)).most_common()[COMMON:]]
        chosen = _random(seed, log).random(len(rare)) < HELD_OUT
        apart = {of for of, out in zip(rare, chosen.tolist(), strict=True) if out}
        kept = [line for line in lines if key(line) not in apart]
        placed += [((i + 0.5) / len(kept), line) for i, line in enumerate(kept)]
        held_out += [line for line in lines if key(line) in apart]
    placed.sort(key=lambda pair: pair[0])
    return Domain(name, [line for _, line in placed], held_out)


def programs(rows: Rows, host: Host, lines: int, seed: int) -> Domain:
    """So many lines of a host; two hosts of the same packages run the same statements."""
    packages = "+".join(host.packages)
    of_key: dict[Key, list[Line]] = {}
    for app, text, origin, severity in zip(
        rows.apps, rows.texts, rows.origins, rows.severity.tolist(), strict=True
    ):
        wanted = host.failures if FAILURE.search(text) else host.others
        if origin in host.packages and severity in wanted:
            line = Line(app, text, severity, packages, -1)
            of_key.setdefault(key(line), []).append(line)
    statements = list(of_key.values())
    order = _random(seed, packages).permutation(len(statements)).tolist()
    most = min(STATEMENTS, 3 * len(order) // 4)
    running = [line for i in order[:most] for line in statements[i]]
    others = [line for i in order[most:] for line in statements[i]]
    random = _random(seed, host.name)
    drawn = random.choice(len(running), lines, p=_weights(running, host.severe, zipf=True))
    share = _weights(others, host.severe, zipf=False)
    apart = random.choice(len(others), min(TESTED, len(others)), replace=False, p=share)
    return Domain(
        host.name,
        [refilled(running[i], random) for i in drawn.tolist()],
        [others[i] for i in apart.tolist()],
    )


def _weights(lines: Sequence[Line], severe: float | None, *, zipf: bool) -> Floats:
    """(N,) how often each line is drawn: within a severity by Zipf's law, or all alike."""
    severity = np.array([line.severity for line in lines])
    own = np.bincount(severity, minlength=8) / len(lines)
    running = np.where(own > 0, RUNNING, 0)
    share = (own + running / running.sum()) / 2
    if severe is not None:
        share[:4] *= severe / share[:4].sum()
        share[4:] *= (1 - severe) / share[4:].sum()
    weights = 1 / np.arange(1.0, len(lines) + 1) if zipf else np.ones(len(lines))
    weights *= (share / np.bincount(severity, weights, 8).clip(1e-12))[severity]
    return np.asarray(weights / weights.sum(), np.float64)


def refilled(line: Line, random: np.random.Generator) -> Line:
    """With other digits, where that leaves the template as it is."""

    def other(digits: re.Match[str]) -> str:
        length = min(len(digits[0]), 18)
        return str(random.integers(10 ** (length - 1), 10**length))

    another = line._replace(message=_DIGITS.sub(other, line.message))
    return another if key(another) == key(line) else line


def weave(name: str, domains: Sequence[Domain], order: Ints, phases: Sequence[Phase]) -> Stream:
    """The stream in which the domains' lines come in this order: (N,) numbers of domains."""
    coming = [iter(domain.lines) for domain in domains]
    ends = [phase.end for phase in phases]
    phase_of = np.searchsorted(ends, np.arange(len(order)), side="right").tolist()
    lines = [
        next(coming[domain])._replace(phase=phase)
        for domain, phase in zip(order.tolist(), phase_of, strict=True)
    ]
    first_end = {phase.domain: phase.end for phase in reversed(phases)}
    known: list[dict[Key, Line]] = [{} for _ in domains]
    seen: set[Key] = set()
    unseen = np.zeros(len(lines), np.bool_)
    for i, (line, domain) in enumerate(zip(lines, order.tolist(), strict=True)):
        unseen[i] = key(line) not in seen
        seen.add(key(line))
        if i < first_end[domain]:
            known[domain][key(line)] = line
    exams = [
        Exam(_some(of.values()), _some({key(line): line for line in domain.held_out}.values()))
        for of, domain in zip(known, domains, strict=True)
    ]
    names = tuple(domain.name for domain in domains)
    return Stream(name, names, tuple(phases), lines, unseen, tuple(exams))


def _some(lines: Iterable[Line]) -> list[Line]:
    every = list(lines)
    chosen = np.random.default_rng(0).permutation(len(every))[:TESTED]
    return [every[i] for i in np.sort(chosen).tolist()]


def load(data: Path, name: str, *, seed: int = 0, scale: float = 1.0) -> Stream:
    """The stream of this name of `NAMES`, or its like with `scale` (at most 1) times the lines.

    data: has `severity_dev.parquet`, and in `logs` the samples of loghub. Raises OSError or
    CorpusError where they are not there or not readable.
    """
    if name == "machines":
        return _machines(data, seed, scale)
    plan = PLANS[name]
    length = round(scale * plan.length)
    order, phases = in_turn(plan.turns, [length] * len(plan.turns))
    if plan.gradual:
        order = ramped(plan.turns, length, _random(seed, name))
    rows = read_corpus(data / "severity_dev.parquet")
    lines = np.bincount(order).tolist()
    domains = [programs(rows, *host, seed) for host in zip(plan.hosts, lines, strict=True)]
    return weave(name, domains, order, phases)


def _machines(data: Path, seed: int, scale: float) -> Stream:
    domains = [machine(data, name, logs, seed) for name, logs in MACHINES.items()]
    first, second, third = (round(scale * len(domain.lines)) for domain in domains)
    order, phases = in_turn((0, 1, 2, 0), (first // 2, second, third, first - first // 2))
    return weave("machines", domains, order, phases)


def in_turn(turns: Sequence[int], lengths: Sequence[int]) -> tuple[Ints, list[Phase]]:
    """(N,) which domain each line is of, one after the other; and the phases."""
    ends = np.cumsum(lengths).tolist()
    return np.repeat(turns, lengths), [Phase(*p) for p in zip(turns, ends, strict=True)]


def ramped(turns: Sequence[int], length: int, random: np.random.Generator) -> Ints:
    """(N,) which domain each line is of, where about an end the next one grows to be all."""
    place = np.arange(length * len(turns)) / length
    place += random.uniform(-RAMP, RAMP, len(place))
    turn = np.floor(place).astype(np.int64).clip(0, len(turns) - 1)
    return np.asarray(np.array(turns)[turn], np.int64)


def _random(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])
