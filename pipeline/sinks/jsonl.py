"""Scored lines as JSON lines (RFC 8259), one object a row."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.sinks.values import values

LEFT_OUT = "latent"
"""32 numbers that say nothing to a reader; the Arrow files and the Arrow stream have them."""
_encoder = msgspec.json.Encoder()


def jsonl(batch: pa.RecordBatch) -> bytes:
    """Every column but `latent`, in the schema's order, with null where there is nothing.

    Timestamps are RFC 3339 in UTC, structured data and packets objects, reasons lists of words.
    A surprise that is not finite is null: JSON has no word for it.
    """
    names = tuple(name for name in batch.schema.names if name != LEFT_OUT)
    row = _row(names)
    columns = [values(batch.column(name)) for name in names]
    return _encoder.encode_lines([row(*cells) for cells in zip(*columns, strict=True)])


@cache
def _row(names: tuple[str, ...]) -> type[msgspec.Struct]:
    # A Struct encodes faster than a dict, and its keys always come in the same order.
    return msgspec.defstruct("Row", [(name, Any) for name in names])
