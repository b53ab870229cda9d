"""Published models: one whole one is in use whatever fails, some are kept, and the way back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from models.checkpoint import Card, Checkpoint, load_checkpoint, save_checkpoint
from models.inference import Engine
from models.raccoon import Raccoon
from pipeline.cli import cli
from pipeline.cli_snapshots import history, rollback
from pipeline.snapshots import (
    CURRENT,
    FOLDER,
    HISTORY,
    LINEAGE,
    Row,
    SnapshotError,
    Snapshots,
    now,
)
from tests.models.conftest import SMALL
from tests.support import ROOT

TEXTS = ["disk failed", "session opened", "tick"]


def checkpoint(seed: int) -> Checkpoint:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    card = Card(corpus_prior=[0.125] * 8, apps=["sshd"])
    return Checkpoint(Raccoon(SMALL).eval(), card, np.linspace(0, 9, 50, dtype=np.float32))


def publish(snapshots: Snapshots, seed: int) -> str:
    """The name of its folder; what was published before is older by the clock as well."""
    for path in snapshots.kept():
        stat = (snapshots.folder / path).stat()
        os.utime(snapshots.folder / path, (stat.st_atime, stat.st_mtime - 10))
    version, _ = snapshots.publish(checkpoint(seed))
    return version.rpartition("-")[2]


def in_use(snapshots: Snapshots) -> str | None:
    path = snapshots.current()
    return None if path is None else path.parent.name


def strays(snapshots: Snapshots) -> list[str]:
    return [p.name for p in snapshots.folder.iterdir() if p.name.startswith(".")]


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path, keep=3)


# ---- publishing


def test_what_is_published_is_in_use_and_scores_as_it_did(snapshots: Snapshots) -> None:
    given = checkpoint(1)
    expected = Engine(given, dtype="fp32").encode([""] * 3, TEXTS)
    assert snapshots.current() is None
    version, home = snapshots.publish(given)
    assert snapshots.current() == home
    assert load_checkpoint(home).version == version
    found = Engine.load(home, dtype="fp32").encode([""] * 3, TEXTS)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, atol=0.05)
    assert snapshots.publish(load_checkpoint(home)) == (version, home), "once more is no other"
    assert snapshots.kept() == [home.parent.name]
    assert strays(snapshots) == []


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def damage(home: Path, how: str) -> None:
    match how:
        case "cut short":
            (home / "model.safetensors").write_bytes(b"short")
        case "flipped":
            flip(home / "model.safetensors")
        case "another config":
            (home / "config.json").write_bytes(b"{}")
        case "no checkpoint":
            shutil.rmtree(home)
        case "a file":
            shutil.rmtree(home)
            home.write_bytes(b"")
        case "a file for a folder":
            shutil.rmtree(home.parent)
            home.parent.write_bytes(b"")
        case _:
            (home / how).unlink()


@pytest.mark.parametrize(
    "how",
    [
        *("cut short", "flipped", "model.safetensors", "config.json", "another config"),
        *("no checkpoint", "a file", "a file for a folder"),
    ],
)
def test_a_folder_of_the_same_digest_that_is_not_whole_is_mended(
    snapshots: Snapshots, how: str
) -> None:
    version, home = snapshots.publish(checkpoint(1))
    whole = {file.name: file.read_bytes() for file in home.iterdir()}
    damage(home, how)
    assert snapshots.publish(checkpoint(1)) == (version, home)
    assert {file.name: file.read_bytes() for file in home.iterdir()} == whole
    assert load_checkpoint(home).version == version
    assert snapshots.current() == home
    assert strays(snapshots) == []


def test_while_a_folder_is_mended_there_always_is_a_current_one(snapshots: Snapshots) -> None:
    """A stream that saw none would go over to the model that it was started with."""
    _, home = snapshots.publish(checkpoint(1))
    done = threading.Event()
    seen: set[Path | None] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(snapshots.current())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        flip(home / "model.safetensors")
        snapshots.publish(checkpoint(1))
    done.set()
    reader.join()
    assert seen == {home}


def test_so_many_are_kept_beside_the_one_in_use(snapshots: Snapshots) -> None:
    names = [publish(snapshots, seed) for seed in range(6)]
    assert snapshots.kept() == names[-4:]
    assert in_use(snapshots) == names[-1]
    assert Snapshots(snapshots.folder.parent, keep=0).publish(checkpoint(9))
    assert len(snapshots.kept()) == 1


def test_a_reader_never_sees_a_part(snapshots: Snapshots) -> None:
    """Loaded over and over while others take its place, the current one is always whole."""
    published = {snapshots.publish(checkpoint(0))[0]}
    done = threading.Event()
    seen: set[str] = set()
    errors: list[Exception] = []

    def read() -> None:
        while not done.is_set():
            path = snapshots.current()
            assert path is not None
            try:
                seen.add(load_checkpoint(path).version)
            except Exception as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for seed in range(1, 5):
        published.add(Snapshots(snapshots.folder.parent, keep=9).publish(checkpoint(seed))[0])
    done.set()
    reader.join()
    assert errors == []
    assert seen <= published


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pipeline.snapshots import Snapshots
from tests.pipeline.test_snapshots import checkpoint
given = checkpoint(2)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    Snapshots(Path(sys.argv[1])).publish(given)
except OSError as error:
    print(error)
"""


