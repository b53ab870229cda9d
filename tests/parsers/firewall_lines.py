"""Hand-written firewall lines, each with the packet it is about; shared by the firewall tests."""

from __future__ import annotations

from typing import NamedTuple

from parsers.firewall import Kind, Packet


class Line(NamedTuple):
    """A message without its header, as (tag, message), and all that should come of it."""

    name: str
    app_name: bytes | None
    message: bytes
    kind: Kind
    packet: Packet | None
    severity: int | None = None


_IP4 = b"SRC=192.0.2.1 DST=198.51.100.2 LEN=40 TOS=0x00 PREC=0x00 TTL=245 ID=1"
_MAC = b"MAC=00:08:a2:0c:1f:12:00:c8:8b:e2:d6:87:08:00"
_TCP = b"PROTO=TCP SPT=4000 DPT=443 WINDOW=1024 RES=0x00"
_EDGES = {"src_ip": "192.0.2.1", "dst_ip": "198.51.100.2"}


def packet(**fields: str | int | None) -> Packet:
    """A packet from 192.0.2.1 to 198.51.100.2, else as given."""
    return Packet(**{**_EDGES, **fields})  # type: ignore[arg-type]  # one dict of mixed fields


def tcp(**fields: str | int | None) -> Packet:
    """The same, of TCP, from port 4000 to port 443."""
    return packet(**{"protocol": "tcp", "src_port": 4000, "dst_port": 443, **fields})


def _netfilter(name: str, message: bytes, expected: Packet | None, app: bytes = b"kernel") -> Line:
    return Line(name, app, message, "netfilter", expected)


