"""The stages of a line's way through the program, and a clock that charges them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

import pipeline.process
from pipeline import anomaly, columns
from pipeline.columns import Vocabulary
from pipeline.process import Processor
from pipeline.receivers.stdin import LineSplitter
from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.rotate import Finisher

SPLIT, PARSE, RESOLVE, PREDICT, SURPRISE = "split", "parse", "resolve", "predict", "surprise"
NOVELTY, JUDGE, COUNT = "novelty", "judge", "count"
LABELS, STRINGS, SCORES, COLUMNS = "labels", "strings", "score columns", "other columns"
PACKETS, WRITE, FINISH = "packets, structured data", "write", "finish"

STAGES: Final = {
    SPLIT: "Cuts what was read at its newlines, and that into batches. One object a line is what "
    "all later stages take; making them is nearly all of it.",
    PARSE: "Takes the header off, in one call of Python a line, and turns the batch's tuples into "
    "columns. Stamps and senders that came before are looked up, no expression is matched for "
    "them; what is left are slices, look-ups and a tuple of eleven, which the interpreter has to "
    "take one by one.",
    LABELS: "Hostname, program, sender and the like become numbers of a dictionary: one look-up a "
    "line and column, in place of a string to be written.",
    STRINGS: "Messages, process and message ids go into Arrow: each byte is copied once, and "
    "looked at once, since Arrow's strings must be UTF-8.",
    RESOLVE: "Deletes the digits and looks the rest up with program and facility: the template "
    "and all that the model said of it. Each byte is read twice, to copy and to hash it; the "
    "model would cost many times that, and is asked for new templates alone.",
    PREDICT: "Fetches the severities by template, and lets declared ones teach the source's prior "
    "in the order of the lines: a stream cut into other batches must give the same.",
    SURPRISE: "How unexpected each line is given those before it, and its rank among them as a "
    "p-value: operations on whole arrays, of which the logarithms and ranks are most.",
    NOVELTY: "How ready each program is to say something new: one count by program where no line "
    "of the batch is of a new or rare template.",
    JUDGE: "Tests the p-values in order, compares what is declared with what is said, and lets a "
    "template alert once an hour. A few array operations on all lines, all else on few.",
    COUNT: "Counts the batch by template, severity and reason: without it nothing is rare.",
    SCORES: "Fetches the scores by template. The latent is 128 bytes a line, more than most lines "
    "have: it is what later models read, and so it is stored.",
    COLUMNS: "Stamps, PRIs and parse errors into Arrow, the batch put together, and the objects "
    "that parsing made let go of, a dozen a line, which is a good part of it.",
    PACKETS: "Addresses, ports and the rest of firewall lines, and the map of RFC 5424's data. "
    "Paid by lines that have one: an expression each, and its parts made numbers and strings.",
    WRITE: "Serialises the batch and hands it to the kernel, so that a killed program loses no "
    "more than the batch in flight.",
    FINISH: "Reads the stream back, groups it, compresses it (LZ4) and waits for the disk, in a "
    "thread beside the loop. Batches of 8,192 lines and more are compressed when they are written "
    "and only copied here.",
}
"""In the order of a line's way; what each does, and why it stays."""

Method = Callable[..., Any]


class StageClock:
    """CPU seconds of one thread by stage, each without the stages that it calls."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since_s = 0.0

    def charged(self, stage: str, method: Method, *, after: str | None = None) -> Method:
        """The method, with its time charged to a stage.

        after: this stage of the caller ends with the call; the rest of it is COLUMNS.
        """

        def timed(*args: Any, **options: Any) -> Any:
            self._charge()
            if after is not None and self._open[-1:] == [after]:
                self._open[-1] = COLUMNS
            self._open.append(stage)
            try:
                return method(*args, **options)
            finally:
                self._charge()
                self._open.pop()

        return timed

    def elsewhere(self, stage: str, method: Method) -> Method:
        """The method of another thread, which has no stages within."""

        def timed(*args: Any, **options: Any) -> Any:
            began_s = time.thread_time()
            try:
                return method(*args, **options)
            finally:
                self.seconds[stage] += time.thread_time() - began_s

        return timed

    def _charge(self) -> None:
        now_s = time.thread_time()
        if self._open:
            self.seconds[self._open[-1]] += now_s - self._since_s
        self._since_s = now_s


@contextmanager
def watched(processor: Processor, sink: ArrowSink, splitter: LineSplitter) -> Iterator[StageClock]:
    """Charge what these do inside to their stages."""
    scorer = processor.scorer
    assert scorer is not None
    clock = StageClock()
    process = pipeline.process
    with ExitStack() as stack:
        for stage, owner, name in (
            (SPLIT, splitter, "feed"),
            (PARSE, processor, "process"),
            (LABELS, Vocabulary, "column"),
            (STRINGS, columns, "strings"),
            (COUNT, processor, "assess"),
            (RESOLVE, scorer, "resolve"),
            (PREDICT, process, "predict"),
            (SURPRISE, scorer.surprise, "observe"),
            (NOVELTY, scorer.novelty, "observe"),
            (NOVELTY, anomaly, "occurrences"),
            (JUDGE, processor.judge, "observe"),
            (SCORES, processor, "_score_columns"),
            (PACKETS, process, "packet_column"),
            (PACKETS, process, "_structured_data"),
            (WRITE, sink, "write"),
        ):
            timed = clock.charged(stage, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, timed))
        # The first column that is made begins with codes: up to there it is parsing.
        codes = clock.charged(LABELS, Vocabulary.codes, after=PARSE)
        stack.enter_context(patch.object(Vocabulary, "codes", codes))
        finish = clock.elsewhere(FINISH, Finisher._finish)
        stack.enter_context(patch.object(Finisher, "_finish", finish))
        yield clock
