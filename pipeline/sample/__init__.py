"""The sample log that ships: one day of two small machines, with a few true oddities."""

from __future__ import annotations

from importlib.resources import files


def sample_log() -> bytes:
    """The sample, as a file /var/log/syslog would hold it: lines that end in a newline."""
    return files(__name__).joinpath("sample.log").read_bytes()


def oddities() -> list[tuple[bytes, str]]:
    """What a reader should be shown: (a part of the line, why), from oddities.txt."""
    rows = files(__name__).joinpath("oddities.txt").read_bytes().splitlines()
    pairs = (row.split(b"\t", 1) for row in rows if not row.startswith(b"#"))
    return [(part, why.decode()) for part, why in pairs]
