"""The eight annotated source trees, each at one version, fetched into a folder that is kept.

sdists come through pip, the npm package through npm, Debian's upstream archives by their address
in its pool. Each has to have the hash that is recorded here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Final, Literal, NamedTuple

CACHE: Final = Path("~/.cache/ltt-stream/codesearch")
_POOL: Final = "http://deb.debian.org/debian/pool/main"
_PATIENCE_S: Final = 600.0


class FetchError(Exception):
    """A tree that could not be had, in one line."""


class Repository(NamedTuple):
    name: str
    size: Literal["small", "large"]
    origin: Literal["PyPI", "npm", "Debian"]
    version: str
    archive: str
    """Its name; in Debian with its folders below the pool."""
    sha256: str
    folder: str
    """What is indexed. Annotations are relative to the tree's root."""


REPOSITORIES: Final = (
    Repository(
        "flask",
        "small",
        "PyPI",
        "3.1.3",
        "flask-3.1.3.tar.gz",
        "0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb",
        "src/flask",
    ),
    Repository(
        "requests",
        "small",
        "PyPI",
        "2.34.2",
        "requests-2.34.2.tar.gz",
        "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed",
        "src/requests",
    ),
    Repository(
        "click",
        "small",
        "PyPI",
        "8.5.1",
        "click-8.5.1.tar.gz",
        "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4",
        "src/click",
    ),
    Repository(
        "express",
        "small",
        "npm",
        "5.3.0",
        "express-5.3.0.tgz",
        "62450d99e36dc393295f1ddd93cb9291e658c169f3b700b0110c1ae8fa799930",
        "lib",
    ),
    Repository(
        "gson",
        "large",
        "Debian",
        "2.10.1",
        "libg/libgoogle-gson-java/libgoogle-gson-java_2.10.1.orig.tar.xz",
        "ee8d226848374c5cd0b3a0af7915eb96d5c977fdc84d34db1cfd7c8a5b66a345",
        "gson",
    ),
    Repository(
        "curl",
        "large",
        "Debian",
        "8.14.1",
        "c/curl/curl_8.14.1.orig.tar.gz",
        "6766ada7101d292b42b8b15681120acd68effa4a9660935853cf6d61f0d984d4",
        "lib",
    ),
    Repository(
        "redis",
        "large",
        "Debian",
        "8.0.2",
        "r/redis/redis_8.0.2.orig.tar.gz",
        "caf3c0069f06fc84c5153bd2a348b204c578de80490c73857bee01d9b5d7401f",
        "src",
    ),
    Repository(
        "libuv",
        "large",
        "Debian",
        "1.50.0",
        "libu/libuv1/libuv1_1.50.0.orig.tar.gz",
        "ec9de6ecf2a780fd2afb3b007947d2cd57c3bb17f3b9e721a66774980d35cd4d",
        "src",
    ),
)


def fetch(repository: Repository, cache: Path) -> Path:
    """The root of a repository's tree, downloaded and unpacked unless an earlier run did.

    Raises FetchError.
    """
    tree = cache.expanduser().resolve() / "trees" / f"{repository.name}-{repository.version}"
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree.parent) as name:
            scratch = Path(name)
            archive = _download(repository, scratch)
            _check(archive, repository.sha256)
            try:
                with tarfile.open(archive) as bundle:
                    bundle.extractall(scratch / "tree", filter="data")
            except (OSError, tarfile.TarError) as error:
                raise FetchError(f"{archive.name}: cannot be unpacked: {error}") from error
            (scratch / "tree").rename(tree)
    inside = list(tree.iterdir())
    return inside[0] if len(inside) == 1 else tree


def _download(repository: Repository, folder: Path) -> Path:
    name, version = repository.name, repository.version
    archive = folder / Path(repository.archive).name
    if repository.origin == "PyPI":
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
        _run([*pip, "--no-binary=:all:", f"{name}=={version}"], folder)
    elif repository.origin == "npm":
        _run(["npm", "pack", "--silent", "--ignore-scripts", f"{name}@{version}"], folder)
    else:
        address = f"{_POOL}/{repository.archive}"
        try:
            with (
                urllib.request.urlopen(address, timeout=_PATIENCE_S) as answer,
                archive.open("wb") as file,
            ):
                shutil.copyfileobj(answer, file)
        except OSError as error:
            raise FetchError(f"{address}: {error}; is the network up?") from error
    if not archive.exists():
        raise FetchError(f"{name} {version}: {archive.name} is not what the registry gave")
    return archive


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]}: not installed; install it") from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{command[-1]}: no answer within {_PATIENCE_S:.0f} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise FetchError(f"{command[-1]}: {said[-1]}")


def _check(archive: Path, expected: str) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise FetchError(f"{archive.name}: SHA-256 is {found}, expected {expected}; fetch it anew")
