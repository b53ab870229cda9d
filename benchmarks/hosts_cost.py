"""The stream with host trajectories and without, in turn, on one core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.bench_stream import middle, stream_once
from pipeline.host_fit import fit_logs
from pipeline.sample import sample_log


def cost(scratch: Path, lines: int, runs: int, quiet: bool) -> dict[str, float]:
    """Fitted to the sample, run on lines drawn from it. Raises RuntimeError for lost rows."""
    corpus, sample, fitted = scratch / "corpus.log", scratch / "sample.log", scratch / "hosts"
    command = [sys.executable, "-m", "benchmarks.corpus", str(corpus), str(scratch / "messages")]
    subprocess.run([*command, "--lines", str(lines)], check=True)
    sample.write_bytes(sample_log())
    fit_logs([sample], fitted)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or set(cores))
    without, with_them = [], []
    for pair in range(runs):
        without.append(stream_once(corpus, lines, cores[0], scratch, ["--no-trajectories"]))
        with_them.append(
            stream_once(corpus, lines, cores[0], scratch, ["--trajectories", str(fitted)])
        )
        if not quiet:
            a, b = with_them[-1]["lines_per_s"], without[-1]["lines_per_s"]
            print(f"pair {pair + 1}: {a:,.0f} / {b:,.0f} = {a / b:.3f}", file=sys.stderr)
    ratio, mad = middle(
        [a["lines_per_s"] / b["lines_per_s"] for a, b in zip(with_them, without, strict=True)]
    )
    found = {"ratio": ratio, "mad": mad, "lines": lines}
    for name, part in (("without", without), ("with", with_them)):
        found[f"{name}_us"] = middle([run["cpu_us_per_line"] for run in part])[0]
        found[f"{name}_lines_per_s"] = middle([run["lines_per_s"] for run in part])[0]
    return found
