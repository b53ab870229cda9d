"""Hand-written lines of the firewalls that write key=value, CSV, or sentences of their own."""

from __future__ import annotations

from parsers.firewall import Packet
from tests.parsers.firewall_lines import Line, packet, tcp

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
        "FortiGate 4: interfaces that it does not say",
        None,
        b"type=traffic subtype=other pri=notice policyid=3 proto=6 service=443/tcp status=deny "
        b'src=192.0.2.1 srcname=192.0.2.1 src_port=4000 dst=198.51.100.2 dst_port=443 src_int=N/A '
        b'dst_int="N/A" sent=0',
        "keyvalue",
        tcp(action="block", rule="3", length=0),
        5,
    ),
    Line(
        "SonicWall: IPv6 addresses stand apart from their ports",
        None,
        b'id=firewall pri=5 m=1233 msg="IPv6 packet dropped" srcV6=2001:db8::1 src=:4000:X0 '
        b"dstV6=2001:db8::2 dst=:443 proto=udp/443",
        "keyvalue",
        tcp(
            action="block",
            direction="in",
            protocol="udp",
            src_ip="2001:db8::1",
            dst_ip="2001:db8::2",
            in_interface="X0",
        ),
        5,
    ),
    Line(
        "SonicWall: IPv6 addresses alone",
        None,
        b'id=firewall pri=5 msg="IPv6 packet dropped" srcV6=2001:db8::1 dstV6=2001:db8::2 '
        b"proto=udp/65535",
        "keyvalue",
        Packet(action="block", protocol="udp", src_ip="2001:db8::1", dst_ip="2001:db8::2"),
        5,
    ),
    Line(
        "SonicWall: one address of each version",
        None,
        b'id=firewall pri=1 m=609 msg="Alert" src=192.0.2.1:4000:X0 dst=:443:X1 '
        b'dstV6=2001:db8::2 fw_action="drop"',
        "keyvalue",
        tcp(
            action="block",
            direction="forward",
            protocol=None,
            dst_ip="2001:db8::2",
            in_interface="X0",
            out_interface="X1",
        ),
        1,
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
        "Meraki: a flow's end",
        None,
        b"ip_flow_end src=192.0.2.1 dst=198.51.100.2 protocol=tcp sport=4000 dport=443 "
        b"translated_src_ip=203.0.113.9 translated_port=4000",
        "keyvalue",
        tcp(action="close"),
    ),
    Line(
        "Meraki: an alert on traffic that went through",
        None,
        b"security_event ids_alerted signature=1:29708:4 priority=1 direction=ingress "
        b"protocol=tcp/ip src=192.0.2.1:4000 dst=198.51.100.2:443 decision=allowed message: x",
        "keyvalue",
        tcp(action="allow", direction="in"),
        1,
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
        "Check Point, between pipes",
        None,
        b"time=1586182935|hostname=gw|severity=Informational|product=Firewall|action=Accept|"
        b"ifdir=outbound|ifname=port2|loguid={0x1}|dst=198.51.100.2|proto=6|rule=4|s_port=4000|"
        b"service=443|src=192.0.2.1|",
        "keyvalue",
        tcp(action="allow", direction="out", out_interface="port2", rule="4"),
        6,
    ),
    Line(
        "NetScreen",
        None,
        b"NetScreen device_id=ns  [Root]system-notification-00257(traffic): duration=0 "
        b"policy_id=125 service=syslog proto=6 src zone=Untrust dst zone=Trust action=Deny sent=0 "
        b"rcvd=0 src=192.0.2.1 dst=198.51.100.2 src_port=4000 dst_port=443",
        "keyvalue",
        tcp(action="block", rule="125", length=0),
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
        "CEF of RouterOS: the packet stands in the message",
        None,
        b"CEF:0|MikroTik|hAP|7.20|16|firewall,info|Low|dvchost=r1 dvc=192.0.2.9 msg=drop input: "
        b"in:ether1 out:(unknown 0), proto TCP (SYN), 192.0.2.1:4000->198.51.100.2:443, len 65",
        "cef",
        tcp(
            action="block",
            direction="in",
            in_interface="ether1",
            rule="drop",
            tcp_flags="SYN",
            length=65,
        ),
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
        "MikroTik, a prefix with a colon",
        None,
        b"firewall,info drop: input: in:ether1 out:(unknown 0), proto TCP (SYN), "
        b"192.0.2.1:4000->198.51.100.2:443, len 65",
        "mikrotik",
        tcp(
            action="block",
            direction="in",
            in_interface="ether1",
            rule="drop",
            tcp_flags="SYN",
            length=65,
        ),
    ),
    Line(
        "MikroTik, a bridge's filter",
        None,
        b"firewall,info drop forward: in:ether2 out:ether3, src-mac 00:17:10:88:bc:02, dst-mac "
        b"00:17:10:88:bc:03, eth-proto 0800, UDP, 192.0.2.1:4000->198.51.100.2:443, len 65",
        "mikrotik",
        tcp(
            action="block",
            direction="forward",
            protocol="udp",
            in_interface="ether2",
            out_interface="ether3",
            rule="drop",
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
        "MikroTik, IPv6 without ports",
        None,
        b"input: in:ether1 out:(unknown 0), proto ICMPv6 (type 134, code 0), fe80::1->ff02::16, "
        b"len 56",
        "mikrotik",
        Packet(
            direction="in",
            protocol="icmpv6",
            src_ip="fe80::1",
            dst_ip="ff02::16",
            in_interface="ether1",
            length=56,
        ),
    ),
    Line(
        "MikroTik, interfaces with blanks",
        None,
        b"forward: in:Office VLAN out:Fibre Uplink, proto UDP, 192.0.2.1:4000->198.51.100.2:443, "
        b"len 52",
        "mikrotik",
        tcp(
            direction="forward",
            protocol="udp",
            in_interface="Office VLAN",
            out_interface="Fibre Uplink",
            length=52,
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
        "Junos, a packet filter",
        None,
        b"fpc0 PFE_FW_SYSLOG_IP: FW: ge-0/0/1.0  A  tcp 192.0.2.1 198.51.100.2  4000   443 "
        b"(2 packets)",
        "junos",
        tcp(action="allow", direction="in", in_interface="ge-0/0/1.0"),
    ),
    Line(
        "Junos, a packet filter, no ports",
        None,
        b"fpc0 PFE_FW_SYSLOG_IP: FW: lo0.0   D   ospf 192.0.2.1  198.51.100.2  0  0 (1 packets)",
        "junos",
        packet(action="block", direction="in", protocol="ospf", in_interface="lo0.0"),
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
