"""Hand-written lines of Cisco ASA, FTD and IOS, by message."""

from __future__ import annotations

from parsers.firewall import Packet
from tests.parsers.firewall_lines import Line, packet, tcp


def _cisco(mnemonic: str, text: bytes, expected: Packet | None, name: str = "") -> Line:
    tag = f"%{mnemonic}"
    severity = int(mnemonic.split("-")[1])
    return Line(f"{mnemonic} {name}".strip(), tag.encode(), text, "cisco", expected, severity)


_THROUGH = {"in_interface": "outside", "out_interface": "dmz"}

CISCO = [
    _cisco(
        "ASA-2-106001",
        b"Inbound TCP connection denied from 192.0.2.1/4000 to 198.51.100.2/443 flags SYN  on "
        b"interface outside",
        tcp(action="block", direction="in", in_interface="outside", tcp_flags="SYN"),
    ),
    _cisco(
        "ASA-2-106006",
        b"Deny inbound UDP from 192.0.2.1/4000 to 198.51.100.2/443 on interface outside",
        tcp(action="block", direction="in", protocol="udp", in_interface="outside"),
    ),
    _cisco(
        "ASA-2-106007",
        b"Deny inbound UDP from 192.0.2.1/4000 to 198.51.100.2/443 due to DNS Query",
        tcp(action="block", direction="in", protocol="udp"),
    ),
    _cisco(
        "ASA-3-106010",
        b"Deny inbound protocol 47 src outside:192.0.2.1 dst dmz:198.51.100.2",
        packet(action="block", direction="in", protocol="gre", **_THROUGH),
    ),
    _cisco(
        "ASA-3-106014",
        b"Deny inbound icmp src outside:192.0.2.1 dst dmz:198.51.100.2 (type 8, code 0)",
        packet(action="block", direction="in", protocol="icmp", **_THROUGH),
    ),
    _cisco(
        "ASA-6-106015",
        b"Deny TCP (no connection) from 192.0.2.1/4000 to 198.51.100.2/443 flags FIN PSH ACK  on "
        b"interface outside",
        tcp(action="block", direction="in", in_interface="outside", tcp_flags="FIN PSH ACK"),
    ),
    _cisco(
        "ASA-2-106016",
        b"Deny IP spoof from (192.0.2.1) to 198.51.100.2 on interface outside",
        packet(action="block", direction="in", protocol="ip", in_interface="outside"),
    ),
    _cisco(
        "ASA-2-106017",
        b"Deny IP due to Land Attack from 192.0.2.1 to 198.51.100.2",
        packet(action="block", protocol="ip"),
    ),
    _cisco(
        "ASA-1-106021",
        b"Deny TCP reverse path check from 192.0.2.1 to 198.51.100.2 on interface outside",
        packet(action="block", direction="in", protocol="tcp", in_interface="outside"),
    ),
    _cisco(
        "ASA-4-106023",
        b"Deny tcp src outside:192.0.2.1/4000 dst dmz:198.51.100.2/443 by access-group "
        b'"acl dmz" [0x8ed66b60, 0xf8852875]',
        tcp(action="block", direction="forward", rule="acl dmz", **_THROUGH),
    ),
    _cisco(
        "ASA-4-106023",
        b"Deny udp src outside:2001:db8::1/4000(LOCAL\\alice, 5:staff) dst dmz:2001:db8::2/443 "
        b"by access-group acl",
        tcp(
            action="block",
            direction="forward",
            protocol="udp",
            src_ip="2001:db8::1",
            dst_ip="2001:db8::2",
            rule="acl",
            **_THROUGH,
        ),
        "IPv6 and a user",
    ),
    _cisco(
        "ASA-4-106023",
        b"Deny tcp src outside:host-a/4000 dst dmz:www.example.com/https(any, 7) by access-group "
        b'"acl"',
        tcp(
            action="block",
            direction="forward",
            src_ip="host-a",
            dst_ip="www.example.com",
            rule="acl",
            **_THROUGH,
        ),
        "names of objects, an FQDN, a service",
    ),
    _cisco(
        "ASA-4-106023",
        b'Deny icmp src outside:192.0.2.1 dst dmz:198.51.100.2 (type 3, code 1) by access-group '
        b'"a"',
        packet(action="block", direction="forward", protocol="icmp", rule="a", **_THROUGH),
        "ICMP",
    ),
    _cisco(
        "ASA-6-106100",
        b"access-list acl permitted tcp outside/192.0.2.1(4000)(LOCAL\\bob) -> "
        b"dmz/198.51.100.2(443) hit-cnt 1 first hit [0xa, 0x0]",
        tcp(action="allow", direction="forward", rule="acl", **_THROUGH),
    ),
    _cisco(
        "ASA-4-106100",
        b"access-list acl denied icmp outside/192.0.2.1(8) -> dmz/198.51.100.2(0) hit-cnt 7 "
        b"300-second interval",
        packet(action="block", direction="forward", protocol="icmp", rule="acl", **_THROUGH),
        "ICMP type and code are no ports",
    ),
    _cisco(
        "ASA-4-106102",
        b"access-list vpn denied udp for user 'bob' outside/192.0.2.1(4000) -> "
        b"dmz/198.51.100.2(443) hit-cnt 1 first hit [0xa]",
        tcp(action="block", direction="forward", protocol="udp", rule="vpn", **_THROUGH),
    ),
    _cisco(
        "ASA-6-302013",
        b"Built inbound TCP connection 447235 for outside:192.0.2.1/4000 (192.0.2.1/4000)"
        b"(LOCAL\\al) to dmz:198.51.100.2/443 (203.0.113.2/443) (al)",
        tcp(action="allow", direction="in", **_THROUGH),
    ),
    _cisco(
        "ASA-6-302013",
        b"Built outbound TCP connection 447235 for outside:198.51.100.2/443 (198.51.100.2/443) to "
        b"inside:192.0.2.1/4000 (203.0.113.2/4000)",
        tcp(
            action="allow", direction="out", in_interface="inside", out_interface="outside"
        ),
        "outbound: the second end began",
    ),
    _cisco(
        "ASA-6-302014",
        b"Teardown TCP connection 447235 for outside:192.0.2.1/4000(LOCAL\\al) to "
        b"dmz:198.51.100.2/443 duration 0:00:30 bytes 12345 TCP Reset-O from dmz (al)",
        tcp(action="close", direction="forward", length=12345, **_THROUGH),
    ),
    _cisco(
        "ASA-6-302015",
        b"Built inbound UDP connection 1 for outside:192.0.2.1/4000 (192.0.2.1/4000) to "
        b"NP Identity Ifc:198.51.100.2/443 (198.51.100.2/443)",
        tcp(
            action="allow",
            direction="in",
            protocol="udp",
            in_interface="outside",
            out_interface="NP Identity Ifc",
        ),
    ),
    _cisco(
        "ASA-6-302016",
        b"Teardown UDP connection 1 for outside:192.0.2.1/4000 to dmz:198.51.100.2/443 duration "
        b"0:02:01 bytes 148",
        tcp(action="close", direction="forward", protocol="udp", length=148, **_THROUGH),
    ),
    _cisco(
        "ASA-6-302020",
        b"Built inbound ICMP connection for faddr 192.0.2.1/0(LOCAL\\al) gaddr 203.0.113.2/1 "
        b"laddr 198.51.100.2/1 type 8 code 0",
        packet(action="allow", direction="in", protocol="icmp"),
    ),
    _cisco(
        "ASA-6-302020",
        b"Built outbound ICMP connection for faddr 198.51.100.2/0 gaddr 203.0.113.2/1 laddr "
        b"192.0.2.1/1",
        packet(action="allow", direction="out", protocol="icmp"),
        "outbound: the local end began",
    ),
    _cisco(
        "ASA-6-302021",
        b"Teardown ICMP connection for faddr 192.0.2.1/0 gaddr 203.0.113.2/1 laddr 198.51.100.2/1",
        packet(action="close", protocol="icmp"),
    ),
    _cisco(
        "ASA-6-305011",
        b"Built dynamic TCP translation from outside:192.0.2.1/4000(LOCAL\\al) to "
        b"dmz(acl):198.51.100.2/443",
        tcp(action="allow", direction="forward", **_THROUGH),
    ),
    _cisco(
        "ASA-6-305012",
        b"Teardown dynamic UDP translation from outside:192.0.2.1/4000 to dmz:198.51.100.2/443 "
        b"duration 0:00:30",
        tcp(action="close", direction="forward", protocol="udp", **_THROUGH),
    ),
    _cisco(
        "ASA-3-313001",
        b"Denied ICMP type=8, code=0 from 192.0.2.1 on interface outside",
        packet(
            action="block", direction="in", protocol="icmp", dst_ip=None, in_interface="outside"
        ),
    ),
    _cisco(
        "ASA-4-313004",
        b"Denied ICMP type=0, from laddr 192.0.2.1 on interface outside to 198.51.100.2: no "
        b"matching session",
        packet(action="block", direction="in", protocol="icmp", in_interface="outside"),
    ),
    _cisco(
        "ASA-4-313005",
        b"No matching connection for ICMP error message: icmp src outside:192.0.2.1 dst "
        b"dmz:198.51.100.2 (type 3, code 3) on outside interface.  Original IP payload: udp src "
        b"10.0.0.8/53 dst 10.0.0.9/1234.",
        packet(action="block", direction="forward", protocol="icmp", **_THROUGH),
    ),
    _cisco(
        "ASA-4-338004",
        b"Dynamic Filter dropped blacklisted TCP traffic from outside:192.0.2.1/4000 "
        b"(203.0.113.2/7890) to dmz:198.51.100.2/443 (198.51.100.2/443), destination "
        b"198.51.100.2 resolved from dynamic list: bad.example.com",
        tcp(action="block", direction="forward", **_THROUGH),
    ),
    _cisco(
        "ASA-4-419002",
        b"Received duplicate TCP SYN from outside:192.0.2.1/4000 to dmz:198.51.100.2/443 with "
        b"different initial sequence number.",
        tcp(direction="forward", **_THROUGH),
    ),
    _cisco(
        "ASA-3-710003",
        b"TCP access denied by ACL from 192.0.2.1/4000 to outside:198.51.100.2/443",
        tcp(action="block", direction="in", in_interface="outside"),
    ),
    _cisco(
        "ASA-7-710005",
        b"UDP request discarded from 192.0.2.1/4000 to outside:198.51.100.2/snmp",
        tcp(action="block", direction="in", protocol="udp", dst_port=161, in_interface="outside"),
    ),
    _cisco(
        "FTD-6-430002",
        b"EventPriority: Low, DeviceUUID: 0, AccessControlRuleAction: Block with reset, SrcIP: "
        b"192.0.2.1, DstIP: 198.51.100.2, SrcPort: 4000, DstPort: 443, Protocol: tcp, "
        b"IngressInterface: outside, EgressInterface: dmz, ACPolicy: p, "
        b"AccessControlRuleName: no, never, InitiatorBytes: 70, User: a SrcIP: 10.0.0.1",
        tcp(action="reject", direction="forward", rule="no, never", length=70, **_THROUGH),
    ),
    _cisco(
        "ASA-5-304001",
        b"alice@192.0.2.1(LOCAL\\alice) Accessed URL 198.51.100.2:http://example.com/",
        packet(action="allow"),
    ),
    _cisco(
        "ASA-4-434004",
        b"SFR requested ASA to bypass further packet redirection and process TCP flow from "
        b"outside:192.0.2.1/4000 to dmz:198.51.100.2/443 locally",
        tcp(direction="forward", **_THROUGH),
        "no verdict",
    ),
    _cisco(
        "SEC-6-IPACCESSLOGP",
        b"list 102 denied tcp 192.0.2.1(4000) (Gi0/1 aabb.cc00.0100) -> 198.51.100.2(443), 1 "
        b"packet",
        tcp(action="block", direction="in", in_interface="Gi0/1", rule="102"),
        "IOS",
    ),
    _cisco(
        "SEC-6-IPACCESSLOGDP",
        b"list a permitted icmp 192.0.2.1 -> 198.51.100.2 (8/0), 5 packets",
        packet(action="allow", protocol="icmp", rule="a"),
        "IOS",
    ),
    _cisco(
        "SEC-6-IPACCESSLOGS",
        b"list 1 denied 192.0.2.1 1 packet",
        packet(action="block", dst_ip=None, rule="1"),
        "IOS",
    ),
    _cisco(
        "SEC-6-IPACCESSLOGSP",
        b"list in denied igmp 192.0.2.1 -> 198.51.100.2 (20), 1 packet",
        packet(action="block", protocol="igmp", rule="in"),
        "IOS, a type alone",
    ),
    _cisco(
        "FMANFP-6-IPACCESSLOGP",
        b"F0/0: fman_fp_image: list 102 denied tcp 00-00-5E-00-53-23 192.0.2.1(4000) "
        b"TenGigabitEthernet0/1/1-> 198.51.100.2(443), 1 packet",
        tcp(action="block", direction="in", in_interface="TenGigabitEthernet0/1/1", rule="102"),
        "IOS XE",
    ),
    Line(
        "IOS XR: a list's verdict in the present tense",
        b"ipv4_acl_mgr",
        b"%ACL-IPV4_ACL-6-IPACCESSLOGP : access-list a deny tcp 192.0.2.1(4000) -> "
        b"198.51.100.2(443), 1 packet",
        "cisco",
        tcp(action="block", rule="a"),
        6,
    ),
    _cisco(
        "FW-6-DROP_PKT",
        b"Dropping tcp session 192.0.2.1:4000 198.51.100.2:443 on zone-pair in-out class "
        b"class-default due to  DROP action found in policy-map with ip ident 52882",
        tcp(action="block", rule="in-out"),
    ),
    Line(
        "FW-6-DROP_PKT of IOS XE",
        b"%IOSXE-6-PLATFORM",
        b"R0/0: cpp_cp: QFP:0.0 Thread:001 TS:0001 %FW-6-DROP_PKT: Dropping udp pkt from Gi0/1 "
        b"192.0.2.1:4000 => 198.51.100.2:443(target:class)-(in-out:class-default) due to Policy",
        "cisco",
        tcp(action="block", direction="in", protocol="udp", in_interface="Gi0/1", rule="in-out"),
        6,
    ),
    _cisco(
        "FW-6-LOG_SUMMARY",
        b"3 packets were dropped from Gi0/1 192.0.2.1:4000 => 198.51.100.2:443 "
        b"(target:class)-(in-out:class-default)",
        tcp(
            action="block", direction="in", protocol=None, in_interface="Gi0/1", rule="in-out"
        ),
    ),
    _cisco(
        "FW-6-SESS_AUDIT_TRAIL_START",
        b"(target:class)-(in-out:web):Start tcp session: initiator (192.0.2.1:4000) -- responder "
        b"(198.51.100.2:443)",
        tcp(action="allow", rule="in-out"),
    ),
    _cisco(
        "FW-6-SESS_AUDIT_TRAIL",
        b"(target:class)-(in-out:web):Stop dns session: initiator (192.0.2.1:4000) sent 48 bytes "
        b"-- responder (198.51.100.2:443) sent 40 bytes, from Gi0/1",
        tcp(
            action="close",
            direction="in",
            protocol=None,
            in_interface="Gi0/1",
            rule="in-out",
            length=48,
        ),
    ),
    _cisco(
        "ASA-6-302016",
        b"Teardown UDP connection 6 for outside:192.0.2.1/4000 alice to dmz:198.51.100.2/443 bob "
        b"duration 10:00:00 bytes 148",
        tcp(action="close", direction="forward", protocol="udp", length=148, **_THROUGH),
        "users outside of parentheses",
    ),
    _cisco(
        "ASA-6-302022",
        b"Built forwarder  stub TCP connection for outside:192.0.2.1/4000 (192.0.2.1/4000) to "
        b"dmz:198.51.100.2/443 (198.51.100.2/443)",
        tcp(action="allow", direction="forward", **_THROUGH),
        "a word that begins with for",
    ),
    _cisco(
        "ASA-6-302024",
        b"Built backup stub UDP connection for outside:192.0.2.1/4000 (203.0.113.2(4001) to "
        b"dmz:198.51.100.2/443 (198.51.100.2/443)",
        tcp(action="allow", direction="forward", protocol="udp", **_THROUGH),
        "a parenthesis left open",
    ),
    _cisco(
        "ASA-4-106023",
        b'Deny udp src v1:outside:192.0.2.1/4000 dst v2:dmz:198.51.100.2/443 by access-group "a"',
        tcp(
            action="block",
            direction="forward",
            protocol="udp",
            rule="a",
            in_interface="v1:outside",
            out_interface="v2:dmz",
        ),
        "interfaces with a colon",
    ),
    _cisco(
        "ASA-4-106027",
        b'Deny src outside:192.0.2.1 dst dmz:198.51.100.2 by access-group "a" [0x0, 0x0]',
        packet(action="block", direction="forward", rule="a", **_THROUGH),
    ),
    _cisco(
        "ASA-2-106002",
        b"TCP Connection denied by outbound list 10 src 192.0.2.1 dest 198.51.100.2",
        packet(action="block", direction="out", protocol="tcp"),
    ),
    _cisco(
        "ASA-3-313008",
        b"Denied IPv6-ICMP type=134, code=0 from fe80::1 on interface outside",
        Packet(
            action="block",
            direction="in",
            protocol="icmpv6",
            src_ip="fe80::1",
            in_interface="outside",
        ),
    ),
    _cisco(
        "ASA-4-402117",
        b"IPSEC: Received a non-IPSec packet (protocol= ICMP) from 192.0.2.1 to 198.51.100.2.",
        packet(protocol="icmp"),
    ),
    _cisco(
        "ASA-4-419002",
        b"Duplicate TCP SYN from outside:192.0.2.1/4000 to dmz:198.51.100.2/443 with different "
        b"initial sequence number",
        tcp(direction="forward", **_THROUGH),
    ),
    _cisco(
        "ASA-5-304001",
        b"192.0.2.1 Accessed URL alice@198.51.100.2:http://www.example.com/",
        packet(action="allow"),
        "a user before the server",
    ),
    # about no packet
    _cisco("ASA-6-605004", b"Login denied from 192.0.2.1/4000 to a:10.0.0.1/22 for user x", None),
    _cisco("ASA-6-609001", b"Built local-host outside:192.0.2.1", None),
    _cisco("ASA-5-111008", b"User 'enable_15' executed the 'configure term' command.", None),
    _cisco("ASA-4-106023", b"Deny tcp src", None, "cut short"),
    Line(
        "EMBLEM: the mnemonic stayed in the message",
        None,
        b": %ASA-session-6-302016: Teardown UDP connection 1 for outside:192.0.2.1/4000 to "
        b"dmz:198.51.100.2/443 duration 0:02:01 bytes 148",
        "cisco",
        tcp(action="close", direction="forward", protocol="udp", length=148, **_THROUGH),
        6,
    ),
]  # fmt: skip
