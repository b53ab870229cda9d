"""The learner: a process of its own, at the lowest priority, that teaches the model.

    python -m pipeline.learner   with the options as JSON on the command line

The stream starts it, feeds it through a socket and watches it. It may die at any time: it goes on
from the last snapshot and the last buffer that it saved. It ends when the stream does.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec

from models.errors import CheckpointError
from pipeline.lessons import (
    Begin,
    Boost,
    Forget,
    Note,
    Published,
    Status,
    Teach,
    receive,
    send,
    to_learner,
)
from pipeline.snapshots import Row, Snapshots, now

BUFFER = "replay.arrow"
BATCHING_S = 1.0
"""How long lessons wait for others, so that an update is of many."""
JUDGE_UPDATES = 32
"""A candidate is measured after so many updates,"""
JUDGE_S = 60.0
"""or after so long, where there was any."""
SAVE_S = 60.0
STATUS_S = 1.0
BOOST = 5.0
"""A drift multiplies the budget by it."""
BURST_S = 1.0
"""CPU that may be saved up while there is nothing to learn."""
NICE = 19


class Options(msgspec.Struct, frozen=True):
    """What the stream tells its learner on the command line."""

    fd: int
    """The learner's end of the channel."""
    state_dir: str
    model: str
    """The checkpoint that the program starts with."""
    budget: float = 0.1
    """Share of one core."""
    rate: float = 1e-4
    entries: int = 8192
    buffer_bytes: int = 8 << 20
    keep: int = 5
    seed: int = 0


