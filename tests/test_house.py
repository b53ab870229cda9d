"""The papers agree with the code: versions, links, the files and targets they name."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline import __version__
from tests.support import ROOT, tool

PAPERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert project["version"] == __version__ == newest[1]


def test_the_pinned_torch_is_the_one_installed() -> None:
    pins = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert [version("torch").split("+")[0]] == pins


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_links_lead_somewhere(paper: Path) -> None:
    targets = LINK.findall(paper.read_text(encoding="utf-8"))
    assert [t for t in targets if not (paper.parent / t).exists()] == []


def test_readme_and_architecture_name_the_same_six_files_in_order() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    way = readme.partition("## Follow a line")[2].partition("\n## ")[0]
    files = re.findall(r"^\d\. \[(\S+)\]", way, re.MULTILINE)
    told = re.findall(
        r"^## \d\. .*`(\S+\.py)`", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    assert len(files) == 6
    assert files == told


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(
        [tool("make"), "--no-print-directory"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert sorted(re.findall(r"^  make (\S+)", shown, re.MULTILINE)) == sorted(phony[1].split())


def test_shell_scripts_are_sound() -> None:
    scripts = [ROOT / ".ci/run", *ROOT.glob("deploy/*.sh")]
    done = subprocess.run([tool("shellcheck"), *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