NETFILTER = [
    _netfilter(
        "ufw block, uptime",
        b"[852160.92] [UFW BLOCK] IN=eth0 OUT= " + _MAC + b" " + _IP4 + b" " + _TCP
        + b" SYN URGP=0 ",
        tcp(
            action="block",
            direction="in",
            in_interface="eth0",
            rule="UFW BLOCK",
            tcp_flags="SYN",
            length=40,
        ),
    ),
    _netfilter(
        "ufw audit has no verdict",
        b"[ 1.25] [UFW AUDIT] IN= OUT=eth0 " + _IP4 + b" DF PROTO=UDP SPT=4000 DPT=443 LEN=20",
        packet(
            direction="out",
            protocol="udp",
            src_port=4000,
            dst_port=443,
            out_interface="eth0",
            rule="UFW AUDIT",
            length=40,
        ),
    ),
    _netfilter(
        "ufw limit block",
        b"[UFW LIMIT BLOCK] IN=eth0 OUT= MAC= " + _IP4 + b" " + _TCP + b" ACK SYN URGP=0",
        tcp(
            action="block",
            direction="in",
            in_interface="eth0",
            rule="UFW LIMIT BLOCK",
            tcp_flags="SYN ACK",
            length=40,
        ),
    ),
    _netfilter(
        "ufw allow, forwarded",
        b"[UFW ALLOW] IN=eth0 OUT=eth1 " + _IP4 + b" " + _TCP + b" CWR ECE SYN URGP=0",
        tcp(
            action="allow",
            direction="forward",
            in_interface="eth0",
            out_interface="eth1",
            rule="UFW ALLOW",
            tcp_flags="SYN ECE CWR",
            length=40,
        ),
    ),
    _netfilter(
        "no space before IN=, ICMP error quoting another packet",
        b"DROPIN=eth0 OUT= " + _MAC + b" " + _IP4 + b" PROTO=ICMP TYPE=3 CODE=1 "
        b"[SRC=10.0.0.9 DST=10.0.0.8 LEN=60 TOS=0x00 PREC=0x00 TTL=3 ID=2 PROTO=UDP SPT=5 DPT=6 "
        b"LEN=40 ]",
        packet(
            action="block",
            direction="in",
            protocol="icmp",
            in_interface="eth0",
            rule="DROP",
            length=40,
        ),
    ),
    _netfilter(
        "IPv6 with bridge ports, firewalld",
        b"FINAL_REJECT: IN=br0 OUT=br1 PHYSIN=p1 PHYSOUT=p2 " + _MAC
        + b" SRC=2001:0db8:0000:0000:0000:0000:0000:0001 DST=ff02::1 LEN=72 TC=0 HOPLIMIT=255 "
        b"FLOWLBL=0 PROTO=ICMPv6 TYPE=135 CODE=0 ",
        Packet(
            action="reject",
            direction="forward",
            protocol="icmpv6",
            src_ip="2001:0db8:0000:0000:0000:0000:0000:0001",
            dst_ip="ff02::1",
            in_interface="br0",
            out_interface="br1",
            rule="FINAL_REJECT",
            length=72,
        ),
    ),
    _netfilter(
        "EdgeOS default drop",
        b"[WAN_LOCAL-default-D]IN=eth0 OUT= " + _IP4 + b" PROTO=2 ",
        packet(
            action="block",
            direction="in",
            protocol="igmp",
            in_interface="eth0",
            rule="WAN_LOCAL-default-D",
            length=40,
        ),
    ),
    _netfilter(
        "UniFi allow, though its description says block",
        b'[WAN_LOCAL-A-2147483647] DESCR="[WAN_LOCAL]Block All Traffic" IN=eth8 OUT= ' + _IP4
        + b" DF PROTO=UDP SPT=4000 DPT=443 LEN=20 MARK=1a0000",
        packet(
            action="allow",
            direction="in",
            protocol="udp",
            src_port=4000,
            dst_port=443,
            in_interface="eth8",
            rule="WAN_LOCAL-A-2147483647",
            length=40,
        ),
    ),
    _netfilter(
        "Shorewall",
        b"Shorewall:net2fw:DROP:IN=eth0 OUT= " + _IP4 + b" PROTO=47 ",
        packet(
            action="block",
            direction="in",
            protocol="gre",
            in_interface="eth0",
            rule="Shorewall:net2fw:DROP",
            length=40,
        ),
    ),
    _netfilter(
        "OpenWrt",
        b"[1.2] ACCEPT wan out: IN=br-lan OUT=pppoe-wan " + _IP4 + b" PROTO=UDP INCOMPLETE "
        b"[8 bytes] ",
        packet(
            action="allow",
            direction="forward",
            protocol="udp",
            in_interface="br-lan",
            out_interface="pppoe-wan",
            rule="ACCEPT wan out",
            length=40,
        ),
    ),
    _netfilter(
        "the prefix was taken for the tag",
        b"IN=eth0 OUT= " + _IP4 + b" " + _TCP + b" RST URGP=0",
        tcp(
            action="block",
            direction="in",
            in_interface="eth0",
            rule="IPTABLES-DROP",
            tcp_flags="RST",
            length=40,
        ),
        app=b"IPTABLES-DROP",
    ),
    _netfilter(
        "Proxmox: chain, time, policy; flags at the end of the line",
        b"0 3 PVEFW-HOST-IN 20/Jun/2022:13:09:14 +0200 policy DROP: IN=vmbr0.94 " + _MAC + b" "
        + _IP4 + b" DF PROTO=TCP SPT=4000 DPT=443 SEQ=23 ACK=0 WINDOW=64240 SYN ",
        tcp(
            action="block",
            direction="in",
            in_interface="vmbr0.94",
            rule="PVEFW-HOST-IN",
            tcp_flags="SYN",
            length=40,
        ),
        app=b"pve-firewall",
    ),
    _netfilter(
        "Proxmox: an outgoing packet has no IN=",
        b"0 1 PVEFW-HOST-OUT 20/Jun/2022:13:16:23 +0200 REJECT: OUT=vmbr0.94 " + _IP4
        + b" PROTO=TCP SPT=4000 DPT=443 SEQ=1 ACK=0 WINDOW=64240 SYN ",
        tcp(
            action="reject",
            direction="out",
            out_interface="vmbr0.94",
            rule="PVEFW-HOST-OUT",
            tcp_flags="SYN",
            length=40,
        ),
    ),
    _netfilter(
        "a damaged line still has its ends",
        b"[50028442.088484] XX=enp1s0 OUT= " + _MAC + b" " + _IP4 + b" " + _TCP + b" SYN URGP=0",
        tcp(tcp_flags="SYN", length=40),
    ),
    _netfilter(
        "cut short by the kernel's buffer",
        b"[UFW BLOCK] IN=eth0 OUT= " + _MAC + b" SRC=192.0.2.1 DST=198.51.100.2 LEN=40 TOS=0x0",
        packet(
            action="block", direction="in", in_interface="eth0", rule="UFW BLOCK", length=40
        ),
    ),
    _netfilter("no addresses", b"IN=eth0 OUT= SRC= DST= LEN=40 PROTO=TCP", None),
    _netfilter("words, no addresses", b"SRC=FACE DST=BEEF LEN=40 PROTO=TCP", None),
]  # fmt: skip

