"""What `ltt-stream evaluate` found, as Markdown tables and as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "within_one": "within one",
    "coarse_accuracy": "coarse",
    "coarse_macro_f1": "coarse F1",
    "auroc_warning": "AUROC",
    "calibration_error": "ECE",
}
LEGEND = """\
macro F1: mean over the severities that occur. within one: at most one severity off.
coarse: error or worse, warning, notice or info, debug. AUROC: of trouble, which is a severity of
warning or worse. ECE: expected calibration error.
Priors: corpus (of the training corpus), uniform, emission (what machines emit), labelled (as it
stands for the program after 200 labelled lines of the log; measured on the lines after those)."""


def report(result: Mapping[str, Any]) -> Iterator[str]:
    """Blocks of text, from the mapping that `--json` shows."""
    yield f"{result['model']} ({result['dtype']})\n\n{LEGEND}"
    corpus, logs = result.get("corpus"), result.get("logs")
    if corpus is not None:
        yield from _corpus(corpus)
    if logs is not None:
        for name, log in logs.items():
            yield f"## {name}: {log['rows']} lines, {log['left_out']} without a severity left out"
            yield _by_prior(log["systems"])
            if log["second_half"]:
                yield "Second half of the lines, lookup and majority learnt from the first:"
                yield _grouped(log["second_half"])
        yield f"## Mean of {len(logs)} logs, each figure over those that have it"
        yield _by_prior(result["logs_mean"])


def _corpus(corpus: Mapping[str, Any]) -> Iterator[str]:
    systems = corpus["systems"]
    yield f"## Corpus: {corpus['rows']} rows, {corpus['bad_rows']} bad ones left out"
    yield _by_prior(systems)
    if any(s["by_template"] for s in systems.values()):
        yield "Texts that the training corpus had, and others (corpus prior):"
        yield _grouped({name: s["by_template"] for name, s in systems.items()})
    yield "By severity (corpus prior):"
    head = ("system", "severity", "rows", "precision", "recall", "F1")
    yield table(
        head,
        [
            (name, level, f["rows"], f["precision"], f["recall"], f["f1"])
            for name, system in systems.items()
            for level, f in system["per_class"].items()
        ],
    )
    if systems["model"]["per_source"]:
        yield "By source (corpus prior):"
        yield _grouped({name: s["per_source"] for name, s in systems.items()})


def _by_prior(systems: Mapping[str, Any]) -> str:
    return table(
        ("system", "prior", *FIGURES.values()),
        [
            (name, prior, *(figures.get(key, float("nan")) for key in FIGURES))
            for name, system in systems.items()
            for prior, figures in system["priors"].items()
        ],
    )


def _grouped(systems: Mapping[str, Mapping[str, Any]]) -> str:
    return table(
        ("of", "system", "rows", *FIGURES.values()),
        [
            (group, name, figures[group]["rows"], *(figures[group][key] for key in FIGURES))
            for group in next(iter(systems.values()))
            for name, figures in systems.items()
        ],
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown, its columns aligned; NaN is a dash."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3f}"
    return str(value)


def draw(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Confusion matrix and reliability diagram of the corpus and of each log, as PNG files.

    Raises OSError when the folder cannot be written.
    """
    from models.training.plots import draw_confusion, draw_reliability

    folder.mkdir(parents=True, exist_ok=True)
    measured = {f"log-{name}": log for name, log in result.get("logs", {}).items()}
    if "corpus" in result:
        measured["corpus"] = result["corpus"]
    drawn: list[Path] = []
    for name, facts in measured.items():
        prior = "corpus prior" if name == "corpus" else "emission prior"
        title = f"{result['model']}, {name.removeprefix('log-')}, {prior}"
        for kind, draw_one, data in (
            ("confusion", draw_confusion, facts["confusion"]),
            ("reliability", draw_reliability, facts["reliability"]),
        ):
            drawn.append(folder / f"{name}-{kind}.png")
            draw_one(drawn[-1], data, title)
    return drawn
