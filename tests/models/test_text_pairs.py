"""Lines of many programs: pairs whose texts must differ, and variants whose text must be one."""

import pytest

from models.slots import may_have_slots, significant_slots, slot_reader
from models.text import canonical

DIGITS = b"0123456789"

APART = [
    # sshd, PAM, sudo, cron
    ("Accepted password for bob from 10.0.0.1 port 22 ssh2",
     "Failed password for bob from 10.0.0.1 port 22 ssh2"),
    ("Failed password for root from 10.0.0.1 port 4022 ssh2",
     "Failed password for bob from 10.0.0.1 port 4022 ssh2"),
    ("Failed password for bob from 10.0.0.1 port 4022 ssh2",
     "Failed password for invalid user bob from 10.0.0.1 port 4022 ssh2"),
    ("pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)",
     "pam_unix(sshd:session): session closed for user bob"),
    ("Connection closed by 10.0.0.1 port 4022 [preauth]",
     "Connection reset by 10.0.0.1 port 4022 [preauth]"),
    ("     bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls",
     "     bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls"),
    ("(root) CMD (run-parts /etc/cron.hourly)", "(root) RELOAD (crontabs/root)"),
    ("grandchild #1234 failed with exit status 1", "grandchild #1234 failed with exit status 127"),
    # kernel
    ("Out of memory: Killed process 4711 (java)", "Out of memory: Killed process 4711 (postgres)"),
    ("eth0: link up, 1000 Mbps, full duplex", "eth0: link down"),
    ("e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex",
     "e1000e 0000:00:1f.6 eth0: NIC Link is Down"),
    ("EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading dir lblock 0",
     "EXT4-fs (sda1): mounted filesystem with ordered data mode"),
    ("usb 1-1: new high-speed USB device number 5 using xhci_hcd",
     "usb 1-1: USB disconnect, device number 5"),
    ("usb 1-1: device descriptor read/64, error -71",
     "usb 1-1: device descriptor read/64, error -110"),
    ("sd 0:0:0:0: [sda] tag#0 FAILED Result: hostbyte=DID_OK",
     "sd 0:0:0:0: [sda] tag#0 FAILED Result: hostbyte=DID_BAD_TARGET"),
    ("a.out[123]: segfault at 0 ip 00005581 sp 00007ffc error 4 in a.out[5581+1000]",
     "a.out[123]: segfault at 0 ip 00005581 sp 00007ffc error 6 in a.out[5581+1000]"),
    ("nvme0: I/O timeout, aborting, ret=-5", "nvme0: I/O timeout, aborting, ret=-11"),
    ("CPU0: Core temperature above threshold", "CPU0: Core temperature/speed normal"),
    # systemd
    ("nginx.service: Main process exited, code=exited, status=0/SUCCESS",
     "nginx.service: Main process exited, code=exited, status=1/FAILURE"),
    ("nginx.service: Main process exited, code=killed, status=9/KILL",
     "nginx.service: Main process exited, code=killed, status=15/TERM"),
    ("nginx.service: Main process exited, code=dumped, status=11/SEGV",
     "nginx.service: Main process exited, code=killed, status=9/KILL"),
    ("nginx.service: Failed with result 'exit-code'.",
     "nginx.service: Failed with result 'signal'."),
    ("Started A high performance web server.", "Stopped A high performance web server."),
    ("worker process 1234 exited on signal 11", "worker process 1234 exited on signal 15"),
    ("child exited with code 0", "child exited with code 1"),
    ("child was terminated by signal 9", "child was terminated by signal 11"),
    ("open failed (errno 2)", "open failed (errno 13)"),
    ("open failed: errno=28", "open failed: errno=5"),
    ("OSError: [Errno 13] Permission denied", "OSError: [Errno 28] No space left on device"),
    ("Process finished with exit code 0", "Process finished with exit code 137"),
    ("script returned 0", "script returned 2"),
    ("type=SYSCALL msg=audit(1684.1:2): arch=c000003e syscall=59 success=yes exit=0 a0=7ffd",
     "type=SYSCALL msg=audit(1684.1:2): arch=c000003e syscall=59 success=no exit=-13 a0=7ffd"),
    # HTTP servers and clients
    ('10.0.0.1 - - [10/Oct/2023:08:32:32 +0000] "GET / HTTP/1.1" 200 512 "-" "curl/8.1"',
     '10.0.0.1 - - [10/Oct/2023:08:32:32 +0000] "GET / HTTP/1.1" 404 512 "-" "curl/8.1"'),
    ('10.0.0.1 - - [10/Oct/2023:08:32:32 +0000] "GET / HTTP/1.1" 200 512 "-" "curl/8.1"',
     '10.0.0.1 - - [10/Oct/2023:08:32:32 +0000] "GET / HTTP/1.1" 500 512 "-" "curl/8.1"'),
    ('"GET / HTTP/2.0" 502 0', '"POST / HTTP/2.0" 502 0'),
    ("upstream answered HTTP 200", "upstream answered HTTP 503"),
    ("server replied HTTP/1.1 204 No Content", "server replied HTTP/1.1 401 Unauthorized"),
    ('{"level":"info","statusCode":200,"ms":12}', '{"level":"info","statusCode":500,"ms":12}'),
    ("request failed with status code 404", "request failed with status code 429"),
    # mail, DNS, DHCP
    ("4Bq2vN0TzTz9: to=<a@example.org>, relay=none, delay=5, status=deferred (timed out)",
     "4Bq2vN0TzTz9: to=<a@example.org>, relay=none, delay=5, status=bounced (timed out)"),
    ("imap-login: Login: user=<bob>, method=PLAIN, rip=10.0.0.1",
     "imap-login: Disconnected: user=<bob>, method=PLAIN, rip=10.0.0.1"),
    ("client 10.0.0.1#4022: query (cache) 'a.com/A/IN' denied",
     "client 10.0.0.1#4022: query (cache) 'a.com/A/IN' allowed"),
    ("zone example.com/IN: loaded serial 2024", "zone example.com/IN: expired"),
    ("DHCPACK on 10.0.0.5 to 00:16:3e:aa:bb:cc via eth0",
     "DHCPNAK on 10.0.0.5 to 00:16:3e:aa:bb:cc via eth0"),
    # firewalls
    ("[UFW BLOCK] IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=4022 DPT=22",
     "[UFW BLOCK] IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=4022 DPT=80"),
    ("[UFW BLOCK] IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=4022 DPT=53",
     "[UFW BLOCK] IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 PROTO=UDP SPT=4022 DPT=53"),
    ("[UFW BLOCK] PROTO=TCP DPT=22", "[UFW ALLOW] PROTO=TCP DPT=22"),
    ("action=deny dstport=443 proto=6", "action=deny dstport=443 proto=17"),
    ("%ASA-6-302013: Built inbound TCP connection 1 for outside:10.0.0.1/4022",
     "%ASA-6-302014: Teardown TCP connection 1 for outside:10.0.0.1/4022"),
    ("%ASA-4-106023: Deny tcp src outside:10.0.0.1/4022 dst inside:10.0.0.2/22 by",
     "%ASA-4-106023: Deny tcp src outside:10.0.0.1/4022 dst inside:10.0.0.2/3389 by"),
    ("%LINK-3-UPDOWN: Interface Gi0/1, changed state to up",
     "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down"),
    # containers, databases, Java, Windows
    ("container died (exitCode=0)", "container died (exitCode=137)"),
    ("Back-off restarting failed container", "Created container"),
    ("Exit Code: 1, Reason: Error", "Exit Code: 0, Reason: Completed"),
    ("server process (PID 42) was terminated by signal 9: Killed",
     "server process (PID 42) was terminated by signal 11: Segmentation fault"),
    ("FATAL:  password authentication failed for user \"bob\"",
     "FATAL:  role \"bob\" does not exist"),
    ("[ERROR] Got error 28 from storage engine", "[ERROR] Got error 122 from storage engine"),
    ("Container container_1445_0020_01_000002 transitioned from RUNNING to EXITED_WITH_SUCCESS",
     "Container container_1445_0020_01_000002 transitioned from RUNNING to KILLING"),
    ("java.io.IOException: Broken pipe", "java.io.EOFException: Broken pipe"),
    ("Closed socket connection for client /10.0.0.1:4022 (no session established for client)",
     "Established session 0x14f05578bd80016 with negotiated timeout 10000"),
    ("EventID=4624 An account event", "EventID=4625 An account event"),
    ('{"EventID": 4624, "x": 1}', '{"EventID": 4740, "x": 1}'),
    # percentages
    ("/var is 98% full", "/var is 12% full"),
    ("disk usage 95%", "disk usage 10%"),
    ("5 packets transmitted, 0 received, 100% packet loss, time 4ms",
     "5 packets transmitted, 5 received, 0% packet loss, time 4ms"),
    ("5 packets transmitted, 4 received, 20% packet loss, time 4ms",
     "5 packets transmitted, 5 received, 0% packet loss, time 4ms"),
    ("filesystem / is 100 percent full", "filesystem / is 40 percent full"),
    ("error: memory at 99.5 %", "error: memory at 3.5 %"),
    ("CPU load 85%, memory 20%", "CPU load 85%, memory 97%"),
    # case
    ("state changed to UP", "state changed to up"),
    # the sign of an error
    ("poll failed (-110)", "poll failed (110)"),
]  # fmt: skip

