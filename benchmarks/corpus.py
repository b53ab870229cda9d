"""A big log out of small ones: lines drawn from the sample and other logs, process ids redrawn.

The same seed and files give the same bytes. Process ids and long numbers are drawn anew, so that
the corpus is not the same few thousand byte strings over and over; ports and codes, which carry
meaning, stay as they are.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from parsers.syslog import Parser
from pipeline.sample import sample_log

SEED = 1
REDRAWN = re.compile(rb"(?<=\[)[0-9]{2,7}(?=\])|(?<![0-9A-Fa-f.:-])[0-9]{6,}(?![0-9A-Fa-f.:-])")
"""A process id in brackets; six digits or more that are no part of a stamp or an address."""


def pool(logs: Path | None) -> list[bytes]:
    """The lines to draw from, blank ones left out. Raises ValueError when DIR has no *.log."""
    lines = sample_log().splitlines()
    if logs is not None:
        files = sorted(logs.glob("*.log"))
        if not files:
            raise ValueError(f"--logs {logs}: no *.log files in there")
        for file in files:
            lines += file.read_bytes().split(b"\n")
    return [line for line in lines if line.strip()]


def draw(lines: Sequence[bytes], count: int, seed: int = SEED) -> Iterator[bytes]:
    """`count` lines drawn at random, with their process ids and long numbers redrawn."""
    rng = Random(seed)

    def another(match: re.Match[bytes]) -> bytes:
        digits = len(match[0])
        return b"%d" % rng.randrange(10 ** (digits - 1), 10**digits)

    for _ in range(count):
        yield REDRAWN.sub(another, lines[int(rng.random() * len(lines))])


def write(corpus: Path, messages: Path, *, logs: Path | None, count: int, seed: int) -> None:
    """Write the corpus and, beside it, the same messages without their headers.

    One line each; the messages are what a template miner is given.
    """
    fields = Parser().fields
    now_us = time.time_ns() // 1000
    with corpus.open("wb") as whole, messages.open("wb") as stripped:
        for line in draw(pool(logs), count, seed):
            whole.write(line + b"\n")
            message = fields(line, now_us)[9]
            stripped.write(message.decode("utf-8", "backslashreplace").encode() + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="where the lines go")
    parser.add_argument("messages", type=Path, help="where the lines without headers go")
    parser.add_argument(
        "--logs", type=Path, metavar="DIR", help="a folder of *.log files to mix in"
    )
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    try:
        write(args.corpus, args.messages, logs=args.logs, count=args.lines, seed=args.seed)
    except ValueError as error:
        sys.exit(f"corpus: {error}")


if __name__ == "__main__":
    main()
