"""Lines of one system hidden in the stream of another: who finds them?

Example: python -m benchmarks.bench_outsider --logs DIR

DIR holds loghub samples (https://github.com/logpai/loghub): `loghub_NAME.log` and
`loghub_NAME.structured.csv` with a column Content. The host's first 1,000 lines are the warm-up;
into the 1,000 that follow, lines of the guest are injected at random places, 1 %, in several
draws. Nothing is trained on either system.

All see the same: the header is off (a foreign date format would give a guest away), what is left
is the message and the program's name, if the parser found one. "raw" are the lines of the log
files, of which the parser takes the headers that it knows; "message" are the lines' messages
alone.

Beside the surprise: an isolation forest on TF-IDF, fitted on the warm-up or, which a stream could
not do, on all lines; and "a new Drain3 template", which is yes or no. The recalls are at the
number of alarms that Drain3 raised.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import numpy.typing as npt
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.docs import write_section
from models.training.metrics import auroc
from parsers.syslog import Parser
from pipeline.scorer import Scorer
from pipeline.surprise import Surprise

SYSTEMS = ("Android", "Apache", "HDFS", "Hadoop", "Linux", "OpenSSH", "Spark", "Zookeeper")
WARM_UP = 1000
LINES = 1000
SHARE = 0.01
BATCH = 256
METHODS = ("surprise", "forest", "forest on all", "new Drain3 template")

Scores = npt.NDArray[np.float32]
Truth = npt.NDArray[np.bool_]


class Message(NamedTuple):
    """One line without its header."""

    app: bytes | None
    message: bytes

    def text(self) -> str:
        return b" ".join([self.app or b"", self.message]).decode("utf-8", "backslashreplace")


class Figures(NamedTuple):
    """One method on one pair."""

    auroc: float
    recall: float
    """At as many alarms as Drain3 raised."""


def load(folder: Path, system: str, kind: str) -> list[Message]:
    if kind == "raw":
        lines = (folder / f"loghub_{system}.log").read_bytes().splitlines()
    else:
        with (folder / f"loghub_{system}.structured.csv").open(newline="", encoding="utf-8") as f:
            lines = [row["Content"].encode() for row in csv.DictReader(f)]
    parser, now_us = Parser(), time.time_ns() // 1000
    fields = [parser.fields(line, now_us) for line in lines if line]
    return [Message(f[5], f[9]) for f in fields]


def inject(
    host: Sequence[Message], guests: Sequence[Message], seed: Sequence[int]
) -> tuple[list[Message], Truth]:
    """The host's lines with guests among those after the warm-up, and which are guests."""
    draw = np.random.default_rng(seed)
    host = host[: WARM_UP + LINES]
    chosen = draw.choice(len(guests), round(SHARE * LINES), replace=False)
    at = np.sort(draw.integers(WARM_UP, len(host), len(chosen)))
    order = np.insert(np.arange(len(host)), at, -1 - chosen)
    return [host[i] if i >= 0 else guests[-1 - i] for i in order.tolist()], order < 0


def surprises(scorer: Scorer, stream: Sequence[Message]) -> Scores:
    """As the stream's loop does it, in batches, from a past that is empty."""
    past = Surprise(scorer.engine.reference_surprise, scorer.engine.latent_dim)
    found = []
    for start in range(0, len(stream), BATCH):
        apps, messages = zip(*stream[start : start + BATCH], strict=True)
        rows = scorer.resolve(apps, messages).rows
        found.append(past.observe([("stream", len(rows))], rows, scorer.table).nats)
    return np.concatenate(found)


