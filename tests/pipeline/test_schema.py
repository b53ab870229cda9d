"""The schema that readers outside rely on, written out a second time."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.schema import PACKET, schema

LABEL = "dictionary<values=string, indices=int32, ordered=0>"
CONTRACT = (
    ("received_at", "timestamp[us, tz=UTC]", False),
    ("timestamp", "timestamp[us, tz=UTC]", True),
    ("source", LABEL, False),
    ("peer", LABEL, True),
    ("hostname", LABEL, True),
    ("app_name", LABEL, True),
    ("procid", "string", True),
    ("msgid", "string", True),
    ("facility", "uint8", True),
    ("severity", "uint8", True),
    ("message", "string", False),
    ("structured_data", "map<string, map<string, string>>", True),
    ("packet", str(PACKET), True),
    ("template_id", "uint64", False),
    ("latent", "fixed_size_list<item: float>[32]", True),
    ("predicted_severity", "uint8", True),
    ("severity_probability", "float", True),
    ("prior", LABEL, True),
    ("surprise", "float", True),
    ("p_value", "float", True),
    ("trajectory_surprise", "float", True),
    ("anomaly", "bool", False),
    ("reasons", f"list<item: {LABEL}>", False),
    ("alert_count", "uint32", True),
    ("scored", "bool", False),
    ("model_version", LABEL, False),
    ("errors", f"list<item: {LABEL}>", False),
)
PACKET_FIELDS = (
    ("action", "string"),
    ("direction", "string"),
    ("protocol", "string"),
    ("src_ip", "string"),
    ("src_port", "uint16"),
    ("dst_ip", "string"),
    ("dst_port", "uint16"),
    ("in_interface", "string"),
    ("out_interface", "string"),
    ("rule", "string"),
    ("tcp_flags", "string"),
    ("length", "uint64"),
)


def test_columns_types_and_nullability_are_the_contract() -> None:
    assert tuple((f.name, str(f.type), f.nullable) for f in schema()) == CONTRACT


def test_packet_fields() -> None:
    assert tuple((f.name, str(f.type)) for f in PACKET) == PACKET_FIELDS


def test_the_version_is_in_the_metadata() -> None:
    assert schema().metadata == {b"ltt_stream.schema_version": b"1"}


def test_the_latent_is_as_wide_as_the_model() -> None:
    assert schema(64).field("latent").type == pa.list_(pa.float32(), 64)
    with pytest.raises(ValueError, match="latent_dim"):
        schema(0)
