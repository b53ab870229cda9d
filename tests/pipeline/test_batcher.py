"""The queue's laws: nothing is lost uncounted, batches come by size or deadline, in order."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.batcher import FrameQueue
from pipeline.frames import Frames

LONG_S = 30.0
"""Longer than any test waits where the queue works."""


def frames(*lines: bytes, source: str = "a", peers: list[str] | None = None) -> Frames:
    return Frames(source, 1, list(lines), peers)


def numbered(count: int, source: str = "a", start: int = 0) -> Frames:
    return frames(*(b"%d" % i for i in range(start, start + count)), source=source)


@contextmanager
def without_waiting_it_out() -> Iterator[None]:
    """Fails where a call with LONG_S returned by its timeout alone."""
    began_s = time.monotonic()
    yield
    assert time.monotonic() - began_s < LONG_S / 2


def lines_of(batch: list[Frames] | None) -> list[bytes]:
    assert batch is not None
    return [line for chunk in batch for line in chunk.data]


def drain(queue: FrameQueue, max_lines: int = 1000) -> list[bytes]:
    queue.close()
    lines: list[bytes] = []
    while (batch := queue.take(max_lines, LONG_S)) is not None:
        lines += lines_of(batch)
    return lines


def test_a_batch_is_cut_at_max_lines_and_keeps_order_and_peers() -> None:
    queue = FrameQueue(100)
    queue.put(frames(b"0", b"1", b"2", peers=["p0", "p1", "p2"]))
    queue.put(frames(b"3", b"4", b"5", b"6", source="b"))
    batches = [queue.take(2, LONG_S) for _ in range(3)]
    assert [lines_of(batch) for batch in batches] == [[b"0", b"1"], [b"2", b"3"], [b"4", b"5"]]
    assert batches[0] is not None
    assert batches[0][0].peers == ["p0", "p1"]
    assert batches[1] is not None
    assert [(chunk.source, chunk.peers) for chunk in batches[1]] == [("a", ["p2"]), ("b", None)]
    assert (queue.taken, queue.lines, queue.bytes) == ({"a": 3, "b": 3}, 1, 1)


def test_one_line_goes_out_when_its_delay_is_over() -> None:
    queue = FrameQueue(100)
    began = time.monotonic()
    queue.put(frames(b"slow tail"))
    assert lines_of(queue.take(50, 0.05, LONG_S)) == [b"slow tail"]
    assert time.monotonic() - began >= 0.05


def test_a_line_that_wakes_an_idle_consumer_has_its_own_deadline() -> None:
    queue = FrameQueue(100)
    threading.Timer(0.02, queue.put, [frames(b"late")]).start()
    with without_waiting_it_out():
        assert lines_of(queue.take(50, 0.02, LONG_S)) == [b"late"]


def test_a_full_batch_does_not_wait_for_the_deadline() -> None:
    queue = FrameQueue(1000)
    queue.put(numbered(3))
    threading.Timer(0.02, queue.put, [numbered(7, start=3)]).start()
    with without_waiting_it_out():
        assert lines_of(queue.take(10, LONG_S, LONG_S)) == numbered(10).data


def test_a_batch_larger_than_the_queue_holds_comes_at_the_high_water_mark() -> None:
    queue = FrameQueue(10, high_water=0.5)
    queue.put(numbered(5))
    with without_waiting_it_out():
        assert len(lines_of(queue.take(1000, LONG_S, LONG_S))) == 5
    queue = FrameQueue(1000, max_bytes=10)
    queue.put(frames(b"12345"))
    with without_waiting_it_out():
        assert len(lines_of(queue.take(1000, LONG_S, LONG_S))) == 1


def test_an_idle_queue_gives_the_caller_its_turn() -> None:
    queue = FrameQueue(10)
    assert queue.take(5, LONG_S, 0.01) == []
    queue.put(frames(b"not due"))
    assert queue.take(5, LONG_S, 0.01) == []
    assert drain(queue) == [b"not due"]


def test_closing_gives_out_the_rest_at_once_and_then_the_end() -> None:
    queue = FrameQueue(10)
    queue.put(frames(b"x"))
    threading.Timer(0.02, queue.close).start()
    with without_waiting_it_out():
        assert lines_of(queue.take(5, LONG_S, LONG_S)) == [b"x"]
    assert queue.take(5, LONG_S) is None
    queue.put(frames(b"late", b"later"))
    assert queue.dropped == {("a", "shutdown"): 2}
    assert queue.received == {"a": 3}


def test_a_signal_handler_wakes_the_consumer_wherever_it_is() -> None:
    """The handler runs in the consumer's own thread, at any instruction of take().

    A signal that lands between the interpreter's last look for signals and its sleep is seen at
    the next idle turn: a window of nanoseconds, hit now and then.
    """
    queue = FrameQueue(10)
    idle_s = 1.0
    caught = waited_out = 0

    def handler(*_: object) -> None:
        nonlocal caught
        caught += 1
        queue.wake()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in range(200):
            # To this very thread: the kernel may give a process's signal to any of its threads,
            # and then the consumer would see it at its next idle turn only.
            us = threading.get_ident()
            threading.Timer(
                random.random() / 500, signal.pthread_kill, [us, signal.SIGUSR1]
            ).start()
            began_s = time.monotonic()
            assert queue.take(5, LONG_S, idle_s) == []
            waited_out += time.monotonic() - began_s >= idle_s
        assert caught == 200
        assert waited_out < 20
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_does_not_fit_is_dropped_from_the_tail_and_counted_by_reason() -> None:
    queue = FrameQueue(4, max_bytes=10)
    queue.put(numbered(3))
    queue.put(frames(b"3", b"4", b"5"))
    assert queue.dropped == {("a", "queue_full"): 2}
    queue.stall_reason = "disk_full"
    queue.put(frames(b"6"))
    assert queue.dropped == {("a", "queue_full"): 2, ("a", "disk_full"): 1}
    assert lines_of(queue.take(10, 0)) == [b"0", b"1", b"2", b"3"]
    queue.stall_reason = None
    queue.put(frames(b"", b"123456", b"", b"7890", b"!"))
    assert queue.bytes == 10
    assert drain(queue) == [b"", b"123456", b"", b"7890"]
    assert queue.dropped[("a", "queue_full")] == 3
    assert queue.received_bytes == {"a": 3 + 3 + 1 + 11}


def test_a_source_that_waits_is_never_dropped_and_never_sheds_the_model() -> None:
    queue = FrameQueue(100, high_water=0.5, max_bytes=400)
    total = 20_000
    admitted: list[bool] = []

    def produce() -> None:
        for start in range(0, total, 1000):
            admitted.append(queue.put_waiting(numbered(1000, start=start)))
        queue.close()

    thread = threading.Thread(target=produce)
    thread.start()
    lines: list[bytes] = []
    while (batch := queue.take(32, LONG_S, LONG_S)) is not None:
        assert not queue.overloaded
        assert sum(len(chunk.data) for chunk in batch) <= 32
        lines += lines_of(batch)
    thread.join()
    assert lines == numbered(total).data
    assert all(admitted)
    assert not queue.dropped


def test_a_line_larger_than_the_byte_mark_passes_a_waiting_source_alone() -> None:
    queue = FrameQueue(100, max_bytes=8)
    big = b"x" * 50
    thread = threading.Thread(target=queue.put_waiting, args=[frames(b"1", big, big, b"2")])
    thread.start()
    with without_waiting_it_out():
        batches = [lines_of(queue.take(10, LONG_S, LONG_S)) for _ in range(3)]
    thread.join()
    assert batches == [[b"1"], [big], [big]]
    assert drain(queue) == [b"2"]


def test_a_source_that_begins_to_wait_ends_the_wait_for_a_fuller_batch() -> None:
    queue = FrameQueue(100, max_bytes=8)
    queue.put(frames(b"one"))
    big = frames(b"x" * 50)
    thread = threading.Timer(0.05, queue.put_waiting, [big])
    thread.start()
    with without_waiting_it_out():
        assert lines_of(queue.take(10, LONG_S, LONG_S)) == [b"one"]
    thread.join()
    assert drain(queue) == big.data


def test_closing_frees_a_waiting_source_and_counts_what_it_held() -> None:
    queue = FrameQueue(10, high_water=0.5)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.put_waiting(numbered(12))))
    thread.start()
    while queue.lines < 5:
        time.sleep(0.001)
    queue.close()
    thread.join(LONG_S)
    assert answers == [False]
    assert drain(queue) == numbered(5).data
    assert queue.dropped == {("a", "shutdown"): 7}
    assert queue.received == {"a": 12}


def test_the_law_holds_under_many_producers() -> None:
    """Per source: received = taken + dropped, and what is taken is in order and unchanged."""
    queue = FrameQueue(2000, max_bytes=9000)
    chunks, patient, hasty = 150, ["p0", "p1"], ["h0", "h1", "h2"]
    sent: Counter[str] = Counter()

    def produce(source: str) -> None:
        chance = random.Random(source)
        for _ in range(chunks):
            count = chance.randrange(0, 400)
            chunk = numbered(count, source, sent[source])
            sent[source] += count
            if source in patient:
                assert queue.put_waiting(chunk)
            else:
                queue.put(chunk)

    threads = [threading.Thread(target=produce, args=[s]) for s in patient + hasty]
    for thread in threads:
        thread.start()

    def close_at_the_end() -> None:
        for thread in threads:
            thread.join()
        queue.close()

    closer = threading.Thread(target=close_at_the_end)
    closer.start()
    taken: dict[str, list[int]] = {source: [] for source in patient + hasty}
    while (batch := queue.take(333, 0.001)) is not None:
        for chunk in batch:
            taken[chunk.source] += map(int, chunk.data)
    closer.join()
    dropped = {source: queue.dropped[source, "queue_full"] for source in sent}
    for source in sent:
        assert queue.received[source] == sent[source]
        assert queue.taken[source] == len(taken[source])
        assert len(taken[source]) + dropped[source] == sent[source]
        assert taken[source] == sorted(set(taken[source]))
    assert sum(dropped[source] for source in hasty) > 0, "the test meant to overfill the queue"
    assert sum(dropped[source] for source in patient) == 0
    assert (queue.lines, queue.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("lines", "high_water", "size"), [(0, 0.5, 1), (1, 0.0, 1), (1, 1.5, 1), (1, 0.5, 0)]
)
def test_a_queue_without_room_is_refused(lines: int, high_water: float, size: int) -> None:
    with pytest.raises(ValueError, match="max_lines"):
        FrameQueue(lines, high_water=high_water, max_bytes=size)


class QueueMachine(RuleBasedStateMachine):
    """Against a plain list: any order of puts, takes and close."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FrameQueue(12, high_water=0.5, max_bytes=40)
        self.model: list[tuple[str, bytes]] = []
        self.received: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.overloaded = False

    @rule(source=st.sampled_from("ab"), lines=st.lists(st.binary(max_size=9), max_size=16))
    def put(self, source: str, lines: list[bytes]) -> None:
        self.queue.put(frames(*lines, source=source))
        self.received[source] += len(lines)
        for i, line in enumerate(lines):
            size = sum(len(waiting) for _, waiting in self.model)
            if self.queue.closed or len(self.model) == 12 or size + len(line) > 40:
                self.dropped[source] += len(lines) - i
                break
            self.model.append((source, line))

    @rule(lines=st.lists(st.binary(max_size=3), max_size=4))
    def put_waiting_where_it_need_not_wait(self, lines: list[bytes]) -> None:
        if len(self.model) + len(lines) > 6 or self.queue.bytes + 3 * len(lines) > 20:
            return
        assert self.queue.put_waiting(frames(*lines, source="w")) is (
            not self.queue.closed or not lines
        )
        self.received["w"] += len(lines)
        if self.queue.closed:
            self.dropped["w"] += len(lines)
        else:
            self.model += [("w", line) for line in lines]

    @rule(count=st.integers(1, 20))
    def take(self, count: int) -> None:
        ended = self.queue.closed and not self.model
        batch = self.queue.take(count, 0.0, 0.0)
        assert (batch is None) is ended
        got = [(chunk.source, line) for chunk in batch or [] for line in chunk.data]
        assert got == self.model[:count]
        del self.model[:count]
        self.taken.update(source for source, _ in got)

    @precondition(lambda self: self.received.total() > 20)
    @rule()
    def close(self) -> None:
        self.queue.close()

    @invariant()
    def counters_agree(self) -> None:
        queue = self.queue
        assert queue.lines == len(self.model)
        assert queue.bytes == sum(len(line) for _, line in self.model)
        if queue.lines > 6 or queue.bytes > 20:
            self.overloaded = True
        elif queue.lines <= 6 / 16 and queue.bytes <= 20 / 16:
            self.overloaded = False
        assert queue.overloaded is self.overloaded
        waiting = Counter(source for source, _ in self.model)
        for source in "abw":
            dropped = sum(n for (of, _), n in queue.dropped.items() if of == source)
            assert queue.received.get(source, 0) == self.received[source]
            assert dropped == self.dropped[source]
            assert queue.taken.get(source, 0) == self.taken[source]
            assert self.received[source] == self.taken[source] + dropped + waiting[source]


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=150, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
