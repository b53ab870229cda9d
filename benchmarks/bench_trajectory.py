"""A model of the character task, by its samples and its plans.

Samples of the ODE prior and of the flow at so many evaluations, beside dopri5. Planning toward
goals: the cross-entropy method beside random shooting. A goal is where the path of a sequence that
was never trained on ends. Both searches may look at as many paths; which ends nearer is counted,
and whether the text decoded along the best plan, which the gradient has then refined, has the
goal's letter.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.docs import write_section
from models import characters
from models.planner import Planner, toward
from models.training.demo_report import STEPS, report
from models.trajectory import Trajectory
from models.trajectory_file import load


@torch.no_grad()
def measure(model: Trajectory, goals: int, budget: int, seed: int) -> dict[str, Any]:
    """Figures of so many goals at so many paths each."""
    generator = torch.Generator().manual_seed(seed)
    sequences = characters.draw(goals, generator)
    ends = model.encoder(sequences)[:, -1]  # (goals, D)
    names = ("random shooting", "cross-entropy", "refined")
    distances: dict[str, list[float]] = {name: [] for name in names}
    letters = dict.fromkeys(names, 0)
    for sequence, goal in zip(characters.text(sequences), ends, strict=True):
        search = Planner(
            lambda z0, u: model.steered_path(z0, u, steps=20),
            toward(goal),
            latent=model.architecture.latent,
        )
        found = search.cross_entropy(budget, generator=generator)
        plans = (search.random_shooting(budget, generator), found, search.refine(found))
        paths = torch.stack([plan.path for plan in plans])
        decoded = characters.text(model.sample(paths, generator=generator))
        for name, plan, text in zip(names, plans, decoded, strict=True):
            distances[name].append(float((plan.path[-1] - goal).norm()))
            read = characters.read(text)
            letters[name] += read is not None and read[0] == sequence[1]
    shooting, cross = distances[names[0]], distances[names[1]]
    return {
        "goals": goals,
        "budget": budget,
        "cross_entropy_nearer": sum(c < s for c, s in zip(cross, shooting, strict=True)),
        "distance": {n: sorted(d)[len(d) // 2] for n, d in distances.items()},
        "letter": letters,
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    rows = [
        "| search | distance to the goal, median | texts with the goal's letter |",
        "|---|---|---|",
    ]
    for name, distance in result["distance"].items():
        share = result["letter"][name] / result["goals"]
        rows.append(f"| {name} | {distance:.3f} | {share:.0%} |")
    rows += [
        "",
        f"{result['goals']} goals, {result['budget']} paths a search; the cross-entropy method "
        f"ended nearer than random shooting at {result['cross_entropy_nearer']} of them.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, help="what trajectory demo --out left"
    )
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--goals", type=int, default=100)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="update docs/trajectory.md")
    args = parser.parse_args()
    kept = load(args.model)
    if kept.flow is None:
        parser.error(f"{args.model}: has no flow; trajectory demo --out writes one")
    torch.set_num_threads(1)
    samples = report(kept.model, kept.flow, args.samples, STEPS, args.seed)
    result = measure(kept.model, args.goals, args.budget, args.seed)
    print(json.dumps(result) if args.json else f"{samples}\n\n{table(result)}")
    if args.write_docs:
        command = ".venv/bin/python -m benchmarks.bench_trajectory --model demo --write-docs"
        write_section("trajectory.md", "samples", command, samples)
        write_section("trajectory.md", "planner", command, table(result))


if __name__ == "__main__":
    main()
