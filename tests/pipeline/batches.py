"""Record batches as the Processor makes them: nulls, maps, structs, unicode, growing labels."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.schema import PACKET, STRUCTURED_DATA, schema

NOON_US = 1_714_564_800_000_000
"""2024-05-01T12:00:00Z."""
DAY_US = 86_400_000_000
REASONS = ("surprise", "severity", "rare")
MESSAGES = (
    "Failed password for invalid user admin from 203.0.113.{n} port {p} ssh2",
    "pam_unix(cron:session): session opened for user root(uid=0) by (uid={n})",
    "[UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.{n} DST=192.0.2.1 LEN=60 PROTO=TCP SPT={p} DPT=22",
    "Started Session {p} of user größe — naïve 日本語.",
    "connect from unknown[192.0.2.{n}]: lost connection after AUTH",
    "\x1b[31mred\x1b[0m tab\there and a \\xff byte",
    "",
)


class Labels:
    """A dictionary that grows from batch to batch, as the Processor keeps it."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def column(self, values: Sequence[str | None]) -> pa.DictionaryArray:
        codes = [
            None if v is None else self._codes.setdefault(v, len(self._codes)) for v in values
        ]
        return pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32()), pa.array(list(self._codes), pa.string())
        )


class Batches:
    """Makes batches whose rows are numbered through: `template_id` is the row's number.

    `restart()` begins every dictionary afresh; `new_hosts=False` keeps them from growing.
    """

    def __init__(self, *, latent_dim: int = 32, seed: int = 0, new_hosts: bool = True) -> None:
        self.schema = schema(latent_dim)
        self.rows = 0
        self._random = random.Random(seed)
        self._latents = (
            np.random.default_rng(seed).normal(size=(300, latent_dim)).astype(np.float32)
        )
        self._new_hosts = new_hosts
        self.restart()

    def restart(self) -> None:
        self._labels = {
            name: Labels()
            for name in (
                "source",
                "peer",
                "hostname",
                "app_name",
                "reasons",
                "prior",
                "model_version",
                "errors",
            )
        }

    def batch(self, rows: int, *, received_us: int = NOON_US) -> pa.RecordBatch:
        number = range(self.rows, self.rows + rows)
        self.rows += rows
        pick = self._random.random
        kinds = [int(pick() * len(MESSAGES)) for _ in number]
        scored = np.array([pick() < 0.9 for _ in number], np.bool_)
        declared = [None if i % 3 == 0 else i % 8 for i in number]
        flagged = [bool(s) and pick() < 0.1 for s in scored]
        unscored = pa.array(~scored)
        hosts = [
            None if i % 11 == 0 else f"host-{i if self._new_hosts and i % 50 == 1 else i % 20}"
            for i in number
        ]
        label = {name: labels.column for name, labels in self._labels.items()}
        columns: dict[str, pa.Array] = {
            "received_at": pa.array([received_us + i % rows for i in number], pa.int64()).view(
                pa.timestamp("us", "UTC")
            ),
            "timestamp": pa.array(
                [None if i % 7 == 0 else received_us - 1_500_000 + i for i in number],
                pa.timestamp("us", "UTC"),
            ),
            "source": label["source"](["udp://0.0.0.0:514" if i % 2 else "stdin" for i in number]),
            "peer": label["peer"]([f"192.0.2.{i % 9}" if i % 2 else None for i in number]),
            "hostname": label["hostname"](hosts),
            "app_name": label["app_name"](
                [("sshd", None, "CRON", "kernel")[k % 4] for k in kinds]
            ),
            "procid": pa.array([str(i % 32768) if i % 4 else None for i in number], pa.string()),
            "msgid": pa.array(["ID47" if i % 40 == 3 else None for i in number], pa.string()),
            "facility": pa.array([None if d is None else 4 for d in declared], pa.uint8()),
            "severity": pa.array(declared, pa.uint8()),
            "message": pa.array(
                [
                    MESSAGES[k].format(n=i % 255, p=i % 65536)
                    for i, k in zip(number, kinds, strict=True)
                ]
            ),
            "structured_data": pa.array(
                [
                    [("exampleSDID@32473", [("iut", "3"), ("eventSource", 'App "é"')]), ("e", [])]
                    if i % 25 == 0
                    else None
                    for i in number
                ],
                STRUCTURED_DATA,
            ),
            "packet": pa.array(
                [_packet(i) if k == 2 else None for i, k in zip(number, kinds, strict=True)],
                PACKET,
            ),
            "template_id": pa.array(number, pa.uint64()),
            "latent": pa.FixedSizeListArray.from_arrays(
                pa.array(self._latents[[i * 7 % 300 for i in number]].reshape(-1)),
                self._latents.shape[1],
                mask=unscored,
            ),
            "predicted_severity": pa.array(np.array(kinds, np.uint8), mask=~scored),
            "severity_probability": pa.array(
                np.array([pick() for _ in number], np.float32), mask=~scored
            ),
            "prior": label["prior"](["labelled" if s else None for s in scored]),
            "surprise": pa.array(
                np.array([pick() * 90 - 30 for _ in number], np.float32), mask=~scored
            ),
            "p_value": pa.array(np.array([pick() for _ in number], np.float32), mask=~scored),
            "trajectory_surprise": pa.nulls(rows, pa.float32()),
            "anomaly": pa.array(flagged),
            "reasons": pa.ListArray.from_arrays(
                pa.array(
                    np.cumsum(
                        [0, *(1 + i % 2 if f else 0 for i, f in zip(number, flagged, strict=True))]
                    ),
                    pa.int32(),
                ),
                label["reasons"](
                    [
                        REASONS[j]
                        for i, f in zip(number, flagged, strict=True)
                        if f
                        for j in range(1 + i % 2)
                    ]
                ),
            ),
            "alert_count": pa.array(
                [1 + i % 3 if f else None for i, f in zip(number, flagged, strict=True)],
                pa.uint32(),
            ),
            "scored": pa.array(scored),
            "model_version": label["model_version"](["v1" if s else "" for s in scored]),
            "errors": pa.ListArray.from_arrays(
                pa.array(np.cumsum([0, *(i % 30 == 4 for i in number)]), pa.int32()),
                label["errors"](["bad structured data" for i in number if i % 30 == 4]),
            ),
        }
        return pa.RecordBatch.from_arrays(
            [columns[name] for name in self.schema.names], schema=self.schema
        )


def _packet(i: int) -> dict[str, str | int | None]:
    return {
        "action": "block",
        "direction": None,
        "protocol": "tcp",
        "src_ip": f"198.51.100.{i % 255}",
        "src_port": i % 65536,
        "dst_ip": "2001:db8::1",
        "dst_port": 22,
        "in_interface": "eth0",
        "out_interface": None,
        "rule": None,
        "tcp_flags": "SYN",
        "length": 60,
    }
