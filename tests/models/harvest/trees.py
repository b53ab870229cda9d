"""Source trees and packages of our own making, small enough to read."""

from __future__ import annotations

import zipfile
from pathlib import Path

from models.training.harvest.packages import Package, Side


def tree(root: Path, files: dict[str, str]) -> Path:
    """Writes the files under `root`."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def package(name: str = "clockd", side: Side = "train", program: str = "clockd") -> Package:
    return Package(name, "debian", "1.0-1", "MIT", side, program)


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """A wheel that pip takes: the files, and the metadata that it insists on."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    tag = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as bundle:
        for inside, text in files.items():
            bundle.writestr(inside, text)
        bundle.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        bundle.writestr(f"{info}/WHEEL", tag)
        bundle.writestr(f"{info}/RECORD", "")
    return path
