"""What an overload left unscored is scored afterwards, and nothing else in the files changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from models.checkpoint import load_checkpoint, pretrained_path
from models.inference import Engine
from pipeline import cli
from pipeline.frames import Frames
from pipeline.process import Processor
from pipeline.rescore import Gaps, alone, finished_files, look, rescore
from pipeline.sample import sample_log
from pipeline.scorer import Scorer, never
from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.finished import GROUP_ROWS, FileFormat
from pipeline.snapshots import Snapshots
from pipeline.state import claim, save_state
from tests.support import ROOT

NOON_US = 1_795_176_000_000_000
"""2026-11-20T12:00:00Z."""
SCORES = [
    "template_id", "latent", "predicted_severity", "severity_probability", "prior", "surprise",
    "p_value", "anomaly", "reasons", "alert_count", "scored", "model_version",
]  # fmt: skip
OF_A_FRAME = 100
FORMATS: tuple[FileFormat, ...] = ("arrow", "parquet")
Main = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Scorer.load(dtype="fp32").engine


def always() -> bool:
    return True


def frames() -> list[Frames]:
    """The sample log, a second a frame: by stdin and from two peers, some lines with a PRI."""
    lines = [line for line in sample_log().split(b"\n") if line]
    lines[7] = b"a byte that is \xff no UTF-8, and " + b"long " * 200
    found = []
    for n, start in enumerate(range(0, len(lines), OF_A_FRAME)):
        part = lines[start : start + OF_A_FRAME]
        if n % 3 == 0:
            part = [line if line[:1] == b"<" else b"<30>" + line for line in part]
        peers = [f"192.0.2.{i % 2}" for i in range(len(part))] if n % 2 else None
        found.append(
            Frames("udp://[::]:514" if peers else "stdin", NOON_US + n * 1_000_000, part, peers)
        )
    return found


def stream(
    out: Path, processor: Processor, file_format: FileFormat = "arrow", *, most: int | None = None
) -> Path:
    """The sample through a stream that is overloaded half of the time; the finished file."""
    sink = ArrowSink(out, processor.schema, file_format=file_format)
    for n, frame in enumerate(frames()[:most]):
        overloaded = never if n % 4 < 2 else always
        sink.write(processor.process([frame], overloaded=overloaded))
    sink.close()
    (path,) = finished_files(out)
    return path


def table(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return pa.ipc.open_file(pa.OSFile(str(path))).read_all()


def group_rows(path: Path) -> list[int]:
    if path.suffix == ".parquet":
        metadata = pq.read_metadata(path)
        return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    reader = pa.ipc.open_file(pa.OSFile(str(path)))
    return [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]


def fill(path: Path, engine: Engine) -> int:
    return rescore(path, Processor(Scorer(engine)), gaps_only=False, advance=lambda n: None)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """`ltt-stream rescore ARGS` in this process: exit code and the lines on stderr."""

    def call(*args: object) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["ltt-stream", "rescore", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert out == ""
        return int(ended.value.code or 0), err.splitlines()

    return call


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_gaps_get_what_a_stream_without_an_overload_would_have_said(
    file_format: FileFormat, engine: Engine, tmp_path: Path
) -> None:
    path = stream(tmp_path, Processor(Scorer(engine)), file_format)
    before, groups = table(path), group_rows(path)
    path.chmod(0o640)
    gaps = ~np.asarray(before["scored"])
    assert look(path) == Gaps(path, before.num_rows, gaps.sum())
    assert 100 < gaps.sum() < before.num_rows / 2
    assert fill(path, engine) == gaps.sum()
    after = table(path)
    assert finished_files(tmp_path) == [path]
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o640
    after.validate(full=True)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert group_rows(path) == groups
    # Rows, order, and all that a line says of itself are as they were.
    said = [name for name in before.schema.names if name not in SCORES]
    assert after.select(said).equals(before.select(said))
    assert after.filter(~gaps).equals(before.filter(~gaps))
    # The gaps are as if there had been no overload: to the bit, for one assessment is as large.
    unshed = pa.Table.from_batches([Processor(Scorer(engine)).process(frames())])
    for name in SCORES:
        assert after[name].filter(gaps).to_pylist() == unshed[name].filter(gaps).to_pylist(), name
    assert any(after["anomaly"].filter(gaps).to_pylist())
    assert look(path).unscored == 0


def test_scored_rows_keep_their_codes_and_other_readers_read_the_file(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several record batches, whose labels must be the same ones for all."""
    for file_format in FORMATS:
        monkeypatch.setitem(GROUP_ROWS, file_format, 700)
    path = stream(tmp_path / "out", Processor(Scorer(engine)))
    parquet = stream(tmp_path / "parquet", Processor(Scorer(engine)), "parquet")
    before, groups = table(path), group_rows(path)
    assert len(groups) > 3
    # Another model than the one that scored the rest: one more label.
    engine = Engine(
        replace(load_checkpoint(pretrained_path()), version="raccoon-other"), dtype="fp32"
    )
    for each in (path, parquet):
        fill(each, engine)
        assert group_rows(each) == groups
    after = table(path)
    gaps = ~np.asarray(before["scored"])
    for name in ("prior", "model_version"):
        for old, new, of in zip(
            before[name].chunks, after[name].chunks, np.split(gaps, np.cumsum(groups)[:-1]),
            strict=True,
        ):  # fmt: skip
            assert new.indices.filter(~of).equals(old.indices.filter(~of))
            assert new.dictionary[: len(old.dictionary)].equals(old.dictionary)
    versions = np.array(after["model_version"].to_pylist())
    assert set(versions[gaps]) == {"raccoon-other"}
    assert "raccoon-other" not in versions[~gaps]
    unshed = pa.Table.from_batches([Processor(Scorer(engine)).process(frames())])
    for name in ("template_id", "predicted_severity", "prior"):
        assert after[name].filter(gaps).to_pylist() == unshed[name].filter(gaps).to_pylist(), name
    filled, wanted = (t["latent"].filter(gaps).combine_chunks().flatten() for t in (after, unshed))
    np.testing.assert_allclose(filled, wanted, atol=1e-5)
    rows = before.num_rows
    assert pl.scan_ipc(path).filter("scored").select(pl.len()).collect().item() == rows
    assert pl.read_ipc(path)["reasons"].list.len().sum() > 0
    assert ds.dataset(path.parent, format="ipc").count_rows(filter=ds.field("scored")) == rows
    assert duckdb.execute(
        f"select count(*), count(latent) from '{parquet}' where scored"
    ).fetchone() == (rows, rows)
    assert table(parquet)["latent"].combine_chunks().equals(after["latent"].combine_chunks())