TOGETHER = [
    # addresses and names
    ["Connection from 10.0.0.1 port 22", "Connection from 192.168.200.201 port 65001",
     "Connection from 2001:db8::1 port 22"],
    ["peer 10.0.0.1:514 lost", "peer 192.0.2.99:60000 lost", "peer 8.8.8.8 lost"],
    ["Invalid user admin from 10.0.0.1", "Invalid user oracle7 from 10.9.8.7",
     "Invalid user web.dev-2 from 10.0.0.1"],
    ["Failed password for bob from 10.0.0.1 port 1 ssh2",
     "Failed password for alice from 10.0.0.2 port 65001 ssh2"],
    ["session opened for user bob by (uid=0)", "session opened for user www-data by (uid=1000)"],
    ["session opened for user bob(uid=1000) by bob(uid=1000)",
     "session opened for user ann(uid=1001) by eve(uid=33)"],
    ["authentication failure; rhost=10.0.0.1", "authentication failure; rhost=a-1-2.dsl.x.net.tw",
     "authentication failure; rhost=218-75-102-110.rev.example.eu"],
    ["getaddrinfo for customer-187-1-sta.uninet.com.mx [10.0.0.1] failed",
     "getaddrinfo for 195-154-37-122.rev.poneytelecom.eu [10.0.0.2] failed",
     "getaddrinfo for ns.example.com [10.0.0.2] failed"],
    ["   bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls",
     "   ann : TTY=pts/12 ; PWD=/tmp ; USER=root ; COMMAND=/usr/bin/apt update"],
    ["(bob) CMD (/usr/bin/a.sh)", "(www-data) CMD (/opt/x/y)"],
    ["imap-login: Login: user=<bob>, rip=10.0.0.1", "imap-login: Login: user=<ann>, rip=10.0.0.9"],
    ["SASL login: sasl_username=bob", "SASL login: sasl_username=ann"],
    ["Access denied for user 'bob'@'localhost'", "Access denied for user 'ann'@'localhost'"],
    ["password authentication failed for user \"bob\"",
     "password authentication failed for user \"app_rw\""],
    ['{"msg":"login","user":"bob"}', '{"msg":"login","user":"ann"}'],
    ["User bob from 10.0.0.1 not allowed", "User ann from 10.0.0.7 not allowed"],
    ["Account Name:\t\tbob logged on", "Account Name:\t\tann logged on"],
    ["from=<a@example.org>, size=5", "from=<x.y+z@mail.example.co.uk>, size=123456"],
    ["query: www.example.com IN A", "query: cdn7.assets.example.net IN A"],
    ["DHCPACK on 10.0.0.5 to 00:16:3e:aa:bb:cc via eth0",
     "DHCPACK on 10.1.2.3 to 52:54:00:12:34:56 via eth1"],
    # ids
    ["job_1445144423722_0020 Job Transitioned", "job_1445062781478_0011 Job Transitioned"],
    ["attempt_1445144423722_0020_m_000001_0 done",
     "attempt_1445062781478_0011_m_000009_1000 done"],
    ["application_1445144423722_0020 started", "application_1_2 started"],
    ["container_1445144423722_0020_01_000002 launched", "container_144_1_01_000011 launched"],
    ["Deleting block blk_-6952295868487656571", "Deleting block blk_38865049064139660"],
    ["ask 10.0.0.1:50010 to delete blk_1 blk_-2 blk_3",
     "ask 10.0.0.1:50010 to delete blk_-11 blk_22 blk_33 blk_44 blk_-55 blk_66"],
    ["Found block rdd_42_20 locally", "Found block rdd_2_0 locally"],
    ["Session 0x14f05578bd80016 expired", "Session 0x24f0557806a0001 expired"],
    ["sessionid:14f05578bd80016 gone", "sessionid:24f0557806abc01 gone"],
    ["lock held by Foo@1a2b3c4d", "lock held by Foo@33c5e91a"],
    ["token=Token{9f4ef63 x}", "token=Token{a64f992 x}", "token=Token{1c5f9d2 x}"],
    ["pool-1-thread-7 idle", "pool-12-thread-103 idle"],
    ["req 6fa459ea-ee8a-3ca4-894e-db77e160355e ok", "req 16FD2706-8BAF-433B-82EB-8C7FADA847DA ok"],
    ["container 3f2a1b0c9d8e stopped", "container deadbeef0011 stopped"],
    ["pulled sha256:9f86d081884c7d659a2feaa0c55ad015",
     "pulled sha256:1a79a4d60de6718e8e5b326e338ae533"],
    ["pod nginx-66b6c48dd5-7xk2p ready", "pod nginx-5d59d67564-bcvdx ready"],
    ["4Bq2vN0TzTz9: removed", "4Cx7pK3RmWd2: removed"],
    ["3F2A1B0C9D: removed", "7AB1C0D9E2F: removed"],
    ["key RSA SHA256:AbCdefGhijkl0mnopqrstuvwxyzABCDEFG1HIJKLMnop",
     "key RSA SHA256:qwertyuiopasdfghjklzxcvbnm/QWERTYUIOPASDFGH+"],
    ["cookie dGhpcyBpcyAxIHRlc3Qgb2YgNzc= set", "cookie QUJDREVGMTIzNDU2Nzg5MGFiYw== set"],
    ["usb 1-1: reset", "usb 3-12: reset"],
    ["e1000e 0000:00:1f.6 eth0: reset", "e1000e 0000:3b:00.1 eth4: reset"],
    ["sd 0:0:0:0: [sda] x", "sd 2:0:11:0: [sda] x"],
    ["at 0xffff888103a4 in loop", "at 0x0 in loop"],
    ["postmaster (PID 42) died", "postmaster (PID 4194303) died"],
    # times
    ["started at Sun Jul  3 10:05:25 2005", "started at Fri Dec 23 23:59:59 2011"],
    ["valid from 2024-05-01T10:00:00Z on", "valid from 2023-12-31T23:59:59.999+02:00 on"],
    ["valid from 2024-05-01 10:00:00 on", "valid from 2023-12-31T23:59:59Z on"],
    ["last 08/02/2023, 7:32:47 PM x", "last 12/31/2023, 11:02:09 AM x"],
    ["date Mon, 02 Jan 2006 15:04:05 GMT x", "date Tue, 31 Dec 2024 01:02:03 GMT x"],
    ["Dec 10 06:55:46 sshd restarted", "Jan  1 00:00:00 sshd restarted"],
    ["[10/Oct/2023:08:32:32 +0000] x", "[29/Sep/2021:12:37:05 +0200] x"],
    ["uptime 12:34:56 x", "uptime 1:02:03 x"],
    # amounts
    ["took 3ms", "took 1.5s", "took 10m", "took 1h2m3.5s", "took 20 ms", "took 4 seconds"],
    ["used 64KB", "used 12.5 MB", "used 100 bytes", "used 1.5GiB", "used 7 B"],
    ["read 1,234 records", "read 7 records", "read 1,234,567 records"],
    ["Times: boot = -137, init = 5", "Times: boot = 4, init = 55"],
    ["index:-1 x", "index:12 x"],
    ["link speed 1000 Mbps", "link speed 10Mbps"],
    ["took 3.25 s for 12 rows", "took 11 s for 1 rows"],
    ["PROTO=TCP SPT=4022 DPT=51234 x", "PROTO=TCP SPT=1 DPT=60001 x"],
    ["/var is 98% full", "/var is 96.5% full", "/var is 97.25% full"],
    ["a 3% b 5% c 7%", "a 4% b 9% c 99%"],
    # versions, paths, URLs
    ["nginx version 1.18.0", "nginx version 1.2", "nginx version v1.27.0-rc1"],
    ["Linux version 2.6.32-504.el6.x86_64 (x)", "Linux version 5.15.0-91-generic (x)"],
    ["open /etc/a.conf: failed", "open /usr/share/x/y-2.1/z: failed"],
    ["reading C:\\Windows\\a.log now", "reading D:\\tmp\\x1.txt now"],
    ["cmp=com.tencent.mm/.plugin.Entry (has extras)",
     "cmp=org.x.music/.lock.ScreenActivity (has extras)"],
    ["pulling registry.k8s.io/pause:3.9 now", "pulling docker.io/library/nginx:1.25 now"],
    ["GET https://a.example/x?y=1 ok", "GET http://[::1]:8080/ ok"],
    ['"GET /a?b=c HTTP/1.1" 200 1 "-" "curl/8.1"',
     '"GET /x/y HTTP/1.1" 200 99 "http://z" "Mozilla/5.0 (X)"'],
    ["File \"/usr/lib/python3/x.py\", line 12, in run", "File \"/opt/a/b.py\", line 1044, in run"],
]  # fmt: skip


