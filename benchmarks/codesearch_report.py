"""The figures of benchmarks/bench_codesearch.py as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

_HEAD: Final = ("overall", "small", "large", "top5")


def quality(result: dict[str, Any]) -> str:
    """Systems in annotated repositories; what the repositories are; pairs, if they were asked."""
    systems, repositories = result["quality"]["systems"], result["quality"]["repositories"]
    first = next(iter(systems.values()))
    categories, names = list(first["categories"]), list(first["repositories"])
    missing = sum(one["missing"] for one in repositories)
    lines = [
        *_table(
            ("NDCG@10", "mean", "small four", "large four", *categories, "top-5, %"),
            (
                (
                    name,
                    *(f"{s[key]:.3f}" for key in _HEAD[:3]),
                    *(f"{s['categories'][key]:.3f}" for key in categories),
                    f"{100 * s['top5']:.1f}",
                )
                for name, s in systems.items()
            ),
        ),
        "",
        *_table(
            ("NDCG@10", *names),
            (
                (name, *(f"{s['repositories'][key]:.3f}" for key in names))
                for name, s in systems.items()
            ),
        ),
        "",
        *_table(
            ("tree", "folder", "files", "snippets", "queries"),
            (
                (
                    f"{one['name']} {one['version']}, {one['origin']}",
                    f"`{one['folder']}`",
                    f"{one['files']:,}",
                    f"{one['snippets']:,}",
                    str(one["queries"]),
                )
                for one in repositories
            ),
        ),
        "",
        f"Labels left out because their file is not in the tree: {missing}. Rivals rank the same "
        "snippets, each with its path on a line before it.",
    ]
    return "\n".join(lines)


def pairs(result: dict[str, Any]) -> str:
    """Docstrings within their package."""
    rows = result["pairs"]["systems"]
    return "\n".join(
        [
            *_table(
                ("within the package", "MRR", "top-1", "top-5"),
                (
                    (row["system"], *(f"{row[key]:.3f}" for key in ("mrr", "top1", "top5")))
                    for row in rows
                ),
            ),
            "",
            f"{result['pairs']['docs']:,} docstrings of {result['pairs']['packages']} packages, "
            f"at most {result['pairs']['most']:,} of each, that nothing was trained on.",
        ]
    )


def ablation(result: dict[str, Any]) -> str:
    """What goes when a signal goes, in points of 100."""
    whole, *without = result["ablation"].items()
    rows = [
        (name, *(f"{100 * (s[key] - whole[1][key]):+.1f}" for key in _HEAD)) for name, s in without
    ]
    kept = ("all signals: NDCG@10, top-5 × 100", *(f"{100 * whole[1][key]:.1f}" for key in _HEAD))
    return "\n".join(
        _table(("without", "mean", "small four", "large four", "top-5"), [kept, *rows])
    )


def speed(result: dict[str, Any]) -> str:
    """Indexing, asking, updating."""
    found = result["speed"]
    cold, update = found["cold"], found["update"]
    lines = [
        *_table(
            (
                "indexing",
                "snippets",
                "seconds (CPU)",
                "files/s (CPU)",
                "peak RSS, MB",
                "source, MB",
                "index, MB",
                "index / source",
            ),
            (
                (
                    f"{one['walked']:,} files, of which {one['files']:,} are indexed",
                    f"{one['snippets']:,}",
                    f"{one['seconds']:.1f} ({one['cpu_s']:.1f})",
                    f"{one['files_per_s']:.0f} ({one['files'] / one['cpu_s']:.0f})",
                    f"{one['peak_mb']:.0f}",
                    f"{one['source_mb']:.1f}",
                    f"{one['index_mb']:.1f}",
                    f"{one['share']:.2f}",
                )
                for one in found["built"]
            ),
        ),
        "",
        *_table(
            (
                f"asking {found['asked'][0]['snippets']:,} snippets",
                "questions",
                "p50, ms",
                "p99, ms",
                "RSS, MB",
                "index, MB",
                "built in, s",
            ),
            (
                (
                    one["system"],
                    str(one["questions"]),
                    f"{1e3 * one['p50_s']:.2f}",
                    f"{1e3 * one['p99_s']:.2f}",
                    *_sizes(one),
                )
                for one in found["asked"]
            ),
        ),
        "",
        *_table(
            ("whole process", "runs", "median, s", "worst, s", "peak RSS, MB"),
            (
                (
                    name,
                    str(one["runs"]),
                    *(f"{one[k]:.2f}" for k in ("median_s", "worst_s")),
                    f"{one['peak_mb']:.0f}",
                )
                for name, one in (
                    (f"`codesearch search`, {found['asked'][0]['snippets']:,} snippets", cold),
                    (
                        f"`codesearch update`, {update['changed']} of {update['files']:,} files "
                        "changed",
                        update,
                    ),
                )
            ),
        ),
        "",
        f"One core of {found['processor']}, each a fresh process, files in the page cache; the "
        f"files are the first of `{found['tree']}`. Rivals are built from snippets that are in "
        "memory already: bm25s of raw words, FTS5 with its Porter stemmer. ripgrep reads the tree "
        "for each question.",
    ]
    return "\n".join(lines)


def _sizes(one: dict[str, Any]) -> tuple[str, str, str]:
    """The system's memory, its index and how long that takes, as far as it has them."""
    return (
        "–" if one["rss_mb"] is None else f"{one['rss_mb']:.0f}",
        f"{one['index_mb']:.1f}" if one["index_mb"] else "–",
        "–" if one["build_s"] is None else f"{one['build_s']:.2f}",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