def test_the_state_of_a_stream_is_the_past_and_is_only_read(
    engine: Engine, tmp_path: Path, main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is new that the stream has said since, and what it has learnt scores the gaps."""
    monkeypatch.setitem(GROUP_ROWS, "arrow", 2 * OF_A_FRAME)  # some of them without a gap
    processor = Processor(Scorer(engine))
    path = stream(tmp_path / "out", processor)
    gaps = ~np.asarray(table(path)["scored"])
    state = tmp_path / "state"
    lock = claim(state)
    since = processor.process(frames())
    save_state(state, processor)
    checkpoint = load_checkpoint(pretrained_path())
    learnt, _ = Snapshots(state).publish(
        replace(checkpoint, card=replace(checkpoint.card, temperature=2.0))
    )
    held = {p: p.stat().st_mtime_ns for p in state.rglob("*")}
    code, said = main(tmp_path / "out", "--state-dir", state, "--dtype", "fp32")
    os.close(lock)
    assert code == 0
    assert said[-1].startswith(f"ltt-stream: rescored {gaps.sum():,} of {len(gaps):,} rows in 1 ")
    assert {p: p.stat().st_mtime_ns for p in state.rglob("*")} == held
    every = group_rows(path)
    assert min(of.sum() for of in np.split(gaps, np.cumsum(every)[:-1])) == 0
    after = table(path).filter(gaps)
    assert pl.scan_ipc(path).filter("scored").select(pl.len()).collect().item() == len(gaps)
    assert after["template_id"].to_pylist() == since["template_id"].filter(gaps).to_pylist()
    assert after["model_version"].unique().to_pylist() == [learnt]
    assert not any("new template" in reasons for reasons in after["reasons"].to_pylist())
    # From the first row on the priors are those of the stream: a fresh one knows none.
    assert "emission" not in after["prior"].to_pylist()


def test_again_is_nothing_to_do_and_each_file_stands_for_itself(
    engine: Engine, tmp_path: Path, main: Main
) -> None:
    path = stream(tmp_path, Processor(Scorer(engine)))
    (tmp_path / "date=2020-01-01").mkdir()
    damaged = tmp_path / "date=2020-01-01" / "20200101T000000.000000Z-00000000.arrow"
    damaged.write_bytes(path.read_bytes()[:-1000])
    older = damaged.with_name("20200101T000001.000000Z-00000000.parquet")
    changed = table(path).replace_schema_metadata({"ltt_stream.schema_version": "0"})
    pq.write_table(changed, older)
    foreign = damaged.with_name("f.arrow")
    with pa.ipc.new_file(foreign, pa.schema({"a": pa.int8()})) as out:
        out.write_table(pa.table({"a": pa.array([1], pa.int8())}))
    left = damaged.with_name("_20200101T000000.000000Z-00000000.arrow.rescore")
    left.write_bytes(b"what a killed one left")
    untouched = {p: p.read_bytes() for p in (damaged, older, foreign)}
    gaps = look(path)
    code, said = main(tmp_path)
    assert code == 1
    assert len(said) == 4
    assert all(str(p) in line for p, line in zip((damaged, older, foreign), said, strict=False))
    assert "damaged" in said[0] or "Not an Arrow file" in said[0]
    assert "schema version 0, this program knows 1" in said[1]
    assert "no file of ltt-stream" in said[2]
    assert f"rescored {gaps.unscored:,} of {gaps.rows:,} rows in 1 files" in said[3]
    assert not left.exists()
    assert untouched == {p: p.read_bytes() for p in untouched}
    for p in untouched:
        p.unlink()
    once = path.stat()
    code, said = main(tmp_path)
    assert (code, len(said)) == (0, 1)
    assert f"rescored 0 of {gaps.rows:,} rows in 0 files" in said[0]
    again = path.stat()
    assert (again.st_ino, again.st_mtime_ns) == (once.st_ino, once.st_mtime_ns)


def test_latents_of_another_width_and_a_file_that_goes_meanwhile(
    engine: Engine, tmp_path: Path, main: Main
) -> None:
    path = stream(tmp_path, Processor(Scorer(engine)))
    processor = Processor(Scorer(engine))
    with pytest.raises(Exception, match="removed meanwhile"):
        rescore(path, processor, gaps_only=False, advance=lambda n: path.unlink(missing_ok=True))
    assert list(path.parent.iterdir()) == []
    batch = Processor(None).process(frames()[:1])
    i = batch.schema.get_field_index("latent")
    narrow_schema = batch.schema.set(i, pa.field("latent", pa.list_(pa.float32(), 16)))
    narrow = ArrowSink(tmp_path, narrow_schema)
    narrow.write(batch.set_column(i, narrow_schema.field(i), pa.nulls(100, narrow_schema[i].type)))
    narrow.close()
    code, said = main(tmp_path)
    assert code == 1
    assert "--model that the file was written with" in said[0]
    assert "rescored 0 of 100 rows in 0 files" in said[1]


def test_what_is_being_written_is_left_alone_and_what_a_dead_one_left_is_finished(
    tmp_path: Path, main: Main
) -> None:
    processor = Processor(None)
    sink = ArrowSink(tmp_path, processor.schema)
    sink.write(processor.process(frames()[:2]))
    (live,) = tmp_path.glob("_*.open")
    code, said = main(tmp_path)
    assert code == 1
    assert "1 open files are left to their stream" in said[0]
    assert said[1] == (
        f"ltt-stream: {tmp_path}: no finished Arrow files (date=*/*.arrow or *.parquet); name the "
        "--out of a stream"
    )
    dead = tmp_path / "_20261120T120000.000000Z-0badcafe.arrows.open"
    shutil.copy(live, dead)
    code, said = main(tmp_path)
    assert code == 0
    assert "salvaged 200 lines" in said[0]
    assert "1 open files" in said[1]
    assert "rescored 200 of 200 rows in 1 files" in said[2]
    assert live.exists()
    assert not dead.exists()
    sink.close()


def test_one_at_a_time_and_words_for_what_is_asked_wrongly(tmp_path: Path, main: Main) -> None:
    with alone(tmp_path):
        assert main(tmp_path) == (
            1, [f"ltt-stream: {tmp_path}: another rescore is at work there; let it end"]
        )  # fmt: skip
    (tmp_path / "state").mkdir()
    for code, args, words in (
        (1, [tmp_path], "no finished Arrow files"),
        (1, [tmp_path, "--state-dir", tmp_path / "state"], "no stream has kept anything there"),
        (2, [tmp_path / "nowhere"], "no such directory"),
        (2, [tmp_path, "--state-dir", tmp_path / "nowhere"], "does not exist"),
        (2, [], "Missing argument 'DIR'"),
    ):
        found, said = main(*args)
        assert (found, len(said)) == (code, 1), said
        assert words in said[0]


KILLED = """
import os, signal, shutil, sys, time
from pathlib import Path
from pipeline.process import Processor
from pipeline.rescore import alone, finished_files, look, rescore
from pipeline.scorer import Scorer, never

shed, work = map(Path, sys.argv[1:])
engine = Scorer.load(dtype="fp32").engine

def start():
    pid = os.fork()
    if pid:
        return pid
    try:
        with alone(work):
            for path in finished_files(work):
                if look(path).unscored:
                    rescore(path, Processor(Scorer(engine)), gaps_only=False, advance=bool)
        os._exit(0)
    finally:
        os._exit(1)

def contents():
    return [path.read_bytes() for path in finished_files(work)]

def renew():
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(shed, work)
    return contents()

old = renew()
began = time.monotonic()
assert os.waitpid(start(), 0)[1] == 0
whole_s = time.monotonic() - began
new = contents()
assert all(a != b for a, b in zip(old, new, strict=True))
seen = set()
for n in range(12):
    renew()
    pid = start()
    time.sleep(whole_s * (n + 0.5) / 12)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    now = contents()
    assert len(now) == len(old)
    for before, after, found in zip(old, new, now, strict=True):
        assert found in (before, after), f"kill {n} left neither the old file nor the new one"
    seen.add((now == old, now == new, bool(list(work.glob("date=*/_*")))))
assert os.waitpid(start(), 0)[1] == 0
assert contents() == new
assert not list(work.glob("date=*/_*"))
print(len(seen))
"""


def test_killed_at_any_moment_each_file_is_the_old_or_the_new_one(
    engine: Engine, tmp_path: Path
) -> None:
    for file_format in FORMATS:
        stream(tmp_path / file_format, Processor(Scorer(engine)), file_format, most=10)
    shed = tmp_path / "shed" / "date=2026-11-20"
    shed.mkdir(parents=True)
    for file_format in FORMATS:
        (path,) = finished_files(tmp_path / file_format)
        path.rename(shed / path.name)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(shed.parent), str(tmp_path / "work")],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1, "the kills came at different moments"
