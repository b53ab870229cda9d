"""Drain3's `add_log_message` alone, with its defaults, over the lines of a file.

The messages are in memory before the clock starts: no reading, parsing or writing is timed.
Prints JSON: lines, seconds, cpu_s, clusters.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig


def main() -> None:
    messages = Path(sys.argv[1]).read_text(encoding="utf-8").split("\n")[:-1]
    # An explicit configuration: otherwise it looks for a drain3.ini in the current directory.
    miner = TemplateMiner(config=TemplateMinerConfig())
    add = miner.add_log_message
    cpu = time.process_time()
    start = time.perf_counter()
    for message in messages:
        add(message)
    seconds = time.perf_counter() - start
    cpu_s = time.process_time() - cpu
    clusters = len(miner.drain.clusters)
    result = {"lines": len(messages), "seconds": seconds, "cpu_s": cpu_s, "clusters": clusters}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
