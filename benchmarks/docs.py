"""Tables in the documentation that a command has put there: between two marks of their name."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs"


def write_section(page: str, name: str, command: str, text: str) -> None:
    """Put a command and what it found between the marks of docs/`page`.

    Raises RuntimeError when the marks are not there.
    """
    path = FOLDER / page
    begins, ends = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    head, mark, rest = path.read_text(encoding="utf-8").partition(begins)
    _, end, tail = rest.partition(ends)
    if not mark or not end:
        raise RuntimeError(f"{path}: the marks {begins} and {ends} are not in there")
    section = f"{mark}\n\n    {command}\n\n{text}\n\n{end}"
    path.write_text(head + section + tail, encoding="utf-8")
