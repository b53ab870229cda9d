"""Peak memory of training steps, with the encoder's blocks checkpointed and without.

Example: python -m benchmarks.bench_memory

Each is a process of its own: forward and backward over lines of random words, all of one length.
Log lines have at most MAX_WORDS words; the long ones are of the length of code, for models that
would read it word by word. What PyTorch and the weights take anyway is measured first, and off.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import click
import torch

from benchmarks.program import rss_mb
from models.linear import Words
from models.raccoon import CLASSES, Architecture, Raccoon
from models.tokens import MAX_WORDS

CASES = (
    # lines, words each, blocks
    (512, MAX_WORDS, 1),
    (512, MAX_WORDS, 4),
    (128, 8 * MAX_WORDS, 1),
    (128, 8 * MAX_WORDS, 4),
)
STEPS = 3


def peak(lines: int, length: int, blocks: int, checkpointed: bool) -> dict[str, float]:
    """MB that training steps add, and the seconds of the fastest; to be run in its own process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = Architecture(blocks=blocks, max_words=length)
    model = Raccoon(architecture).train()
    model.encoder.checkpoint_blocks = checkpointed
    count = lines * length
    tokens = Words(
        torch.randn(count, architecture.width, requires_grad=True),
        torch.randn(count, CLASSES),
        torch.ones(count),
        torch.arange(count),
    )
    before, seconds = rss_mb(os.getpid()), []
    for _ in range(STEPS):
        began = time.perf_counter()
        result = model.train_step(tokens, ((length, lines),))
        (result.logits.square().mean() + result.kl).backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - began)
    return {"mb": rss_mb(os.getpid(), "VmHWM") - before, "step_s": min(seconds)}


def measure() -> list[dict[str, Any]]:
    """All cases, each with and without."""
    found = []
    for case in CASES:
        runs = {}
        for checkpointed in (False, True):
            given = json.dumps([*case, checkpointed])
            command = [sys.executable, "-m", "benchmarks.bench_memory", "--one", given]
            # Freed tensors go back at once, so that what is resident is what is in use.
            environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
            done = subprocess.run(command, check=True, capture_output=True, env=environment)
            runs["with" if checkpointed else "without"] = json.loads(done.stdout)
        lines, length, blocks = case
        found.append({"lines": lines, "words": length, "blocks": blocks, **runs})
    return found


def table(found: list[dict[str, Any]]) -> str:
    """In Markdown."""
    rows = [
        "| a training step's batch | peak MB | with --checkpoint-blocks | s/step | with |",
        "|---|---|---|---|---|",
    ]
    for case in found:
        name = f"{case['lines']} lines of {case['words']} words, blocks: {case['blocks']}"
        a, b = case["without"], case["with"]
        rows.append(
            f"| {name} | {a['mb']:,.0f} | {b['mb']:,.0f} ({b['mb'] / a['mb'] - 1:+.0%}) "
            f"| {a['step_s']:.2f} | {b['step_s']:.2f} |"
        )
    return "\n".join(rows)


@click.command(help=__doc__)
@click.option("--one", hidden=True, help="A case as JSON: measure it in this process.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of the table.")
def main(one: str | None, as_json: bool) -> None:
    if one is not None:
        click.echo(json.dumps(peak(*json.loads(one))))
        return
    found = measure()
    click.echo(json.dumps(found, indent=2) if as_json else table(found))


if __name__ == "__main__":
    main()
