"""The learner's process: what it is told, that nobody waits for it, and that it may die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoint import Card, Checkpoint, load_checkpoint, save_checkpoint
from models.inference import Engine
from models.raccoon import Raccoon
from models.text import canonical
from pipeline import learner, tutor
from pipeline.config import Config
from pipeline.learner import BURST_S, Budget, Learner, Options
from pipeline.learning import StreamLearning
from pipeline.lessons import (
    MESSAGE_LESSONS,
    Begin,
    Boost,
    FromLearner,
    Lesson,
    Note,
    Published,
    Status,
    Teach,
    from_learner,
    pair,
    receive,
    send,
    to_learner,
)
from pipeline.metrics import Metrics
from pipeline.process import Processor
from pipeline.quarantine import MAX_TEMPLATES
from pipeline.scorer import MAX_APP_BYTES, Scorer
from pipeline.snapshots import Snapshots
from pipeline.templates import TemplateTable, template_id
from pipeline.tutor import DECLARED, TELL_AGAIN, Labels, Telling, Tutor, labels_of
from tests.models.conftest import SMALL
from tests.support import ROOT

ERR, INFO, DEBUG = 3, 6, 7
ENTRIES = 64
PATIENCE_S = 300.0
"""How long a test waits for a process of the lowest priority; none asserts how long it took."""


def table(templates: int = 8) -> TemplateTable:
    found = TemplateTable(templates, 1)
    found.size = templates
    found.texts = [("app", f"template {i}") for i in range(templates)]
    found.template_id[:] = [template_id(*text) for text in found.texts]
    found.facility[:] = np.arange(templates) % 3 - 1
    return found


def labels(row: int, severity: int, lines: int) -> Labels:
    return Labels(*(np.array([value], np.int64) for value in (row, severity, lines)))


def until(done: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end_s, "it never came to that"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and is still to be waited for is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# ---- which labels are told


def test_labels_are_told_at_the_first_the_second_the_fourth_line() -> None:
    telling, templates = Telling(), table()
    told = []
    for line in range(1, 5000):
        for lesson in telling.lessons("udp", labels(2, ERR, 1), templates):
            told.append(line)
            assert lesson == Lesson(
                int(templates.template_id[2]), "app", "template 2", 1, "udp", ERR, DECLARED,
                lesson.count,
            )  # fmt: skip
    powers = [1 << i for i in range(11)]
    assert told == [*powers, *range(2 * TELL_AGAIN, 5000, TELL_AGAIN)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 7), st.integers(1, 3000)
        ),
        min_size=1,
        max_size=60,
    )
)
def test_no_line_is_told_twice_and_none_is_long_untold(
    stream: list[tuple[str, int, int, int]],
) -> None:
    telling, templates = Telling(), table()
    said: dict[tuple[str, int, int], int] = {}
    told: dict[tuple[str, int, int], int] = {}
    for source, row, severity, lines in stream:
        key = (source, row, severity)
        said[key] = said.get(key, 0) + lines
        for lesson in telling.lessons(source, labels(row, severity, lines), templates):
            assert (lesson.source, lesson.text[-1], lesson.severity) == (
                source,
                str(row),
                severity,
            )
            told[key] = told.get(key, 0) + lesson.count
        assert told[key] <= said[key] < told[key] + max(1, min(told[key], TELL_AGAIN))


def test_labels_of_a_batch_say_each_thing_once() -> None:
    rng = np.random.default_rng(0)
    rows, declared = rng.integers(0, 50, 3000), rng.integers(0, 8, 3000)
    found = labels_of(rows.astype(np.int32), declared.astype(np.int16))
    pairs = list(zip(found.row.tolist(), found.severity.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    expected = {(row, s): ((rows == row) & (declared == s)).sum() for row, s in pairs}
    assert dict(zip(pairs, found.lines.tolist(), strict=True)) == expected
    assert found.lines.sum() == 3000


def test_what_was_told_is_remembered_of_so_many_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tutor, "MOST_TOLD", 100)
    telling, templates = Telling(), table(400)
    for row in range(400):
        assert telling.lessons("udp", labels(row, INFO, 1), templates)
        assert len(telling._counts) <= 100
    assert not telling.lessons("udp", labels(399, INFO, 0), templates)
    assert telling.lessons("udp", labels(0, INFO, 1), templates), "forgotten: told once more"


# ---- the channel


def lesson(number: int = 0, text: str = "x" * 500, app: str = "app") -> Lesson:
    return Lesson((1 << 64) - 1 - number, app, text, 23, "udp://[::]:514", ERR, 0, 1 << 40)


def test_a_full_channel_takes_no_more_and_never_waits() -> None:
    ours, theirs = pair()
    with ours, theirs:
        taken = 0
        while send(ours, Teach([lesson(taken)] * MESSAGE_LESSONS)):
            taken += 1
            assert taken < 10_000
        assert taken >= 2
        assert not send(ours, Teach([lesson()] * MESSAGE_LESSONS))
        found = receive(theirs, to_learner)
        assert found == [Teach([lesson(n)] * MESSAGE_LESSONS) for n in range(taken)]
        assert receive(theirs, to_learner) == []
        assert send(ours, Boost(1.0)), "there is room again"


def test_the_longest_lessons_of_one_message_fit() -> None:
    ours, theirs = pair()
    with ours, theirs:
        text, app = canonical("\U0001f600" * 9 + " \U0001f600" * 999), "\\xff" * MAX_APP_BYTES
        longest = Teach([lesson(n, text, app) for n in range(MESSAGE_LESSONS)])
        assert send(ours, longest)
        assert receive(theirs, to_learner) == [longest]


def test_what_is_no_message_is_passed_over_and_a_closed_end_is_told() -> None:
    ours, theirs = pair()
    with theirs:
        ours.send(b"\xff of another version")
        send(ours, Boost(2.0))
        ours.close()
        assert receive(theirs, to_learner) == [Boost(2.0)]
        assert receive(theirs, to_learner) is None
        assert not send(theirs, Note("nobody is there"))


# ---- the process


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("base") / "raccoon"
    card = Card(corpus_prior=[0.125] * 8, apps=[])
    save_checkpoint(path, Checkpoint(Raccoon(SMALL).eval(), card, np.zeros(9, np.float32)))
    return path


@pytest.fixture
def options(base: Path, tmp_path: Path) -> Options:
    return Options(-1, str(tmp_path), str(base), budget=1.0, rate=3e-3)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def running(options: Options, said: list[str]) -> Iterator[Tutor]:
    found = Tutor(options, said.append)
    yield found
    if found.pid is not None:
        os.kill(found.pid, signal.SIGKILL)
        found.stop()


def course() -> list[Lesson]:
    """1,200 templates whose first word tells the severity."""
    words = {ERR: ("failed", "refused"), INFO: ("started", "opened"), DEBUG: ("enter", "leave")}
    texts = [
        (f"{word} {a}{b} {c}", severity)
        for severity, some in words.items()
        for word in some
        for a in "bdfgk"
        for b in "aeiou"
        for c in ("disk", "port", "node", "file", "page", "user", "link", "bank")
    ]
    return [
        Lesson(template_id("", text), "", text, -1, f"host {n % 4}", severity, 0, 1)
        for n, (text, severity) in enumerate(texts)
    ]


def kill(found: Tutor, number: int = signal.SIGKILL) -> int:
    """End the learner; its process id."""
    pid = found.pid
    assert pid is not None
    os.kill(pid, number)
    return pid


def test_a_learner_that_dies_is_started_again_after_longer_and_longer(
    running: Tutor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_wait_s", 0.01)
    monkeypatch.setattr(tutor, "LONGEST_WAIT_S", 0.04)
    running.start()
    waits, pids = [], []
    for start in range(1, 5):
        assert running.starts == start
        pids.append(kill(running))
        until(lambda n=start: running.poll() == [] and len(said) == n)
        assert running.pid is None
        waits.append(running._wait_s)
        until(lambda: running.poll() == [] and running.pid is not None)
    assert waits == [0.02, 0.04, 0.04, 0.04]
    assert all(text.startswith("the learner has ended (killed by signal 9)") for text in said)
    monkeypatch.setattr(tutor, "SETTLED_S", 0.0)  # the next one has lived long enough
    monkeypatch.setattr(tutor, "FIRST_WAIT_S", 0.01)
    pids.append(kill(running))
    until(lambda: running.poll() == [] and len(said) == 5)
    assert running._wait_s == 0.02, "it begins anew"
    assert not any(alive(pid) for pid in pids), "none is left behind"


def test_a_learner_that_cannot_be_started_is_tried_again(
    running: Tutor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    running.start()
    assert running.pid is None
    assert "the learner cannot be started: " in said[0]
    assert running.poll() == []
    running.teach("udp", labels(0, ERR, 1), table())
    assert (running.told, running.dropped) == (0, 1)
    monkeypatch.undo()
    running._due_s = 0.0
    running.poll()
    assert running.pid is not None


def test_one_that_does_not_listen_costs_lessons_and_no_time(running: Tutor) -> None:
    """Stopped at birth: the channel fills, then each lesson is dropped and counted."""
    running.start()
    kill(running, signal.SIGSTOP)
    templates, offered = table(1000), 0
    templates.texts = [(app, text + " x" * 200) for app, text in templates.texts]
    rows = np.arange(1000)
    for severity in range(8):
        running.teach("udp", Labels(rows, np.full(1000, severity), np.ones(1000, int)), templates)
        offered += 1000
        assert running.told + running.dropped == offered
    assert running.told > 0
    assert running.dropped > 0
    before = running.dropped
    assert not running.tell(lesson(text="x" * 200))
    assert running.dropped == before + 1
    assert running.poll() == []


def test_one_that_does_not_end_is_ended(running: Tutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tutor, "STOP_S", 0.1)
    running.start()
    pid = kill(running, signal.SIGSTOP)
    running.stop()
    assert running.pid is None
    assert not alive(pid)
    running.stop()


def test_it_learns_publishes_ends_and_goes_on(
    running: Tutor, said: list[str], options: Options, tmp_path: Path
) -> None:
    heard: list[FromLearner] = []

    def hears(of: Tutor, enough: Callable[[FromLearner], bool]) -> bool:
        heard.extend(of.poll())
        return any(map(enough, heard))

    running.start()
    for one in course():
        until(lambda one=one: running.tell(one))
    until(lambda: hears(running, lambda m: isinstance(m, Published)))
    until(lambda: hears(running, lambda m: isinstance(m, Status) and m.entries == len(course())))
    running.stop()
    (published,) = (message for message in heard if isinstance(message, Published))
    assert Snapshots(tmp_path).current() == Path(published.path)
    assert load_checkpoint(Path(published.path)).version == published.version
    row = Snapshots(tmp_path).history()[0]
    assert (row.action, row.version) == ("published", published.version)
    assert row.base == load_checkpoint(Path(options.model)).version
    assert row.updates == learner.JUDGE_UPDATES
    assert row.accuracy is not None
    assert row.accuracy_before is not None
    assert row.accuracy >= row.accuracy_before
    heard.clear()
    running.start()
    until(lambda: hears(running, lambda m: isinstance(m, Status)))
    running.stop()
    first = next(message for message in heard if isinstance(message, Status))
    assert first.entries == len(course()), "what it knew was saved"
    assert said == []


def test_what_the_buffer_and_the_quarantine_leave_out_is_counted(
    base: Path, tmp_path: Path, said: list[str]
) -> None:
    """Of 200 templates the buffer of a real learner has room for a few."""
    metrics = Metrics()
    config = Config(state_dir=str(tmp_path), learn=True, learn_budget=1.0, replay_entries=ENTRIES)
    processor = Processor(Scorer(Engine.load(base, dtype="fp32")))
    learning = StreamLearning(config, base, processor, metrics, said.append)

    def count(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"ltt_stream_{name}", labels)

    def left_out() -> float:
        learning.tick()
        found = [
            count("replay_dropped_entries_total", reason=reason)
            for reason in ("evicted", "refused", "disputed", "spoilt")
        ]
        assert None not in found, "each is there from the start"
        return sum(n or 0 for n in found)

    lessons = course()[::6]
    others = [
        msgspec.structs.replace(one, source="another", severity=7 - one.severity)
        for one in lessons
    ]
    learning.quarantine.add(np.arange(1, MAX_TEMPLATES + 4, dtype=np.uint64), time.time())
    learning.start()
    assert learning.tutor is not None
    try:
        assert left_out() == 0
        assert count("quarantine_crowded_out_templates_total") == 3
        for one in lessons:
            until(lambda one=one: learning.tutor.tell(one))
        until(lambda: left_out() == len(lessons) - ENTRIES)
        for one in others:
            until(lambda one=one: learning.tutor.tell(one))
        until(lambda: left_out() and count("replay_dropped_entries_total", reason="disputed"))
    finally:
        learning.close()


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from pipeline.learner import main
main()
"""


