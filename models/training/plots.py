"""Confusion matrix and reliability diagram as PNG. Needs matplotlib: ImportError without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from models.training.corpus import NAMES
from models.training.metrics import Bin


def draw_confusion(path: Path, counts: Sequence[Sequence[int]], title: str) -> None:
    """counts: (8, 8), truth by guess. Colours are shares of the truth, so that rare ones show."""
    table = np.array(counts)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for truth, guess in zip(*np.nonzero(table), strict=True):
        axes.text(
            guess, truth, f"{table[truth, guess]}", ha="center", va="center", fontsize=8,
            color="white" if share[truth, guess] > 0.5 else "black",
        )  # fmt: skip
    axes.set_xticks(range(len(NAMES)), NAMES, rotation=45)
    axes.set_yticks(range(len(NAMES)), NAMES)
    axes.set(xlabel="predicted", ylabel="meant", title=title)
    figure.savefig(path, format="png", dpi=100)


def draw_training(path: Path, losses: Sequence[tuple[int, float]], pair_steps: int) -> None:
    """losses: (step, loss) of a run; before `pair_steps` only pairs were seen."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    steps, values = zip(*losses, strict=True)
    axes.plot(steps, values, linewidth=0.8)
    if pair_steps:
        axes.axvline(pair_steps, color="grey", linestyle=":")
    axes.set(xlabel="step", ylabel="loss", title="pairs alone, then severities with pairs")
    figure.savefig(path, format="png", dpi=100)


def draw_reliability(path: Path, bins: Sequence[Bin], title: str) -> None:
    """Accuracy by confidence; the bars below are the share of rows."""
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    confidence = [b["confidence"] for b in bins]
    total = sum(b["rows"] for b in bins)
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="calibrated")
    upper.plot(confidence, [b["accuracy"] for b in bins], marker="o", label="measured")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=title)
    upper.legend(loc="upper left")
    lower.bar(confidence, [b["rows"] / total for b in bins], width=0.04)
    lower.set(xlabel="confidence", ylabel="rows")
    figure.savefig(path, format="png", dpi=100)
