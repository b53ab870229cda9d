"""The command line. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pipeline import __version__
from pipeline.cli_codesearch import codesearch
from pipeline.cli_codesearch_ask import ASK
from pipeline.cli_demo import demo
from pipeline.cli_feedback import feedback
from pipeline.cli_rescore import rescore
from pipeline.cli_snapshots import history, rollback
from pipeline.cli_synthesis import sample_lines, train_trajectory
from pipeline.cli_train import evaluate, model, train
from pipeline.cli_trajectory import trajectory
from pipeline.pipes import reader_may_leave

if TYPE_CHECKING:
    from pipeline.config import Dtype

DONE, FAILED, USAGE = 0, 1, 2


class _RunByDefault(click.Group):
    """`ltt-stream --out DIR` is `ltt-stream run --out DIR`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_RunByDefault,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="ltt-stream")
def cli() -> None:
    """Read syslog and firewall lines and say what is wrong.

    Without a command it is `run`: `tail -f /var/log/syslog | ltt-stream`. See `ltt-stream run
    --help` for the options.
    """


@cli.command()
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Where lines come from, e.g. udp://0.0.0.0:514, udp://[::]:514, stdin; repeatable. "
    "Without it: the sockets that systemd passes in, else stdin.",
)
@click.option("--out", metavar="DIR", help="Write Arrow batches here; else nothing is stored.")
@click.option("--file-format", metavar="arrow|parquet", help="Of finished files.  [arrow]")
@click.option("--rotate-mib", type=float, metavar="N", help="Finish a file at this size.  [96]")
@click.option("--rotate-s", type=float, metavar="S", help="Finish a file at this age.  [3600]")
@click.option(
    "--format",
    metavar="text|jsonl|arrow|none",
    help="What stdout gets; arrow is an IPC stream.  [text]",
)
@click.option(
    "--anomalies-only/--all-lines", default=None, help="On stdout, only what is flagged."
)
@click.option("--state-dir", metavar="DIR", help="What is kept between runs.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve /metrics, /healthz and /readyz.")
@click.option("--batch-lines", type=int, metavar="N", help="Lines in a batch at most.  [16384]")
@click.option(
    "--batch-delay-s", type=float, metavar="S", help="A line waits at most so long.  [0.1]"
)
@click.option(
    "--queue-lines",
    type=int,
    metavar="N",
    help="Lines that wait at most; above half of it the model is shed.  [131072]",
)
@click.option("--learn/--no-learn", default=None, help="Learn from the stream.  [no-learn]")
@click.option(
    "--learn-from",
    multiple=True,
    metavar="[SOURCE=]pri|feedback|none",
    help="What teaches: declared severities, people alone, or nothing; repeatable.  [pri]",
)
@click.option(
    "--learn-exclude",
    multiple=True,
    metavar="app=NAME|facility=NAME",
    help="Senders whose declared severities teach nothing; repeatable.",
)
@click.option(
    "--learn-budget", type=float, metavar="SHARE", help="Of one core, for learning.  [0.1]"
)
@click.option("--learn-rate", type=float, metavar="R", help="Of AdamW.  [0.0001]")
@click.option(
    "--replay-entries", type=int, metavar="N", help="Templates in the replay buffer.  [8192]"
)
@click.option("--replay-mib", type=float, metavar="N", help="Size of the replay buffer.  [8]")
@click.option("--snapshots-kept", type=int, metavar="N", help="Older models to go back to.  [5]")
@click.option(
    "--feedback-token-file",
    metavar="FILE",
    help="Take POST /feedback on the metrics port from whoever has this token.",
)
@click.option(
    "--trajectories",
    metavar="DIR",
    help="Host dynamics of `trajectory fit`.  [trajectories in the state directory]",
)
@click.option("--no-trajectories", is_flag=True, help="Without them, though there are some.")
@click.option("--model", metavar="DIR", help="A checkpoint; without it the one that ships.")
@click.option("--dtype", metavar="auto|bf16|fp32", help="What the encoder computes in.  [auto]")
@click.option("--threads", type=int, metavar="N", help="Threads of the model.  [1]")
@click.option("--zone", metavar="NAME", help="Time zone of stamps that name none.  [UTC]")
@click.option("--config", metavar="FILE", help="TOML with these options as keys; flags win.")
def run(
    config: str | None,
    listen: tuple[str, ...],
    learn_from: tuple[str, ...],
    learn_exclude: tuple[str, ...],
    no_trajectories: bool,
    **flags: Any,
) -> None:
    """Stream lines in, scored lines out.

    \b
    Example:
      tail -f /var/log/syslog | ltt-stream --out /var/lib/ltt-stream/out
      ltt-stream run --listen udp://0.0.0.0:5514 --metrics 127.0.0.1:9514 --anomalies-only
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the stream can rotate
    from pipeline.config import load_config

    lists = {"listen": listen, "learn_from": learn_from, "learn_exclude": learn_exclude}
    if no_trajectories:
        if flags["trajectories"] is not None:
            raise click.UsageError("--trajectories and --no-trajectories: give one of them")
        flags["trajectories"] = False
    given = {name: list(values) or None for name, values in lists.items()}
    options = load_config(config, {**given, **flags})
    # Arrow's own allocator keeps what a flood once needed; the system's gives it back. Arrow asks
    # when it is loaded: what is set afterwards holds for a part of it only, not for compression.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from pipeline.run import run as run_stream

    _leave(run_stream(options))


@cli.command()
@click.option("--zone", default="UTC", metavar="NAME", help="Time zone of stamps that name none.")
def parse(zone: str) -> None:
    """Lines on stdin to JSON lines of SyslogMessage on stdout; no model.

    `raw` is the line's bytes in base64.

    \b
    Example:
      echo '<34>Oct 11 22:14:15 h su: failed for root' | ltt-stream parse
    """
    from pipeline.parse_lines import parse_lines

    with reader_may_leave():
        parse_lines(sys.stdin.buffer, sys.stdout.buffer, zone)


@cli.command()
@click.option(
    "--model", "model_dir", metavar="DIR", help="A checkpoint; without it the one that ships."
)
@click.option("--dtype", default="auto", type=click.Choice(["auto", "bf16", "fp32"]))
@click.option("--threads", default=1, type=click.IntRange(1, 256), metavar="N")
@click.option(
    "--paths",
    default=0,
    type=click.IntRange(0, 4096),
    metavar="N",
    help="Also draw N Monte-Carlo paths and report the uncertainty.",
)
@click.option("--zone", default="UTC", metavar="NAME", help="Time zone of stamps that name none.")
def score(model_dir: str | None, dtype: Dtype, threads: int, paths: int, zone: str) -> None:
    """Lines on stdin to JSON lines of scores on stdout, one each, in order.

    \b
    Example:
      echo '<34>Oct 11 22:14:15 h su: failed for root' | ltt-stream score
    """
    from pipeline.score_lines import score_lines

    with reader_may_leave():
        score_lines(
            sys.stdin.buffer,
            sys.stdout.buffer,
            model_dir=model_dir,
            dtype=dtype,
            threads=threads,
            paths=paths,
            zone=zone,
        )


@cli.command()
def sample() -> None:
    """Write the sample log that ships with the program to stdout.

    \b
    Example:
      ltt-stream sample | ltt-stream --anomalies-only
    """
    log = Path(__file__).parent / "sample" / "sample.log"
    with reader_may_leave():
        sys.stdout.buffer.write(log.read_bytes())
        sys.stdout.buffer.flush()


cli.add_command(train)
cli.add_command(evaluate)
cli.add_command(model)
cli.add_command(feedback)
cli.add_command(rescore)
cli.add_command(codesearch)
for command in ASK:
    codesearch.add_command(command)
cli.add_command(trajectory)
trajectory.add_command(demo)
trajectory.add_command(sample_lines)
trajectory.add_command(train_trajectory)
model.add_command(history)
model.add_command(rollback)


def _leave(code: int) -> NoReturn:
    """End where all is closed and saved: to take the model apart takes half a second of CPU."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)


def _fail(message: str, code: int) -> NoReturn:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"ltt-stream: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(code)


def _fill_closed_descriptors() -> None:
    """Started with `>&-`, the next file opened would be stdout: put /dev/null there."""
    for fd in (1, 2):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, fd)
            if null not in (1, 2):
                os.close(null)


def main() -> None:
    """The console script: errors are one line, exit codes 0 done, 1 failed, 2 usage."""
    _fill_closed_descriptors()
    # NumPy's products are small ones: on more threads than one they spin, and double the CPU.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        raise SystemExit(USAGE) from None
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        _fail(error.format_message().rstrip(".") + hint, USAGE)
    except click.ClickException as error:
        _fail(error.format_message(), FAILED)
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(130) from None
    except Exception as error:
        from pipeline.errors import exit_code

        code = exit_code(error)
        if code is None:
            raise
        _fail(str(error), code)
    raise SystemExit(code or DONE)
