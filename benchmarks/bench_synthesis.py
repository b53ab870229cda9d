"""Lines that `trajectory sample` writes: do they read as what was asked for, are they new?

Example: python -m benchmarks.bench_synthesis --data DIR

DIR holds severity_train.parquet and severity_dev.parquet. Read as: Raccoon's likelihoods, all
severities alike before; the writer may have let the same Raccoon choose (`chosen`), or not
(`first`). Distinct and copied are told of masked text (models.text.canonical), so that a number
makes no line a new one; copied is a run of more than five words that stands in the training
corpus, and real lines of the dev split are held to the same.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from models.checkpoint import pretrained_path
from models.inference import Engine
from models.synthesis import Line, Settings, Synthesiser, chances
from models.synthesis_parts import runs_of
from models.text import canonical
from models.training.corpus import NAMES, Rows, read_corpus

SEED = 1
_WORD = re.compile(r"[A-Za-z]{4,}")
WAYS = {
    "unplanned": Settings(candidates=1, planned=False),
    "first": Settings(candidates=1),
    "chosen": Settings(),
    "chosen, copies let be": Settings(refuse_copies=False),
}


class Figures(NamedTuple):
    """Shares of a severity's lines."""

    judged: float
    distinct: float
    copied: float
    copied_of_long: float
    """Of the lines of six words and more: shorter ones can't be copied."""
    strange: float
    """With a word of more than three letters that the training corpus has nowhere."""


class Known(NamedTuple):
    """Of the training corpus, masked."""

    runs: set[int]
    words: set[str]

    @classmethod
    def of(cls, lines: list[str]) -> Known:
        texts = [canonical(line) for line in lines]
        runs = {hash(run) for text in texts for run in runs_of(text)}
        return cls(runs, {word for text in texts for word in _WORD.findall(text)})

    def shares(self, texts: list[str]) -> tuple[float, float, float]:
        """Of texts that are copied, of long ones that are, and of texts that are strange."""
        copied = sum(any(hash(run) in self.runs for run in runs_of(text)) for text in texts)
        strange = sum(not self.words.issuperset(_WORD.findall(text)) for text in texts)
        long = sum(bool(runs_of(text)) for text in texts)
        return copied / len(texts), copied / max(long, 1), strange / len(texts)


def measure(lines: list[Line], judge: Engine, known: Known) -> Figures:
    read = chances(judge, lines).argmax(1).numpy()
    texts = [canonical(line.message) for line in lines]
    said = {(line.app, text) for line, text in zip(lines, texts, strict=True)}
    right = read == np.array([line.severity for line in lines])
    return Figures(float(right.mean()), len(said) / len(lines), *known.shares(texts))


def real(dev: Rows, severity: int | None, n: int) -> list[Line]:
    """n lines of the dev split, of one severity or of all; all there are where they are fewer."""
    at = np.arange(len(dev.texts)) if severity is None else np.nonzero(dev.severity == severity)[0]
    at = np.random.default_rng(SEED).permutation(at)[:n]
    return [Line(int(dev.severity[i]), dev.apps[i], dev.texts[i]) for i in at]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True))
@click.option("-n", "--lines", type=click.IntRange(1), default=200, show_default=True)
@click.option("--shown", type=click.IntRange(0), default=0, help="Print so many of each severity.")
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, model: Path | None, lines: int, shown: int, as_json: bool) -> None:
    """Print tables, or JSON."""
    judge = Engine.load(pretrained_path())
    known = Known.of(read_corpus(data / "severity_train.parquet").texts)
    dev = read_corpus(data / "severity_dev.parquet")
    every = real(dev, None, lines * len(NAMES))
    result: dict[str, dict[str, Figures]] = {
        "dev": {name: measure(real(dev, s, lines), judge, known) for s, name in enumerate(NAMES)}
    }
    result["dev"]["all"] = measure(every, judge, known)
    seconds: dict[str, float] = {}
    for way, settings in WAYS.items():
        writer = Synthesiser.load(model, judge=judge if way.startswith("chosen") else None)
        began_s = time.perf_counter()
        drawn = [
            list(writer.draw([s] * lines, seed=SEED + s, settings=settings)) for s in range(8)
        ]
        seconds[way] = time.perf_counter() - began_s
        figures = [measure(of_one, judge, known) for of_one in drawn]
        result[way] = dict(zip(NAMES, figures, strict=True))
        result[way]["all"] = measure([x for of_one in drawn for x in of_one], judge, known)
        if way == "chosen":
            for of_one in drawn:
                for line in of_one[:shown]:
                    print(f"{NAMES[line.severity]:8} {line.app}: {line.message}")
    if as_json:
        print(json.dumps({w: {n: f._asdict() for n, f in r.items()} for w, r in result.items()}))
        return
    for figure in Figures._fields:
        print(f"\n| {figure} | " + " | ".join(result) + " |")
        print("|---" * (len(result) + 1) + "|")
        for name in (*NAMES, "all"):
            cells = [f"{getattr(result[way][name], figure):.3f}" for way in result]
            print(f"| {name} | " + " | ".join(cells) + " |")
    told = ", ".join(f"{way} {1000 * s / (8 * lines):.0f}" for way, s in seconds.items())
    print(f"\n{lines} lines of each severity; ms a line: {told}; judged by {judge.version}")


if __name__ == "__main__":
    main()
