"""A package's source tree through the ordinary clients: apt-get, pip, npm.

The clients' own configuration decides which mirror answers, and the clients check what they load
(apt against the signed index, pip and npm against the registry's hash). Archives stay in the
cache, so a stopped run goes on where it was; trees are unpacked for one reading and removed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.training.harvest.packages import Package

_SUITE = "bookworm"
_DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DEFAULT_SITES = ("http://deb.debian.org/debian", "http://deb.debian.org/debian-security")
_INDEX_AGE_S = 86400.0
_PATIENCE_S = 1800.0


class FetchError(Exception):
    """A package that could not be had or unpacked, in one line."""


@dataclass(frozen=True, slots=True)
class Tree:
    """An unpacked source package; `version` is what was found, not always what was asked for."""

    root: Path
    version: str


class Fetcher:
    """Downloads into `cache` and unpacks; one package at a time, so polite by construction."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache.resolve()
        self._clients: dict[str, Callable[[Package, str, Path], None]] = {
            "debian": self._apt_source,
            "debian-binary": self._apt_binary,
            "pypi": _pip,
            "npm": _npm,
        }

    @contextmanager
    def tree(self, package: Package) -> Iterator[Tree]:
        """The package unpacked, for the length of a with-block.

        Raises FetchError when neither the listed version nor another one can be had.
        """
        folder, version = self._archives(package)
        (self.cache / "tmp").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache / "tmp") as scratch:
            root = Path(scratch) / "tree"
            try:
                _unpack(folder, root)
            except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
                raise FetchError(f"{package.name}: cannot unpack: {error}") from error
            yield Tree(_inner(root) if package.origin in ("pypi", "npm") else root, version)

    def _archives(self, package: Package) -> tuple[Path, str]:
        """The folder with the package's archives, loaded unless an earlier run did."""
        folder = self.cache / package.origin / package.name.replace("/", "+")
        done = folder / ".version"
        if done.exists():
            return folder, done.read_text(encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        client = self._clients[package.origin]
        try:
            client(package, package.version, folder)
        except FetchError:
            for stray in folder.iterdir():
                stray.unlink()
            client(package, "", folder)
        version = _version(folder) or package.version
        done.write_text(version, encoding="utf-8")
        return folder, version

    def _apt_source(self, package: Package, version: str, folder: Path) -> None:
        name = f"{package.name}={version}" if version else package.name
        self._apt("-qq", "source", "--download-only", name, cwd=folder)

    def _apt_binary(self, package: Package, version: str, folder: Path) -> None:
        name = f"{package.name}={version}" if version else package.name
        self._apt("-qq", "download", name, cwd=folder)

    def _apt(self, *arguments: str, cwd: Path) -> None:
        """apt-get with an index of its own, as most machines have no deb-src entries."""
        own = self.cache / "apt"
        lists, cache = own / "lists", own / "cache"
        options = [
            *("-o", f"Dir::Etc::sourcelist={own / 'corpus.sources'}"),
            *("-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={lists}"),
            *("-o", f"Dir::Cache={cache}"),
            *("-o", "APT::Sandbox::User="),
        ]
        stamp = own / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > _INDEX_AGE_S:
            (lists / "partial").mkdir(parents=True, exist_ok=True)
            (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
            (own / "corpus.sources").write_text(_sources(), encoding="utf-8")
            _run(["apt-get", *options, "-qq", "update"], own)
            stamp.touch()
        _run(["apt-get", *options, *arguments], cwd)


def _sources() -> str:
    """deb and deb-src entries of the corpus's release on the mirrors that apt knows already."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    known = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    sites = list(dict.fromkeys(site for site in known if "/debian" in site)) or _DEFAULT_SITES
    return "\n".join(
        f"Types: deb deb-src\nURIs: {site}\n"
        f"Suites: {f'{_SUITE}-security' if 'security' in site else f'{_SUITE} {_SUITE}-updates'}\n"
        f"Components: main\nSigned-By: {_DEBIAN_KEYS}\n"
        for site in sites
    )


def _pip(package: Package, version: str, folder: Path) -> None:
    """The wheel if there is one, of whatever Python; else the sdist."""
    name = f"{package.name}=={version.partition('+')[0]}" if version else package.name
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    pip += ["--disable-pip-version-check", "--ignore-requires-python", "--dest", str(folder)]
    tries: list[Sequence[str]] = [
        ("--only-binary=:all:",),
        ("--only-binary=:all:", "--python-version=3.13"),
        ("--no-binary=:all:",),
    ]
    for i, how in enumerate(tries):
        try:
            return _run([*pip, *how, name], folder)
        except FetchError:
            if i == len(tries) - 1:
                raise
    return None


def _npm(package: Package, version: str, folder: Path) -> None:
    name = f"{package.name}@{version}" if version else package.name
    _run(["npm", "pack", "--silent", "--ignore-scripts", name], folder)


def _run(command: Sequence[str], cwd: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]}: not installed") from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{command[0]}: no answer within {_PATIENCE_S:.0f} s") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if re.match(r"E:|ERROR|npm err", line)]
        raise FetchError(f"{' '.join(command[-2:])}: {(said or [f'exit {done.returncode}'])[0]}")


def _version(folder: Path) -> str | None:
    """The version that the archives carry, from the .dsc or from a file's name."""
    for dsc in folder.glob("*.dsc"):
        found = re.search(r"^Version: (\S+)$", dsc.read_text(errors="replace"), re.MULTILINE)
        if found:
            return found[1]
    for archive in folder.iterdir():
        if archive.suffix == ".deb":
            return archive.name.split("_")[1].replace("%3a", ":")
        if found := re.search(r"-(\d[^-]*?)(?:-.*\.whl|\.tar\.gz|\.tgz|\.zip)$", archive.name):
            return found[1]
    return None


def _inner(root: Path) -> Path:
    """The tree's own root: sdists and npm packages lie in one folder inside their archive."""
    inside = list(root.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else root


def _unpack(folder: Path, root: Path) -> None:
    """Unpacks what the folder holds into `root`, nothing outside of it."""
    for dsc in folder.glob("*.dsc"):
        return _run(["dpkg-source", "--no-check", "-x", str(dsc), str(root)], folder)
    for archive in sorted(folder.iterdir()):
        if archive.suffix == ".deb":
            return _run(["dpkg-deb", "-x", str(archive), str(root)], folder)
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as bundle:
                return bundle.extractall(root)  # zipfile drops '..' and a leading / by itself
        if archive.name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
            with tarfile.open(archive) as bundle:
                return bundle.extractall(root, filter="data")
    raise FetchError(f"{folder.name}: no archive that can be unpacked")
