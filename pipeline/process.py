"""The heart: frames in, one scored RecordBatch out.

No sockets, no files, no clocks but the frames' own. The stream loop calls it, the tests call it,
a distributed engine may call it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parsers.fields import StructuredData
from parsers.syslog import Parser
from pipeline import anomaly, columns
from pipeline.columns import Vocabulary
from pipeline.frames import Frames, Senders
from pipeline.host_table import HostLines
from pipeline.hosts import HostTrajectories
from pipeline.judge import Judge
from pipeline.packets import packet_column
from pipeline.predict import Prediction, Sources, predict
from pipeline.priors import PRIORS
from pipeline.schema import STRUCTURED_DATA, schema
from pipeline.scorer import SHED, Scorer, never


class BatchStats(NamedTuple):
    """What one batch adds to the metrics."""

    malformed: dict[str, int]
    """Lines with parse errors, by source."""
    shed: int
    model: int
    """Lines whose template was new to the model."""
    cache: int
    severities: npt.NDArray[np.int64]
    """(8,) scored lines by predicted severity."""
    anomalies: dict[str, int]
    """Flagged lines by reason; a line with two reasons counts in both."""
    flagged: int


NO_LINES = BatchStats({}, 0, 0, 0, np.zeros(8, np.int64), {}, 0)


class Assessment(NamedTuple):
    """What the model and the judge say of N lines."""

    rows: npt.NDArray[np.int32]
    """(N,) rows of the template table, SHED where the model was shed."""
    scored: npt.NDArray[np.bool_]
    at: npt.NDArray[np.int32]
    """(N,) the same rows with 0 for SHED, to index the table by."""
    predicted: Prediction
    surprise: npt.NDArray[np.float32]
    """(N,) −log p of the line in its source, nats."""
    p_value: npt.NDArray[np.float32]
    anomaly: npt.NDArray[np.bool_]
    fired: npt.NDArray[np.bool_]
    """(N, len(anomaly.REASONS))"""
    declared: npt.NDArray[np.int16]
    """(N,) severity of the PRI, -1 without one."""
    first: npt.NDArray[np.bool_]
    """(N,) whether the template was never seen before in this stream."""
    alert_count: npt.NDArray[np.uint32]
    """(N,) lines of an anomaly's template since its last alert, 0 where there is no anomaly."""
    sources: Sources
    """Where the lines come from, one after the other."""
    trajectory: npt.NDArray[np.float32] | None
    """(N,) trajectory surprise, nats; None without host dynamics."""


