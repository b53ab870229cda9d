"""What bench_growth found, for people: tables, and the cost of a line in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.past import MAX_TEMPLATES

Figures = dict[str, dict[str, float]]
Cell = Callable[[Figures], str]


def _of(key: str, digits: int = 0, times: float = 1.0) -> Cell:
    def cell(one: Figures) -> str:
        median, mad = (one[key][part] * times for part in ("median", "mad"))
        return f"{median:,.{digits}f} ± {mad:,.{digits}f}"

    return cell


SPEED: dict[str, Cell] = {"lines/s": _of("lines_per_s"), "CPU µs/line": _of("us_per_line", 2)}
ASKED: dict[str, Cell] = {"model asked, %": _of("new", 2, 100)}
ADDED: dict[str, Cell] = {"memory added, MB": _of("added_mb")}
CURVES: dict[str, tuple[str, str, dict[str, Cell]]] = {
    "novelty": (
        "Against new templates",
        "lines of a template never seen, %",
        SPEED | ASKED,
    ),
    "batch": ("Against the size of batches", "lines a batch", SPEED),
    "templates": (
        "Against the number of templates, each as frequent as the others",
        "templates",
        SPEED | ASKED | {"in the table at the end": _of("templates")} | ADDED,
    ),
    "width": (
        "Against the width of the latent, by untrained models",
        "numbers in a latent",
        SPEED | {"bytes a row on disk": _of("bytes_per_row", 1)} | ADDED,
    ),
}


def report(result: dict[str, Any]) -> str:
    """Markdown."""
    parts = [_sentence(result)]
    for curve, (title, label, cells) in CURVES.items():
        rows = [f"**{title}**", "", f"| {label} | {' | '.join(cells)} |"]
        rows.append("|---" * (1 + len(cells)) + "|")
        for x, one in result["curves"][curve].items():
            name = f"{100 * float(x):g}" if curve == "novelty" else f"{float(x):,.0f}"
            rows.append(f"| {name} | {' | '.join(cell(one) for cell in cells.values())} |")
        parts.append("\n".join(rows))
    parts += [_stream(result["stream"]), _made(result)]
    return "\n\n".join(parts)


def _sentence(result: dict[str, Any]) -> str:
    fit = result["fit"]
    return (
        f"A line costs {fit['line_us']:.2f} µs + {fit['batch_us']:,.0f} µs / lines a batch + "
        f"{fit['new_us']:.0f} µs × the share of lines that are of a new template (fitted to the "
        f"first two tables, which it meets within {fit['error']:.0%})."
    )


def _stream(stream: dict[str, Any]) -> str:
    rss = stream["rss_mb"]
    step = stream["lines"] // len(rss)
    return "\n".join(
        [
            "**Over time**: the real program, lines on stdin, Arrow files out",
            "",
            "| lines | " + " | ".join(f"{step * (i + 1):,}" for i in range(len(rss))) + " |",
            "|---" * (1 + len(rss)) + "|",
            "| RSS, MB | " + " | ".join(f"{mb:,.0f}" for mb in rss) + " |",
            "",
            f"In the second half memory grew by {stream['second_half_mb']:,.1f} MB; every line "
            "was found again as a row.",
        ]
    )


def _made(result: dict[str, Any]) -> str:
    return (
        f"Median ± MAD of {result['rounds']} interleaved rounds of {result['lines']:,} lines a "
        f"point, batches of {result['batch_lines']:,} where nothing else is said; CPU time of one "
        f"core of {result['processor']}, lines/s are 1 / CPU time. New templates are words of the "
        "sample in another order: words never seen cost more. The table holds 32,768 templates, "
        f"room for a batch of new ones among them, the past of one source {MAX_TEMPLATES:,}: what "
        "is beyond is forgotten by halves, and learnt anew when it comes again."
    )
