"""Corpus → checkpoint: the training run, resumable at any step."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from models.checkpoint import (
    Card,
    Checkpoint,
    load_checkpoint,
    round_for_storage,
    save_checkpoint,
)
from models.errors import CorpusError
from models.folder import write_synced
from models.inference import Engine
from models.raccoon import CLASSES, Architecture, Raccoon
from models.text import canonical
from models.training.batches import Data, batches_per_epoch, epoch
from models.training.corpus import (
    Rows,
    held_out,
    log_priors,
    read_corpus,
    sampling_weights,
)
from models.training.evaluate import by_prior, of_engine
from models.training.metrics import fit_calibration, metrics
from models.training.opinions import read_opinions
from models.training.outcomes import with_outcomes
from models.training.pairs import Pairs, pair_batches, pair_batches_per_epoch, read_pairs
from models.training.state import load_state, save_state
from models.training.steps import Optimiser, begin_search, search_loss, severity_loss
from models.training.vocabulary import Vocabulary

HELD_OUT_SHARE = 0.03
REFERENCE = 4096
LOSS_EVERY = 10
_NO_FACTS = ("threads", "state_every_s", "checkpoint_blocks")
"""Options that change nothing of what is learnt: a run may be resumed with others."""

Report = Callable[[int, int, float], None]
"""step, steps, loss: called after each step."""


@dataclass(frozen=True)
class Options:
    epochs: int = 2
    pair_epochs: int = 3
    """Epochs over the pairs before the first severity is seen."""
    pair_every: int = 3
    """While severities are learnt, a batch of pairs after each so many of theirs."""
    patience: int = 2
    """Epochs without a better ranking of trouble after which training ends."""
    seed: int = 0
    batch_size: int = 512
    pair_batch_size: int = 1024
    threads: int = 1
    learning_rate: float = 2e-3
    pair_learning_rate: float = 3e-3
    state_every_s: float = 60.0
    checkpoint_blocks: bool = False
    """Memory for time: the encoder's blocks, but for the last, are computed again."""
    architecture: Architecture = field(default_factory=Architecture)


@dataclass
class Prepared:
    train: Rows
    check: Rows
    """Rows that are measured after each epoch: the dev corpus, or packages held out."""
    data: Data
    pairs: Pairs | None
    corpus_prior: list[float]


def prepare(
    rows: Rows,
    dev: Rows | None = None,
    pairs: Pairs | None = None,
    teacher: Path | None = None,
) -> Prepared:
    """Number the words of the rows to train on; without a dev corpus, split off whole packages.

    teacher: what models.training.teacher made of these rows; it has seen them all, so that it
    needs a dev corpus beside it.
    """
    if teacher is not None and dev is None:
        raise CorpusError(f"{teacher}: has seen all rows of the corpus: give --dev as well")
    out = held_out(rows.origins, HELD_OUT_SHARE) if dev is None else None
    train = rows if out is None else _take(rows, ~out)
    check = dev if out is None else _take(rows, out)
    assert check is not None
    counts = np.bincount(rows.severity, minlength=CLASSES) + 0.5
    taught = with_outcomes(train)
    vocabulary = Vocabulary()
    variants = [vocabulary.lines(taught.apps, taught.texts)]
    if taught.templates:
        variants.append(vocabulary.lines(taught.apps, taught.templates))
    weights = sampling_weights(taught.severity, taught.origins)
    priors = log_priors(taught.severity, taught.origins, weights)
    opinions = None if teacher is None else read_opinions(teacher, taught.texts)
    data = Data(vocabulary, variants, taught.severity, weights, priors, opinions)
    vocabulary.freeze()
    return Prepared(train, check, data, pairs, (counts / counts.sum()).tolist())


