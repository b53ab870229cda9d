"""`ltt-stream feedback`: what a person says of lines. The model is not needed for it."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pipeline.feedback import Feedback, Template
    from pipeline.feedback_file import Verdict

Command = TypeVar("Command", bound=Callable[..., Any])

STATE_DIR_VARIABLE = "LTT_STREAM_STATE_DIR"


class _AddByDefault(click.Group):
    """`feedback --severity err LINE` is `feedback add --severity err LINE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["add", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_AddByDefault)
def feedback() -> None:
    """Say what lines are: learnt from above all else, and never forgotten.

    Without a command it is `add`. A stream that runs takes it up within a second.

    \b
    Example:
      ltt-stream feedback --state-dir DIR --severity err 'Oct 11 22:14:15 h app[1]: lost it'
      ltt-stream feedback --state-dir DIR --normal --template-id 17316442079339217923
    """


def _of_state_dir(command: Command) -> Command:
    """The options that say where the state is."""
    config = click.option(
        "--config", metavar="FILE", help="TOML of the stream, with its state_dir."
    )
    state_dir = click.option(
        "--state-dir",
        metavar="DIR",
        help=f"The one that the stream runs with.  [${STATE_DIR_VARIABLE}]",
    )
    return state_dir(config(command))


@feedback.command()
@click.argument("lines", metavar="[LINE]", nargs=-1)
@click.option("--line", metavar="LINE", help="The same as LINE.")
@click.option(
    "--template-id",
    metavar="ID",
    help="Of the column template_id, or hex after 0x, instead of a line.",
)
@click.option("--severity", metavar="NAME|0-7", help="What the line truly is: emerg … debug.")
@click.option("--normal", is_flag=True, help="It is no anomaly.")
@click.option("--anomaly", is_flag=True, help="It is one.")
@_of_state_dir
def add(
    lines: tuple[str, ...],
    line: str | None,
    template_id: str | None,
    severity: str | None,
    normal: bool,
    anomaly: bool,
    state_dir: str | None,
    config: str | None,
) -> None:
    """Say what a LINE is, or the lines on stdin: all lines of their templates are meant."""
    if len(lines) == 1 and lines[0] in feedback.commands:
        raise click.UsageError(f"{lines[0]} comes first: ltt-stream feedback {lines[0]} …")
    if len(lines) > 1:
        raise click.UsageError("several arguments; put the line in quotes")
    if severity is None and not normal and not anomaly:
        raise click.UsageError("say what the line is: --severity, --normal or --anomaly")
    if normal and anomaly:
        raise click.UsageError("--normal and --anomaly: it cannot be both")
    given = [*lines, *([] if line is None else [line])]
    if len(given) + (template_id is not None) > 1:
        raise click.UsageError("name one line, or one --template-id")
    with _one_line_errors():
        from pipeline.feedback import Template, parse_severity, parse_template_id

        code = None if severity is None else _usage(parse_severity, severity, "--severity")
        verdict: Verdict | None = "normal" if normal else "anomaly" if anomaly else None
        store = _open(state_dir, config)
        if template_id is not None:
            templates = [Template(_usage(parse_template_id, template_id, "--template-id"))]
        else:
            templates = _templates([os.fsencode(text) for text in given] if given else _stdin())
        if not templates:
            raise click.UsageError("no line: name one, or a --template-id")
        for template in templates:
            said = store.say(template, by=_user(), severity=code, verdict=verdict)
            click.echo(_shown(said, code, verdict, template))


@feedback.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
@_of_state_dir
def list_(as_json: bool, state_dir: str | None, config: str | None) -> None:
    """Show what was said and not taken back, oldest first."""
    import msgspec

    with _one_line_errors():
        from pipeline.feedback import Template

        store = _open(state_dir, config)
        for row in store.rows():
            if as_json:
                click.echo(msgspec.json.encode(row))
            else:
                template = Template(row.template_id, row.app, row.text)
                shown = _shown(row.id, row.severity, row.verdict, template)
                click.echo(f"{row.at[:19]}Z  {row.by:12}  {shown}")
        if store.damaged:
            click.echo(f"{store.path}: {store.damaged} damaged rows passed over", err=True)


@feedback.command()
@click.argument("said", metavar="ID")
@_of_state_dir
def undo(said: str, state_dir: str | None, config: str | None) -> None:
    """Take back what was said under an ID, as if it never had been."""
    with _one_line_errors():
        from pipeline.feedback import Template

        row = _open(state_dir, config).undo(said, by=_user())
        template = Template(row.template_id, row.app, row.text)
        click.echo(f"undone: {_shown(row.id, row.severity, row.verdict, template)}")


def _open(state_dir: str | None, config: str | None) -> Feedback:
    """The feedback of the state directory that was named, in whichever way."""
    from pipeline.config import load_config
    from pipeline.feedback import FILE, Feedback

    where = "--state-dir"
    if state_dir is None and config is not None:
        state_dir, where = load_config(config, {}).state_dir, f"{config}: state_dir"
        if state_dir is None:
            raise click.UsageError(f"{config} has no state_dir; give --state-dir")
    if state_dir is None:
        state_dir, where = os.environ.get(STATE_DIR_VARIABLE) or None, STATE_DIR_VARIABLE
    if state_dir is None:
        raise click.UsageError(
            "which state directory? give --state-dir DIR or --config FILE as to the stream, "
            f"or set {STATE_DIR_VARIABLE}"
        )
    if not Path(state_dir).is_dir():
        raise click.UsageError(
            f"{where} {state_dir}: no such directory; name the one that the stream runs with"
        )
    return Feedback.load(Path(state_dir) / FILE)


def _stdin() -> Iterator[bytes]:
    from pipeline.lines import read_lines

    if sys.stdin is not None and not sys.stdin.isatty():
        for lines in read_lines(sys.stdin.buffer):
            yield from lines


def _templates(lines: Iterable[bytes]) -> list[Template]:
    """The templates of these lines, each once."""
    from pipeline.feedback import template_of_line

    found = (template_of_line(line) for line in lines if line.strip())
    return list({template.template_id: template for template in found}.values())


def _usage(parse: Callable[[str], int], text: str, option: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _user() -> str:
    """Who speaks: the person behind sudo where there is one."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return os.environ.get("SUDO_USER") or name if os.getuid() == 0 else name


def _shown(said: str, severity: int | None, verdict: str | None, template: Template) -> str:
    from pipeline.feedback import SEVERITIES

    word = "-" if severity is None else SEVERITIES[severity]
    if template.text is None:
        what = f"template {template.template_id}"
    else:
        what = f"{template.app}: {template.text}" if template.app else template.text
    shown = f"{said}  {word:7}  {verdict or '-':7}  {what}"
    if shown.isprintable():
        return shown
    # A line is a stranger's: nothing in it may act on the terminal.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    from pipeline.feedback import UnknownFeedbackError
    from pipeline.feedback_file import FeedbackError

    try:
        yield
    except FeedbackError as error:
        raise click.ClickException(str(error)) from error
    except UnknownFeedbackError as error:
        raise click.ClickException(
            f"{error}; `ltt-stream feedback list` shows what does"
        ) from error