def test_where_the_disk_takes_it_not_the_one_before_stays(snapshots: Snapshots) -> None:
    """The kernel refuses the file at its 20,000th byte, as a full disk does."""
    name = publish(snapshots, 1)
    done = subprocess.run(
        [sys.executable, "-c", FULL, snapshots.folder.parent, "20000"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert "File too large" in done.stdout, done.stderr
    assert in_use(snapshots) == name
    assert snapshots.kept() == [name]
    assert strays(snapshots) == []
    assert load_checkpoint(snapshots.folder / name / "raccoon").version.endswith(name)
    assert publish(snapshots, 2) == in_use(snapshots) != name


def test_what_a_killed_learner_left_is_no_snapshot_and_goes_in_time(
    snapshots: Snapshots,
) -> None:
    name = publish(snapshots, 1)
    for n, age_s in ((1, 0), (2, 7200)):
        stray = snapshots.folder / f".new.99999{n}"
        save_checkpoint(stray / "raccoon", checkpoint(3))
        os.utime(stray, (time.time() - age_s,) * 2)
    assert snapshots.kept() == [name]
    assert in_use(snapshots) == name
    publish(snapshots, 2)
    assert strays(snapshots) == [".new.999991"], "one may still be written"


def test_a_link_to_nothing_is_no_snapshot(snapshots: Snapshots) -> None:
    name = publish(snapshots, 1)
    shutil.rmtree(snapshots.folder / name)
    assert snapshots.current() is None
    assert snapshots.kept() == []


# ---- the way back


def test_back_and_further_back(snapshots: Snapshots) -> None:
    first, second, third = (publish(snapshots, seed) for seed in range(3))
    assert snapshots.roll_back() == snapshots.folder / second / "raccoon"
    assert in_use(snapshots) == second
    snapshots.roll_back()
    assert in_use(snapshots) == first
    with pytest.raises(SnapshotError, match=r"no snapshot is older .*`--to base`"):
        snapshots.roll_back()
    assert in_use(snapshots) == first
    assert snapshots.kept() == [first, second, third], "none is lost by it"
    snapshots.roll_back(f"raccoon-{third}")
    assert in_use(snapshots) == third
    snapshots.roll_back(second)
    assert in_use(snapshots) == second


def test_back_to_what_is_not_there_names_what_is(snapshots: Snapshots) -> None:
    name = publish(snapshots, 1)
    with pytest.raises(SnapshotError, match=f"raccoon-0123: no such .* kept are raccoon-{name}"):
        snapshots.roll_back("raccoon-0123")
    assert in_use(snapshots) == name
    with pytest.raises(SnapshotError, match=r"kept are none"):
        Snapshots(snapshots.folder.parent / "other").roll_back("raccoon-0123")


def test_back_is_never_to_what_was_rolled_back_from(snapshots: Snapshots) -> None:
    first, second = publish(snapshots, 1), publish(snapshots, 2)
    snapshots.roll_back()
    third = publish(snapshots, 3)
    snapshots.roll_back()
    assert in_use(snapshots) == first, "the second one was found wanting"
    with pytest.raises(SnapshotError, match=rf"older .*{second}"):
        snapshots.roll_back()
    assert in_use(snapshots) == first
    snapshots.roll_back(third)
    fourth = publish(snapshots, 4)
    for name in (third, first):
        snapshots.roll_back()
        assert in_use(snapshots) == name
    assert fourth in snapshots.kept()


def test_what_was_in_use_before_is_kept_longer_than_what_was_rolled_back_from(
    snapshots: Snapshots,
) -> None:
    first, *rest = (publish(snapshots, seed) for seed in range(4))
    snapshots.roll_back(first)
    publish(snapshots, 5)
    assert snapshots.kept()[:-1] == [first, *rest[-2:]], "the oldest is the way back"
    snapshots.roll_back()
    assert in_use(snapshots) == first


def test_published_once_more_it_has_its_new_place_in_the_order(snapshots: Snapshots) -> None:
    first, second = publish(snapshots, 1), publish(snapshots, 2)
    assert publish(snapshots, 1) == first == in_use(snapshots)
    snapshots.roll_back()
    assert in_use(snapshots) == second
    with pytest.raises(SnapshotError):
        snapshots.roll_back()


def test_from_what_is_gone_back_is_to_the_one_before(snapshots: Snapshots) -> None:
    first, second = publish(snapshots, 1), publish(snapshots, 2)
    shutil.rmtree(snapshots.folder / second)
    assert snapshots.current() is None
    snapshots.roll_back()
    assert in_use(snapshots) == first


@pytest.mark.parametrize("lineage", [None, b"", b"\xff\0 0123\n"])
def test_without_an_order_the_age_is_gone_by(snapshots: Snapshots, lineage: bytes | None) -> None:
    """As programs left it that kept none; what is published from then on has one."""
    names = [publish(snapshots, seed) for seed in range(3)]
    file = snapshots.folder / LINEAGE
    file.unlink() if lineage is None else file.write_bytes(lineage)
    snapshots.roll_back()
    assert in_use(snapshots) == names[1]
    publish(snapshots, 4)
    for name in (names[1], names[0]):
        snapshots.roll_back()
        assert in_use(snapshots) == name


def test_from_the_base_back_is_nowhere_unasked(snapshots: Snapshots) -> None:
    """Whoever went to the base left all of them."""
    name = publish(snapshots, 1)
    snapshots.forget_current()
    assert snapshots.current() is None
    snapshots.forget_current()
    with pytest.raises(SnapshotError, match=rf"`--to VERSION` .*raccoon-{name}"):
        snapshots.roll_back()
    snapshots.roll_back(name)
    assert in_use(snapshots) == name
    snapshots.forget_current()
    publish(snapshots, 2)
    with pytest.raises(SnapshotError):
        snapshots.roll_back()


def test_what_was_learnt_from_another_model_is_told_apart(snapshots: Snapshots) -> None:
    assert snapshots.current_of("raccoon-base") is None
    name = publish(snapshots, 1)
    path = snapshots.current()
    assert snapshots.current_of("raccoon-base") == path, "nothing is known against it"
    snapshots.record(
        Row(at=now(), action="published", version=f"raccoon-{name}", base="raccoon-base")
    )
    snapshots.record(Row(at=now(), action="rolled back", version=f"raccoon-{name}"))
    snapshots.record(Row(at=now(), action="rejected", version="raccoon-x", base="raccoon-newer"))
    assert snapshots.current_of("raccoon-base") == path
    assert snapshots.current_of("raccoon-newer") is None
    assert snapshots.current() == path


# ---- the history


def test_the_history_is_what_was_recorded_but_for_damaged_rows(snapshots: Snapshots) -> None:
    assert snapshots.history() == []
    rows = [
        Row(at=now(), action="published", version="raccoon-1", base="raccoon-0", accuracy=0.5),
        Row(at=now(), action="failed", version="raccoon-1", why="No space left on device"),
        Row(at=now(), action="rejected", version="raccoon-1", held_out=12, log_loss=1.25),
    ]
    file = snapshots.folder / HISTORY
    for row, damage in zip(rows, (b'{"at":"2024-', b"\xff\xfe\0", b'{"at":1}'), strict=True):
        snapshots.record(row)
        with file.open("ab") as out:
            out.write(damage + b"\n")
    with file.open("ab") as out:
        out.write(b'{"at":"2024-05-01T12:00:00+00:00","action":"publ')
    assert snapshots.history() == rows


def test_a_row_after_one_that_was_cut_short_is_a_row_of_its_own(snapshots: Snapshots) -> None:
    """A kill in the midst of a write leaves no newline; the next row must not be lost by it."""
    row = Row(at=now(), action="published", version="raccoon-1")
    snapshots.record(row)
    with (snapshots.folder / HISTORY).open("ab") as out:
        out.write(b'{"at":"2024-05-01T12:0')
    snapshots.record(row)
    assert snapshots.history() == [row, row]


# ---- the commands


def test_history_shows_what_became_of_each_and_which_is_in_use(
    snapshots: Snapshots, tmp_path: Path
) -> None:
    runner = CliRunner()
    state = ["--state-dir", str(tmp_path)]
    assert "nothing was learnt here yet" in runner.invoke(history, state).output
    name = publish(snapshots, 1)
    at = "2024-05-01T12:00:00+00:00"
    figures = {"accuracy": 0.91, "accuracy_before": 0.88, "log_loss": 0.3, "log_loss_before": 0.4}
    for n, (action, version) in enumerate(
        (
            ("published", "raccoon-0"),
            ("published", f"raccoon-{name}"),
            ("rejected", f"raccoon-{name}"),
        )
    ):
        snapshots.record(
            Row(at=at, action=action, version=version, why=f"{n} updates", held_out=40, **figures)
        )
    snapshots.record(Row(at=at, action="failed", version=f"raccoon-{name}", why="disk full"))
    shown = runner.invoke(history, state).output.splitlines()
    assert len(shown) == 1 + 4 + 1
    assert [line.endswith(" *") for line in shown[1:-1]] == [False, True, False, False]
    assert "0.880 → 0.910" in shown[2]
    assert "0.400 → 0.300" in shown[2]
    assert "disk full" in shown[4]
    assert shown[-1] == f"in use: raccoon-{name}"
    newest = runner.invoke(history, [*state, "-n", "1", "--json"]).output
    assert json.loads(newest) == {
        "at": at, "action": "failed", "version": f"raccoon-{name}", "why": "disk full",
    }  # fmt: skip
    snapshots.forget_current()
    assert "in use: the model that the program starts with" in runner.invoke(history, state).output


def test_rollback_says_what_is_in_use_and_leaves_a_row(
    snapshots: Snapshots, tmp_path: Path
) -> None:
    runner = CliRunner()
    first, second = (publish(snapshots, seed) for seed in range(2))
    state = ["--state-dir", str(tmp_path)]
    for to, name, says in (
        ([], first, f"raccoon-{first}"),
        (["--to", f"raccoon-{second}"], second, f"raccoon-{second}"),
        (["--to", "base"], None, "base"),
    ):
        done = runner.invoke(rollback, [*state, *to])
        assert done.output == f"in use from now on: {says}\n"
        assert in_use(snapshots) == name
        last = snapshots.history()[-1]
        assert (last.action, last.version) == ("rolled back", says)
    rows = len(snapshots.history())
    failed = runner.invoke(rollback, [*state, "--to", "raccoon-none"])
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: raccoon-none: no such snapshot here")
    assert len(snapshots.history()) == rows


def test_the_commands_belong_to_model_and_need_a_state_directory() -> None:
    for command in ("history", "rollback"):
        done = CliRunner().invoke(cli, ["model", command], env={"LTT_STREAM_STATE_DIR": None})
        assert done.exit_code == 2
        assert "--state-dir" in done.output
        done = CliRunner().invoke(cli, ["model", command, "--state-dir", "/no/such/place"])
        assert "does not exist" in done.output


def test_looking_and_going_back_need_no_torch(snapshots: Snapshots, tmp_path: Path) -> None:
    first, _ = (publish(snapshots, seed) for seed in range(2))
    program = (
        "import sys; from pipeline.cli import cli; "
        "cli.main(sys.argv[1:], standalone_mode=False); print('torch' in sys.modules)"
    )
    for command in ("rollback", "history"):
        done = subprocess.run(
            [sys.executable, "-c", program, "model", command, "--state-dir", tmp_path],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "False"
    assert in_use(snapshots) == first


def test_the_folder_is_laid_out_as_it_is_documented(snapshots: Snapshots) -> None:
    name = publish(snapshots, 1)
    snapshots.record(Row(at=now(), action="published", version=f"raccoon-{name}"))
    folder = snapshots.folder
    assert folder.name == FOLDER
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [name, CURRENT, HISTORY, LINEAGE]
    )
    assert (folder / CURRENT).readlink() == Path(name), "relative: the directory may be moved"


def test_a_history_that_grew_long_keeps_its_newer_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.snapshots.MOST_BYTES", 2000)
    snapshots = Snapshots(tmp_path)
    for i in range(200):
        snapshots.record(Row(at=now(), action="rejected", version=f"raccoon-{i}"))
    assert (tmp_path / "snapshots" / "history.jsonl").stat().st_size < 3000
    versions = [row.version for row in snapshots.history()]
    assert versions == [f"raccoon-{i}" for i in range(200 - len(versions), 200)]