class Budget:
    """CPU seconds that may be used: a share of the time that passes, little of it saved up."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._boosted_until_s = 0.0
        self._left_s = BURST_S
        self._wall_s = time.monotonic()
        self._cpu_s = time.process_time()

    def boost(self, seconds: float) -> None:
        self._boosted_until_s = time.monotonic() + seconds

    def wait_s(self) -> float:
        """How long to rest until there is something left to use."""
        wall_s, cpu_s = time.monotonic(), time.process_time()
        share = self.share * (BOOST if wall_s < self._boosted_until_s else 1.0)
        share = min(share, 1.0)
        self._left_s += share * (wall_s - self._wall_s) - (cpu_s - self._cpu_s)
        self._left_s = min(self._left_s, BURST_S * share)
        self._wall_s, self._cpu_s = wall_s, cpu_s
        return max(0.0, -self._left_s / share)


class Learner:
    """Lessons in, snapshots out."""

    def __init__(self, options: Options, end: socket.socket) -> None:
        from models.checkpoint import load_checkpoint

        self.options = options
        self.end = end
        self.snapshots = Snapshots(Path(options.state_dir), keep=options.keep)
        self.budget = Budget(options.budget)
        self.rejected = self.failed = 0
        self.accuracy: float | None = None
        self._file = Path(options.state_dir) / BUFFER
        self._base = load_checkpoint(Path(options.model)).version
        self._version = self._base
        self._begin(self.snapshots.current() or Path(options.model), self._load_buffer())
        self._stopping = False
        self._updates_before = 0
        """Updates of the learner's life, before the classroom of now."""
        self._judged = 0
        """Updates at which the last candidate was measured."""
        now_s = time.monotonic()
        self._judge_due_s, self._save_due_s = now_s + JUDGE_S, now_s + SAVE_S
        self._status_due_s = self._update_due_s = now_s

    def run(self) -> None:
        """Until the stream closes its end, or a signal."""
        while not self._stopping:
            wait_s = self.budget.wait_s()
            resting = wait_s > 0
            if not resting and self.classroom.waiting >= 2 * BATCH:
                wait_s = 0.0
            elif not resting and self.classroom.waiting:
                wait_s = max(0.0, self._update_due_s - time.monotonic())
            elif not resting:
                wait_s = STATUS_S
            self._listen(min(wait_s, STATUS_S))
            now_s = time.monotonic()
            may = self.budget.wait_s() == 0
            due = now_s >= self._update_due_s or self.classroom.waiting >= 2 * BATCH
            if may and due and self.classroom.update():
                self._update_due_s = time.monotonic() + BATCHING_S
            since = self.classroom.updates - self._judged
            if may and since and (since >= JUDGE_UPDATES or now_s >= self._judge_due_s):
                self._judge()
            if now_s >= self._save_due_s:
                self._save()
            if now_s >= self._status_due_s:
                self._report()
        self._save()

    def stop(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: save and end."""
        self._stopping = True

    def _listen(self, wait_s: float) -> None:
        with suppress(InterruptedError):
            select.select([self.end], [], [], wait_s)
        messages = receive(self.end, to_learner)
        if messages is None:
            self._stopping = True
            return
        for message in messages:
            match message:
                case Teach(lessons):
                    self.classroom.offer(lessons)
                case Boost(seconds):
                    self.budget.boost(seconds)
                case Forget(template_ids):
                    self.classroom.forget(template_ids)
                case Begin(model):
                    before = self.classroom
                    self._updates_before += before.updates
                    self._begin(Path(model), before.replay)
                    self.classroom.go_on_from(before)
                    self._judged = 0

    def _begin(self, model: Path, replay: object) -> None:
        from models.checkpoint import load_checkpoint
        from models.continual import Learning
        from models.replay import Replay
        from pipeline.classroom import Classroom

        assert isinstance(replay, Replay)
        try:
            checkpoint = load_checkpoint(model)
        except CheckpointError as error:
            self._say(f"{error}; it begins with the model of the program's start")
            checkpoint = load_checkpoint(Path(self.options.model))
        self._version = checkpoint.version
        learning = Learning(checkpoint, rate=self.options.rate, seed=self.options.seed)
        self.classroom = Classroom(learning, replay)

    def _judge(self) -> None:
        """Publish the candidate if the gate lets it through."""
        since = self.classroom.updates - self._judged
        self._judged = self.classroom.updates
        self._judge_due_s = time.monotonic() + JUDGE_S
        gate = self.classroom.judge()
        if gate is None:
            return
        row = Row(
            at=now(),
            action="published" if gate.passed else "rejected",
            version=self._version,
            base=self._base,
            why=f"{since} updates",
            updates=since,
            held_out=gate.held_out,
            accuracy=round(gate.accuracy, 4),
            accuracy_before=round(gate.accuracy_before, 4),
            log_loss=round(gate.log_loss, 4),
            log_loss_before=round(gate.log_loss_before, 4),
        )
        if gate.passed:
            self.accuracy = gate.accuracy
            try:
                row.version, home = self.snapshots.publish(self.classroom.learning.snapshot())
            except OSError as error:
                # The candidate stays in memory: the next one that passes is tried again.
                self.failed += 1
                row.action, row.why = "failed", f"{error}"
                self._say(f"snapshot not written: {error}; {self._version} stays in use")
            else:
                self._version = row.version
                send(self.end, Published(row.version, str(home), time.time()))
        else:
            self.accuracy = gate.accuracy_before
            self.rejected += 1
        with suppress(OSError):
            self.snapshots.record(row)
        self._report()

    def _load_buffer(self) -> object:
        from models.replay import Replay
        from pipeline.replay_file import ReplayFileError, load_buffer

        bounds = {"max_entries": self.options.entries, "max_bytes": self.options.buffer_bytes}
        if self._file.exists():
            try:
                return load_buffer(self._file, **bounds)
            except ReplayFileError as error:
                self._say(f"{error}; the replay buffer starts empty")
        return Replay(**bounds, seed=self.options.seed)

    def _save(self) -> None:
        from pipeline.replay_file import save_buffer

        self._save_due_s = time.monotonic() + SAVE_S
        try:
            save_buffer(self._file, self.classroom.replay)
        except OSError as error:
            self._say(f"replay buffer not saved: {error}; it is tried again later")

    def _report(self) -> None:
        self._status_due_s = time.monotonic() + STATUS_S
        send(
            self.end,
            Status(
                self._updates_before + self.classroom.updates,
                len(self.classroom.replay),
                self.rejected,
                self.failed,
                self.classroom.dropped,
                self.accuracy,
                self.classroom.replay.dropped,
            ),
        )

    def _say(self, text: str) -> None:
        send(self.end, Note(f"learner: {text}"))


BATCH = 32
"""Lessons of one update; see pipeline.classroom."""


def main() -> None:
    """The process. Ctrl-C is for the stream, which then closes the channel."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with suppress(OSError):  # a sandbox may forbid even this
        os.nice(NICE)
    end = socket.socket(fileno=options.fd)
    end.setblocking(False)
    import torch

    torch.set_num_threads(1)
    learner = Learner(options, end)
    signal.signal(signal.SIGTERM, learner.stop)
    learner.run()


if __name__ == "__main__":
    main()