def test_a_full_disk_keeps_the_old_snapshot_and_is_said_and_counted(
    options: Options, base: Path, tmp_path: Path
) -> None:
    """No file may pass 20,000 bytes; neither does the replay buffer get through."""
    snapshots = Snapshots(tmp_path)
    version, home = snapshots.publish(load_checkpoint(base))
    ours, theirs = pair()
    given = msgspec.json.encode(msgspec.structs.replace(options, fd=theirs.fileno())).decode()
    process = subprocess.Popen(
        [sys.executable, "-c", FULL, given],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, pass_fds=[theirs.fileno()],
    )  # fmt: skip
    theirs.close()
    heard: list[FromLearner] = []

    def failed() -> bool:
        heard.extend(receive(ours, from_learner) or [])
        return any(isinstance(m, Status) and m.failed for m in heard)

    try:
        lessons = course()
        for start in range(0, len(lessons), MESSAGE_LESSONS):
            until(lambda at=start: send(ours, Teach(lessons[at : at + MESSAGE_LESSONS])))
        until(failed)
        assert process.poll() is None, "it goes on"
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
        heard.extend(receive(ours, from_learner) or [])
    finally:
        process.kill()
        process.wait()
        ours.close()
    notes = [message.text for message in heard if isinstance(message, Note)]
    assert any("snapshot not written: " in note and version in note for note in notes), notes
    assert any("replay buffer not saved: " in note for note in notes), notes
    assert not any(isinstance(message, Published) for message in heard)
    assert snapshots.current() == home
    assert snapshots.kept() == [home.parent.name]
    row = snapshots.history()[-1]
    assert (row.action, row.version) == ("failed", version)
    assert "File too large" in row.why