class Forest:
    """An isolation forest on TF-IDF, both with scikit-learn's defaults."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectors = TfidfVectorizer()
        self._trees = IsolationForest(random_state=0).fit(self._vectors.fit_transform(texts))

    def score(self, texts: Sequence[str]) -> Scores:
        anomaly: Scores = -self._trees.score_samples(self._vectors.transform(texts))
        return anomaly.astype(np.float32)


def new_templates(texts: Sequence[str]) -> Scores:
    miner = TemplateMiner(config=TemplateMinerConfig())
    return np.array(
        [miner.add_log_message(text)["change_type"] == "cluster_created" for text in texts],
        np.float32,
    )


def recall_at(alarms: int, truth: Truth, score: Scores) -> float:
    """Share of guests among the `alarms` highest scores; of a tie, the share that fits."""
    if not alarms:
        return 0.0
    cut = np.sort(score)[-alarms]
    above, tied = score > cut, score == cut
    share = (alarms - above.sum()) / tied.sum()
    return float(((truth & above).sum() + share * (truth & tied).sum()) / truth.sum())


def measure(
    scorer: Scorer,
    host: Sequence[Message],
    guests: Sequence[Message],
    seed: Sequence[int],
    warm: Forest,
) -> dict[str, Figures]:
    """All methods on one draw. warm: fitted on the host's warm-up."""
    stream, truth = inject(host, guests, seed)
    texts = [line.text() for line in stream]
    is_new = new_templates(texts)[WARM_UP:]
    after = texts[WARM_UP:]
    scores = (
        surprises(scorer, stream)[WARM_UP:],
        warm.score(after),
        Forest(texts).score(after),
        is_new,
    )
    truth = truth[WARM_UP:]
    alarms = int(is_new.sum())
    return {
        method: Figures(auroc(score, truth), recall_at(alarms, truth, score))
        for method, score in zip(METHODS, scores, strict=True)
    }


class Row(NamedTuple):
    """A method over all pairs."""

    lines: str
    method: str
    mean_auroc: float
    min_auroc: float
    worst_pair: str
    pairs_95: float
    recall: float


def summary(lines: str, pairs: dict[str, list[dict[str, Figures]]]) -> list[Row]:
    rows = []
    for method in METHODS:
        areas = {
            pair: float(np.mean([run[method].auroc for run in runs]))
            for pair, runs in pairs.items()
        }
        worst = min(areas, key=lambda pair: areas[pair])
        recall = np.mean([run[method].recall for runs in pairs.values() for run in runs])
        area = np.array(list(areas.values()))
        rows.append(
            Row(
                lines,
                method,
                float(area.mean()),
                areas[worst],
                worst,
                float((area >= 0.95).mean()),
                float(recall),
            )
        )
    return rows


@click.command()
@click.option("--logs", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True))
@click.option("--draws", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="with the figures of each pair")
@click.option("--write-docs", is_flag=True, help="Update docs/model.md.")
def main(logs: Path, model: Path | None, draws: int, as_json: bool, write_docs: bool) -> None:
    """Print a table, or JSON."""
    start = time.perf_counter()
    scorer = Scorer.load(model)
    rows: list[Row] = []
    of_pair: dict[str, dict[str, dict[str, float]]] = {}
    for kind in ("raw", "message"):
        corpus = {system: load(logs, system, kind) for system in SYSTEMS}
        warm = {
            system: Forest([line.text() for line in lines[:WARM_UP]])
            for system, lines in corpus.items()
        }
        pairs = {
            f"{guest} in {host}": [
                measure(
                    scorer,
                    corpus[host],
                    corpus[guest],
                    [draw, SYSTEMS.index(host), SYSTEMS.index(guest)],
                    warm[host],
                )
                for draw in range(draws)
            ]
            for host, guest in permutations(SYSTEMS, 2)
        }
        rows += summary(kind, pairs)
        of_pair[kind] = {
            pair: {m: float(np.mean([run[m].auroc for run in runs])) for m in METHODS}
            for pair, runs in pairs.items()
        }
    if as_json:
        print(json.dumps({"rows": [row._asdict() for row in rows], "auroc": of_pair}))
        return
    table = ["| " + " | ".join(Row._fields) + " |", "|" + "---|" * len(Row._fields)]
    for row in rows:
        cells = [f"{c:.3f}" if isinstance(c, float) else c for c in row]
        table.append("| " + " | ".join(cells) + " |")
    table.append(
        f"\n{len(of_pair['raw'])} pairs, {draws} draws of {SHARE:.0%}; {scorer.model_version}."
    )
    print("\n".join(table))
    print(f"{time.perf_counter() - start:.0f} s")
    if write_docs:
        command = f"python -m benchmarks.bench_outsider --logs DIR --draws {draws} --write-docs"
        write_section("model.md", "bench_outsider", command, "\n".join(table))


if __name__ == "__main__":
    main()
