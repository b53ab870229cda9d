"""Lines of senders that keep to no rule, beside the table of the common ones."""

from __future__ import annotations

import pytest

from parsers import Facility, Severity, parse
from tests.parsers.test_syslog_senders import MAR_1, OCT_11, RECEIVED, Sent

SENT = [
    Sent(
        "Cisco IOS, message counter and sequence number",
        "<189>105: 000104: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured from console",
        None, "%SYS-5-CONFIG_I", None, "Configured from console", MAR_1,
    ),
    Sent(
        "Cisco IOS, both numbers and the origin-id",
        "<189>105: 000104: router1: Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured from console",
        "router1", "%SYS-5-CONFIG_I", None, "Configured from console", MAR_1,
    ),
    Sent(
        "Cisco IOS in a relay's file",
        "<189>Mar  1 18:46:11 router1: *Mar  1 18:46:10.123: %SYS-5-CONFIG_I: Configured",
        "router1", "%SYS-5-CONFIG_I", None, "Configured", MAR_1,
    ),
    Sent(
        "Cisco IOS, uptime without a number",
        "<189>00:01:01: %LINK-3-UPDOWN: Interface Fa0/1, changed state to up",
        None, "%LINK-3-UPDOWN", None, "Interface Fa0/1, changed state to up", None,
    ),
    Sent(
        "Cisco IOS, a clock of two numbers",
        "<189>20: router1: 101 21: %SYSMGR-STANDBY-3-SHUTDOWN_START: shutting down",
        "router1", "%SYSMGR-STANDBY-3-SHUTDOWN_START", None, "shutting down", None,
    ),
    Sent(
        "Cisco IOS, a zone in lower case",
        "<189>123: 000045: Mar  1 2027 11:46:11 mst: %SYS-5-CONFIG_I: Configured",
        None, "%SYS-5-CONFIG_I", None, "Configured", MAR_1,
    ),
    Sent(
        "Cisco IOS, a zone of its own in lower case",
        "<189>123: Mar  1 18:46:11 abc: %SYS-5-CONFIG_I: Configured",
        None, "%SYS-5-CONFIG_I", None, "Configured", MAR_1,
    ),
    Sent(
        "Cisco IOS, a message without a mnemonic",
        "<191>2637085: router1: Mar  1 18:46:11.000 UTC: NTP Core (NOTICE): Clock lost.",
        "router1", None, None, "NTP Core (NOTICE): Clock lost.", MAR_1,
    ),
    Sent(
        "Cisco IOS XR through a relay",
        "<190>Oct 11 22:14:15 router1 RP/0/RP0/CPU0:Oct 11 22:14:14.6 UTC: bgp[310]: %BGP-5-A : x",
        "router1", "bgp", "310", "%BGP-5-A : x",
    ),
    Sent(
        "Cisco ACI writes the month out",
        "<11>October 11 22:14:15 apic1 %LOG_LOCAL0-2-SYSTEM_MSG [F0110][critical] unreachable",
        "apic1", None, None, "%LOG_LOCAL0-2-SYSTEM_MSG [F0110][critical] unreachable",
    ),
    Sent(
        "Sophos UTM",
        '<30>2026:10:11-22:14:15 utm ulogd[12511]: id="2001" action="drop"',
        "utm", "ulogd", "12511", 'id="2001" action="drop"',
    ),
    Sent(
        "UniFi access point",
        "<30>Oct 11 22:14:15 U7PG2,802aa8c2d4a7,v4.0.80.10875: hostapd: ath0: STA associated",
        "U7PG2,802aa8c2d4a7,v4.0.80.10875", "hostapd", None, "ath0: STA associated",
    ),
    Sent(
        "UniFi access point, older",
        '<30>Oct 11 22:14:15 ("U7LR,44d9e7f80000,v3.9.27.8537") hostapd: ath1: STA associated',
        "U7LR,44d9e7f80000,v3.9.27.8537", "hostapd", None, "ath1: STA associated",
    ),
    Sent(
        "UniFi access point through a relay",
        "<30>Oct 11 22:14:15 relay 802aa8c2d4a7,UAP-nanoHD-6.6.55+15189: stahtd[17]: [STA] event",
        "relay", "802aa8c2d4a7,UAP-nanoHD-6.6.55+15189", None, "stahtd[17]: [STA] event",
    ),
    Sent(
        "Ansible",
        "Oct 11 22:14:15 web1 ansible-<stdin>: Invoked with filter=*",
        "web1", "ansible-<stdin>", None, "Invoked with filter=*",
    ),
    Sent(
        "any name with a pid",
        "<13>Oct 11 22:14:15 web1 {my}=odd&\"name\"[11]: hello",
        "web1", '{my}=odd&"name"', "11", "hello",
    ),
    Sent(
        "JSON is no name",
        '<13>Oct 11 22:14:15 web1 {"a": [1]}', "web1", None, None, '{"a": [1]}',
    ),
    Sent(
        "columns are no name",
        "<13>Oct 11 22:14:15 web1 value1,value2", "web1", None, None, "value1,value2",
    ),
    Sent(
        "numbers are no name",
        "<13>Oct 11 22:14:15 web1 1,2: x", "web1", None, None, "1,2: x",
    ),
]  # fmt: skip


@pytest.mark.parametrize("sent", SENT, ids=[sent.sender for sent in SENT])
def test_rare_senders(sent: Sent) -> None:
    got = parse(sent.line.encode(), received=RECEIVED)
    assert (got.hostname, got.app_name, got.procid) == (sent.hostname, sent.app_name, sent.procid)
    assert got.message == sent.message
    assert got.timestamp == sent.timestamp
    assert (got.format, got.errors) == (sent.format, ())


@pytest.mark.parametrize(
    ("words", "facility", "severity"),
    [
        ("user.info", Facility.USER, Severity.INFO),
        ("kern.warn", Facility.KERN, Severity.WARNING),
        ("authpriv.error", Facility.AUTHPRIV, Severity.ERROR),
        ("local7.emerg", Facility.LOCAL7, Severity.EMERGENCY),
    ],
)
def test_busybox_spells_the_pri_out(words: str, facility: Facility, severity: Severity) -> None:
    """Its syslogd writes `facility.severity` between hostname and tag in its files."""
    line = f"Oct 11 22:14:15 alpine {words} chronyd[7]: clock stepped"
    got = parse(line.encode(), received=RECEIVED)
    assert (got.facility, got.severity, got.timestamp) == (facility, severity, OCT_11)
    assert (got.hostname, got.app_name, got.procid) == ("alpine", "chronyd", "7")
    assert got.message == "clock stepped"

    got = parse(f"<13>{line}".encode(), received=RECEIVED)
    assert (got.facility, got.severity) == (Facility.USER, Severity.NOTICE)
    assert (got.app_name, got.message) == ("chronyd", "clock stepped")


@pytest.mark.parametrize(
    "message", ["user.info", "user.info is missing", "mail.example.org: gone", "other.info app: x"]
)
def test_other_words_with_a_dot_are_no_pri(message: str) -> None:
    got = parse(f"Oct 11 22:14:15 alpine {message}".encode(), received=RECEIVED)
    assert (got.severity, got.facility) == (None, None)
    assert message.endswith(got.message)
