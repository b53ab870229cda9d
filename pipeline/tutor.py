"""The stream's side of learning: starts the learner, feeds and watches it, and never waits."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.learner import Options
from pipeline.lessons import (
    MESSAGE_LESSONS,
    Begin,
    Boost,
    Forget,
    FromLearner,
    Lesson,
    Teach,
    ToLearner,
    from_learner,
    pair,
    receive,
    send,
)
from pipeline.templates import TemplateTable

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Before a learner that has died is started again: doubled each time,"""
SETTLED_S = 120.0
"""and begun anew after one has lived so long."""
STOP_S = 10.0
"""How long a learner may take to save at the end."""
MOST_TOLD = 1 << 17
"""Labels of templates whose counts are remembered."""
TELL_AGAIN = 1024
"""A label is told at its 1st, 2nd, 4th … line, and at last at each so many."""
DECLARED, PERSON = 0, 2
"""Quality of a label; see pipeline.lessons."""

Say = Callable[[str], None]


class Labels(NamedTuple):
    """What a source's lines say, each different saying once: U of them."""

    row: npt.NDArray[np.int64]  # (U,) of the template table
    severity: npt.NDArray[np.int64]  # (U,)
    lines: npt.NDArray[np.int64]  # (U,) that say so


def labels_of(rows: npt.NDArray[np.integer], declared: npt.NDArray[np.integer]) -> Labels:
    """Of N labelled lines: rows of the table, and the severity of each."""
    codes, lines = np.unique(rows.astype(np.int64) * 8 + declared, return_counts=True)
    return Labels(codes >> 3, codes & 7, lines)


class Telling:
    """Which labels are worth a lesson: the 1st, 2nd, 4th … line that says the same."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int, int], list[int]] = {}
        """Lines, lines at which it is told again, and lines told of."""

    def lessons(self, source: str, labels: Labels, table: TemplateTable) -> list[Lesson]:
        """Of what one source's lines say in a batch."""
        found = []
        ids = table.template_id[labels.row].tolist()
        columns = (column.tolist() for column in labels)
        for template, row, severity, lines in zip(ids, *columns, strict=True):
            key = (source, template, severity)
            seen = self._counts.get(key)
            if seen is None:
                if len(self._counts) >= MOST_TOLD:
                    for old in list(self._counts)[: MOST_TOLD // 2]:
                        del self._counts[old]
                seen = self._counts[key] = [0, 1, 0]
            seen[0] += lines
            if seen[0] >= seen[1]:
                seen[1] = seen[0] + min(seen[0], TELL_AGAIN)
                since, seen[2] = seen[0] - seen[2], seen[0]
                app, text = table.texts[row]
                facility = int(table.facility[row])
                found.append(
                    Lesson(template, app, text, facility, source, severity, DECLARED, since)
                )
        return found


class Tutor:
    """One learner process at a time."""

    def __init__(self, options: Options, say: Say) -> None:
        """options: its `fd` is filled in here."""
        self.starts = 0
        self.told = 0
        """Lessons that the learner was sent."""
        self.dropped = 0
        """Lessons that found the channel full, or no learner."""
        self._options = options
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._end: socket.socket | None = None
        self._heard = False
        """Whether the learner of now has said anything: it may have something to save then."""
        self._wait_s = FIRST_WAIT_S
        self._started_s = 0.0
        self._due_s = 0.0
        self._telling = Telling()

    @property
    def pid(self) -> int | None:
        """Of the learner that runs now."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a learner; one that does not start is tried again later."""
        ours, theirs = pair()
        options = msgspec.structs.replace(self._options, fd=theirs.fileno())
        command = [sys.executable, "-m", "pipeline.learner", msgspec.json.encode(options).decode()]
        self._started_s = time.monotonic()
        self.starts += 1
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            ours.close()
            self._say(f"the learner cannot be started: {error}; it is tried again later")
            self._back_off()
            return
        finally:
            theirs.close()
        self._end, self._heard = ours, False

    def poll(self) -> list[FromLearner]:
        """What the learner has said since the last time; starts it anew where it has died."""
        if self._process is None:
            if time.monotonic() >= self._due_s:
                self.start()
            return []
        assert self._end is not None
        said = receive(self._end, from_learner)
        status = self._process.poll()
        if status is not None:
            how = f"killed by signal {-status}" if status < 0 else f"exit code {status}"
            self._end.close()
            self._process = self._end = None
            if time.monotonic() - self._started_s >= SETTLED_S:
                self._wait_s = FIRST_WAIT_S
            self._say(f"the learner has ended ({how}); started again in {self._wait_s:.0f} s")
            self._back_off()
        self._heard = self._heard or bool(said)
        return said or []

    def teach(self, source: str, labels: Labels, table: TemplateTable) -> None:
        """Tell the learner what lines of one source say, where that is worth a lesson."""
        lessons = self._telling.lessons(source, labels, table)
        for start in range(0, len(lessons), MESSAGE_LESSONS):
            part = lessons[start : start + MESSAGE_LESSONS]
            if self._send(Teach(part)):
                self.told += len(part)
            else:
                self.dropped += len(part)

    def tell(self, lesson: Lesson) -> bool:
        """One lesson from a person; False where it was not taken."""
        taken = self._send(Teach([lesson]))
        self.told += taken
        self.dropped += not taken
        return taken

    def boost(self, seconds: float) -> None:
        """Learn faster for a while."""
        self._send(Boost(seconds))

    def forget(self, template_ids: list[int]) -> None:
        """Teach these no more."""
        if template_ids:
            self._send(Forget(template_ids))

    def begin(self, model: Path) -> None:
        """Go on from another checkpoint."""
        self._send(Begin(str(model)))

    def stop(self) -> None:
        """Let the learner save and end; kill it where it does not."""
        if self._end is not None:
            self._end.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S if self._heard else 0.0)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        self._process = self._end = None

    def _send(self, message: ToLearner) -> bool:
        return self._end is not None and send(self._end, message)

    def _back_off(self) -> None:
        self._due_s = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
