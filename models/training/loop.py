"""Corpus → checkpoint: the training run, resumable at any step."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from models.checkpoint import Card, Checkpoint, save_checkpoint, write_synced
from models.inference import Engine
from models.losses import adjusted_cross_entropy, epps_pulley
from models.raccoon import CLASSES, Architecture, Raccoon
from models.text import canonical
from models.training.batches import Batch, Data, batches_per_epoch, epoch
from models.training.corpus import (
    Rows,
    Vocabulary,
    held_out,
    read_corpus,
    sampling_weights,
)
from models.training.metrics import Metrics, fit_temperature, metrics
from models.training.state import load_state, save_state

HELD_OUT_SHARE = 0.03
REFERENCE = 4096

Report = Callable[[int, int, float], None]
"""step, steps, loss: called after each step."""


@dataclass(frozen=True)
class Options:
    epochs: int = 2
    seed: int = 0
    batch_size: int = 512
    threads: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    kl_weight: float = 1e-3
    path_kl_weight: float = 1e-3
    flow_weight: float = 0.02
    normality_weight: float = 2e-3
    state_every_s: float = 60.0
    architecture: Architecture = field(default_factory=Architecture)


@dataclass
class Prepared:
    train: Rows
    check: Rows
    data: Data
    log_prior: torch.Tensor  # (8,) of the sampling distribution
    corpus_prior: list[float]


def prepare(rows: Rows, buckets: int) -> Prepared:
    """Split off whole packages to check with, and number the words of the others."""
    out = held_out(rows.origins, HELD_OUT_SHARE)
    train, check = _take(rows, ~out), _take(rows, out)
    vocabulary = Vocabulary()
    variants = [vocabulary.lines(train.apps, train.texts)]
    if train.templates:
        variants.append(vocabulary.lines(train.apps, train.templates))
    weights = sampling_weights(train.severity, train.origins)
    data = Data(vocabulary, variants, train.severity, weights)
    vocabulary.freeze(buckets)
    drawn = np.bincount(train.severity, weights, CLASSES)
    counts = np.bincount(rows.severity, minlength=CLASSES) + 0.5
    return Prepared(
        train,
        check,
        data,
        torch.from_numpy(np.log(np.maximum(drawn, 1e-6))).float(),
        (counts / counts.sum()).tolist(),
    )


def train(
    corpus: Path,
    out: Path,
    options: Options,
    *,
    dev: Path | None = None,
    resume: bool = True,
    report: Report | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train and leave in `out`: the checkpoint `raccoon/`, `metrics.json`, the last state.

    Returns what metrics.json holds. Raises CorpusError and StateError.
    """
    torch.set_num_threads(options.threads)
    out.mkdir(parents=True, exist_ok=True)
    rows = read_corpus(corpus)
    dev_rows = None if dev is None else read_corpus(dev)
    say(f"{len(rows.texts)} rows from {corpus}, {rows.bad} bad rows left out")
    prepared = prepare(rows, options.architecture.buckets)
    say(f"{len(prepared.train.texts)} to train on, {len(prepared.check.texts)} held out")
    begin = time.monotonic()
    model, steps = _fit(corpus, out, options, prepared, resume, report, say)
    seconds = time.monotonic() - begin
    facts = {
        "corpus": corpus.name,
        "rows": len(rows.texts),
        "bad_rows": rows.bad,
        "held_out_rows": len(prepared.check.texts),
        "steps": steps,
        "seconds_since_start": round(seconds, 1),
        "options": {k: v for k, v in asdict(options).items() if k != "architecture"},
    }
    checkpoint = _calibrated(model, prepared, facts)
    save_checkpoint(out / "raccoon", checkpoint)
    engine = Engine.load(out / "raccoon", dtype="fp32", threads=options.threads)
    result: dict[str, Any] = {"training": facts, "model": engine.version}
    result["held_out"] = evaluate(engine, prepared.check)
    if dev_rows is not None:
        result["dev"] = evaluate(engine, dev_rows)
    encoded = msgspec.json.format(msgspec.json.encode(result)) + b"\n"
    write_synced(out / "metrics.json", encoded)
    return result


