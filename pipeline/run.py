"""`ltt-stream run`: startup, the loop, the drain. Begin reading here.

One line's way: a receiver's thread takes it off the socket into the queue (`receivers/udp.py`),
this loop takes a batch, `process.py` makes it columns (`parsers/syslog.py` takes the header off,
`scorer.py` finds its template and its score), and the sinks write it (`sinks/arrow.py`).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from models.errors import CheckpointError
from parsers.syslog import Parser
from pipeline import __version__, systemd
from pipeline.accounting import Accounting
from pipeline.batcher import FrameQueue
from pipeline.config import Config, ConfigError, zone_named
from pipeline.flood import Flood
from pipeline.frames import Frames
from pipeline.health import Health
from pipeline.heap import settle
from pipeline.host_opening import open_trajectories
from pipeline.learning import StreamLearning
from pipeline.metrics import Metrics
from pipeline.process import Processor
from pipeline.receivers import Receiver, open_receivers
from pipeline.scorer import Scorer, shipped_model
from pipeline.server import MetricsServer
from pipeline.sinks import Sink, SinkClosed, SinkFull, SinkStalled
from pipeline.sinks.opening import open_sinks, recover_output
from pipeline.snapshots import FOLDER, Snapshots
from pipeline.sockets import listen_tcp
from pipeline.state import SAVE_EVERY_S, StateError, claim, load_state, save_state

if TYPE_CHECKING:
    from pipeline.feedback_http import FeedbackPage

DONE, FAILED = 0, 1
IDLE_S, BUSY_S = 0.25, 0.005
"""How often an idle loop looks at its chores: watchdog, rotation, gauges."""
STOP_TRIES = 8
"""How often a stdout that is not read is tried, once we are told to stop: two seconds."""
FULL_RETRY_S = 0.5
"""How often a full disk is tried again."""


def run(config: Config) -> int:
    """Stream until the input ends or a signal comes; the exit code.

    Raises ConfigError, CheckpointError and OSError, one line each, when it cannot start.
    """
    stream = Stream(config)
    with stream.signals():
        stream.startup()
        try:
            stream.main_loop()
        except BaseException:
            stream.abandon()
            raise
        return stream.shutdown()


class Stream:
    """Receivers → queue → Processor → sinks, driven by one loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.metrics = Metrics()
        self.health = Health()
        self.queue = FrameQueue(config.queue_lines)
        self.flood = Flood(self.queue)
        self.books = Accounting(self.metrics, self.queue)
        self.receivers: list[Receiver] = []
        self.sinks: list[Sink] = []
        self.processor: Processor
        self.learning: StreamLearning
        self.server: MetricsServer | None = None
        self._stopping = False
        self._signalled = False
        self._lost = False
        """Lines found no room on the disk until the end."""
        self._stalled: dict[str, SinkFull] = {}
        """Why the sinks of these names take nothing now."""
        self._dead: set[str] = set()
        """Sources that have failed and were said to have."""
        self._rotate = False
        self._watchdog_s = systemd.watchdog_interval_s()
        self._watchdog_due_s = 0.0
        self._save_due_s = float("inf")
        self._quiet = False

    def startup(self) -> None:
        """Open everything that can fail, then say that we are ready."""
        config = self.config
        datagrams, listeners = systemd.listen_sockets()
        self._open_metrics(listeners)
        recover_output(config, _say)
        if config.state_dir is not None:
            self._state_lock = claim(Path(config.state_dir))
        self.receivers = open_receivers(config.listen, datagrams)
        for receiver in self.receivers:
            self.books.open_source(receiver.source)
            # Receiving starts before the model is loaded: the queue holds what comes meanwhile.
            receiver.start(self.queue)
        self.health.set_ready("sockets")
        base = Path(config.model) if config.model else shipped_model()
        scorer = self._scorer(base)
        self.processor = Processor(scorer, Parser(zone_named(config.zone)))
        self.processor.trajectories = open_trajectories(config, scorer, _say)
        kept = self._load_state()
        self.learning = StreamLearning(config, base, self.processor, self.metrics, _say)
        self.learning.policy.check_sources([receiver.source for receiver in self.receivers])
        self.learning.restore(kept)
        self.sinks = open_sinks(config, self.processor.schema)
        self.health.set_ready("sink")
        self.books.open_sinks(self.sinks)
        self.metrics.set_model(scorer.model_version, scorer.engine.dtype)
        self.health.set_ready("model")
        self.learning.start()
        self._greet(scorer)
        settle()
        systemd.notify("READY=1")

    def main_loop(self) -> None:
        """Batches until every receiver has finished, whether of itself or because we stop."""
        while True:
            if self._stopping:
                for receiver in self.receivers:
                    receiver.stop()
            if all(receiver.finished for receiver in self.receivers):
                self.queue.close()
            frames = self.queue.take(
                self.flood.batch_lines(self.config.batch_lines),
                self.config.batch_delay_s,
                idle_s=BUSY_S if self.learning.busy else IDLE_S,
            )
            if frames is None:
                return
            if frames:
                self._batch(frames)
            self._chores()

    def shutdown(self) -> int:
        """Finish the files and say how it went; the exit code."""
        systemd.notify("STOPPING=1")
        for sink in self.sinks:
            sink.close()
        self._save_state()
        self.learning.close()
        self.books.update(self.receivers, ready=not self.health.not_ready())
        if self.server is not None:
            self.server.close()
        if not self._quiet:
            _say(self.books.summary())
        failed = self._lost or any(receiver.error for receiver in self.receivers)
        return FAILED if failed else DONE

    def abandon(self) -> None:
        """The loop has failed: save what can be saved, count what can't."""
        for receiver in self.receivers:
            receiver.stop()
            receiver.join(1.0)
        self.queue.close()
        while frames := self.queue.take(self.config.batch_lines, 0.0):
            self.books.dropped(frames, "failed")
        for sink in self.sinks:
            with suppress(Exception):
                sink.close()
        with suppress(Exception):
            self._save_state()
        with suppress(Exception):
            self.learning.close()
        _say(self.books.summary())

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT drain, a second one ends at once; SIGHUP rotates the output."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self._signalled:
                os._exit(FAILED)
            self._signalled = self._stopping = True
            self.queue.wake()

        def rotate(number: int, frame: FrameType | None) -> None:
            self._rotate = True
            self.queue.wake()

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: rotate}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _batch(self, frames: list[Frames]) -> None:
        try:
            started_s = time.perf_counter()
            batch = self.processor.process(frames, overloaded=self._overloaded)
            processed_s = time.perf_counter()
            self.books.processed(self.processor, batch.num_rows, processed_s - started_s)
            reasons = [self._write(sink, batch) for sink in list(self.sinks)]
        except BaseException:
            self.books.dropped(frames, "failed")
            raise
        if all(reasons):
            self.books.dropped(frames, next(filter(None, reasons), "stdout_closed"))
        self.books.finished(frames, time.perf_counter() - processed_s)
        self.learning.batch(frames)

    def _overloaded(self) -> bool:
        """Whether to shed the model; asked every now and then, so a sign of life as well."""
        self._beat()
        return self.queue.overloaded

    def _write(self, sink: Sink, batch: pa.RecordBatch) -> str | None:
        """Write, waiting for room where there is none; why the sink did not take it, or None."""
        patience = STOP_TRIES
        while True:
            try:
                sink.write(batch)
            except SinkFull as full:
                self._note(sink, full)
                stalled = isinstance(full, SinkStalled)
                patience -= 1
                if self._stopping and (patience <= 0 or not stalled):
                    if stalled:
                        self.sinks.remove(sink)
                    self._lost = self._lost or not stalled
                    self.books.refused(sink, batch.num_rows, full.reason)
                    return full.reason
                self._chores()
                if not stalled:
                    # A signal is seen late by at most this; that is soon enough.
                    time.sleep(FULL_RETRY_S)
            except SinkClosed:
                # `| head` has seen enough: take no more in, finish what is here, end quietly.
                self.sinks.remove(sink)
                self._stopping = self._quiet = True
                self.books.refused(sink, batch.num_rows, "stdout_closed")
                return "stdout_closed"
            else:
                self._note(sink, None)
                self.books.written(sink, batch.num_rows)
                return None

    def _note(self, sink: Sink, full: SinkFull | None) -> None:
        """Keep, say and show why a sink takes nothing, or that it does again."""
        before = self._stalled.pop(sink.name, None)
        if full is not None:
            self._stalled[sink.name] = full
        if (before is None) == (full is None):
            return
        current = next(iter(self._stalled.values()), None)
        self.queue.stall_reason = None if current is None else current.reason
        if current is None:
            self.health.set_ready("sink")
        else:
            self.health.set_not_ready("sink", str(current))
        changed = full or before
        if not isinstance(changed, SinkStalled):  # a reader may rest: that is no news
            _say(
                f"{full}: waiting for room; Ctrl-C gives up"
                if full
                else "there is room again: going on"
            )

    def _chores(self) -> None:
        """What a loop does between two batches, and while it waits for room on the disk."""
        self._beat()
        for receiver in self.receivers:
            if receiver.error is not None and receiver.source not in self._dead:
                self._dead.add(receiver.source)
                self.health.set_not_ready("sockets", receiver.error)
                _say(receiver.error)
        now_us = time.time_ns() // 1000
        for sink in self.sinks:
            sink.tick(now_us)
            if self._rotate:
                sink.rotate()
        self._rotate = False
        self.learning.tick()
        self.flood.tick(time.monotonic())
        if time.monotonic() >= self._save_due_s:
            self._save_state()
        self.books.update(self.receivers, ready=not self.health.not_ready())

    def _beat(self) -> None:
        """A sign of life: for /healthz and for systemd's watchdog."""
        self.health.beat()
        if self._watchdog_s and time.monotonic() >= self._watchdog_due_s:
            self._watchdog_due_s = time.monotonic() + self._watchdog_s
            systemd.notify("WATCHDOG=1")

    def _scorer(self, base: Path) -> Scorer:
        """With the model that was learnt from this one, where the state directory has one."""
        config = self.config

        def load(path: Path) -> Scorer:
            return Scorer.load(path, dtype=config.dtype, threads=config.threads)

        if config.state_dir is None or not (Path(config.state_dir) / FOLDER).exists():
            return load(base)
        scorer = load(base)
        snapshots = Snapshots(Path(config.state_dir))
        learnt = snapshots.current_of(scorer.model_version)
        if learnt is None:
            if snapshots.current() is not None:
                snapshots.forget_current()
                _say(
                    f"{scorer.model_version} is another model than was learnt from: beginning anew"
                )
            return scorer
        try:
            return load(learnt)
        except CheckpointError as error:
            snapshots.forget_current()
            _say(f"{error}; {scorer.model_version} is used")
            return scorer

    def _load_state(self) -> dict[str, Any]:
        if self.config.state_dir is None:
            return {}
        self._save_due_s = time.monotonic() + SAVE_EVERY_S
        try:
            return load_state(Path(self.config.state_dir), self.processor)
        except StateError as error:
            _say(f"{error}; starting afresh")
            return {}

    def _save_state(self) -> None:
        if self.config.state_dir is None:
            return
        self._save_due_s = time.monotonic() + SAVE_EVERY_S
        try:
            save_state(Path(self.config.state_dir), self.processor, self.learning.kept())
        except OSError as error:
            _say(f"state not saved: {error}; it is tried again later")

    def _open_metrics(self, inherited: list[socket.socket]) -> None:
        address = self.config.metrics
        if inherited:
            listener = inherited[0]
            if address is not None:
                _say(f"--metrics {address}: not used, a listening socket was passed in")
        elif address is not None:
            listener = listen_tcp(address)
        elif self.config.feedback_token_file is not None:
            raise ConfigError("--feedback-token-file: needs --metrics HOST:PORT to listen on")
        else:
            return
        self.server = MetricsServer(
            listener, self.metrics.registry, self.health, feedback=self._feedback_page()
        )
        self.server.start()

    def _feedback_page(self) -> FeedbackPage | None:
        token_file = self.config.feedback_token_file
        if token_file is None:
            return None
        from pipeline.feedback_http import open_page

        return open_page(self.config.state_dir, token_file)

    def _greet(self, scorer: Scorer) -> None:
        """Daemons say what they do; a filter in a pipe stays quiet."""
        sources = ", ".join(receiver.source for receiver in self.receivers)
        if sources == "stdin" and not sys.stdin.isatty():
            return
        _say(
            f"{__version__}: reading {sources}; model {scorer.model_version} in "
            f"{scorer.engine.dtype}; "
            + (f"writing {self.config.out}" if self.config.out else "storing nothing")
            + (f"; metrics on {self.server.url}/metrics" if self.server else "")
        )
        if sources == "stdin":
            _say(
                "type or paste log lines, end with Ctrl-D; or pipe a log in. The first 500 lines "
                "only teach it what is ordinary here"
            )


def _say(text: str) -> None:
    """One line to stderr; a stderr that takes nothing (a full disk) must not end the stream."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"ltt-stream: {text}", file=sys.stderr, flush=True)
