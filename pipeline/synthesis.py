"""Written lines as a user wants them: text, syslog or JSON, under the name that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING, Literal

import msgspec

from parsers.message import Facility
from parsers.syslog import parse

if TYPE_CHECKING:
    from models.synthesis import Line

Format = Literal["text", "syslog", "jsonl"]
_FACILITIES = {
    Facility.KERN: ("kernel", "xen"),
    Facility.MAIL: ("postfix", "exim", "sendmail", "smtpd", "cyrus", "rspamd", "opendkim"),
    Facility.AUTHPRIV: ("sshd", "sudo", "su", "login", "pam", "polkitd", "passwd", "useradd"),
    Facility.CRON: ("cron", "crond", "atd", "bcron", "incron"),
    Facility.LPR: ("cupsd", "cups-filters"),
    Facility.SYSLOG: ("rsyslogd", "syslog-ng"),
}
_OF_APP = {app: facility for facility, apps in _FACILITIES.items() for app in apps}
_MEAN_GAP_S = 3.0


def nearest(app: str, known: Sequence[str]) -> str | None:
    """A known program to write as: of this name in any case, else one that is spelled much alike.

    Whole parts of a name count as well: `postfix-smtpd` is written as `smtpd`.
    """
    lower = {name.lower(): name for name in known}
    asked = app.lower()
    if asked in lower:
        return lower[asked]
    for part in reversed(asked.replace("/", "-").split("-")):
        if len(part) > 2 and part in lower:
            return lower[part]
    close = get_close_matches(asked, lower, n=1, cutoff=0.75)
    return lower[close[0]] if close else None


def writable(app: str, host: str) -> bool:
    """Whether a syslog header can carry them: our own parser reads them back."""
    line = _header(3, app, host, 1234, datetime(2026, 11, 20)) + "text"
    read = parse(line.encode(), received=datetime(2026, 11, 20).astimezone())
    return (read.app_name, read.hostname, read.message) == (app, host, "text")


def written(
    lines: Iterable[Line], form: Format, *, host: str, start: datetime, seed: int
) -> Iterator[str]:
    """Each line in the format, without a newline. Stamps begin at `start` and rise."""
    random = Random(seed)
    pids: dict[str, int] = {}
    now = start
    for line in lines:
        if form == "text":
            yield f"{line.app}: {line.message}"
        elif form == "syslog":
            pid = pids.setdefault(line.app, random.randint(300, 40_000))
            yield _header(line.severity, line.app, host, pid, now) + line.message
            now += timedelta(seconds=random.expovariate(1 / _MEAN_GAP_S))
        else:
            record = {
                "severity": line.severity,
                "app_name": line.app,
                "message": line.message,
            }
            yield msgspec.json.encode(record).decode()


def _header(severity: int, app: str, host: str, pid: int, now: datetime) -> str:
    """RFC 3164: the day is padded with a blank. The kernel has no pid."""
    facility = _OF_APP.get(app.split("/")[0], Facility.DAEMON)
    tag = app if app == "kernel" else f"{app}[{pid}]"
    stamp = f"{now:%b} {now.day:2d} {now:%H:%M:%S}"
    return f"<{8 * facility + severity}>{stamp} {host} {tag}: "