@pytest.mark.parametrize("when", ["at its start", "on the way"])
def test_a_damaged_snapshot_does_not_end_it(
    when: str, options: Options, base: Path, tmp_path: Path
) -> None:
    """Else it would be started again and again, and never learn."""
    _, home = Snapshots(tmp_path).publish(load_checkpoint(base))
    ours, theirs = pair()
    with ours, theirs:
        if when == "on the way":
            found = Learner(options, theirs)
        (home / "model.safetensors").write_bytes(b"")
        if when == "at its start":
            found = Learner(options, theirs)
        else:
            send(ours, Begin(str(home)))
        for start in range(0, 320, MESSAGE_LESSONS):
            send(ours, Teach(course()[start : start + MESSAGE_LESSONS]))
        ours.shutdown(socket.SHUT_WR)
        found.run()
        heard = receive(ours, from_learner) or []
        notes = [message.text for message in heard if isinstance(message, Note)]
        assert len(notes) == 1
        assert "model.safetensors: truncated or damaged" in notes[0]
        assert len(found.classroom.replay) > 0


# ---- the budget


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_s = self.cpu_s = 0.0
        monkeypatch.setattr(learner.time, "monotonic", lambda: self.wall_s)
        monkeypatch.setattr(learner.time, "process_time", lambda: self.cpu_s)

    def work(self, seconds: float) -> None:
        self.wall_s += seconds
        self.cpu_s += seconds

    def run(self, budget: Budget, wall_s: float, step_s: float) -> float:
        """Work whenever the budget allows it; the CPU that was used."""
        end_s, before_s = self.wall_s + wall_s, self.cpu_s
        while self.wall_s < end_s:
            self.wall_s += budget.wait_s()
            self.work(step_s)
        return self.cpu_s - before_s


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("step_s", [0.004, 0.3])
def test_no_more_than_its_share_of_a_core_is_used(
    share: float, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    budget = Budget(share)
    used_s = clock.run(budget, 600.0, step_s)
    most_s = BURST_S + share * (clock.wall_s) + step_s
    assert 0.9 * share * 600 < used_s <= most_s
    clock.wall_s += 3600  # nothing to learn for an hour: little of it is saved up
    wall_s = clock.wall_s
    used_s = clock.run(budget, 60.0, step_s)
    assert used_s <= BURST_S * share + share * (clock.wall_s - wall_s) + 2 * step_s


def test_a_drift_gives_it_more_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    budget = Budget(0.1)
    before_s = clock.run(budget, 300.0, 0.01)
    budget.boost(300.0)
    while_s = clock.run(budget, 300.0, 0.01)
    after_s = clock.run(budget, 300.0, 0.01)
    assert while_s == pytest.approx(learner.BOOST * before_s, rel=0.1)
    assert after_s == pytest.approx(before_s, rel=0.1)