def key(message: str) -> tuple[bytes, tuple[bytes, ...]]:
    """What a line cache knows a message by."""
    data = message.encode()
    return data.translate(None, DIGITS), significant_slots(data)


@pytest.mark.parametrize(("one", "other"), APART)
def test_apart(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)
    assert key(one) != key(other)


@pytest.mark.parametrize("variants", TOGETHER, ids=lambda v: v[0])
def test_together(variants: list[str]) -> None:
    assert len(variants) > 1
    assert len({canonical(v) for v in variants}) == 1


@pytest.mark.parametrize("message", [m for group in [*APART, *TOGETHER] for m in group])
def test_the_reader_of_a_stem_reads_what_the_whole_message_has(message: str) -> None:
    data = message.encode()
    stem, slots = key(message)
    read = slot_reader(stem)
    assert (() if read is None else read(data)) == slots
    assert not slots or may_have_slots(stem)


@pytest.mark.parametrize(
    ("share", "kept"),
    [("0", "0"), ("0.4", "0"), ("1", "1"), ("9.99", "1"), ("10", "10"), ("50", "50"), ("89", "80"),
     ("94.9", "90"), ("95", "95"), ("99.9", "95"), ("100", "100"), ("250", "101")],
)  # fmt: skip
def test_a_percentage_is_kept_as_the_lower_bound_of_its_bucket(share: str, kept: str) -> None:
    assert canonical(f"disk usage {share}% of quota") == f"disk usage {kept}% of quota"
    assert significant_slots(f"disk usage {share}% of quota".encode()) == (kept.encode(),)


@pytest.mark.parametrize(
    "message", ["path a%20b", "format %s and %d", "x% y", "load 12345% of it", "1.2.3% of it"]
)
def test_a_per_cent_sign_alone_is_no_slot(message: str) -> None:
    assert significant_slots(message.encode()) == ()


def test_percentages_bound_the_number_of_texts() -> None:
    texts = {canonical(f"cpu {a}% mem {b}%") for a in range(0, 300, 3) for b in range(101)}
    assert len(texts) <= 9 * 9
