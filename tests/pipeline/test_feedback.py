"""What people say: the file, its writers, and the command."""

from __future__ import annotations

import fcntl
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers.fields import Fields
from parsers.syslog import parse_fields
from pipeline import cli, feedback_file
from pipeline.cli_feedback import STATE_DIR_VARIABLE, feedback
from pipeline.feedback import (
    FILE,
    Feedback,
    Template,
    UnknownFeedbackError,
    parse_severity,
    parse_template_id,
    template_of_line,
)
from pipeline.feedback_file import MAX_BYTES, FeedbackError, Verdict
from pipeline.sample import sample_log
from pipeline.scorer import Scorer
from tests.support import ROOT

if "feedback" not in cli.cli.commands:
    cli.cli.add_command(feedback)

LOST = Template(7, "app", "lost <num>", 3)
ODD = [
    b"<34>1 2024-05-01T12:00:00Z h app 1 - - \xef\xbb\xbfexited with code 5",
    b"<34>Oct 11 22:14:15 h " + b"a" * 300 + b"[1]: x " + "é".encode() * 600,
    b"Oct 11 22:14:15 h caf\xe9[1]: \xff\xfe",
    b"name: of a bare line",
    b"no program at all 17",
    b"<999>Oct 11 22:14:15 h su: failed",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


# The template that is meant


def test_a_line_is_of_the_template_that_the_stream_gives_it() -> None:
    lines = [line for line in sample_log().split(b"\n")[:400] if line] + ODD
    parsed = [Fields(*parse_fields(line, 1_714_000_000_000_000)) for line in lines]
    scorer = Scorer.load(dtype="fp32")
    rows = scorer.resolve(
        [fields.app_name for fields in parsed],
        [fields.message for fields in parsed],
        [fields.priority >> 3 for fields in parsed],
    ).rows
    found = [template_of_line(line) for line in lines]
    assert [t.template_id for t in found] == scorer.table.template_id[rows].tolist()
    assert [(t.app, t.text) for t in found] == [scorer.table.texts[row] for row in rows]
    facilities = [-1 if t.facility is None else t.facility for t in found]
    assert facilities == scorer.table.facility[rows].tolist()


@pytest.mark.parametrize(
    ("text", "number"),
    [("17", 17), ("0x1F", 31), (str(2**64 - 1), 2**64 - 1), (hex(2**64 - 1), 2**64 - 1)],
)
def test_template_ids(text: str, number: int) -> None:
    assert parse_template_id(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1_0", " 7", "ab", "0x", "18446744073709551616", "٣", "9" * 10_000]
)
def test_what_is_no_template_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="column template_id") as error:
        parse_template_id(text)
    assert len(str(error.value)) < 120


def test_severities_go_by_their_name_or_code() -> None:
    assert [parse_severity(str(code)) for code in range(8)] == list(range(8))
    assert [parse_severity(w) for w in ("emerg", "ERR", "error", "warn")] == [0, 3, 3, 4]
    for text in ("8", "", "-1", "bad", "01"):
        with pytest.raises(ValueError, match="choose one of emerg, alert"):
            parse_severity(text)


# What stands


def test_what_was_said_is_there_after_a_restart(path: Path) -> None:
    assert Feedback.load(path).standing() == {}
    said = Feedback.load(path).say(LOST, by="ann", severity=3)
    found = Feedback.load(path).standing()
    assert list(found) == [7]
    assert found[7]._replace(at="") == (3, None, said, "", "app", "lost <num>", 3)
    assert [row.by for row in Feedback.load(path).rows()] == ["ann"]


def test_severity_and_verdict_hold_each_for_itself(path: Path) -> None:
    store = Feedback.load(path)
    store.say(LOST, by="ann", severity=3)
    store.say(LOST, by="bob", verdict="anomaly")
    store.say(Template(7), by="cy", verdict="normal")
    store.say(Template(2**64 - 1), by="cy", severity=0)
    standing = store.standing()
    assert standing[7][:2] == (3, "normal")
    assert (standing[7].app, standing[7].text, standing[7].facility) == ("app", "lost <num>", 3)
    assert standing[2**64 - 1][:2] == (0, None)


def test_nothing_is_no_feedback(path: Path) -> None:
    with pytest.raises(ValueError, match="severity"):
        Feedback.load(path).say(LOST, by="ann")
    assert not path.exists()


Act = tuple[int, int | None, Verdict | None] | int
"""(template, severity, verdict), or which of those said so far is undone."""
ACTS = st.lists(
    st.one_of(
        st.tuples(
            st.integers(1, 3),
            st.sampled_from([None, 3, 6]),
            st.sampled_from([None, "normal", "anomaly"]),
        ).filter(lambda act: act[1:] != (None, None)),
        st.integers(0, 9),
    ),
    max_size=10,
)


