"""Pictures of a character model: its losses, its paths, and where its samples' blocks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from models import characters
from models.training.characters import Trained
from models.training.demo_report import flowed, spoken

SMOOTH = 25
"""Steps that a loss is averaged over."""


def draw(folder: Path, trained: Trained, history: Mapping[str, Sequence[float]]) -> list[Path]:
    """Write convergence.png, paths.png and samples.png; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "convergence": _convergence(history),
        "paths": _paths(trained),
        "samples": _samples(trained),
    }
    written = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, format="png", dpi=100)
        written.append(path)
    return written


def _convergence(history: Mapping[str, Sequence[float]]) -> Figure:
    figure = Figure(figsize=(7.2, 2.6 * len(history) / 2), layout="constrained")
    grid = figure.subplots((len(history) + 1) // 2, 2, squeeze=False).ravel()
    for axes, (name, values) in zip(grid, history.items(), strict=False):
        width = min(SMOOTH, len(values))
        axes.plot(np.convolve(values, np.ones(width) / width, mode="valid"))
        axes.set(title=name, xlabel="step", yscale="log")
    for axes in grid[len(history) :]:
        axes.set_axis_off()
    return figure


@torch.no_grad()
def _paths(trained: Trained) -> Figure:
    """The first two principal directions of paths: encoded, by the ODE, by the flow."""
    model, flow = trained.model, trained.flow
    generator = torch.Generator().manual_seed(0)
    encoded = model.encoder(characters.draw(12, generator))
    ode = model.prior_path(model.start(12, generator)).path
    walked, _ = flowed(model, flow, flow.noise(12, generator))
    points = encoded.flatten(0, 1) - encoded.mean((0, 1))
    _, _, directions = torch.linalg.svd(points, full_matrices=False)
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (title, paths) in zip(
        panels, {"encoder": encoded, "ODE prior": ode, "flow prior, 4 steps": walked}.items(),
        strict=True,
    ):  # fmt: skip
        flat = (paths - encoded.mean((0, 1))) @ directions[:2].T  # (n, L, 2)
        for path in flat.numpy():
            axes.plot(path[:, 0], path[:, 1], linewidth=1)
            axes.plot(path[0, 0], path[0, 1], "k.", markersize=4)
        axes.set(title=title)
    return figure


@torch.no_grad()
def _samples(trained: Trained) -> Figure:
    """Where the blocks of a thousand samples begin, and of which letters they are."""
    model = trained.model
    generator = torch.Generator().manual_seed(0)
    paths = model.prior_path(model.start(1000, generator)).path
    found = map(characters.read, spoken(model, paths, generator))
    valid = [pair for pair in found if pair is not None]
    figure = Figure(figsize=(9.0, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist([begin for _, begin in valid], bins=range(characters.POSITIONS + 1))
    left.set(title="the block begins at", xlabel="character")
    counts = [sum(letter == which for which, _ in valid) for letter in characters.LETTERS]
    right.bar(list(characters.LETTERS), counts)
    right.set(title="its letter")
    return figure
