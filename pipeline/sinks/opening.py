"""Which sinks a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.sinks import Sink
from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.recovery import recover
from pipeline.sinks.stdout import StdoutSink

if TYPE_CHECKING:
    import pyarrow as pa


def recover_output(config: Config, say: Callable[[str], None]) -> None:
    """Make the output directory and salvage what an earlier run left open in it.

    Raises OSError naming the directory.
    """
    if config.out is None:
        return
    directory = Path(config.out)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--out {directory}: cannot be made: {error.strerror}") from error
    done = recover(directory, config.file_format)
    if done.rows or done.lost_bytes:
        say(
            f"{directory}: salvaged {done.rows:,} lines of a run that was cut short; "
            f"{done.lost_bytes:,} bytes of an unfinished batch are lost"
        )
    for path in done.damaged:
        say(f"{path}: could not be read to its end; set aside")
    if done.problem is not None:
        say(f"{done.problem}; it is tried again later")


def open_sinks(config: Config, schema: pa.Schema) -> list[Sink]:
    """The Arrow files first, so that what stdout shows is stored already."""
    sinks: list[Sink] = []
    if config.out is not None:
        sinks.append(
            ArrowSink(
                Path(config.out),
                schema,
                file_format=config.file_format,
                rotate_bytes=int(config.rotate_mib * (1 << 20)),
                rotate_age_s=config.rotate_s,
            )
        )
    if config.format != "none":
        sinks.append(StdoutSink(config.format, schema, anomalies_only=config.anomalies_only))
    if not sinks:
        sinks.append(NullSink())
    return sinks


class NullSink:
    """Takes every batch and keeps none: for metrics alone."""

    name = "none"

    def write(self, batch: pa.RecordBatch) -> None:
        """Done."""

    def tick(self, now_us: int) -> None:
        """Nothing to do."""

    def rotate(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
