"""From log files to a directory of host dynamics: what `ltt-stream trajectory fit` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.host_checkpoint import HostModel, save_hosts
from parsers.syslog import Parser
from pipeline.config import zone_named
from pipeline.host_logs import Logs, read_logs
from pipeline.scorer import Scorer

if TYPE_CHECKING:
    from models.training.hosts import Report


def fit_logs(
    paths: Sequence[Path],
    out: Path,
    *,
    model_dir: str | None = None,
    zone: str = "UTC",
    seed: int = 0,
    steps: int | None = None,
    threads: int = 1,
    report: Report | None = None,
) -> dict[str, Any]:
    """Fit and save; the facts.

    Raises ValueError for too few lines, CheckpointError and OSError.
    """
    scorer = Scorer.load(Path(model_dir) if model_dir else None, threads=threads)
    logs = read_logs(paths, scorer, Parser(zone_named(zone)))
    model = fitted(logs, scorer.model_version, seed=seed, steps=steps, report=report)
    version = save_hosts(out, model)
    return {"version": version, **model.training}


def fitted(
    logs: Logs,
    raccoon: str,
    *,
    seed: int = 0,
    steps: int | None = None,
    report: Report | None = None,
) -> HostModel:
    """Dynamics and forecast of these hosts; raises ValueError for too few lines."""
    from models.training.host_forecast import fit_forecast
    from models.training.hosts import STEPS, History, fit

    histories = [History(h.times_s, h.templates, h.severity) for h in logs.hosts]
    dynamics = fit(
        histories, logs.latents, logs.ids, seed=seed, steps=steps or STEPS, report=report
    )
    code = dynamics.code(logs.latents, logs.ids)
    forecast = fit_forecast(dynamics, histories, logs.latents, code, seed=seed)
    held_out = dynamics.held_out
    training = {
        "lines": logs.lines,
        "hosts": len(logs.hosts),
        "templates": len(logs.ids),
        "codes": dynamics.codes,
        "seed": seed,
        "held_out_lines": len(held_out),
        "held_out_nats": float(held_out.mean()) if len(held_out) else 0.0,
    }
    return HostModel(dynamics, forecast, raccoon, training)
