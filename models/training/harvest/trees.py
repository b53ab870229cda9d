"""Source files of an unpacked package: which are read, and in which language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = {
    ".c": "c",
    ".h": "c",
    ".cc": "c++",
    ".cpp": "c++",
    ".cxx": "c++",
    ".hh": "c++",
    ".hpp": "c++",
    ".hxx": "c++",
    ".go": "go",
    ".java": "java",
    ".js": "javascript",
    ".mjs": "javascript",
    ".php": "php",
    ".py": "python",
    ".rb": "ruby",
    ".rs": "rust",
    ".ts": "typescript",
}
"""What a file is written in, by its suffix."""

_LARGEST_FILE = 4 << 20
_TESTS = re.compile(
    r"(?:^|/)(?:tests?|testing|testsuite|testdata|unittests?|selftests?|test[-_]\w+|\w+[-_]tests?"
    r"|examples?|samples?|demos?|bench(?:marks?)?|fuzz(?:ing)?|regress(?:ion)?|debian|\.pc)/"
    r"|(?:^|/)(?:test[_-][^/]*|[^/]*[_-]test(?:s|er)?|conftest|haltest)\.\w+$"
    r"|[a-z0-9]Tests?\.java$|\.d\.ts$|\.min\.js$",
)
_VENDORED = re.compile(
    r"(?:^|/)(?:vendor|third[-_]?party|node_modules|bundled|_vendor|extern(?:al)?)/", re.IGNORECASE
)
_BUILT = re.compile(r"/(?:dist|build|umd)/")
_PACKAGED = re.compile(r"^usr/(?:share/gocode/src/|share/cargo/registry/|share/|src/|lib/)")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: its path inside the package, its language, its text."""

    path: str
    language: str
    text: str


def is_left_out(path: str) -> bool:
    """Tests, examples, packaging and vendored copies of other packages."""
    return bool(_TESTS.search(path) or _VENDORED.search(path))


def source_files(root: Path, languages: frozenset[str]) -> Iterator[SourceFile]:
    """The files of these languages under `root`, in the order of their paths, built ones last:
    what a bundle repeats is met at its source first.

    Bytes that are not UTF-8 are read as Latin-1; links and files over 4 MiB are left out.
    """
    for path in sorted(root.rglob("*"), key=lambda p: (bool(_BUILT.search(p.as_posix())), p)):
        language = LANGUAGES.get(path.suffix)
        if language not in languages or language is None:
            continue
        inside = _PACKAGED.sub("", path.relative_to(root).as_posix())
        if is_left_out(inside) or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size > _LARGEST_FILE:
            continue
        data = path.read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        yield SourceFile(inside, language, text)
