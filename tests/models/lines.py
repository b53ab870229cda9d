"""Canonical lines of many lengths, one of them empty."""

LINES = [
    "Accepted publickey for deploy from <ip> port <num>",
    "Failed",
    "Out of memory: Killed process <num> (postgres)",
    "session opened for user root by (uid=<num>)",
    "eth: link down",
    "I/O error, dev sda, sector <num> op <hex>:(READ) flags <hex> phys_seg <num> prio class <num>",
    "",
    "exited with code 1",
]
