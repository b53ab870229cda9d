"""Kill -9 at any moment, two writers, a reader amid updates, a full disk, Ctrl-C."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.codesearch.lock import Lock
from pipeline.codesearch.search import Result
from pipeline.codesearch.status import read_status
from tests.e2e import warm
from tests.e2e.program import LTT_STREAM
from tests.e2e.sources import (
    answers,
    fresh_answers,
    good,
    index_of,
    leftovers,
    ltt,
    plant,
    put,
    refused,
)

CUT = ("--snippet-lines", "4", "--overlap", "3")
"""A snippet a line where nothing is parsed: the program commits on its way, too."""
PARTS = (4, 3)


def big(root: Path, files: int = 600, lines: int = 21) -> Path:
    """With some 11,000 snippets where there are 600 files of 21 lines."""
    for number in range(files):
        said = [f"upload_{number}_{line} = {line % 7}\n" for line in range(lines)]
        put(root, f"d{number % 20}/f{number}.toml", "".join(said))
    return root


def killed_after(delay_s: float, *args: str, cwd: Path) -> bool:
    """Run a command and kill it after a while; whether it still ran."""
    done = warm.run(["codesearch", *args], cwd, kill_after_s=delay_s)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def works(tree: Path) -> bool:
    """Whether there is an index, which then answers; else one line says that there is none."""
    done = ltt("search", "upload", "--json", cwd=tree)
    if done.returncode == 0:
        assert json.loads(done.stdout)
        return True
    assert "no index" in refused(done)
    return False


def seconds_of(*args: str, cwd: Path) -> float:
    began = time.monotonic()
    good(*args, cwd=cwd)
    return time.monotonic() - began


@pytest.mark.parametrize(("lines", "kills"), [(4, 15), (21, 5)], ids=["at its end", "on its way"])
def test_kill_9_while_indexing_costs_nothing_but_time(
    lines: int, kills: int, tmp_path: Path
) -> None:
    """600 files that are committed once, and 600 with so many snippets that it is twice."""
    tree = big(tmp_path / "tree", lines=lines)
    whole_s = seconds_of("index", ".", *CUT, cwd=tree)
    expected = answers(index_of(tree))
    assert sum(map(len, expected)) > 50
    shutil.rmtree(index_of(tree))
    rng = random.Random(lines)
    killed = 0
    for number in range(kills):
        killed += killed_after(rng.uniform(0, whole_s), "index", ".", *CUT, cwd=tree)
        if number % 4 == 0:
            works(tree)
        elif (index_of(tree) / "manifest.json").exists():
            assert all(answers(index_of(tree))[:3])
    assert killed > kills // 4
    good("index", ".", *CUT, cwd=tree)  # it goes on, and is as if nothing had been
    assert answers(index_of(tree)) == expected
    assert leftovers(index_of(tree)) == set()
    assert (index_of(tree) / ".gitignore").read_text() == "*\n"


def test_kill_9_while_updating_leaves_the_old_index_or_the_new_one(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", ".", *CUT, cwd=tree)
    update_s = seconds_of("update", cwd=tree)
    old = answers(index_of(tree))
    rng = random.Random(2)
    killed = 0
    for number in range(20):
        file = tree / "src" / f"zebra{number}.py"
        file.write_text("# zebra crossing\nupload = session\n")
        if number > 2:
            (tree / "src" / f"zebra{number - 3}.py").unlink()
        killed += killed_after(rng.uniform(0, 1.2) * update_s, "update", cwd=tree)
        found = answers(index_of(tree))
        assert _places(found) == _places(old) or found == fresh_answers(tree, *PARTS)
        if number % 4 == 3:
            good("update", cwd=tree)
            found = answers(index_of(tree))
            assert found == fresh_answers(tree, *PARTS)
            assert leftovers(index_of(tree)) == set()
        old = found
    assert killed > 5


def _places(found: list[list[Result]]) -> list[list[tuple[object, ...]]]:
    """All but the text, which is what the file holds now."""
    fields = ("path", "start_line", "end_line", "score", "language", "symbol")
    return [[tuple(getattr(one, name) for name in fields) for one in row] for row in found]


def test_a_second_writer_is_told_who_writes_and_may_wait(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", ".", cwd=tree)
    put(tree, "new.py", "def zebra_crossing():\n    pass\n")
    holder = Lock(index_of(tree))
    for command in (("update",), ("index", "."), ("search", "zebra", "--update")):
        assert "is writing to this index; wait" in refused(ltt(*command, cwd=tree))
    assert works(tree), "a reader minds no writer"
    second = subprocess.Popen(
        [LTT_STREAM, "codesearch", "update", "--wait-s", "60"], cwd=tree, stdout=subprocess.PIPE
    )
    time.sleep(0.5)
    assert second.poll() is None
    holder.release()
    second.communicate(timeout=60)
    assert second.returncode == 0


def test_of_many_updates_in_the_background_one_waits_and_does_it_for_all(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", ".", cwd=tree)
    command = ["update", "--quiet", "--unless-waiting", "--wait-s", "60"]
    holder = Lock(index_of(tree))
    with subprocess.Popen([LTT_STREAM, "codesearch", *command], cwd=tree) as waits:
        waiting = index_of(tree) / "waiting.lock"
        end = time.monotonic() + 20
        while not (waiting.exists() and waiting.read_text()):
            assert time.monotonic() < end
            time.sleep(0.005)
        put(tree, "new.py", "def zebra_crossing():\n    pass\n")
        assert ltt(*command, cwd=tree).returncode == 0
        assert waits.poll() is None
        assert answers(index_of(tree)) != fresh_answers(tree)
        holder.release()
    assert waits.returncode == 0
    assert answers(index_of(tree)) == fresh_answers(tree)
    put(tree, "newer.py", "def zebra_session():\n    pass\n")
    good(*command, cwd=tree)
    assert answers(index_of(tree)) == fresh_answers(tree)
    assert "FILES" in refused(ltt(*command, "newer.py", cwd=tree), code=2)


def test_a_second_writer_is_told_the_number_of_the_first(tmp_path: Path) -> None:
    tree = big(tmp_path / "tree", 100)
    with subprocess.Popen(
        [LTT_STREAM, "codesearch", "index", ".", *CUT], cwd=tree, stdout=subprocess.DEVNULL
    ) as first:
        lock = index_of(tree) / "writer.lock"
        end = time.monotonic() + 20
        while not (lock.exists() and lock.read_text()):
            assert time.monotonic() < end
            time.sleep(0.005)
        first.send_signal(signal.SIGSTOP)
        said = refused(ltt("index", ".", *CUT, cwd=tree))
        assert f"process {first.pid} is writing to this index" in said
        first.send_signal(signal.SIGCONT)
    assert first.returncode == 0
    assert works(tree)


def test_a_reader_amid_updates_sees_the_old_or_the_new_and_never_fails(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree")
    good("index", ".", cwd=tree)
    states = [_places(answers(index_of(tree)))]
    writer = subprocess.Popen(
        ["bash", "-ec", "for n in 1 2 3 4 5; do cp README.md src/zebra$n.md; rm -f lib/*/*$n*;"
         ' printf "# zebra crossing\\nsession = upload + $n\\n" >src/zebra$n.py;'
         ' "$0" codesearch update --quiet; cp -r .code_index ../state$n; done', LTT_STREAM],
        cwd=tree,
    )  # fmt: skip
    seen = []
    while writer.poll() is None:
        seen.append(_places(answers(index_of(tree))))
        assert read_status(index_of(tree)).bytes > 0
    assert writer.returncode == 0
    for number in range(1, 6):
        copy = tmp_path / f"state{number}"
        states.append(_places(answers(copy)))
    assert len(seen) > 10
    order = [states.index(found) for found in seen]
    assert order == sorted(order)
    assert len(set(order)) > 3


def test_control_c_ends_with_130_and_the_next_index_goes_on(tmp_path: Path) -> None:
    tree = big(tmp_path / "tree", 100)
    process = subprocess.Popen(
        [LTT_STREAM, "codesearch", "index", ".", *CUT], cwd=tree,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + 20
    while not (index_of(tree) / "writer.lock").exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")
    assert re.match("files +100 ", good("index", ".", *CUT, cwd=tree))
    assert answers(index_of(tree)) == fresh_answers(tree, *PARTS)
    assert leftovers(index_of(tree)) == set()


@pytest.mark.parametrize("command", ["index .", "update"])
def test_a_disk_that_is_full_is_one_line_and_the_old_index_stays(
    command: str, tmp_path: Path
) -> None:
    tree = plant(tmp_path / "tree")
    good("index", ".", cwd=tree)
    before = answers(index_of(tree))
    put(tree, "src/many.toml", "".join(f"upload_{line} = {line}\n" for line in range(3_000)))
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f 16; "$0" codesearch {command}', LTT_STREAM],
        cwd=tree, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ".code_index/segment-" in refused(done)
    assert answers(index_of(tree)) == before
    good("update", cwd=tree)
    assert answers(index_of(tree)) == fresh_answers(tree)
    assert leftovers(index_of(tree)) == set()
