"""Bytes to records; imports nothing else of ours."""

from parsers.fields import Fields, FieldTuple
from parsers.message import Facility, Severity, SyslogMessage
from parsers.rfc5424 import format_rfc5424
from parsers.syslog import Parser, parse, parse_fields

__all__ = [
    "Facility",
    "FieldTuple",
    "Fields",
    "Parser",
    "Severity",
    "SyslogMessage",
    "format_rfc5424",
    "parse",
    "parse_fields",
]
