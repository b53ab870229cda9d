"""A line of each sender, as it is seen in the wild, and what is to be read from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from parsers import parse

RECEIVED = datetime(2026, 11, 21, tzinfo=UTC)
OCT_11 = datetime(2026, 10, 11, 22, 14, 15, tzinfo=UTC)
MAR_1 = datetime(2027, 3, 1, 18, 46, 11, tzinfo=UTC)  # nearer to November 2026 than March 2026


class Sent(NamedTuple):
    sender: str
    line: str
    hostname: str | None
    app_name: str | None
    procid: str | None
    message: str
    timestamp: datetime | None = OCT_11
    format: str = "rfc3164"


SENT = [
    Sent("logger", "<13>Oct 11 22:14:15 web1 root: hello", "web1", "root", None, "hello"),
    Sent("logger -i", "<13>Oct 11 22:14:15 web1 root[812]: hello", "web1", "root", "812", "hello"),
    Sent("logger with an empty text", "<13>Oct 11 22:14:15 web1 root: ", "web1", "root", None, ""),
    Sent(
        "logger --rfc5424",
        '<13>1 2026-10-11T22:14:15.000000+00:00 web1 root - - [timeQuality tzKnown="1" '
        'isSynced="1" syncAccuracy="512"] hello',
        "web1", "root", None, "hello", format="rfc5424",
    ),
    Sent("syslog(3) to /dev/log", "<13>Oct 11 22:14:15 root: hello", None, "root", None, "hello"),
    Sent("syslog(3) with a pid", "<38>Oct 11 22:14:15 sshd[9]: hello", None, "sshd", "9", "hello"),
    Sent("kernel, no header", "<4>kernel: [1.2] hello", None, "kernel", None, "[1.2] hello", None),
    Sent(
        "rsyslog RSYSLOG_ForwardFormat",
        "<30>2026-10-11T22:14:15.000000+00:00 web1 systemd[1]: Started Session 4 of user root.",
        "web1", "systemd", "1", "Started Session 4 of user root.",
    ),
    Sent(
        "rsyslog RSYSLOG_TraditionalForwardFormat",
        "<46>Oct 11 22:14:15 web1 rsyslogd: [origin software=\"rsyslogd\"] start",
        "web1", "rsyslogd", None, '[origin software="rsyslogd"] start',
    ),
    Sent(
        "rsyslog RSYSLOG_FileFormat",
        "2026-10-11T22:14:15.000000+00:00 web1 CRON[77]: (root) CMD (run-parts /etc/cron.hourly)",
        "web1", "CRON", "77", "(root) CMD (run-parts /etc/cron.hourly)",
    ),
    Sent(
        "rsyslog without a tag",
        "2026-10-11T22:14:15.000000+00:00 gw firewall,info input: in:WAN out:(unknown 0)",
        "gw", None, None, "firewall,info input: in:WAN out:(unknown 0)",
    ),
    Sent(
        "syslog-ng, chained hosts",
        "<38>Oct 11 22:14:15 src@relay/10.0.0.7 sshd[9]: hello",
        "src@relay/10.0.0.7", "sshd", "9", "hello",
    ),
    Sent(
        "syslog-ng over syslog()",
        '<38>1 2026-10-11T22:14:15+00:00 web1 sshd 9 - [meta sequenceId="3"] hello',
        "web1", "sshd", "9", "hello", format="rfc5424",
    ),
    Sent(
        "journald ForwardToSyslog",
        "<29>Oct 11 22:14:15 systemd[1]: nginx.service: Failed with result 'exit-code'.",
        None, "systemd", "1", "nginx.service: Failed with result 'exit-code'.",
    ),
    Sent(
        "journalctl -o short-iso",
        "2026-10-11T22:14:15+0000 web1 systemd[1]: Reloading.",
        "web1", "systemd", "1", "Reloading.",
    ),
    Sent("journalctl", "Oct 11 22:14:15 web1 (sd-pam)[8]: hi", "web1", "(sd-pam)", "8", "hi"),
    Sent(
        "kernel, UFW",
        "<4>Oct 11 22:14:15 web1 kernel: [50028442.088484] [UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1",
        "web1", "kernel", None, "[50028442.088484] [UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1",
    ),
    Sent(
        "Linux-PAM 0.7x",
        "Oct 11 22:14:15 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0",
        "combo", "sshd(pam_unix)", "19939", "authentication failure; logname= uid=0",
    ),
    Sent(
        "Postfix",
        "<22>Oct 11 22:14:15 mail postfix/smtpd[123]: connect from unknown[192.0.2.7]",
        "mail", "postfix/smtpd", "123", "connect from unknown[192.0.2.7]",
    ),
    Sent(
        "Postfix, second instance",
        "<22>Oct 11 22:14:15 mail postfix-out/submission/smtpd[123]: disconnect",
        "mail", "postfix-out/submission/smtpd", "123", "disconnect",
    ),
    Sent(
        "nginx",
        '<190>Oct 11 22:14:15 web1 nginx: 192.0.2.7 - - [11/Oct/2026:22:14:15 +0000] "GET /" 200',
        "web1", "nginx", None, '192.0.2.7 - - [11/Oct/2026:22:14:15 +0000] "GET /" 200',
    ),
    Sent(
        "HAProxy without a hostname",
        "<133>Oct 11 22:14:15 haproxy[73411]: Proxy web started.",
        None, "haproxy", "73411", "Proxy web started.",
    ),
    Sent(
        "HAProxy",
        "<150>Oct 11 22:14:15 lb1 haproxy[7]: 192.0.2.7:51234 [11/Oct/2026:22:14:15.1] web s1",
        "lb1", "haproxy", "7", "192.0.2.7:51234 [11/Oct/2026:22:14:15.1] web s1",
    ),
    Sent(
        "pfSense from afar",
        "<134>Oct 11 22:14:15 filterlog[72237]: 146,,,1535324496,igb1.12,match,block,in,4",
        None, "filterlog", "72237", "146,,,1535324496,igb1.12,match,block,in,4",
    ),
    Sent(
        "pfSense in its file",
        "Oct 11 22:14:15 pfSense filterlog: 53,,,1000000301,em0,match,block,in,4",
        "pfSense", "filterlog", None, "53,,,1000000301,em0,match,block,in,4",
    ),
    Sent(
        "OPNsense",
        '<134>1 2026-10-11T22:14:15+00:00 fw.lan filterlog 72237 - [meta sequenceId="3"] 146,,,ab',
        "fw.lan", "filterlog", "72237", "146,,,ab", format="rfc5424",
    ),
    Sent(
        "MikroTik",
        "<30>firewall,info drop-tcp input: in:ether1 out:(unknown 0)",
        None, None, None, "firewall,info drop-tcp input: in:ether1 out:(unknown 0)", None,
    ),
    Sent(
        "MikroTik, BSD syslog",
        "<30>Oct 11 22:14:15 MikroTik system,error,critical login failure for user admin",
        "MikroTik", None, None, "system,error,critical login failure for user admin",
    ),
    Sent(
        "Synology",
        "<14>Oct 11 22:14:15 DiskStation Connection: User [admin] from [192.0.2.7] signed in",
        "DiskStation", "Connection", None, "User [admin] from [192.0.2.7] signed in",
    ),
    Sent(
        "ESXi",
        "<166>2026-10-11T22:14:15.000Z esx01.lab Hostd: info hostd[2100] [Originator@6876] y",
        "esx01.lab", "Hostd", None, "info hostd[2100] [Originator@6876] y",
    ),
    Sent(
        "vCenter",
        "<14>1 2026-10-11T22:14:15.000000+00:00 vc1 vpxd 5431 - -  Event [1-1] [vim.event]",
        "vc1", "vpxd", "5431", " Event [1-1] [vim.event]", format="rfc5424",
    ),
    Sent(
        "macOS",
        "Oct 11 22:14:15 mac com.apple.xpc.launchd[1] (com.apple.quicklook[123]): Endpoint active",
        "mac", "com.apple.xpc.launchd", "1", "(com.apple.quicklook[123]): Endpoint active",
    ),
    Sent(
        "AIX syslogd",
        "<38>Oct 11 22:14:15 Message forwarded from aix7: sshd[679960]: Accepted publickey",
        "aix7", "sshd", "679960", "Accepted publickey",
    ),
    Sent(
        "BSD syslogd, repeats",
        "Oct 11 22:14:15 web1 last message repeated 3 times",
        "web1", None, None, "last message repeated 3 times",
    ),
    Sent(
        "repeats without a hostname",
        "Oct 11 22:14:15 last message repeated 3 times",
        None, None, None, "last message repeated 3 times",
    ),
    Sent(
        "xapi, no header",
        "<27>xapi: [error|xen3|15|Guest liveness monitor] died",
        None, "xapi", None, "[error|xen3|15|Guest liveness monitor] died", None,
    ),
    Sent(
        "Windows, NXLog",
        "<14>Oct 11 22:14:15 DC01.corp.example Microsoft-Windows-Security-Auditing[624]: Logon",
        "DC01.corp.example", "Microsoft-Windows-Security-Auditing", "624", "Logon",
    ),
    Sent(
        "Windows, Snare",
        "<13>Oct 11 22:14:15 DC MSWinEventLog\t1\tSecurity\t42",
        "DC", None, None, "MSWinEventLog\t1\tSecurity\t42",
    ),
    Sent(
        "Juniper MX",
        "<28>Oct 11 22:14:15 mx1 rpd[1234]: %DAEMON-4-RPD_BGP_NEIGHBOR: peer down",
        "mx1", "rpd", "1234", "%DAEMON-4-RPD_BGP_NEIGHBOR: peer down",
    ),
    Sent(
        "Juniper, logical system",
        "<28>Oct 11 22:14:15 mx1 CUSTOMER-A:rpd[6589]: bgp_listen_accept: refused",
        "mx1", "CUSTOMER-A:rpd", "6589", "bgp_listen_accept: refused",
    ),
    Sent(
        "Juniper kernel",
        "<6>Oct 11 22:14:15 mx1 /kernel: fxp0: link UP",
        "mx1", "/kernel", None, "fxp0: link UP",
    ),
    Sent(
        "Juniper SRX structured",
        '<14>1 2026-10-11T22:14:15.000Z srx1 RT_FLOW - RT_FLOW_SESSION_DENY '
        '[junos@2636.1.1.1.2.129 source-address="10.0.0.1" reason="x"]',
        "srx1", "RT_FLOW", None, "", format="rfc5424",
    ),
    Sent(
        "Cisco ASA, EMBLEM off",
        "<166>Oct 11 2026 22:14:15: %ASA-6-302013: Built outbound TCP connection 1",
        None, "%ASA-6-302013", None, "Built outbound TCP connection 1",
    ),
    Sent(
        "Cisco ASA, device-id",
        "<166>Oct 11 2026 22:14:15 asa-1 : %ASA-6-302013: Built outbound",
        "asa-1", "%ASA-6-302013", None, "Built outbound",
    ),
    Sent(
        "Cisco ASA, device-id glued",
        "<166>Oct 11 2026 22:14:15 asa-1: %ASA-6-302013: Built outbound",
        "asa-1", "%ASA-6-302013", None, "Built outbound",
    ),
    Sent(
        "Cisco ASA, EMBLEM",
        "<166>:Oct 11 22:14:15 UTC: %ASA-session-6-305012: Teardown dynamic",
        None, "%ASA-session-6-305012", None, "Teardown dynamic",
    ),
    Sent(
        "Cisco ASA, no logging timestamp",
        "<166>%ASA-6-302013: Built outbound",
        None, "%ASA-6-302013", None, "Built outbound", None,
    ),
    Sent(
        "Cisco ASA through a relay",
        "<166>Oct 11 22:14:15 10.1.2.3 %ASA-6-302013: Built outbound",
        "10.1.2.3", "%ASA-6-302013", None, "Built outbound",
    ),
    Sent(
        "Cisco ASA through a relay that kept its stamp",
        "<166>Oct 11 22:14:15 10.1.2.3 Oct 11 2026 22:14:14: %ASA-6-302013: Built outbound",
        "10.1.2.3", "%ASA-6-302013", None, "Built outbound",
    ),
    Sent(
        "Cisco IOS",
        "<189>123: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured by vty2 (10.34.195.36)",
        None, "%SYS-5-CONFIG_I", None, "Configured by vty2 (10.34.195.36)", MAR_1,
    ),
    Sent(
        "Cisco IOS, milliseconds and zone",
        "<189>123: .Mar  1 18:46:11.250 UTC: %SYS-5-CONFIG_I: Configured",
        None, "%SYS-5-CONFIG_I", None, "Configured", MAR_1.replace(microsecond=250_000),
    ),
    Sent(
        "Cisco IOS, a zone of its own",
        "<189>123: Mar  1 18:46:11.250 ABC: %SYS-5-CONFIG_I: Configured",
        None, "%SYS-5-CONFIG_I", None, "Configured", MAR_1.replace(microsecond=250_000),
    ),
    Sent(
        "Cisco IOS, origin-id after the number",
        "<189>123: router1: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured",
        "router1", "%SYS-5-CONFIG_I", None, "Configured", MAR_1,
    ),
    Sent(
        "Cisco IOS, origin-id before the number",
        "<189>router1: 000123: *Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured",
        "router1", "%SYS-5-CONFIG_I", None, "Configured", MAR_1,
    ),
    Sent(
        "Cisco IOS, uptime",
        "<187>123: 3d14h: %LINK-3-UPDOWN: Interface Fa0/1, changed state to up",
        None, "%LINK-3-UPDOWN", None, "Interface Fa0/1, changed state to up", None,
    ),
    Sent(
        "Cisco IOS, uptime of a day",
        "<187>123: 00:00:46: %LINK-3-UPDOWN: Interface Fa0/1, changed state to up",
        None, "%LINK-3-UPDOWN", None, "Interface Fa0/1, changed state to up", None,
    ),
    Sent(
        "Cisco IOS through a relay",
        "<189>Mar  1 18:46:11 10.0.0.1 123: *Mar  1 18:46:10.123: %SYS-5-CONFIG_I: Configured",
        "10.0.0.1", "%SYS-5-CONFIG_I", None, "Configured", MAR_1,
    ),
    Sent(
        "Cisco IOS XR",
        "<189>123: RP/0/RSP0/CPU0:Oct 11 22:14:15.000 UTC: bgp[1046]: %BGP-5-ADJCHANGE : up",
        None, "bgp", "1046", "%BGP-5-ADJCHANGE : up",
    ),
    Sent(
        "Cisco NX-OS",
        "<189>: 2026 Oct 11 22:14:15 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up",
        None, "%ETHPORT-5-IF_UP", None, "Interface Ethernet1/1 is up",
    ),
    Sent(
        "Cisco WLC",
        "<134>WLC1: *spamApTask0: Oct 11 22:14:15.000: %CAPWAP-3-ECHO_ERR: capwap_ac_sm.c:68 x",
        "WLC1", "%CAPWAP-3-ECHO_ERR", None, "capwap_ac_sm.c:68 x",
    ),
    Sent(
        "Cisco Meraki",
        "<134>1 1563249630.774247 MX84 flows src=10.0.0.1 dst=192.0.2.7",
        "MX84", None, None, "flows src=10.0.0.1 dst=192.0.2.7",
        datetime(2019, 7, 16, 4, 0, 30, 774_247, tzinfo=UTC),
    ),
    Sent(
        "Arista",
        "<189>Oct 11 22:14:15 sw1 Ebra: %LINEPROTO-5-UPDOWN: Line protocol on Ethernet1 up",
        "sw1", "Ebra", None, "%LINEPROTO-5-UPDOWN: Line protocol on Ethernet1 up",
    ),
    Sent(
        "Huawei",
        "<189>Oct 11 2026 22:14:15 HUAWEI %%01IFNET/4/LINK_STATE(l)[1]:The line protocol is up",
        "HUAWEI", "%%01IFNET/4/LINK_STATE(l)", "1", "The line protocol is up",
    ),
    Sent(
        "H3C",
        "<190>Oct 11 22:14:15:000 2026 H3C %%10SHELL/6/SHELL_CMD: -Line=vty0",
        "H3C", "%%10SHELL/6/SHELL_CMD", None, "-Line=vty0",
    ),
    Sent(
        "Aruba",
        "<141>Oct 11 22:14:15 2026 10.1.1.1 authmgr[3521]: <124004> <DBUG> |authmgr| done",
        "10.1.1.1", "authmgr", "3521", "<124004> <DBUG> |authmgr| done",
    ),
    Sent(
        "FortiGate",
        '<189>date=2026-10-11 time=22:14:15 devname="FG100" level="notice"',
        None, None, None, 'date=2026-10-11 time=22:14:15 devname="FG100" level="notice"', None,
    ),
    Sent(
        "Sophos XG",
        '<30>device="SFW" date=2026-10-11 time=22:14:15',
        None, None, None, 'device="SFW" date=2026-10-11 time=22:14:15', None,
    ),
    Sent(
        "SonicWall",
        "<134>Oct 11 22:14:15 id=firewall sn=00 fw=10.0.0.1",
        None, None, None, "id=firewall sn=00 fw=10.0.0.1",
    ),
    Sent(
        "Palo Alto",
        "<14>Oct 11 22:14:15 pa1 1,2026/10/11 22:14:15,007,TRAFFIC,end",
        "pa1", None, None, "1,2026/10/11 22:14:15,007,TRAFFIC,end",
    ),
    Sent(
        "CEF",
        "<134>Oct 11 22:14:15 dsm CEF:0|Vendor|Product|1|2|name|5|src=10.0.0.1",
        "dsm", None, None, "CEF:0|Vendor|Product|1|2|name|5|src=10.0.0.1",
    ),
    Sent(
        "CEF, UniFi",
        "<134>Oct 11 22:14:15 UDM-SE CEF: 0|Ubiquiti|UniFi Network|9|4|name|5|src=10.0.0.1",
        "UDM-SE", None, None, "CEF: 0|Ubiquiti|UniFi Network|9|4|name|5|src=10.0.0.1",
    ),
    Sent(
        "CEF without a header",
        "<134>CEF:0|Vendor|Product|1|2|name|5|src=10.0.0.1",
        None, None, None, "CEF:0|Vendor|Product|1|2|name|5|src=10.0.0.1", None,
    ),
    Sent(
        "JSON after the stamp",
        '<134>Oct 11 22:14:15 {"host": "a"}',
        None, None, None, '{"host": "a"}',
    ),
    Sent(
        "JSON after the hostname",
        '<134>Oct 11 22:14:15 audit  {"user": "a"}',
        "audit", None, None, '{"user": "a"}',
    ),
    Sent(
        "an application that logs its level first",
        "2026-10-11T22:14:15Z INFO main: starting",
        None, None, None, "INFO main: starting",
    ),
]  # fmt: skip


@pytest.mark.parametrize("sent", SENT, ids=[sent.sender for sent in SENT])
def test_senders(sent: Sent) -> None:
    got = parse(sent.line.encode(), received=RECEIVED)
    assert (got.hostname, got.app_name, got.procid) == (sent.hostname, sent.app_name, sent.procid)
    assert got.message == sent.message
    assert got.timestamp == sent.timestamp
    assert got.format == sent.format
    assert got.errors == ()
    assert (got.severity is not None) == sent.line.startswith("<")
