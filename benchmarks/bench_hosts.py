"""What host trajectories are worth and what they cost.

Order: sessions of real logs against the same sessions shuffled and spliced. Forecast: Brier scores
against the host's base rate and against an exponential moving average. Cost: the stream with them
and without, A B A B, on one core. Memory: bytes a host at so many hosts. Laws: cut into batches
otherwise, restarted, with another host beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.docs import write_section
from benchmarks.hosts_laws import laws, memory
from benchmarks.hosts_order import LOGS, brier, fit_half, order
from models.checkpoint import pretrained_path
from models.inference import Engine


def measure(args: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {"session_lines": args.session_lines, "seeds": args.seeds}
    engine = Engine.load(pretrained_path())
    if args.logs is not None:
        result["logs"] = {}
        for name in LOGS:
            path = args.logs / f"loghub_{name}.log"
            runs = []
            for seed in range(args.seeds):
                halves = fit_half(path, engine, seed)
                runs.append({**order(halves, args.session_lines, seed), **brier(halves)})
            result["logs"][name] = {
                key: float(np.mean([run[key] for run in runs])) for key in runs[0]
            }
    result["laws"] = laws(engine)
    result["memory"] = memory(engine, args.hosts)
    if args.runs:
        from benchmarks.hosts_cost import cost

        with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
            result["cost"] = cost(Path(scratch), args.lines, args.runs, args.json)
    return result


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    out = []
    if "logs" in result:
        out += [
            "| second half of | sessions | AUROC shuffled (order-blind) | AUROC spliced "
            "(order-blind) | Brier forecast | base rate | moving average |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, row in result["logs"].items():
            out.append(
                f"| {name} | {row['sessions']:.0f} | {row['shuffled']:.3f} "
                f"({row['shuffled_order_blind']:.2f}) | {row['spliced']:.3f} "
                f"({row['spliced_order_blind']:.2f}) | {row['ours']:.4f} "
                f"| {row['base_rate']:.4f} | {row['moving_average']:.4f} |"
            )
        out += [
            "",
            f"Sessions of {result['session_lines']} lines of one host, mean of "
            f"{result['seeds']} fits. Brier over the severities of the log and 1, 5, 15 minutes.",
            "",
        ]
    m, law = result["memory"], result["laws"]
    out += [
        "| | |",
        "|---|---|",
        f"| hosts | {m['hosts']:,} |",
        f"| bytes a host in the table | {m['bytes_per_host']:,.0f} |",
        f"| RSS before, with the hosts, after as many lines again, MB | {m['rss_before_mb']:.0f}, "
        f"{m['rss_hosts_mb']:.0f}, {m['rss_again_mb']:.0f} |",
        f"| cut into batches otherwise: largest difference, nats | {law['cut']:.1e} |",
        f"| restarted: largest difference | {law['restart']:.1e} |",
        f"| with other hosts beside it: largest difference of a state | {law['beside']:.1e} |",
        "| flagged for their order, of 10,000 lines that come in no order | "
        f"{law['flagged_per_10k']:.1f} |",
    ]
    if "cost" in result:
        c = result["cost"]
        out += [
            f"| µs of CPU a line without, with | {c['without_us']:.2f}, {c['with_us']:.2f} |",
            f"| lines/s without, with | {c['without_lines_per_s']:,.0f}, "
            f"{c['with_lines_per_s']:,.0f} |",
            f"| throughput, with / without, median of pairs | {c['ratio']:.3f} ± {c['mad']:.3f} |",
        ]
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, metavar="DIR", help="loghub_OpenSSH.log and others")
    parser.add_argument("--session-lines", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2, help="fits of each log [2]")
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=500_000, help="of a run of the stream")
    parser.add_argument("--runs", type=int, default=3, help="pairs of runs; 0: no cost [3]")
    parser.add_argument("--scratch", metavar="DIR", help="where corpus and Arrow files go")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--write-docs", action="store_true", help="update docs/hosts.md")
    args = parser.parse_args()
    try:
        result = measure(args)
        text = table(result)
        print(json.dumps(result, indent=2) if args.json else text)
        if args.write_docs:
            logs = " --logs DIR" if args.logs else ""
            command = f".venv/bin/python -m benchmarks.bench_hosts{logs} --write-docs"
            write_section("hosts.md", "bench_hosts", command, text)
    except (RuntimeError, OSError) as error:
        sys.exit(f"bench_hosts: {error}")


if __name__ == "__main__":
    main()
