"""The bounded queue between the receivers and the stream loop, and the batches taken from it.

Costs are per chunk (one system call's worth of lines), not per line. The law that holds at any
moment, per source: received = taken + dropped + still queued.
"""

from __future__ import annotations

import queue
import threading
import time
from bisect import bisect_right
from collections import Counter, deque
from itertools import accumulate

import msgspec

from pipeline.frames import Frames

DEFAULT_MAX_BYTES = 128 * 1024 * 1024
LOW_WATER = 1 / 16
"""Of the high-water marks: what waits when an overload is over. What a flood leaves is shed, so
that the first lines after it are scored within a second."""


class _Chunk(msgspec.Struct):
    frames: Frames
    enqueued_s: float
    """Monotonic clock."""
    start: int = 0
    """Lines before this one are taken already: cheaper than cutting a long list time and again."""


class FrameQueue:
    """Lines waiting for the stream loop, bounded in lines and bytes.

    Any number of threads put, one takes. Bytes are message bytes, without line terminators.
    The counters are read freely from other threads; only the queue writes them.
    """

    def __init__(
        self, max_lines: int, *, high_water: float = 0.5, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        """`high_water` is the fraction of both bounds at which sources that can wait, wait."""
        if max_lines < 1 or max_bytes < 1 or not 0 < high_water <= 1:
            raise ValueError("a queue needs max_lines ≥ 1, max_bytes ≥ 1 and 0 < high_water ≤ 1")
        self.max_lines = max_lines
        self.max_bytes = max_bytes
        self.high_water_lines = max(1, int(max_lines * high_water))
        self.high_water_bytes = max(1, int(max_bytes * high_water))
        self.received: Counter[str] = Counter()
        self.received_bytes: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()
        """Lines by (source, reason): "queue_full", a stall's reason, "shutdown" once closed."""
        self.stall_reason: str | None = None
        """Why the consumer takes nothing ("disk_full"): the reason of drops while it is set."""
        self._chunks: deque[_Chunk] = deque()
        self._lines = 0
        self._bytes = 0
        self._closed = False
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._producers_waiting = 0
        # The consumer sleeps on a SimpleQueue, whose put() may be called from a signal handler
        # that interrupted any line of this class; a Condition would deadlock there.
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._woken = False
        self._asleep = False
        self._wanted_lines = 1
        self._overloaded = False

    @property
    def lines(self) -> int:
        """Lines waiting."""
        return self._lines

    @property
    def bytes(self) -> int:
        """Message bytes waiting."""
        return self._bytes

    @property
    def closed(self) -> bool:
        """Whether close() was called; lines may still wait."""
        return self._closed

    @property
    def overloaded(self) -> bool:
        """Whether more waits than a high-water mark allows, or did and has not ebbed since."""
        return self._overloaded

    def put(self, frames: Frames, *, waited_s: float = 0.0) -> None:
        """Take in what fits and drop the rest from the tail, counted. Never waits.

        waited_s: how long the oldest may have lain in the kernel, unread; its batch is the sooner.
        """
        lines, size = len(frames.data), _size(frames.data)
        if not lines:
            return
        with self._lock:
            self._count_received(frames.source, lines, size)
            if self._closed:
                self.dropped[frames.source, "shutdown"] += lines
                return
            fitting = _fitting(
                frames.data, size, self.max_lines - self._lines, self.max_bytes - self._bytes
            )
            if fitting < lines:
                reason = self.stall_reason or "queue_full"
                self.dropped[frames.source, reason] += lines - fitting
                if not fitting:
                    return
                frames = _part(frames, 0, fitting)
                size = _size(frames.data)
            self._append(frames, size, waited_s)

    def put_waiting(self, frames: Frames) -> bool:
        """Take in every line, waiting for room below the high-water marks.

        So a source that can wait never makes the queue `overloaded` (but for a single line
        larger than the byte mark, which passes alone). Returns False when the queue was closed
        meanwhile: what had not got in is counted as dropped, reason "shutdown".
        """
        start, lines = 0, len(frames.data)
        with self._lock:
            while start < lines:
                if self._closed:
                    rest = frames.data[start:]
                    self._count_received(frames.source, len(rest), _size(rest))
                    self.dropped[frames.source, "shutdown"] += len(rest)
                    return False
                part = frames.data[start : start + max(0, self.high_water_lines - self._lines)]
                size = _size(part)
                fitting = _fitting(part, size, len(part), self.high_water_bytes - self._bytes)
                if not fitting and not self._lines:
                    fitting = 1
                if not fitting:
                    self._producers_waiting += 1
                    self._rouse()
                    self._room.wait()
                    continue
                admitted = _part(frames, start, start + fitting)
                size = size if fitting == len(part) else _size(admitted.data)
                self._count_received(frames.source, fitting, size)
                self._append(admitted, size)
                start += fitting
        return True

    def take(self, max_lines: int, delay_s: float, idle_s: float = 0.25) -> list[Frames] | None:
        """The next batch: at most `max_lines` lines, in the order of their arrival.

        Returns as soon as `max_lines` are there, the oldest has waited `delay_s`, the high-water
        mark is reached or a producer waits for room. Returns [] after `idle_s` without a batch or
        when woken, so that the caller can see to its other duties; None when the queue is closed
        and empty.
        """
        give_up_s = time.monotonic() + idle_s
        wanted = min(max_lines, self.high_water_lines)
        while True:
            with self._lock:
                self._asleep = False
                now_s = time.monotonic()
                until_s = give_up_s
                if self._chunks:
                    due_s = self._chunks[0].enqueued_s + delay_s
                    enough = self._lines >= wanted or self._bytes >= self.high_water_bytes
                    if enough or now_s >= due_s or self._producers_waiting or self._closed:
                        return self._remove(max_lines)
                    until_s = min(give_up_s, due_s)
                elif self._closed:
                    return None
                if self._woken or now_s >= give_up_s:
                    self._woken = False
                    return []
                # From an empty queue the first line must wake us: its deadline is not known yet.
                self._wanted_lines = wanted if self._chunks else 1
                self._asleep = True
            try:
                self._tokens.get(timeout=until_s - now_s)
            except queue.Empty:
                continue

    def wake(self) -> None:
        """Make take() return at once (the next one, if none waits). Safe in a signal handler.

        From a handler that interrupts the very last step before the sleep, take() returns after
        its `idle_s`: the interpreter runs handlers once the sleep is over.
        """
        self._woken = True
        self._tokens.put(None)

    def close(self) -> None:
        """Accept no more. take() gives out what is left without delay, then None."""
        with self._lock:
            self._closed = True
            self._admit_producers()
            self._rouse()

    def _count_received(self, source: str, lines: int, size: int) -> None:
        self.received[source] += lines
        self.received_bytes[source] += size

    def _append(self, frames: Frames, size: int, waited_s: float = 0.0) -> None:
        self._chunks.append(_Chunk(frames, time.monotonic() - waited_s))
        self._lines += len(frames.data)
        self._bytes += size
        if self._lines > self.high_water_lines or self._bytes > self.high_water_bytes:
            self._overloaded = True
        if self._lines >= self._wanted_lines or self._bytes >= self.high_water_bytes:
            self._rouse()

    def _rouse(self) -> None:
        if self._asleep:
            self._asleep = False
            self._tokens.put(None)

    def _admit_producers(self) -> None:
        if self._producers_waiting:
            self._producers_waiting = 0
            self._room.notify_all()

    def _remove(self, max_lines: int) -> list[Frames]:
        batch: list[Frames] = []
        room = max_lines
        while room and self._chunks:
            chunk = self._chunks[0]
            frames, start = chunk.frames, chunk.start
            left = len(frames.data) - start
            if left > room:
                chunk.start += room
                frames = _part(frames, start, start + room)
            else:
                self._chunks.popleft()
                if start:
                    frames = _part(frames, start, start + left)
            count = len(frames.data)
            room -= count
            self._lines -= count
            self._bytes -= _size(frames.data)
            self.taken[frames.source] += count
            batch.append(frames)
        if (
            self._lines <= self.high_water_lines * LOW_WATER
            and self._bytes <= self.high_water_bytes * LOW_WATER
        ):
            self._overloaded = False
        self._admit_producers()
        return batch


def _size(data: list[bytes]) -> int:
    return sum(map(len, data))


def _fitting(data: list[bytes], size: int, room_lines: int, room_bytes: int) -> int:
    """How many lines from the head of `data`, `size` bytes in all, fit into the room."""
    if room_lines <= 0:
        return 0
    if size <= room_bytes:
        return min(len(data), room_lines)
    return bisect_right(list(accumulate(map(len, data[:room_lines]))), room_bytes)


def _part(frames: Frames, start: int, stop: int) -> Frames:
    peers = None if frames.peers is None else frames.peers[start:stop]
    return Frames(frames.source, frames.received_us, frames.data[start:stop], peers)