@settings(max_examples=40)
@given(ACTS)
def test_what_was_undone_is_as_if_it_had_never_been_said(acts: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, plain = Feedback(Path(folder) / "a"), Feedback(Path(folder) / "b")
        said: dict[str, tuple[int, int | None, Verdict | None]] = {}
        for act in acts:
            if not isinstance(act, int):
                template, severity, verdict = act
                new = store.say(Template(template), by="ann", severity=severity, verdict=verdict)
                said[new] = act
            elif act < len(said):
                gone = list(said)[act]
                store.undo(gone, by="bob")
                del said[gone]
        for template, severity, verdict in said.values():
            plain.say(Template(template), by="ann", severity=severity, verdict=verdict)
        expected = {t: word[:2] for t, word in plain.standing().items()}
        for found in (store, Feedback.load(store.path)):
            assert {t: word[:2] for t, word in found.standing().items()} == expected
            assert [row.id for row in found.rows()] == list(said)


def test_only_what_stands_can_be_undone(path: Path) -> None:
    store = Feedback.load(path)
    said = store.say(LOST, by="ann", severity=3)
    assert store.undo(said, by="bob").severity == 3
    for gone in (said, "12345678"):
        with pytest.raises(UnknownFeedbackError, match=gone):
            store.undo(gone, by="bob")
    assert Feedback.load(path).standing() == {}


# A stream that reads while others write


def test_a_reader_sees_a_change_and_takes_it_up(path: Path) -> None:
    stream, person = Feedback.load(path), Feedback.load(path)
    assert not stream.changed()
    first = person.say(LOST, by="ann", severity=3)
    assert stream.changed()
    assert stream.standing() == {}
    stream.refresh()
    assert not stream.changed()
    assert stream.standing() == person.standing()
    person.undo(first, by="ann")
    stream.refresh()
    assert stream.standing() == {}


@pytest.mark.parametrize("how", ["removed", "exchanged", "edited", "cut short"])
def test_a_reader_follows_a_file_that_is_not_the_one_it_read(path: Path, how: str) -> None:
    store = Feedback.load(path)
    for template in (1, 2, 3):
        store.say(Template(template), by="ann", severity=template)
    first, *others = path.read_bytes().splitlines(keepends=True)
    stream = Feedback.load(path)
    match how:
        case "removed":
            path.unlink()
        case "exchanged":
            path.unlink()
            path.write_bytes(others[0] * 9)
        case "edited":
            path.write_bytes((first + b"".join(others)).replace(b'"ann"', b'"annabel"'))
        case "cut short":
            os.truncate(path, len(first))
    stream.refresh()
    assert stream.rows() == Feedback.load(path).rows()
    assert {row.template_id for row in stream.rows()} == {
        "removed": set(),
        "exchanged": {2},
        "edited": {1, 2, 3},
        "cut short": {1},
    }[how]


WRITER = """
import sys
from pathlib import Path
from pipeline.feedback import Feedback, Template
store = Feedback.load(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    template = Template(1 + i, "app", "x" * (7 * i % 500))
    print(store.say(template, by=sys.argv[2], severity=i % 8), flush=True)
"""


def writer(path: Path, name: str, rows: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(rows)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_programs_write_at_once(path: Path) -> None:
    stream = Feedback.load(path)
    programs = [writer(path, name, 100) for name in ("ann", "bob", "cy")]
    while any(program.poll() is None for program in programs):
        stream.refresh()
    said = {line for program in programs for line in program.communicate()[0].split()}
    stream.refresh()
    whole = Feedback.load(path)
    assert len(said) == 300
    assert {row.id for row in whole.rows()} == said
    assert stream.rows() == whole.rows()
    assert (stream.damaged, whole.damaged) == (0, 0)


def test_threads_share_a_store(path: Path) -> None:
    store = Feedback.load(path)

    def talk(template: int) -> None:
        for _ in range(20):
            store.undo(store.say(Template(template), by="ann", severity=1), by="ann")
        store.say(Template(template), by="ann", severity=2)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {t: word.severity for t, word in store.standing().items()} == dict.fromkeys(
        range(1, 5), 2
    )
    assert Feedback.load(path).rows() == store.rows()


def test_what_was_confirmed_outlives_a_kill(path: Path) -> None:
    said: set[str] = set()
    for confirmed in (1, 40, 7):
        program = writer(path, "ann", 100_000)
        assert program.stdout is not None
        said |= {program.stdout.readline().strip() for _ in range(confirmed)}
        program.send_signal(signal.SIGKILL)
        said |= {line for line in program.communicate()[0].split("\n")[:-1] if line}
    store = Feedback.load(path)
    said.add(store.say(LOST, by="bob", severity=3))
    assert said <= {row.id for row in Feedback.load(path).rows()}


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_row_that_was_cut_short_spoils_no_other(path: Path, share: float) -> None:
    store = Feedback.load(path)
    before = store.say(LOST, by="ann", severity=3)
    row = path.read_bytes()
    with path.open("ab") as file:
        file.write(row[: int(share * len(row))])
    stream = Feedback.load(path)
    assert [r.id for r in stream.rows()] == [before]
    after = Feedback.load(path).say(LOST, by="bob", severity=4)
    for found in (stream, Feedback.load(path)):
        found.refresh()
        assert [r.id for r in found.rows()] == [before, after]
        assert found.damaged == (share > 0)


def test_damaged_rows_are_passed_over_and_counted(path: Path) -> None:
    Feedback.load(path).say(LOST, by="ann", severity=3)
    good = path.read_bytes()
    bad = [
        b"\xff\xfe",
        b"null",
        b"{}",
        b'{"undo":7}',
        b"\0" * 1000,
        b'{"x":' + b"[" * 200_000,
        good.rstrip().replace(b'"severity":3', b'"severity":9'),
        good.rstrip().replace(b'"template_id":7', b'"template_id":0'),
        good.rstrip().replace(b'"template_id":7', b'"template_id":18446744073709551616'),
        good.rstrip().replace(b'"verdict":null', b'"verdict":"perhaps"'),
    ]
    path.write_bytes(b"\n".join([*bad, b"", b'{"undo":"unknown"}', good]))
    store = Feedback.load(path)
    assert store.damaged == len(bad)
    assert store.standing()[7].severity == 3


# Where it cannot be written


def test_a_full_disk_leaves_the_file_as_it_was(path: Path) -> None:
    store = Feedback.load(path)
    store.say(LOST, by="ann", severity=3)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(FeedbackError, match="cannot be written") as error:
            store.say(LOST, by="ann", severity=4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value).startswith(f"{path}: ")
    assert path.read_bytes() == before
    store.say(LOST, by="ann", severity=5)
    assert Feedback.load(path).standing()[7].severity == 5
    assert Feedback.load(path).damaged == 0


def test_the_file_is_bounded(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, MAX_BYTES - 50)
    with pytest.raises(FeedbackError, match=r"32 MiB.*move it away"):
        Feedback.load(path).say(LOST, by="ann", severity=3)
    assert path.stat().st_size == MAX_BYTES - 50


def test_a_writer_that_does_not_end_is_not_waited_for_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Feedback.load(path).say(LOST, by="ann", severity=3)
    monkeypatch.setattr(feedback_file, "LOCK_S", 0.05)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        store = Feedback.load(path)  # a reader has nothing to wait for
        assert len(store.rows()) == 1
        with pytest.raises(FeedbackError, match="another program"):
            store.say(LOST, by="ann", severity=4)
    store.say(LOST, by="ann", severity=4)


def test_what_cannot_be_read_is_said_by_name(path: Path) -> None:
    path.mkdir()
    with pytest.raises(FeedbackError, match=r"feedback\.jsonl: cannot be read"):
        Feedback.load(path)
    with pytest.raises(FeedbackError, match=r"feedback\.jsonl: cannot be written"):
        Feedback(path).say(LOST, by="ann", severity=4)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_says_is_left_to_the_streams_user(path: Path) -> None:
    os.chown(path.parent, 65534, 65534)
    Feedback.load(path).say(LOST, by="root", severity=4)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


# The command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ltt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `ltt-stream feedback ARGS`: its exit code, stdout and stderr."""
    monkeypatch.delenv(STATE_DIR_VARIABLE, raising=False)

    def run(*args: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ltt-stream", "feedback", *args])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert isinstance(end.value.code, int)
        return end.value.code, *capsys.readouterr()

    return run


LINE = "Jan  1 00:00:00 host app[1]: text 17"


@pytest.mark.parametrize(
    "args",
    [
        ["--severity", "err", LINE],
        ["add", LINE, "--severity=3"],
        ["--line", LINE, "--severity", "error"],
    ],
)
def test_a_line_is_called_err(ltt: Run, path: Path, args: list[str]) -> None:
    code, out, err = ltt(*args, "--state-dir", str(path.parent))
    assert (code, err) == (0, "")
    template = template_of_line(LINE.encode())
    word = Feedback.load(path).standing()[template.template_id]
    assert word[:2] == (3, None)
    assert (word.app, word.text) == ("app", "text <num>")
    assert out == f"{word.id}  err      -        app: text <num>\n"


def test_lines_on_stdin_count_once_a_template(ltt: Run, path: Path) -> None:
    lines = b"".join(b"app: try %d\n" % i for i in range(500)) + b"\n\xff\xfe odd\r\nlast"
    code, out, _ = ltt("--normal", "--severity", "6", "--state-dir", str(path.parent), stdin=lines)
    assert code == 0
    rows = Feedback.load(path).rows()
    assert [row.text for row in rows] == ["try <num>", r"\xff\xfe odd", "last"]
    assert {(row.severity, row.verdict) for row in rows} == {(6, "normal")}
    assert [line.split()[0] for line in out.splitlines()] == [row.id for row in rows]


def test_a_template_is_called_an_anomaly_by_its_id(ltt: Run, path: Path) -> None:
    for number, text in ((2**64 - 1, "18446744073709551615"), (255, "0xff")):
        assert ltt("--anomaly", "--template-id", text, "--state-dir", str(path.parent))[0] == 0
        assert Feedback.load(path).standing()[number].verdict == "anomaly"


def test_list_and_undo(ltt: Run, path: Path) -> None:
    where = ("--state-dir", str(path.parent))
    ltt("--severity", "err", LINE, *where)
    ltt("--normal", "other", *where)
    first, second = Feedback.load(path).rows()
    code, out, _ = ltt("list", *where)
    assert code == 0
    assert [line.split()[2:4] for line in out.splitlines()] == [
        [first.id, "err"],
        [second.id, "-"],
    ]
    code, out, _ = ltt("undo", first.id, *where)
    assert code == 0
    assert first.id in out
    code, out, _ = ltt("list", "--json", *where)
    (row,) = map(json.loads, out.splitlines())
    assert (row["id"], row["verdict"], row["severity"]) == (second.id, "normal", None)
    code, out, err = ltt("undo", first.id, *where)
    assert (code, out) == (1, "")
    assert first.id in err
    assert "feedback list" in err


def test_damaged_rows_are_told_of(ltt: Run, path: Path) -> None:
    path.write_bytes(b"{\n")
    code, out, err = ltt("list", "--state-dir", str(path.parent))
    assert (code, out) == (0, "")
    assert "1 damaged" in err


def test_what_is_listed_cannot_act_on_the_terminal(ltt: Run, path: Path) -> None:
    where = ("--state-dir", str(path.parent))
    lines = "app: a\x1b[31m\u202eb\n".encode()
    for _, out, _ in (ltt("--normal", *where, stdin=lines), ltt("list", *where)):
        assert out.removesuffix("\n").isprintable()
        assert r"\x1b" in out


def test_the_state_directory_may_be_named_elsewhere(
    ltt: Run, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ltt.toml"
    file.write_text(f"state-dir = {json.dumps(str(path.parent))}\n")
    assert ltt("--normal", "one", "--config", str(file))[0] == 0
    monkeypatch.setenv(STATE_DIR_VARIABLE, str(path.parent))
    assert ltt("--normal", "two")[0] == 0
    monkeypatch.setenv(STATE_DIR_VARIABLE, "/nonexistent")
    assert ltt("--normal", "three", "--state-dir", str(path.parent))[0] == 0
    assert [row.text for row in Feedback.load(path).rows()] == ["one", "two", "three"]


BAD = {
    "no directory named": (["--normal", "x"], "--state-dir"),
    "no such directory": (["--normal", "x", "--state-dir", "/nonexistent"], "/nonexistent"),
    "no such file": (["--normal", "x", "--config", "/nonexistent.toml"], "/nonexistent.toml"),
    "nothing said": (["x", "--state-dir", "DIR"], "--severity"),
    "both": (["x", "--normal", "--anomaly", "--state-dir", "DIR"], "--anomaly"),
    "no severity": (["x", "--severity", "bad", "--state-dir", "DIR"], "'bad'"),
    "no template": (["--normal", "--template-id", "0", "--state-dir", "DIR"], "--template-id"),
    "two things": (["x", "--normal", "--template-id", "7", "--state-dir", "DIR"], "one"),
    "no quotes": (["--normal", "--state-dir", "DIR", "two", "words"], "quotes"),
    "no line": (["--normal", "--state-dir", "DIR"], "no line"),
    "an empty line": (["--normal", "--state-dir", "DIR", ""], "no line"),
    "list too late": (["--state-dir", "DIR", "list"], "feedback list"),
    "list of nothing": (["list"], "--state-dir"),
    "an unknown flag": (["--colour", "x"], "--colour"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_usage_is_refused_in_one_line(ltt: Run, path: Path, name: str) -> None:
    args, named = BAD[name]
    code, out, err = ltt(*(str(path.parent) if arg == "DIR" else arg for arg in args))
    assert (code, out) == (2, "")
    (said,) = err.splitlines()
    assert named in said
    assert not path.exists()


def test_no_torch_is_loaded_for_it(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c",
         "from pipeline import cli; from pipeline.cli_feedback import feedback;"
         "cli.cli.add_command(feedback); cli.main()",
         "feedback", "--normal", "x", "--state-dir", str(path.parent)],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "pipeline.feedback" in loaded
    assert not loaded & {"torch", "pyarrow", "prometheus_client"}
    assert len(Feedback.load(path).rows()) == 1
