"""When a flood begins, how long it lasts, and what is asked of the queue meanwhile."""

from __future__ import annotations

from pipeline.batcher import FrameQueue
from pipeline.flood import CALM_S, FLOOD_LINES, Flood
from pipeline.frames import Frames

MOST = 2 * FLOOD_LINES


def put(queue: FrameQueue, lines: int) -> None:
    queue.put(Frames("udp", 0, [b"line"] * lines))


def test_batches_are_small_until_what_a_flood_left_is_worked_off() -> None:
    queue = FrameQueue(8 * FLOOD_LINES)
    flood = Flood(queue)
    flood.tick(0.0)
    assert flood.batch_lines(MOST) == MOST
    put(queue, 5 * FLOOD_LINES)
    flood.tick(0.0)
    assert (flood.batch_lines(MOST), flood.batch_lines(10)) == (FLOOD_LINES, 10)
    queue.take(5 * FLOOD_LINES, 0.0)
    put(queue, FLOOD_LINES + 1)
    assert not queue.overloaded
    for now_s in (CALM_S, 2 * CALM_S):
        flood.tick(now_s)
        assert flood.batch_lines(MOST) == FLOOD_LINES, "more than a batch waits"
    queue.take(MOST, 0.0)
    flood.tick(2.5 * CALM_S)
    assert flood.batch_lines(MOST) == FLOOD_LINES, "it may go on at once"
    flood.tick(3 * CALM_S)
    assert flood.batch_lines(MOST) == MOST


def test_a_queue_that_is_never_overloaded_makes_no_flood() -> None:
    queue = FrameQueue(8 * FLOOD_LINES)
    flood = Flood(queue)
    put(queue, 3 * FLOOD_LINES)
    flood.tick(0.0)
    assert flood.batch_lines(MOST) == MOST
