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
        "SuSEfirewall2 accepts",
        b"SFW2-INext-ACC-TCP IN=eth0 OUT= " + _IP4 + b" " + _TCP + b" SYN URGP=0 OPT (0204)",
        tcp(
            action="allow",
            direction="in",
            in_interface="eth0",
            rule="SFW2-INext-ACC-TCP",
            tcp_flags="SYN",
            length=40,
        ),
    ),
    _netfilter(
        "firewalld on nftables keeps its quotes",
        b'"filter_IN_public_DROP: "IN=eth0 OUT= ' + _IP4 + b" PROTO=UDP SPT=4000 DPT=443 LEN=20",
        packet(
            action="block",
            direction="in",
            protocol="udp",
            src_port=4000,
            dst_port=443,
            in_interface="eth0",
            rule="filter_IN_public_DROP",
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
    _filterlog(
        "SCTP",
        b"5" + _V4 + b"132,sctp,60,192.0.2.1,198.51.100.2,4000,443,",
        tcp(**_EM1, protocol="sctp", rule="5", length=60),
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
        "the rest of a header was not parsed away",
        None,
        b'filterlog 69805 - [meta sequenceId="3"] 5' + _V4
        + b"17,udp,132,192.0.2.1,198.51.100.2,4000,443,112",
        "filterlog",
        packet(**_EM1, protocol="udp", src_port=4000, dst_port=443, rule="5", length=132),
    ),
    Line(
        "tcpdump of pflog, cut behind the ends",
        b"pflogd",
        b"2026-08-06 12:03:15.1 rule 0/0(match): block in on em1: 192.0.2.1.4000 > "
        b"198.51.100.2.443",
        "pflog",
        tcp(**_EM1, protocol="udp", rule="0"),
    ),
    Line(
        "tcpdump of pflog",
        b"pf",
        b"rule 5/0(match): block in on em1: 192.0.2.1.4000 > 198.51.100.2.443: Flags [S.], seq 1",
        "pflog",
        tcp(**_EM1, rule="5", tcp_flags="SYN ACK"),
    ),
    Line(
        "tcpdump of pflog, IGMP",
        b"pf",
        b"rule 5/0(match): block in on em1: 192.0.2.1 > 198.51.100.2: igmp query v2",
        "pflog",
        packet(**_EM1, protocol="igmp", rule="5"),
    ),
    Line(
        "tcpdump -v of pflog, CARP",
        b"pf",
        b"rule 5/0(match): block in on em1: (tos 0x10, ttl 255, id 1, offset 0, flags [DF], proto "
        b"VRRP (112), length 56) 192.0.2.1 > 198.51.100.2: vrrp 192.0.2.1 > 198.51.100.2: VRRPv2",
        "pflog",
        packet(**_EM1, protocol="vrrp", rule="5"),
    ),
    Line(
        "tcpdump of pflog, IPv6",
        b"pf",
        b"rule 5/0(match): pass out on em1: (tos 0x0) fe80::1 > ff02::16: ICMP6, neighbor adv",
        "pflog",
        packet(**_EM1_OUT, protocol="icmpv6", rule="5"),
    ),
]  # fmt: skip