class Processor:
    """Parses, finds templates, scores and lays out columns.

    With `scorer=None` it parses only: every row has `scored=false`.
    """

    def __init__(self, scorer: Scorer | None, parser: Parser | None = None) -> None:
        self.scorer = scorer
        self.schema = schema(scorer.engine.latent_dim if scorer else 32)
        self.stats = NO_LINES
        """Of the batch processed last."""
        self.assessment: Assessment | None = None
        """Of the batch processed last; None before the first one, and without a scorer."""
        self.judge = Judge()
        self.trajectories: HostTrajectories | None = None
        """Where hosts are heading; None without fitted dynamics."""
        self._parser = parser or Parser()
        self._senders = Senders()
        self._sources = Vocabulary()
        self._peers = Vocabulary()
        self._hostnames = Vocabulary()
        self._apps = Vocabulary()
        self._versions = Vocabulary()
        self._errors = Vocabulary()
        self._priors = Vocabulary(prior.encode() for prior in PRIORS)
        self._reasons = pa.array(anomaly.REASONS, pa.string())
        self.scored_lines = 0

    def process(
        self, frames: Sequence[Frames], *, overloaded: Callable[[], bool] = never
    ) -> pa.RecordBatch:
        """One row a message, in order; never raises on any input bytes.

        While `overloaded()` holds, lines of unknown templates are written unscored: the model is
        shed, never the line.
        """
        fields = self._parser.fields
        parsed = [fields(line, f.received_us) for f in frames for line in f.data]
        n = len(parsed)
        if n == 0:
            self.stats = NO_LINES
            return pa.RecordBatch.from_pylist([], schema=self.schema)
        # One transposition for the whole batch is cheaper than eleven passes over its rows.
        (
            _,
            priorities,
            _,
            timestamps,
            hostnames,
            apps,
            procids,
            msgids,
            structured,
            messages,
            errors,
        ) = zip(*parsed, strict=True)
        lengths = [len(f.data) for f in frames]
        sources = self._sources.codes([f.source.encode() for f in frames])
        received = np.array([f.received_us for f in frames], np.int64)
        priority = np.array(priorities, np.int16)
        has_pri = priority >= 0
        received = np.repeat(received, lengths)
        hostname = self._hostnames.codes(hostnames)
        column = {
            "received_at": columns.instants(received),
            "timestamp": columns.instants(timestamps),
            "source": self._sources.column(np.repeat(sources, lengths)),
            "peer": self._peers.column(self._peer_codes(frames)),
            "hostname": self._hostnames.column(hostname),
            "app_name": self._apps.column(self._apps.codes(apps)),
            "procid": columns.strings(procids),
            "msgid": columns.strings(msgids),
            "facility": columns.masked((priority >> 3).astype(np.uint8), has_pri),
            "severity": columns.masked((priority & 7).astype(np.uint8), has_pri),
            "message": columns.strings(messages),
            "structured_data": _structured_data(structured),
            "errors": self._error_lists(errors),
        }
        if self.scorer is None:
            rows = np.full(n, SHED, np.int32)
            column |= self._unscored_columns(n)
            self.stats = NO_LINES._replace(shed=n)
        else:
            senders = self._senders.runs(frames)
            hosts = None
            if self.trajectories is not None:
                written = columns.seconds(column["timestamp"], received)
                hosts = HostLines(senders, hostname, self._hostnames, written, received / 1e6)
            assessment = self.assess(
                senders,
                apps,
                messages,
                priority,
                received_us=received,
                hosts=hosts,
                overloaded=overloaded,
            )
            rows = assessment.rows
            column |= self._score_columns(assessment)
        table = None if self.scorer is None else self.scorer.table
        column["packet"] = packet_column(apps, messages, rows, table, structured, msgids)
        self.stats = self.stats._replace(malformed=_malformed(frames, errors))
        return pa.RecordBatch.from_arrays(
            [column[name] for name in self.schema.names], schema=self.schema
        )

    def assess(
        self,
        sources: Sources,
        apps: Sequence[bytes | None],
        messages: Sequence[bytes],
        priority: npt.NDArray[np.int16],
        *,
        received_us: npt.NDArray[np.int64] | None = None,
        hosts: HostLines | None = None,
        overloaded: Callable[[], bool] = never,
    ) -> Assessment:
        """Score and judge lines whose headers are off; counts them as seen.

        sources: where they come from, one after the other. priority: (N,) the PRI, -1 without
        one. received_us: (N,) Unix time, without which no time passes. hosts: without it no host's
        state moves. Needs a scorer.
        """
        scorer = self.scorer
        if scorer is None:
            raise ValueError("assess() needs a Processor with a scorer")
        facilities = (priority >> 3).tolist()  # -1 stays -1
        rows, new = scorer.resolve(apps, messages, facilities, overloaded=overloaded)
        table = scorer.table
        declared = np.where(priority < 0, priority, priority & 7)
        predicted = predict(table, scorer.priors, sources, rows, declared)
        scored = rows != SHED
        # Row 0 stands in for shed lines, which are masked out wherever it shows.
        at = np.where(scored, rows, 0)
        observed = scorer.surprise.observe(sources, rows, table, received_us)
        before = anomaly.occurrences(at, table.seen)
        novelty = np.zeros(len(rows))
        # A packet to one more port is a line of the kernel's, but no new thing that it says.
        packet = table.is_packet[at]
        novelty[scored] = scorer.novelty.observe(
            table.app[rows[scored]], np.where(packet, 2, before)[scored]
        )
        novelty[packet] = 0.0
        headed = None
        if self.trajectories is not None and hosts is not None:
            headed = self.trajectories.observe(
                hosts,
                rows,
                table,
                np.where(declared < 0, predicted.severity, declared),
                scorer_version=scorer.model_version,
            )
        judged = self.judge.observe(
            table,
            scorer.surprise,
            sources=sources,
            trusts=scorer.priors.trusts,
            at=at,
            scored=scored,
            position=self.scored_lines,
            before=before,
            novelty=novelty,
            observed=observed,
            predicted=predicted,
            declared=declared,
            trajectory_p=None if headed is None else headed.p_value,
        )
        flagged = np.flatnonzero(judged.anomaly)
        known = rows[scored]
        if len(known):
            scorer.observe(known)
            self.scored_lines += len(known)
        from_model = int(np.isin(known, new).sum()) if len(new) else 0
        self.stats = BatchStats(
            malformed={},
            shed=len(rows) - len(known),
            model=from_model,
            cache=len(known) - from_model,
            severities=np.bincount(predicted.severity[scored], minlength=8),
            anomalies={
                reason: int(count)
                for reason, count in zip(
                    anomaly.REASONS, judged.fired[flagged].sum(axis=0), strict=True
                )
                if count
            },
            flagged=len(flagged),
        )
        self.assessment = Assessment(
            rows,
            scored,
            at,
            predicted,
            observed.nats,
            observed.p_value,
            judged.anomaly,
            judged.fired,
            declared,
            scored & (before == 0),
            judged.counts,
            sources,
            None if headed is None else headed.nats,
        )
        return self.assessment

    def _score_columns(self, assessment: Assessment) -> dict[str, pa.Array]:
        assert self.scorer is not None
        table = self.scorer.table
        scored, at, predicted = assessment.scored, assessment.at, assessment.predicted
        version = self._versions.codes([self.scorer.model_version.encode(), b""])
        return {
            "template_id": pa.array(np.where(scored, table.template_id[at], np.uint64(0))),
            "latent": columns.vectors(table.latent[at], scored),
            "predicted_severity": columns.masked(predicted.severity, scored),
            "severity_probability": columns.masked(predicted.confidence, scored),
            "prior": self._priors.column(np.where(scored, predicted.prior, -1).astype(np.int32)),
            "surprise": columns.masked(assessment.surprise, scored),
            "p_value": columns.masked(assessment.p_value, scored),
            "trajectory_surprise": pa.nulls(len(scored), pa.float32())
            if assessment.trajectory is None
            else columns.masked(assessment.trajectory, scored),
            "anomaly": pa.array(assessment.anomaly),
            "reasons": columns.word_lists(assessment.fired, self._reasons),
            "alert_count": columns.masked(assessment.alert_count, assessment.anomaly),
            "scored": pa.array(scored),
            "model_version": self._versions.column(np.where(scored, version[0], version[1])),
        }

    def _unscored_columns(self, n: int) -> dict[str, pa.Array]:
        no = np.zeros(n, np.bool_)
        nulls = (
            "latent",
            "predicted_severity",
            "severity_probability",
            "prior",
            "surprise",
            "p_value",
            "trajectory_surprise",
            "alert_count",
        )
        return {name: pa.nulls(n, self.schema.field(name).type) for name in nulls} | {
            "template_id": pa.array(np.zeros(n, np.uint64)),
            "anomaly": pa.array(no),
            "reasons": columns.word_lists(
                np.zeros((n, len(anomaly.REASONS)), np.bool_), self._reasons
            ),
            "scored": pa.array(no),
            "model_version": self._versions.column(np.repeat(self._versions.codes([b""]), n)),
        }

    def _peer_codes(self, frames: Sequence[Frames]) -> npt.NDArray[np.int32]:
        """(N,) codes of the senders' addresses; nearly always a read is all of one."""
        if all(not f.peers or f.peers.count(f.peers[0]) == len(f.data) for f in frames):
            codes = self._peers.codes([f.peers[0].encode() if f.peers else None for f in frames])
            return np.repeat(codes, [len(f.data) for f in frames])
        peers: list[bytes | None] = []
        for f in frames:
            peers += [p.encode() for p in f.peers] if f.peers else [None] * len(f.data)
        return self._peers.codes(peers)

    def _error_lists(self, errors: Sequence[tuple[str, ...]]) -> pa.Array:
        flat: list[bytes] = []
        offsets = np.zeros(len(errors) + 1, np.int32)
        if any(errors):
            flat = [reason.encode() for reasons in errors for reason in reasons]
            np.cumsum([len(reasons) for reasons in errors], out=offsets[1:])
        return pa.ListArray.from_arrays(
            pa.array(offsets), self._errors.column(self._errors.codes(flat))
        )


def _structured_data(values: Sequence[StructuredData | None]) -> pa.Array:
    at = [i for i, value in enumerate(values) if value is not None]
    elements = [
        [(sd_id, list(params.items())) for sd_id, params in (values[i] or {}).items()] for i in at
    ]
    return columns.spread(pa.array(elements, STRUCTURED_DATA), at, len(values))


def _malformed(frames: Sequence[Frames], errors: Sequence[tuple[str, ...]]) -> dict[str, int]:
    if not any(errors):
        return {}
    sources = [f.source for f in frames for _ in f.data]
    return dict(Counter(s for s, reasons in zip(sources, errors, strict=True) if reasons))