def evaluate(engine: Engine, rows: Rows) -> dict[str, Metrics]:
    """Figures with the corpus's prior and with the emission prior."""
    texts = [canonical(text) for text in rows.texts]
    scores = engine.encode(rows.apps, texts)
    return {
        name: metrics(scores.log_likelihood, np.log(prior), rows.severity)
        for name, prior in (
            ("corpus_prior", engine.corpus_prior),
            ("emission_prior", engine.emission_prior),
        )
    }


def _fit(
    corpus: Path,
    out: Path,
    options: Options,
    prepared: Prepared,
    resume: bool,
    report: Report | None,
    say: Callable[[str], None],
) -> tuple[Raccoon, int]:
    torch.manual_seed(options.seed)
    model = Raccoon(options.architecture)
    decayed = [p for p in model.parameters() if p.ndim > 1 and p is not model.encoder.ngrams]
    others = [p for p in model.parameters() if p.ndim <= 1 or p is model.encoder.ngrams]
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": options.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
        fused=True,
    )
    facts = {k: v for k, v in asdict(options).items() if k not in ("threads", "state_every_s")}
    facts["corpus"] = _digest(corpus)
    state = out / "training.safetensors"
    per_epoch = batches_per_epoch(prepared.data, options.batch_size)
    steps = per_epoch * options.epochs
    done = load_state(state, model, optimiser, facts) if resume else 0
    if done:
        say(f"resumed at step {done} of {steps}")
    saved_at = time.monotonic()
    model.train()
    for number in range(done // per_epoch, options.epochs):
        batches = epoch(prepared.data, options.seed, number, options.batch_size)
        for i, batch in enumerate(batches, number * per_epoch):
            if i < done:
                continue
            torch.manual_seed(options.seed * 1_000_003 + i)  # the noise of a step, resumed or not
            rate = options.learning_rate * schedule(i, steps)
            for parameters in optimiser.param_groups:
                parameters["lr"] = rate
            loss = step(model, batch, prepared.log_prior, options)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            if report is not None:
                report(i + 1, steps, loss.item())
            if time.monotonic() - saved_at >= options.state_every_s:
                save_state(state, model, optimiser, facts, i + 1)
                saved_at = time.monotonic()
    save_state(state, model, optimiser, facts, steps)
    return model, steps


def step(model: Raccoon, batch: Batch, log_prior: torch.Tensor, options: Options) -> torch.Tensor:
    """The loss of one batch: cross-entropy, both KL terms, flow likelihood, Epps–Pulley."""
    vectors = model.encoder.word_vectors(batch.features, batch.offsets)  # (V, d)
    result = model.train_step(vectors[batch.words], batch.groups)
    return (
        adjusted_cross_entropy(result.logits, batch.target, log_prior)
        + options.kl_weight * result.kl
        + options.path_kl_weight * result.path_kl
        - options.flow_weight * result.log_prob.mean()
        + options.normality_weight * epps_pulley(result.latent, directions=64)
    )


def schedule(step: int, steps: int, warm_up: float = 0.05) -> float:
    """Learning rate factor: linear up, cosine down to 0."""
    ramp = max(1.0, warm_up * steps)
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1.0, steps - ramp)))


def _calibrated(model: Raccoon, prepared: Prepared, facts: dict[str, Any]) -> Checkpoint:
    """Round the table as it ships; take the reference scores from the held-out packages.

    The temperature that fits them is noted, not applied: developers of unseen packages disagree
    so much that it flattens scores until a strong prior wins every line, on real logs too.
    """
    with torch.no_grad():
        model.encoder.ngrams.copy_(model.encoder.ngrams.to(torch.bfloat16).float())
    apps = sorted({app.lower() for app in prepared.train.apps} - {""})
    card = Card(corpus_prior=prepared.corpus_prior, apps=apps, training=facts)
    checkpoint = Checkpoint(model, card, np.zeros(0, np.float32))
    check = prepared.check
    scores = Engine(checkpoint, dtype="fp32", threads=torch.get_num_threads()).encode(
        check.apps, [canonical(text) for text in check.texts]
    )
    # Their own shares as the prior: what is fitted is the spread of the likelihoods alone.
    shares = np.bincount(check.severity, minlength=CLASSES) + 0.5
    log_prior = np.log(shares / shares.sum())
    temperature = fit_temperature(scores.log_likelihood, log_prior, check.severity)
    facts["held_out_temperature"] = round(temperature, 3)
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