def train(
    corpus: Path,
    out: Path,
    options: Options,
    *,
    pairs: Path | None = None,
    dev: Path | None = None,
    teacher: Path | None = None,
    resume: bool = True,
    report: Report | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train and leave in `out`: the best checkpoint `raccoon/`, figures and the last state.

    `metrics.json` and `epochs.json` hold the figures; with matplotlib there is a `training.png`.

    corpus: labelled messages. pairs: docstrings and code, for the search head and for the
    meaning of words. dev: labelled messages to choose the best epoch and the calibration by.
    teacher: opinions of a larger model on the corpus, of `models.training.teacher`.
    Returns what metrics.json holds. Raises CorpusError and StateError.
    """
    torch.set_num_threads(options.threads)
    out.mkdir(parents=True, exist_ok=True)
    rows = read_corpus(corpus)
    dev_rows = None if dev is None else read_corpus(dev)
    say(f"{len(rows.texts)} rows from {corpus}, {rows.bad} bad rows left out")
    prepared = prepare(rows, dev_rows, None if pairs is None else read_pairs(pairs), teacher)
    if not prepared.check.texts:
        raise CorpusError(f"{corpus}: no package is small enough to be held out: use --dev")
    taught = f"{len(prepared.train.texts)} rows to train on"
    if prepared.pairs is not None:
        taught += f", {len(prepared.pairs)} pairs of text and code"
    say(f"{taught}, {len(prepared.check.texts)} rows to choose by")
    facts = {k: v for k, v in asdict(options).items() if k not in _NO_FACTS}
    files = {"corpus": corpus, "pairs": pairs, "dev": dev, "teacher": teacher}
    facts |= {name: file and _digest(file) for name, file in files.items()}
    run = _Run(out, options, prepared, facts, report, say)
    run.go(resume)
    if run.losses and find_spec("matplotlib") is not None:
        from models.training.plots import draw_training

        draw_training(out / "training.png", run.losses, run.pair_steps)
    checkpoint = load_checkpoint(out / "raccoon")
    engine = Engine(checkpoint, dtype="fp32", threads=options.threads)
    result: dict[str, Any] = {
        "model": checkpoint.version,
        "training": checkpoint.card.training,
        "epochs": run.history,
        "dev" if dev else "held_out": by_prior(
            of_engine(engine, prepared.check.apps, prepared.check.texts, None),
            prepared.check.severity,
        ),
    }
    encoded = msgspec.json.format(msgspec.json.encode(result)) + b"\n"
    write_synced(out / "metrics.json", encoded)
    return result


class _Run:
    """One training run: its steps in order, saved and resumed at any of them."""

    def __init__(
        self,
        out: Path,
        options: Options,
        prepared: Prepared,
        facts: dict[str, Any],
        report: Report | None,
        say: Callable[[str], None],
    ) -> None:
        self.out, self.options, self.prepared, self.facts = out, options, prepared, facts
        self.report, self.say = report, say
        self.history: list[dict[str, float]] = []
        self.losses: list[tuple[int, float]] = []
        """Since this process has begun: every so many steps one."""
        torch.manual_seed(options.seed)
        self.model = Raccoon(options.architecture)
        self.model.encoder.checkpoint_blocks = options.checkpoint_blocks
        pairs = prepared.pairs
        if pairs is not None:
            begin_search(self.model, pairs)
        self.pair_batches = (
            pair_batches_per_epoch(pairs, options.pair_batch_size) if pairs is not None else 0
        )
        self.pair_steps = self.pair_batches * options.pair_epochs
        self.per_epoch = batches_per_epoch(prepared.data, options.batch_size)
        self.steps = self.pair_steps + self.per_epoch * options.epochs
        self.optimiser = Optimiser(
            self.model,
            pair_rate=options.pair_learning_rate if self.pair_steps else 0.0,
            rate=options.learning_rate,
        )
        self.state = out / "training.safetensors"
        self.log = out / "epochs.json"
        self.began_s = time.monotonic()
        self.saved_s = self.began_s

    def go(self, resume: bool) -> None:
        """Take all steps that are left."""
        done = 0
        if resume:
            done = load_state(self.state, self.model, self.optimiser.adam, self.facts)
        if done:
            self.say(f"resumed at step {done} of {self.steps}")
            if self.log.exists():
                self.history = msgspec.json.decode(self.log.read_bytes())
        self.model.train()
        for number in range(done // max(1, self.pair_batches), self.options.pair_epochs):
            self._pair_epoch(number, done)
        epochs_done = max(0, done - self.pair_steps) // self.per_epoch
        # An epoch whose last step was saved may still have to be measured.
        for number in range(min(epochs_done, len(self.history)), self.options.epochs):
            if self._patience_is_over():
                break
            self._epoch(number, done)
        save_state(self.state, self.model, self.optimiser.adam, self.facts, self.steps)

    def _pair_epoch(self, number: int, done: int) -> None:
        if self.prepared.pairs is None:
            return
        size = self.options.pair_batch_size
        batches = pair_batches(self.prepared.pairs, self.options.seed, number, size)
        for step, batch in enumerate(batches, number * self.pair_batches):
            if step < done:
                continue
            self._seed(step)
            self.optimiser.pair_rates(1 - step / self.pair_steps, warm_up=(step + 1) / 50)
            self._descend(step, search_loss(self.model, batch))

    def _epoch(self, number: int, done: int) -> None:
        options, pairs = self.options, self.prepared.pairs
        first = self.pair_steps + number * self.per_epoch
        beside = None
        if pairs is not None:
            # Far from the epochs before: the same seed would give their batches again.
            beside = pair_batches(pairs, options.seed, 1000 + number, options.pair_batch_size)
        batches = epoch(self.prepared.data, options.seed, number, options.batch_size)
        for step, batch in enumerate(batches, first):
            pair_batch = None
            if beside is not None and (step - first) % options.pair_every == 0:
                pair_batch = next(beside, None)
            if step < done:
                continue
            self._seed(step)
            progress = step - self.pair_steps
            self.optimiser.rates(schedule(progress, self.steps - self.pair_steps))
            loss = severity_loss(self.model, batch)
            if pair_batch is not None:
                loss = loss + search_loss(self.model, pair_batch)
            self._descend(step, loss)
        if len(self.history) <= number:
            self._measure(number)

    def _seed(self, step: int) -> None:
        # the noise of a step, resumed or not
        torch.manual_seed(self.options.seed * 1_000_003 + step)

    def _descend(self, step: int, loss: torch.Tensor) -> None:
        self.optimiser.descend(loss)
        if step % LOSS_EVERY == 0:
            self.losses.append((step, loss.item()))
        if self.report is not None:
            self.report(step + 1, self.steps, loss.item())
        if time.monotonic() - self.saved_s >= self.options.state_every_s:
            save_state(self.state, self.model, self.optimiser.adam, self.facts, step + 1)
            self.saved_s = time.monotonic()

    def _measure(self, number: int) -> None:
        """Keep the model of this epoch if it ranks trouble best so far.

        Not by its log-loss, which a temperature mends; what is in the wrong order stays there.
        """
        checkpoint = calibrated(self.model, self.prepared)
        best = max(map(_merit, self.history), default=(-math.inf, -math.inf))
        self.history.append({"epoch": number + 1, **checkpoint.card.training})
        if _merit(checkpoint.card.training) > best:
            checkpoint.card.training |= {
                "rows": len(self.prepared.train.texts),
                "pairs": 0 if self.prepared.pairs is None else len(self.prepared.pairs),
                "epoch": number + 1,
                "steps": self.pair_steps + (number + 1) * self.per_epoch,
                "seconds_since_start": round(time.monotonic() - self.began_s, 1),
                "options": {k: v for k, v in self.facts.items() if k != "architecture"},
            }
            save_checkpoint(self.out / "raccoon", checkpoint)
        fresh = self.log.with_suffix(".new")
        write_synced(fresh, msgspec.json.encode(self.history))
        fresh.replace(self.log)
        shown = ", ".join(f"{k} {v:.4g}" for k, v in self.history[-1].items())
        self.say(shown)

    def _patience_is_over(self) -> bool:
        merits = [_merit(past) for past in self.history]
        since = len(merits) - merits.index(max(merits)) if merits else 0
        return since > self.options.patience


def _merit(figures: dict[str, float]) -> tuple[float, float]:
    """Of two epochs the better one has more: how trouble ranks, then the log-loss."""
    return figures["auroc_warning"], -figures["log_loss"]


def schedule(step: int, steps: int, warm_up: float = 0.05) -> float:
    """Learning rate factor: linear up, cosine down to 0."""
    ramp = max(1.0, warm_up * steps)
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1.0, steps - ramp)))


def calibrated(model: Raccoon, prepared: Prepared) -> Checkpoint:
    """A copy of the model as it ships: rounded, with its calibration and reference scores.

    Both come from the rows to choose by, as do the figures in the card.
    """
    model = copy.deepcopy(model).eval()
    round_for_storage(model)
    apps = sorted({app.lower() for app in prepared.train.apps} - {""})
    card = Card(corpus_prior=prepared.corpus_prior, apps=apps)
    checkpoint = Checkpoint(model, card, np.zeros(0, np.float32))
    check = prepared.check
    scores = Engine(checkpoint, dtype="fp32", threads=torch.get_num_threads()).encode(
        check.apps, [canonical(text) for text in check.texts]
    )
    log_prior = np.log(np.array(prepared.corpus_prior))
    fit = fit_calibration(scores.log_likelihood, log_prior, check.severity)
    card.temperature, card.prior_strength = fit
    scaled = scores.log_likelihood / fit.temperature
    found = metrics(scaled, fit.prior_strength * log_prior, check.severity)
    wanted = ("log_loss", "accuracy", "macro_f1", "coarse_macro_f1", "auroc_warning")
    card.training = {name: round(float(np.nan_to_num(found[name])), 4) for name in wanted}  # type: ignore[literal-required]  # names of a TypedDict
    card.training |= {name: round(value, 3) for name, value in fit._asdict().items()}
    rng = np.random.default_rng(0)
    count = min(REFERENCE, len(scores.surprise))
    checkpoint.reference_surprise = np.sort(rng.choice(scores.surprise, count, replace=False))
    return checkpoint


def _take(rows: Rows, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Rows:
    places = np.flatnonzero(chosen).tolist()
    return Rows(
        [rows.texts[i] for i in places],
        [rows.templates[i] for i in places] if rows.templates else [],
        [rows.apps[i] for i in places],
        [rows.origins[i] for i in places],
        rows.severity[chosen],
        rows.bad,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