_V4 = b",,,1000000103,em1,match,block,in,4,0x0,,64,0,0,none,"
_V6 = b",,,1000000103,em1,match,pass,out,6,0x00,0x00000,255,"
_EM1 = {"action": "block", "direction": "in", "in_interface": "em1"}
_EM1_OUT = {
    "action": "allow",
    "direction": "out",
    "out_interface": "em1",
    "src_ip": "fe80::1",
    "dst_ip": "ff02::16",
}


def _filterlog(name: str, message: bytes, expected: Packet | None) -> Line:
    return Line(name, b"filterlog", message, "filterlog", expected)


PF = [
    _filterlog(
        "TCP over IPv4",
        b"5" + _V4 + b"6,tcp,60,192.0.2.1,198.51.100.2,4000,443,0,SEC,1,,64240,,mss;sackOK;TS",
        tcp(**_EM1, rule="5", tcp_flags="SYN ECE CWR", length=60),
    ),
    _filterlog(
        "UDP over IPv4, not first in the anchor",
        b"5,16777216" + _V4[1:] + b"17,udp,132,192.0.2.1,198.51.100.2,4000,443,112",
        packet(**_EM1, protocol="udp", src_port=4000, dst_port=443, rule="5", length=132),
    ),
    _filterlog(
        "ICMP has no ports",
        b"5" + _V4 + b"1,icmp,84,192.0.2.1,198.51.100.2,request,40217,1",
        packet(**_EM1, protocol="icmp", rule="5", length=84),
    ),
    _filterlog(
        "CARP",
        b"5" + _V4 + b"112,carp,56,192.0.2.1,198.51.100.2,advertise,255,1,2,1,0",
        packet(**_EM1, protocol="carp", rule="5", length=56),
    ),
    _filterlog(
        "IGMP",
        b"5" + _V4 + b"2,igmp,36,192.0.2.1,198.51.100.2,datalength=12",
        packet(**_EM1, protocol="igmp", rule="5", length=36),
    ),
    _filterlog(
        "a translation is no verdict",
        b"5" + _V4.replace(b"block", b"rdr")
        + b"6,tcp,60,192.0.2.1,198.51.100.2,4000,443,0,S,1,,64240,,mss",
        tcp(**{**_EM1, "action": None}, rule="5", tcp_flags="SYN", length=60),
    ),
    _filterlog(
        "TCP over IPv6",
        b"7" + _V6 + b"TCP,6,44,fe80::1,ff02::16,4000,443,0,FA,1,2,0,,mss",
        packet(
            **_EM1_OUT,
            protocol="tcp",
            src_port=4000,
            dst_port=443,
            rule="7",
            tcp_flags="FIN ACK",
            length=44,
        ),
    ),
    _filterlog(
        "ICMPv6",
        b"7" + _V6 + b"ICMPv6,58,32,fe80::1,ff02::16,",
        packet(**_EM1_OUT, protocol="icmpv6", rule="7", length=32),
    ),
    _filterlog(
        "IPv6 options",
        b"7" + _V6 + b"Options,0,36,fe80::1,ff02::16,HBH,RTALERT,0x0000,PADN,",
        packet(**_EM1_OUT, protocol="hopopt", rule="7", length=36),
    ),
    _filterlog("too few columns", b"5" + _V4 + b"6,tcp", None),
    _filterlog(
        "no such IP version",
        b"5" + _V4.replace(b",4,", b",5,") + b"6,tcp,60,192.0.2.1,198.51.100.2,1,2,0,S,1,,1,,",
        None,
    ),
    Line(
        "the tag was not parsed away",
        None,
        b"filterlog[72237]: 5" + _V4 + b"17,udp,132,192.0.2.1,198.51.100.2,4000,443,112",
        "filterlog",
        packet(**_EM1, protocol="udp", src_port=4000, dst_port=443, rule="5", length=132),
    ),
    Line(
        "tcpdump of pflog",
        b"pf",
        b"rule 5/0(match): block in on em1: 192.0.2.1.4000 > 198.51.100.2.443: Flags [S.], seq 1",
        "pflog",
        tcp(**_EM1, rule="5", tcp_flags="SYN ACK"),
    ),
    Line(
        "tcpdump of pflog, IPv6",
        b"pf",
        b"rule 5/0(match): pass out on em1: (tos 0x0) fe80::1 > ff02::16: ICMP6, neighbor adv",
        "pflog",
        packet(**_EM1_OUT, protocol="icmpv6", rule="5"),
    ),
]  # fmt: skip


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


