"""rsyslog and syslog-ng as they are usually set up for UDP to a file, installed or unpacked aside.

The two exclude each other as Debian packages, so the one that is not installed is downloaded by
apt-get and unpacked into a folder, with what it needs; nothing of the system is changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024
OUTPUT = "messages.log"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ltt-stream-bench"
SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Daemons lie where an ordinary user's PATH does not look."""

RSYSLOG_CONF = """\
global(net.enableDNS="off" workDirectory="{directory}")
module(load="imudp" batchSize="128")
template(name="line" type="string"
    string="%timestamp:::date-rfc3339% %hostname% %syslogtag%%msg% [%pri-text%]\\n")
ruleset(name="lines") {{
    action(type="omfile" file="{output}" template="line" ioBufferSize="64k")
}}
input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="{buffer}" ruleset="lines")
# Its own messages: not counted among the others.
action(type="omfile" file="{directory}/rsyslogd.log")
"""

SYSLOG_NG_CONF = """\
@version: {version}
options {{ use-dns(no); chain-hostnames(no); keep-hostname(yes); stats-freq(0); }};
source s_udp {{
    network(transport("udp") ip("127.0.0.1") port({port}) so-rcvbuf({buffer})
        log-fetch-limit(1000) log-iw-size(100000));
}};
destination d_file {{
    file("{output}" log-fifo-size(200000) flush-lines(100)
        template("${{ISODATE}} ${{HOST}} ${{MSGHDR}}${{MESSAGE}} [${{FACILITY}}.${{LEVEL}}]\\n"));
}};
log {{ source(s_udp); destination(d_file); flags(flow-control); }};
"""


class PeerError(Exception):
    """A program that can't be had here; str() is one line that says why."""


class Program(NamedTuple):
    """A syslog daemon that can be run."""

    path: str
    modules: Path | None
    """Where its modules lie, unless where it looks by itself."""
    env: dict[str, str]
    version: str


class Peer(NamedTuple):
    """What is known of a syslog daemon."""

    package: str
    command: str
    module: str
    """One of its modules, which shows where they lie."""
    version: str
    """Of the output of `command --version`: the part that is its version."""
    arguments: Callable[[Program, Path, int], list[str]]
    """Writes the configuration; the command line."""


def rsyslog(program: Program, directory: Path, port: int) -> list[str]:
    """A command that writes what comes to UDP `port` to OUTPUT in the (absolute) directory."""
    conf = directory / "rsyslog.conf"
    output = directory / OUTPUT
    conf.write_text(
        RSYSLOG_CONF.format(
            directory=directory, output=output, port=port, buffer=RECEIVE_BUFFER_BYTES
        )
    )
    modules = ["-M", str(program.modules)] if program.modules else []
    return [program.path, *modules, "-n", "-f", str(conf), "-i", str(directory / "pid")]


def syslog_ng(program: Program, directory: Path, port: int) -> list[str]:
    """A command that writes what comes to UDP `port` to OUTPUT in the (absolute) directory."""
    conf = directory / "syslog-ng.conf"
    version = ".".join(program.version.split(".")[:2])
    conf.write_text(
        SYSLOG_NG_CONF.format(
            version=version, output=directory / OUTPUT, port=port, buffer=RECEIVE_BUFFER_BYTES
        )
    )
    modules = [f"--module-path={program.modules}"] if program.modules else []
    files = ["-f", "syslog-ng.conf", "-R", "persist", "-p", "pid", "-c", "ctl"]
    files[1::2] = [str(directory / name) for name in files[1::2]]
    return [program.path, *modules, "--no-caps", "-F", *files]


PEERS = {
    "rsyslog": Peer("rsyslog", "rsyslogd", "imudp.so", r"^rsyslogd\s+([\d.]+)", rsyslog),
    "syslog-ng": Peer(
        "syslog-ng-core", "syslog-ng", "libafsocket.so", r"\(([\d.]+)[^)]*\)$", syslog_ng
    ),
}


def find(peer: Peer, cache: Path, *, download: bool = True) -> Program:
    """The installed program, else the one in the cache, which is filled where `download` says so.

    Raises PeerError.
    """
    installed = shutil.which(peer.command, path=SBIN)
    if installed is not None:
        return _checked(peer, installed, None, dict(os.environ))
    root = cache.absolute() / peer.package
    if not root.exists():
        if not download:
            raise PeerError(f"{peer.command} is neither installed nor in {cache}")
        _unpack(peer.package, root)
    commands = sorted(root.glob(f"**/sbin/{peer.command}"))
    modules = sorted(root.glob(f"**/{peer.module}"))
    if not commands or not modules:
        raise PeerError(f"{root} holds no {peer.command} or no {peer.module}: remove it")
    libraries = {str(file.parent) for file in root.glob("**/lib*.so.*")}
    env = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(sorted(libraries))}
    return _checked(peer, str(commands[0]), modules[0].parent, env)


def _checked(peer: Peer, path: str, modules: Path | None, env: dict[str, str]) -> Program:
    """Raises PeerError when the program does not even say its version."""
    option = "-v" if peer.command == "rsyslogd" else "--version"
    said = _run([path, option], env=env).stdout
    version = re.search(peer.version, said, re.MULTILINE)
    if version is None:
        raise PeerError(f"{path} {option} names no version")
    return Program(path, modules, env, version[1])


def _unpack(package: str, root: Path) -> None:
    """Download a Debian package and those it needs that are not here; unpack them into `root`.

    Raises PeerError.
    """
    # Only told, not done; it says what is to be removed as well, which nobody does here.
    plan = _run(["apt-get", "-s", "install", "--no-install-recommends", package]).stdout
    needed = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent) as directory:
            _run(["apt-get", "-q", "download", *needed], cwd=directory)
            files = sorted(Path(directory).glob("*.deb"))
            unpacked = Path(directory) / "root"
            for file in files:
                _run(["dpkg", "-x", str(file), str(unpacked)])
            unpacked.rename(root)
    except OSError as error:
        raise PeerError(f"{root}: {error.strerror}") from error


def _run(
    command: list[str], cwd: str | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Raises PeerError with the last line of what the command complained of."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env)
    except FileNotFoundError:
        raise PeerError(f"{command[0]} is missing") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise PeerError(f"{' '.join(command[:2])}: {said[-1] if said else done.returncode}")
    return done
