"""Imports run one way: pipeline → {models, parsers}; torch stays behind its borders."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("parsers", "models", "pipeline")
MAY_IMPORT = {
    "parsers": {"parsers"},
    "models": {"models"},
    "pipeline": {"parsers", "models", "pipeline"},
}
ALLOWED_IN_PARSERS = {"msgspec"}
LAZY_IN_PARSERS = {"tree_sitter"}
TORCH_BORDERS = {
    "pipeline/cli_train.py",
    "pipeline/codesearch/learning.py",
    "pipeline/learner.py",
    "pipeline/scorer.py",
}
"""The only modules of the pipeline that may reach for torch's side of models, and lazily."""
TORCH_FREE_MODELS = {
    "models.adwin",
    "models.calibration",
    "models.errors",
    "models.false_discovery",
    "models.folder",
    "models.host_checkpoint",
    "models.host_dynamics",
    "models.host_forecast",
    "models.ngrams",
    "models.places",
    "models.replay",
    "models.reservoir",
    "models.searching",
    "models.slots",
    "models.text",
    "models.tokens",
    "models.training.harvest.docs",
    "models.training.harvest.functions",
    "models.training.harvest.trees",
}
LEARNER_SIDE = {"pipeline/classroom.py"}
"""Imported by the learner's process alone, which needs torch from its beginning."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """The full names of the modules that a file imports at run time."""
    tree = ast.parse(path.read_text())
    type_checking = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if node in type_checking:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    files = modules(package)
    assert files
    for path in files:
        ours = {name.split(".")[0] for name in imported(path)} & set(PACKAGES)
        assert ours <= MAY_IMPORT[package], f"{path} imports {ours - MAY_IMPORT[package]}"


def test_parsers_need_the_standard_library_and_msgspec_and_grammars_when_used() -> None:
    import sys

    for path in modules("parsers"):
        for name in imported(path):
            root = name.split(".")[0]
            allowed = ALLOWED_IN_PARSERS | LAZY_IN_PARSERS | {"parsers"}
            assert root in sys.stdlib_module_names | allowed, (path, name)
        for name in imported(path, top_level_only=True):
            assert name.split(".")[0] not in LAZY_IN_PARSERS, (path, name)


def test_torch_stays_in_models_and_at_the_borders() -> None:
    for path in modules("parsers") + modules("pipeline"):
        here = str(path.relative_to(ROOT))
        for name in imported(path):
            assert name.split(".")[0] != "torch" or here in TORCH_BORDERS, (here, name)
        for name in imported(path, top_level_only=True):
            assert name.replace(".", "/") + ".py" not in LEARNER_SIDE, (here, name)
            if name.startswith("models.") and here not in LEARNER_SIDE:
                assert name in TORCH_FREE_MODELS, f"{here} imports {name} before it is needed"
    for name in TORCH_FREE_MODELS:
        path = ROOT / (name.replace(".", "/") + ".py")
        for other in imported(path, top_level_only=True):
            assert other.split(".")[0] != "torch", name
            assert not other.startswith("models.") or other in TORCH_FREE_MODELS, (name, other)


def test_modules_stay_readable() -> None:
    for package in PACKAGES:
        for path in modules(package):
            assert len(path.read_text().splitlines()) <= 400, f"{path}: split by idea"