_PORTS = {"in_interface": "port 1", "out_interface": "port2"}

VENDORS = [
    Line(
        "FortiGate: spaces, escapes, and a quoted value that plays a field",
        None,
        b'date=2026-06-01 time=10:00:00 devname="FG" logid="0000000013" type="traffic" '
        b'subtype="forward" level="notice" user="x srcip=10.6.6.6 \\"q\\" action=accept" '
        b'srcip=192.0.2.1 srcport=4000 srcintf="port 1" dstip=198.51.100.2 dstport=443 '
        b'dstintf="port2" policyid=12 sessionid=1 proto=6 action="deny" service="HTTPS" '
        b"sentbyte=5000000000 rcvdbyte=1",
        "keyvalue",
        tcp(action="block", direction="forward", rule="12", length=5_000_000_000, **_PORTS),
        5,
    ),
    Line(
        "FortiGate: an ended session, a protocol by number",
        None,
        b"type=traffic subtype=local level=warning srcip=192.0.2.1 srcport=0 srcintf=wan1 "
        b"dstip=198.51.100.2 dstport=0 dstintf=root proto=1 action=timeout policyid=0 sentbyte=84",
        "keyvalue",
        packet(
            action="close",
            direction="in",
            protocol="icmp",
            in_interface="wan1",
            out_interface="root",
            rule="0",
            length=84,
        ),
        4,
    ),
    Line(
        "FortiGate: a login is no packet",
        None,
        b"type=event subtype=system level=alert action=login status=failed srcip=192.0.2.1 "
        b'dstip=198.51.100.2 msg="Administrator admin login failed"',
        "keyvalue",
        None,
        1,
    ),
    Line(
        "Sophos UTM",
        b"ulogd",
        b'id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped" '
        b'action="drop" fwrule="60002" initf="port 1" outitf="port2" srcip="192.0.2.1" '
        b'dstip="198.51.100.2" proto="6" length="71" srcport="4000" dstport="443" tcpflags="SYN"',
        "keyvalue",
        tcp(
            action="block",
            direction="forward",
            rule="60002",
            tcp_flags="SYN",
            length=71,
            **_PORTS,
        ),
        6,
    ),
    Line(
        "Sophos XG",
        None,
        b'device="SFW" log_type="Firewall" log_subtype="Allowed" status="Allow" '
        b'priority=Information fw_rule_id=5 in_interface="port 1" out_interface="port2" '
        b'src_ip=192.0.2.1 dst_ip=198.51.100.2 protocol="TCP" src_port=4000 dst_port=443 '
        b"sent_bytes=10",
        "keyvalue",
        tcp(action="allow", direction="forward", rule="5", length=10, **_PORTS),
        6,
    ),
    Line(
        "SonicWall: address:port:interface:name",
        None,
        b'id=firewall sn=00 pri=5 c=64 m=36 msg="TCP connection dropped" n=1 '
        b'src=192.0.2.1:4000:X1:host dst=198.51.100.2:443:X0 proto=tcp/https rule="7 (WAN->LAN)"',
        "keyvalue",
        tcp(
            action="block",
            direction="forward",
            in_interface="X1",
            out_interface="X0",
            rule="7 (WAN->LAN)",
        ),
        5,
    ),
    Line(
        "Meraki: the verdict stands before or behind",
        None,
        b"1 1374543213.3 MX84 flows src=192.0.2.1 dst=198.51.100.2 mac=58:1F protocol=tcp "
        b"sport=4000 dport=443 pattern: deny all",
        "keyvalue",
        tcp(action="block"),
    ),
    Line(
        "Check Point",
        b"CheckPoint",
        b'[action:"Drop"; flags:"1"; ifdir:"inbound"; ifname:"port 1"; src:"192.0.2.1"; '
        b'dst:"198.51.100.2"; proto:"6"; s_port:"4000"; service:"443"; rule:"12"]',
        "keyvalue",
        tcp(action="block", direction="in", in_interface="port 1", rule="12"),
    ),
    Line(
        "CEF: spaces, escapes, a label that names the rule",
        None,
        b"CEF:0|Palo\\|Alto|PAN-OS|10|end|TRAFFIC|8|src=192.0.2.1 dst=198.51.100.2 spt=4000 "
        b"dpt=443 proto=TCP act=Reset-Both cs1=my first rule cs1Label=Rule deviceDirection=0 "
        b"deviceInboundInterface=port 1 deviceOutboundInterface=port2 out=12 "
        b"request=http://a/?src\\=10.6.6.6 msg=ends here src=10.7.7.7",
        "cef",
        tcp(action="reject", direction="in", rule="my first rule", length=12, **_PORTS),
        3,
    ),
    Line(
        "CEF: the tag was parsed away, the verdict is in the name",
        b"CEF",
        b"0|Ubiquiti|UniFi Network|9.4.19|201|Threat Detected and Blocked|10|proto=17 "
        b"src=192.0.2.1 spt=4000 dpt=443 UNIFIdirection=incoming",
        "cef",
        tcp(action="block", direction="in", protocol="udp", dst_ip=None),
        2,
    ),
    Line(
        "CEF: an administrator is no packet",
        None,
        b"CEF:0|Ubiquiti|UniFi Network|9.4.19|544|Admin Accessed|1|src=192.0.2.1 msg=hello",
        "cef",
        None,
        6,
    ),
    Line(
        "LEEF with a separator of its own",
        None,
        b"LEEF:2.0|Vendor|FW|1|deny|^|src=192.0.2.1^dst=198.51.100.2^srcPort=4000^dstPort=443"
        b"^proto=TCP^action=blocked",
        "cef",
        tcp(action="block"),
    ),
    Line(
        "MikroTik, prefix and chain",
        None,
        b"firewall,info drop-in input: in:ether1-WAN out:(unknown 0), connection-state:new "
        b"src-mac 00:17:10:88:bc:02, proto TCP (SYN,ACK), 192.0.2.1:4000->198.51.100.2:443, "
        b"len 65",
        "mikrotik",
        tcp(
            action="block",
            direction="in",
            in_interface="ether1-WAN",
            rule="drop-in",
            tcp_flags="SYN ACK",
            length=65,
        ),
    ),
    Line(
        "MikroTik, IPv6 and NAT",
        b"firewall,info",
        b"forward: in:WAN out:LAN, connection-state:new,dnat proto UDP, [2001:db8::1]:4000->"
        b"[2001:db8::2]:443, NAT [2001:db8::1]:4000->([2001:db8::3]:1->[2001:db8::2]:443), len 65",
        "mikrotik",
        tcp(
            direction="forward",
            protocol="udp",
            src_ip="2001:db8::1",
            dst_ip="2001:db8::2",
            in_interface="WAN",
            out_interface="LAN",
            length=65,
        ),
    ),
    Line(
        "MikroTik, ICMP",
        None,
        b"firewall,info drop in:ether1 out:(unknown 0), proto ICMP (type 8, code 0), "
        b"192.0.2.1->198.51.100.2, len 84",
        "mikrotik",
        packet(
            action="block",
            direction="in",
            protocol="icmp",
            in_interface="ether1",
            rule="drop",
            length=84,
        ),
    ),
    Line(
        "Juniper SRX, created",
        b"RT_FLOW",
        b"RT_FLOW_SESSION_CREATE: session created 192.0.2.1/4000->198.51.100.2/443 junos-https "
        b"203.0.113.2/1->198.51.100.2/443 None None 6 allow-all LAN WAN 37 N/A(N/A) reth2.0 "
        b"UNKNOWN UNKNOWN UNKNOWN",
        "junos",
        tcp(action="allow", in_interface="reth2.0", rule="allow-all"),
    ),
    Line(
        "Juniper SRX, closed",
        b"RT_FLOW",
        b"RT_FLOW_SESSION_CLOSE: session closed TCP FIN: 192.0.2.1/4000->198.51.100.2/443 "
        b"0x0 junos-https 192.0.2.1/4000->198.51.100.2/443 0x0 N/A N/A N/A N/A 6 p1 a b 123 "
        b"5(400) 4(300) 20 UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0",
        "junos",
        tcp(action="close", in_interface="ge-0/0/1.0", rule="p1", length=400),
    ),
    Line(
        "Juniper SRX, denied",
        b"RT_FLOW",
        b"RT_FLOW_SESSION_DENY: session denied 192.0.2.1/8->198.51.100.2/1 icmp 1(8) p1 a b "
        b"UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0",
        "junos",
        packet(action="block", protocol="icmp", in_interface="ge-0/0/1.0", rule="p1"),
    ),
    Line(
        "Juniper SRX, structured data left as text",
        b"RT_FLOW",
        b'RT_FLOW_SESSION_DENY [junos@2636.1 source-address="192.0.2.1" source-port="4000" '
        b'destination-address="198.51.100.2" destination-port="443" protocol-id="6" '
        b'policy-name="p1"]',
        "junos",
        tcp(action="block", rule="p1"),
    ),
    Line(
        "Palo Alto traffic, a comma in a quoted column",
        None,
        b'1,2026/06/01 16:09:08,0128,TRAFFIC,end,2049,2026/06/01 16:09:07,192.0.2.1,198.51.100.2,'
        b'192.0.2.1,198.51.100.2,"Rule, one",,,ssl,vsys1,trust,untrust,ethernet1/2,ethernet1/1,'
        b"log,2026/06/01 16:09:07,22655,1,4000,443,27752,443,0x400053,tcp,allow,4414,1496,2918,20",
        "paloalto",
        tcp(
            action="allow",
            direction="forward",
            in_interface="ethernet1/2",
            out_interface="ethernet1/1",
            rule="Rule, one",
            length=1496,
        ),
    ),
]  # fmt: skip

LINES = [*NETFILTER, *PF, *CISCO, *VENDORS]
