"""`ltt-stream parse`: lines to JSON lines of SyslogMessage, without the model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import BinaryIO

import msgspec

from parsers.syslog import Parser
from pipeline.config import zone_named
from pipeline.lines import read_lines


def parse_lines(source: BinaryIO, out: BinaryIO, zone: str) -> None:
    """One JSON object a line in, in order; `raw` is base64."""
    parser = Parser(zone_named(zone))
    encoder = msgspec.json.Encoder()
    for lines in read_lines(source):
        received = datetime.now(UTC)
        out.write(encoder.encode_lines([parser.parse(line, received=received) for line in lines]))
        out.flush()
