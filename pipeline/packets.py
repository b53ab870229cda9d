"""The packets that firewall lines report, as one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parsers.fields import StructuredData
from parsers.firewall import Packet, packet_kind, parse_packet, parse_structured
from pipeline import columns
from pipeline.schema import PACKET
from pipeline.scorer import SHED
from pipeline.templates import TemplateTable

_values = attrgetter(*[field.name for field in PACKET])


def packet_column(
    apps: Sequence[bytes | None],
    messages: Sequence[bytes],
    rows: npt.NDArray[np.int32],
    table: TemplateTable | None,
    structured: Sequence[StructuredData | None],
    msgids: Sequence[bytes | None],
) -> pa.Array:
    """(N,) packets, null where a line is of no firewall.

    Which format a line is of, if any, its template knows: only those lines are tried, and the
    lines that have no template.
    """
    found: dict[int, Packet] = dict(_in_messages(apps, messages, rows, table))
    for i, data in enumerate(structured):
        if data and i not in found:
            packet = parse_structured(data, msgids[i])
            if packet is not None:
                found[i] = packet
    if not found:
        return pa.nulls(len(messages), PACKET)
    at = sorted(found)
    of_fields = zip(*[_values(found[i]) for i in at], strict=True)
    values = pa.StructArray.from_arrays(
        [pa.array(column, field.type) for column, field in zip(of_fields, PACKET, strict=True)],
        fields=list(PACKET),
    )
    return columns.spread(values, at, len(messages))


def _in_messages(
    apps: Sequence[bytes | None],
    messages: Sequence[bytes],
    rows: npt.NDArray[np.int32],
    table: TemplateTable | None,
) -> Iterator[tuple[int, Packet]]:
    unknown = rows == SHED
    candidates = unknown if table is None else unknown | table.is_packet[rows]
    for i in np.flatnonzero(candidates).tolist():
        row = int(rows[i])
        if row == SHED or table is None:
            kind = packet_kind(apps[i], messages[i])
        else:
            kind = table.packet_kinds[row]
        packet = None if kind is None else parse_packet(kind, messages[i], apps[i])
        if packet is not None:
            yield i, packet
