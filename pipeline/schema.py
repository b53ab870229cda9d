"""The Arrow schema of scored lines: every column, its type and unit, in one place."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = "1"
"""Raised when a column is renamed, retyped or taken away; a new column leaves it as it is."""
VERSION_KEY = b"ltt_stream.schema_version"

LABEL = pa.dictionary(pa.int32(), pa.string())
"""A word of few values: stored once a file, one int32 a row."""
TIMESTAMP = pa.timestamp("us", tz="UTC")
STRUCTURED_DATA = pa.map_(pa.string(), pa.map_(pa.string(), pa.string()))
"""RFC 5424 section 6.3: SD-ID → parameter name → value, escapes undone."""

PACKET = pa.struct(
    [
        pa.field("action", pa.string()),
        pa.field("direction", pa.string()),
        pa.field("protocol", pa.string()),
        pa.field("src_ip", pa.string()),
        pa.field("src_port", pa.uint16()),
        pa.field("dst_ip", pa.string()),
        pa.field("dst_port", pa.uint16()),
        pa.field("in_interface", pa.string()),
        pa.field("out_interface", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("tcp_flags", pa.string()),
        pa.field("length", pa.uint64()),
    ]
)
"""What a firewall line says of its packet; addresses as text, `length` in bytes."""


def schema(latent_dim: int = 32) -> pa.Schema:
    """The columns of one scored line, in order.

    Arrival (never null but for `peer`): `received_at` is when the system call that brought the
    line in returned, UTC at microseconds; `source` the listener ("udp://0.0.0.0:514"); `peer`
    the sender's address where the transport knows one.

    Header (as declared, null where the line has none): `timestamp` UTC at microseconds;
    `hostname` and `app_name` (cut at 255 bytes), `procid`, `msgid`; `facility` 0 to 23 and
    `severity` 0 (emerg) to 7 (debug) from the PRI, RFC 5424 table 1 and 2.

    Content: `message` as UTF-8, bytes that are not shown as `\\xNN`; `structured_data` and
    `packet` where the line carries them.

    Scores: `template_id` names the canonical text, 0 where the line was not scored; `latent`
    (latent_dim,) is unitless; `predicted_severity` 0 to 7 with its `severity_probability` in
    0 to 1, and `prior` how common the severities were taken to be: "labelled" (as the source's
    PRIs say), "estimated" (from the texts of its lines without a PRI) or "emission" (as on most
    machines); `surprise` in nats, -log p under the flow; `p_value` in 0 to 1, the share of past
    lines at least as surprising. All six are null where `scored` is false (the model was shed).
    `trajectory_surprise` in nats is what the order of the host's lines adds, null where no host
    dynamics are in use (models.host_dynamics).
    `anomaly` says that the line was flagged, `reasons` why (empty when it was not), `alert_count`
    how many lines of its template its source sent since the last one that was flagged (1 for the
    first one, null where not flagged), and `model_version` which snapshot scored it ("" where
    none did). `errors` holds what the parser found wrong, empty for a clean line.

    Raises ValueError when `latent_dim` is below 1.
    """
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be at least 1, not {latent_dim}")
    return pa.schema(
        [
            pa.field("received_at", TIMESTAMP, nullable=False),
            pa.field("timestamp", TIMESTAMP),
            pa.field("source", LABEL, nullable=False),
            pa.field("peer", LABEL),
            pa.field("hostname", LABEL),
            pa.field("app_name", LABEL),
            pa.field("procid", pa.string()),
            pa.field("msgid", pa.string()),
            pa.field("facility", pa.uint8()),
            pa.field("severity", pa.uint8()),
            pa.field("message", pa.string(), nullable=False),
            pa.field("structured_data", STRUCTURED_DATA),
            pa.field("packet", PACKET),
            pa.field("template_id", pa.uint64(), nullable=False),
            pa.field("latent", pa.list_(pa.float32(), latent_dim)),
            pa.field("predicted_severity", pa.uint8()),
            pa.field("severity_probability", pa.float32()),
            pa.field("prior", LABEL),
            pa.field("surprise", pa.float32()),
            pa.field("p_value", pa.float32()),
            pa.field("trajectory_surprise", pa.float32()),
            pa.field("anomaly", pa.bool_(), nullable=False),
            pa.field("reasons", pa.list_(LABEL), nullable=False),
            pa.field("alert_count", pa.uint32()),
            pa.field("scored", pa.bool_(), nullable=False),
            pa.field("model_version", LABEL, nullable=False),
            pa.field("errors", pa.list_(LABEL), nullable=False),
        ],
        metadata={VERSION_KEY: SCHEMA_VERSION.encode()},
    )
