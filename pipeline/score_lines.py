"""`ltt-stream score`: lines to JSON lines of scores."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from parsers.syslog import Parser
from pipeline import anomaly
from pipeline.columns import text
from pipeline.config import Dtype, zone_named
from pipeline.lines import read_lines
from pipeline.predict import Floats
from pipeline.priors import PRIORS
from pipeline.process import Assessment, Processor
from pipeline.scorer import Scorer

SOURCE = "stdin"


def score_lines(
    source: BinaryIO,
    out: BinaryIO,
    *,
    model_dir: str | None,
    dtype: Dtype,
    threads: int,
    paths: int,
    zone: str,
) -> None:
    """One JSON object a line in, in order.

    Keys: message, app_name, predicted_severity (0..7), probabilities (8: emerg … debug),
    surprise (nats), p_value, anomaly, reasons, prior (which one the probabilities are with: of
    the labelled lines that came before, estimated from those before, or of emission); with
    `paths` > 0 also uncertainty, the standard deviation of the predicted severity's probability
    over that many Monte-Carlo paths.

    Raises CheckpointError and ConfigError, one line each.
    """
    parser = Parser(zone_named(zone))
    scorer = Scorer.load(Path(model_dir) if model_dir else None, dtype=dtype, threads=threads)
    processor = Processor(scorer, parser)
    encoder = msgspec.json.Encoder()
    for lines in read_lines(source):
        records, found = _score(processor, parser, lines)
        if paths:
            _add_uncertainty(records, scorer, found, paths)
        out.write(encoder.encode_lines(records))
        out.flush()


def _score(
    processor: Processor, parser: Parser, lines: list[bytes]
) -> tuple[list[dict[str, Any]], Assessment]:
    """The records of the lines, and what they were made of."""
    now_us = time.time_ns() // 1000
    parsed = [parser.fields(line, now_us) for line in lines]
    _, priorities, _, _, _, apps, _, _, _, messages, _ = zip(*parsed, strict=True)
    found = processor.assess(
        [(SOURCE, len(lines))], apps, messages, np.array(priorities, np.int16)
    )
    records = [
        {
            "message": text(message),
            "app_name": None if app is None else text(app),
            "predicted_severity": severity,
            "probabilities": probability,
            "surprise": float(nats),
            "p_value": float(p_value),
            "anomaly": bool(flagged),
            "reasons": anomaly.names(fired),
            "prior": PRIORS[prior],
        }
        for message, app, severity, probability, prior, nats, p_value, flagged, fired in zip(
            messages,
            apps,
            found.predicted.severity.tolist(),
            found.predicted.probability.tolist(),
            found.predicted.prior,
            found.surprise,
            found.p_value,
            found.anomaly,
            found.fired,
            strict=True,
        )
    ]
    return records, found


def _add_uncertainty(
    records: list[dict[str, Any]], scorer: Scorer, found: Assessment, paths: int
) -> None:
    """`uncertainty`: the spread of the predicted severity's probability over noisy paths."""
    table = scorer.table
    apps, texts = zip(*(table.texts[row] for row in found.at.tolist()), strict=True)
    spread = scorer.engine.uncertainty(
        apps,
        texts,
        table.facility[found.at].tolist(),
        log_prior=log_prior(found.predicted.probability, table.likelihood[found.at]),
        paths=paths,
    ).probability_std  # (N, 8)
    for record, of_line in zip(records, spread, strict=True):
        record["uncertainty"] = float(of_line[record["predicted_severity"]])


def log_prior(probability: Floats, likelihood: Floats) -> Floats:
    """Of lines, the prior that made these probabilities of these likelihoods, in logs: (N, 8)."""
    least = np.finfo(np.float32).tiny
    ratio = np.log(probability.clip(least)) - np.log(likelihood.clip(least))
    return np.asarray(ratio - np.logaddexp.reduce(ratio, axis=1, keepdims=True), np.float32)
