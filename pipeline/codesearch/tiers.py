"""Which segments to merge: few of them at any time, and each row rewritten a few times at most."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.codesearch.segment import Segment

MOST = 6
"""Segments that an index has after a compaction."""
HOLEY = 0.25
"""Share of dead snippets, or files, above which a segment is rewritten."""


def choose(segments: Sequence[Segment], *, whole: bool = False) -> list[Segment]:
    """Those to merge into one; none where all is well. whole: all, unless that changes nothing."""
    if whole:
        worth = len(segments) > 1 or any(s.live_files < s.entry.files for s in segments)
        return list(segments) if worth else []
    by_size = sorted(segments, key=_weight, reverse=True)
    weights = [_weight(segment) for segment in by_size]
    # From the first that is lighter than all behind it: the weights halve at least, afterwards.
    start = next(
        (i for i in range(len(weights) - 1) if weights[i] < sum(weights[i + 1 :])), len(weights)
    )
    if len(segments) > MOST:
        start = min(start, MOST - 1)
    return [s for i, s in enumerate(by_size) if i >= start or _holey(s)]


def _weight(segment: Segment) -> int:
    """Rows, of both tables, that a rewriting would write."""
    return segment.alive + segment.live_files


def _holey(segment: Segment) -> bool:
    rows, files = segment.entry.snippets, segment.entry.files
    return rows - segment.alive > HOLEY * rows or files - segment.live_files > HOLEY * files
