"""A model and its baselines, measured on real logs: cold, and once it has heard some labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.text import canonical
from pipeline.labelled_lines import LabelledLines
from pipeline.memory import Memory
from pipeline.priors import PriorTracker
from pipeline.templates import TemplateTable, template_id

if TYPE_CHECKING:
    from models.inference import Engine
    from models.training.evaluate import Baselines, System
    from models.training.metrics import Floats

LABELS = 200
"""Labelled lines that a source's prior has heard in the column `labelled`."""


def evaluate_log(
    engine: Engine, log: LabelledLines, baselines: Baselines | None
) -> dict[str, Any]:
    """All figures of one log.

    `systems`: each with the corpus, uniform and emission prior on all lines, no label seen, and
    with the prior as it stands after `LABELS` labelled lines (`labelled`) on the lines after
    those, and with what the source has said of each template besides, as the stream has it
    (`remembered`). `second_half`: beside a lookup and a majority learnt from the first half, the
    model cold and with the prior of the first half; lines whose canonical text the first half
    had, and others, apart.
    """
    from models.training.evaluate import System, by_class, by_prior, of_engine, picture

    severity = np.array(log.severity, np.int64)
    systems = {"model": of_engine(engine, log.apps, log.texts, log.facilities)}
    if baselines is not None:
        systems |= baselines.systems(log.texts, engine.emission_prior)
        del systems["lookup"]  # of another corpus: it knows none of these templates
    later = np.arange(len(severity)) >= LABELS
    measured = {}
    for name, system in systems.items():
        figures = by_prior(system, severity)
        if later.any():
            tracked = tracked_prior(system, log, LABELS, engine.emission_prior)
            rest = System(
                system.log_likelihood[later], {"labelled": tracked[later]}, system.strength
            )
            figures |= by_prior(rest, severity[later])
            known = remembered(system, log, LABELS, tracked)[later]
            even = {"remembered": np.full(8, 1 / 8)}
            figures |= by_prior(System(known, even, system.strength), severity[later])
        measured[name] = {
            "priors": figures,
            "per_class": by_class(system, "emission", severity),
        }
    return {
        "rows": len(severity),
        "left_out": log.left_out,
        "systems": measured,
        "second_half": _second_half(systems["model"], log, engine.emission_prior),
        **picture(systems["model"], "emission", severity),
    }


def tracked_prior(system: System, log: LabelledLines, labels: int, emission: Floats) -> Floats:
    """(N, 8) the prior of each line's program after the first `labels` lines were heard."""
    from models.training.metrics import softmax

    _, codes = np.unique(np.array(log.apps), return_inverse=True)
    apps, declared = codes.astype(np.int32), np.array(log.severity, np.int16)
    scaled = system.log_likelihood + system.strength * np.log(emission)
    probability = softmax(scaled).astype(np.float32)
    tracker = PriorTracker(emission, system.strength)
    prior = tracker.of_source(log.name)
    start = 0
    while start < min(labels, len(apps)):
        some = slice(start, min(labels, start + prior.due - prior.lines))
        tracker.observe(prior, apps[some], declared[some], probability[some])
        start = some.stop
    return prior.of_apps(apps).astype(np.float64)


def remembered(system: System, log: LabelledLines, labels: int, prior: Floats) -> Floats:
    """(N, 8) log-probabilities with this prior, once the first labels of each template count."""
    from models.training.metrics import softmax

    templates = [
        template_id(app, canonical(text)) for app, text in zip(log.apps, log.texts, strict=True)
    ]
    ids, rows = np.unique(np.array(templates, np.uint64), return_inverse=True)
    table = TemplateTable(len(ids), 1)
    table.template_id[:] = ids
    memory = Memory()
    memory.observe(rows[:labels], np.array(log.severity[:labels], np.int16), table)
    memory.renew()
    found = softmax(system.log_likelihood + system.strength * np.log(prior)).astype(np.float32)
    seen = np.flatnonzero(~memory.unlabelled(rows, table))  # others have no neighbours here
    found[seen] = memory.blend(found[seen], rows[seen], table)
    known: Floats = np.log(found)
    return known


def _second_half(model: System, log: LabelledLines, emission: Floats) -> dict[str, Any]:
    from models.training.baselines import Lookup, Majority, shares
    from models.training.evaluate import System, by_group

    severity = np.array(log.severity, np.int64)
    half = len(severity) // 2
    if not half:
        return {}
    first, texts = severity[:half], log.texts[half:]
    heard = {"corpus": shares(first)}
    lookup = Lookup(log.texts[:half], first)
    tracked = tracked_prior(model, log, half, emission)[half:]
    systems = {
        "model": System(model.log_likelihood[half:], {"emission": emission}, model.strength),
        "model_tracked": System(
            model.log_likelihood[half:], {"labelled": tracked}, model.strength
        ),
        "majority": System(Majority().log_likelihood(texts), dict(heard)),
        "lookup": System(lookup.log_likelihood(texts), dict(heard)),
    }
    seen = lookup.seen(texts)
    groups: Mapping[str, npt.NDArray[np.bool_]] = {
        "all": np.ones(len(texts), np.bool_),
        "seen": seen,
        "unseen": ~seen,
    }
    return {
        name: by_group(system, next(iter(system.priors)), severity[half:], groups)
        for name, system in systems.items()
    }


def mean_of_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Means over logs of every figure by system and prior; a figure that is NaN is left out."""
    cells: dict[tuple[str, str, str], list[float]] = {}
    for log in logs.values():
        for system, measured in log["systems"].items():
            for prior, figures in measured["priors"].items():
                for figure, value in figures.items():
                    if figure != "rows" and not np.isnan(value):
                        cells.setdefault((system, prior, figure), []).append(value)
    means: dict[str, Any] = {}
    for (system, prior, figure), values in cells.items():
        of_system = means.setdefault(system, {}).setdefault("priors", {})
        of_system.setdefault(prior, {})[figure] = float(np.mean(values))
    return means
