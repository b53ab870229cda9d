"""One point of a curve: lines through Processor and ArrowSink, in a process of its own.

The process is a fork of one that has everything loaded and has done nothing yet: no point finds
what another has left in caches and memory, and none pays for a start-up.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.bench_stream import Run
from benchmarks.program import rss_mb
from models.checkpoint import Checkpoint, load_checkpoint, pretrained_path
from models.inference import Engine
from models.raccoon import Raccoon
from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.scorer import Scorer
from pipeline.sinks.arrow import ArrowSink

SOURCE = "stdin"


def apart(measure: Callable[[], Run]) -> Run:
    """What `measure` gives in a fork of this process. Raises RuntimeError when it dies."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, measure))
    child.start()
    sender.close()
    try:
        found: Run = receiver.recv()
    except EOFError as error:
        raise RuntimeError("a measurement has failed, see above") from error
    finally:
        child.join()
    return found


def _send(sender: Connection, measure: Callable[[], Run]) -> None:
    sender.send(measure())


def cost(
    engine: Engine,
    warm: Iterable[bytes],
    lines: Sequence[bytes],
    *,
    batch_lines: int,
    scratch: str | None = None,
) -> Run:
    """CPU µs a line, files finished, after lines that are not counted.

    Also the share of lines whose template the model was asked for, the mean size of a batch,
    templates in the table, bytes a row of the finished files, and resident memory added since
    before the first line.
    """
    processor = Processor(Scorer(engine))
    before_mb = rss_mb(os.getpid())
    for _ in _processed(processor, warm, batch_lines):
        pass
    gc.freeze()  # as the program does
    gc.set_threshold(100_000, 20, 100)
    assert processor.scorer is not None
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        sink = ArrowSink(Path(directory), processor.schema)
        asked = batches = 0
        began_s = time.process_time()
        for batch in _processed(processor, lines, batch_lines):
            sink.write(batch)
            asked += processor.stats.model
            batches += 1
        sink.close()
        cpu_s = time.process_time() - began_s
        written = sum(file.stat().st_size for file in Path(directory).glob("date=*/*.arrow"))
    n = len(lines)
    return {
        "us_per_line": cpu_s / n * 1e6,
        "lines_per_s": n / cpu_s,
        "new": asked / n,
        "batch": n / batches,
        "templates": processor.scorer.table.size,
        "bytes_per_row": written / n,
        "added_mb": rss_mb(os.getpid()) - before_mb,
    }


def _processed(
    processor: Processor, lines: Iterable[bytes], batch_lines: int
) -> Iterator[pa.RecordBatch]:
    following = iter(lines)
    while data := list(islice(following, batch_lines)):
        yield processor.process([Frames(SOURCE, time.time_ns() // 1000, data)])


def untrained(latent: int) -> Engine:
    """The shipped model's shape with another latent width, and random weights."""
    torch.manual_seed(0)
    shipped = load_checkpoint(pretrained_path())
    model = Raccoon(replace(shipped.model.architecture, latent=latent))
    draws = np.random.default_rng(0).standard_normal((4096, latent))
    nats = 0.5 * (draws**2 + np.log(2 * np.pi)).sum(axis=1)  # an untrained flow's are such
    return Engine(Checkpoint(model, shipped.card, np.sort(nats).astype(np.float32), "untrained"))
