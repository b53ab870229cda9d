"""The Arrow sink against the readers it is for: what goes in comes out, whole and in order."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from pipeline.sinks import arrow, copied, finished
from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.finished import FileFormat
from tests.pipeline.batches import DAY_US, NOON_US, Batches
from tests.support import ROOT


def rows(directory: Path, file_format: FileFormat = "arrow") -> list[dict[str, Any]]:
    """What pyarrow.dataset reads, in the order of the rows' numbers."""
    table = ds.dataset(directory, format=file_format, partitioning="hive").to_table()
    found: list[dict[str, Any]] = table.sort_by("template_id").drop_columns(["date"]).to_pylist()
    return found


def numbers(directory: Path) -> list[int]:
    return [row["template_id"] for row in rows(directory)]


def names(directory: Path) -> list[str]:
    return sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file())


def several(make: Batches) -> list[pa.RecordBatch]:
    """Growing labels, then labels that start afresh, small batches and large ones."""
    batches = [make.batch(n) for n in (1, 200, 300, 57)]
    make.restart()
    return [*batches, make.batch(1), make.batch(400), make.batch(9_000)]


def written(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def copying(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Batches of so many rows are large enough: making 8,192 takes a test too long."""
    monkeypatch.setattr(arrow, "COPIED_ROWS", rows)
    monkeypatch.setattr(copied, "COPIED_ROWS", rows)


def group_sizes(directory: Path) -> list[int]:
    """The rows of the only finished file's record batches."""
    (path,) = directory.glob("date=*/*.arrow")
    with pa.OSFile(str(path)) as source:
        reader = pa.ipc.open_file(source)
        return [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]


@pytest.mark.parametrize("file_format", ["arrow", "parquet"])
@pytest.mark.parametrize("rotate_bytes", [1 << 17, 1 << 28])
def test_what_is_written_is_what_is_read(
    tmp_path: Path, file_format: FileFormat, rotate_bytes: int
) -> None:
    make = Batches()
    batches = several(make)
    sink = ArrowSink(tmp_path, make.schema, file_format=file_format, rotate_bytes=rotate_bytes)
    for batch in batches:
        sink.write(batch)
    sink.close()
    assert sink.problem is None
    assert {Path(name).suffix for name in names(tmp_path)} == {f".{file_format}"}
    assert rows(tmp_path, file_format) == written(batches)
    dataset = ds.dataset(tmp_path, format=file_format)
    assert dataset.schema.metadata == {b"ltt_stream.schema_version": b"1"}
    assert [f.name for f in dataset.schema] == make.schema.names


def test_polars_scans_the_arrow_files(tmp_path: Path) -> None:
    make = Batches()
    batches = several(make)
    sink = ArrowSink(tmp_path, make.schema, rotate_bytes=1 << 17)
    for batch in batches:
        sink.write(batch)
    sink.close()
    want = written(batches)
    frame = pl.scan_ipc(tmp_path / "**/*.arrow", hive_partitioning=True).collect()
    frame = frame.sort("template_id")
    for name in ("message", "hostname", "app_name", "reasons", "surprise", "packet", "errors"):
        assert frame[name].to_list() == [row[name] for row in want]
    assert frame["latent"].to_list() == [row["latent"] for row in want]
    assert frame["date"].cast(pl.String).unique().to_list() == ["2024-05-01"]


def test_duckdb_reads_the_parquet_files(tmp_path: Path) -> None:
    make = Batches()
    batches = several(make)
    sink = ArrowSink(tmp_path, make.schema, file_format="parquet", rotate_bytes=1 << 17)
    for batch in batches:
        sink.write(batch)
    sink.close()
    want = written(batches)
    found = duckdb.execute(
        f"""
        SELECT message, hostname, packet.dst_port, len(latent), reasons, CAST(date AS VARCHAR),
               structured_data['exampleSDID@32473']['eventSource']
        FROM read_parquet('{tmp_path}/**/*.parquet', hive_partitioning = true)
        ORDER BY template_id
        """
    ).fetchall()
    assert found == [
        (
            row["message"],
            row["hostname"],
            row["packet"] and row["packet"]["dst_port"],
            row["latent"] and 32,
            row["reasons"],
            "2024-05-01",
            row["structured_data"] and 'App "é"',
        )
        for row in want
    ]


def test_every_batch_is_readable_while_the_file_is_open(tmp_path: Path) -> None:
    make = Batches()
    sink = ArrowSink(tmp_path, make.schema)
    batches = [make.batch(50) for _ in range(3)]
    for count, batch in enumerate(batches, 1):
        sink.write(batch)
        (path,) = tmp_path.glob("*.arrows.open")
        reader = pa.ipc.open_stream(path.read_bytes())
        found = [reader.read_next_batch() for _ in range(count)]
        assert written(found) == written(batches[:count])
    sink.rotate()
    sink.write(make.batch(50))
    # A folder that is being written to can be scanned: the open file is passed over.
    while not list(tmp_path.glob("date=*/2*.arrow")):
        sink.tick(NOON_US)
    assert numbers(tmp_path) == list(range(150))
    sink.close()


def test_large_batches_are_copied_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying(monkeypatch, 200)
    make = Batches()
    batches = [make.batch(n) for n in (250, 60, 400, 300, 7)]
    sink = ArrowSink(tmp_path, make.schema)
    for batch in batches:
        sink.write(batch)
    (path,) = tmp_path.glob("*.arrows.open")
    stream = path.read_bytes()
    with pa.ipc.open_stream(stream) as reader:
        for _ in batches:
            reader.read_next_batch()
        assert reader.stats.num_dictionary_deltas > 2
    sink.close()
    assert sink.problem is None
    (path,) = tmp_path.glob("date=*/*.arrow")
    content = path.read_bytes()
    assert content.startswith(b"ARROW1\0\0" + stream)
    assert len(content) < 1.5 * len(stream)

    table = pa.ipc.open_file(path).read_all()
    table.validate(full=True)
    assert table.schema.equals(make.schema, check_metadata=True)
    assert group_sizes(tmp_path) == [250, 60, 400, 300, 7]
    want = written(batches)
    assert table.to_pylist() == want
    # Whoever reads it as a stream finds the stream.
    assert pa.ipc.open_stream(content[8:]).read_all().to_pylist() == want

    names = ("hostname", "source", "message", "reasons", "errors", "packet", "latent")
    dataset = ds.dataset(path, format="arrow")
    assert dataset.to_table().to_pylist() == want
    assert dataset.count_rows(filter=ds.field("template_id") >= 710) == 307
    for frame in (pl.read_ipc(path), pl.scan_ipc(path).collect()):
        for name in names:
            assert frame[name].to_list() == [row[name] for row in want]
    by_host = duckdb.execute(
        "SELECT hostname, count(*) FROM dataset WHERE hostname IS NOT NULL GROUP BY hostname"
    ).fetchall()
    assert dict(by_host) == Counter(row["hostname"] for row in want if row["hostname"])


def test_labels_that_start_afresh_between_large_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file format has no replaced dictionaries: such a stream is written anew."""
    copying(monkeypatch, 100)
    make = Batches()
    batches = [make.batch(n) for n in (150, 130)]
    make.restart()
    batches += [make.batch(n) for n in (170, 110)]
    sink = ArrowSink(tmp_path, make.schema)
    for batch in batches:
        sink.write(batch)
    sink.close()
    assert group_sizes(tmp_path) == [560]
    assert rows(tmp_path) == written(batches)
    (path,) = tmp_path.glob("date=*/*.arrow")
    assert pl.read_ipc(path)["hostname"].to_list() == [r["hostname"] for r in written(batches)]


@pytest.mark.parametrize(("first", "then"), [(300, 50), (50, 300)])
def test_a_stream_that_turns_is_compressed_and_regrouped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, then: int
) -> None:
    """Large batches and then small ones, or the other way: none is left small or as it is."""
    copying(monkeypatch, 200)
    make = Batches()
    batches = [make.batch(first), *(make.batch(then) for _ in range(5))]
    sink = ArrowSink(tmp_path, make.schema)
    for batch in batches:
        sink.write(batch)
    sink.close()
    assert group_sizes(tmp_path) == [first + 5 * then]
    assert rows(tmp_path) == written(batches)
    (path,) = tmp_path.glob("date=*/*.arrow")
    assert path.stat().st_size < sum(batch.nbytes for batch in batches) / 2


def test_a_large_batch_among_small_ones_waits_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes in what lies before it, so that none is left small but the last."""
    monkeypatch.setattr(finished, "COPIED_ROWS", 200)
    make = Batches()
    batches = [make.batch(n) for n in (10, 20, 250, 300, 30, 200, 40, 50)]
    sink = ArrowSink(tmp_path, make.schema)
    for batch in batches:
        sink.write(batch)
    sink.close()
    assert group_sizes(tmp_path) == [280, 300, 230, 90]
    assert rows(tmp_path) == written(batches)


def test_small_batches_become_large_ones(tmp_path: Path) -> None:
    make = Batches(latent_dim=4)
    sink = ArrowSink(tmp_path, make.schema)
    for _ in range(700):
        sink.write(make.batch(100))
    sink.close()
    sizes = group_sizes(tmp_path)
    assert sum(sizes) == 70_000
    assert len(sizes) == 3


def test_rotation_by_size_age_signal_and_day(tmp_path: Path) -> None:
    make = Batches()
    sink = ArrowSink(tmp_path, make.schema, rotate_bytes=1 << 19, rotate_age_s=60)
    sink.write(make.batch(10))
    sink.tick(NOON_US + 59_000_000)
    assert len(list(tmp_path.glob("*.arrows.open"))) == 1
    sink.tick(NOON_US + 60_000_000)  # by age
    sink.write(make.batch(10))
    sink.rotate()  # by SIGHUP
    sink.write(make.batch(6_000))  # by size
    sink.write(make.batch(10, received_us=NOON_US + DAY_US // 2 - 5))
    sink.write(make.batch(10, received_us=NOON_US + DAY_US // 2))  # by day
    sink.write(make.batch(10, received_us=NOON_US))  # late lines do not bring the day back
    sink.close()
    folders = [Path(name).parent.name for name in names(tmp_path)]
    assert folders == ["date=2024-05-01"] * 4 + ["date=2024-05-02"]
    assert numbers(tmp_path) == list(range(6_050))


def test_nothing_written_leaves_nothing(tmp_path: Path) -> None:
    make = Batches()
    sink = ArrowSink(tmp_path / "out", make.schema)
    sink.write(make.batch(0))
    sink.rotate()
    sink.tick(NOON_US)
    sink.close()
    assert list((tmp_path / "out").rglob("*")) == []


def test_labels_that_overflow_again_and_again(tmp_path: Path) -> None:
    """Hostile host names: the dictionaries start afresh with every batch."""
    make = Batches()
    batches = []
    sink = ArrowSink(tmp_path, make.schema)
    for _ in range(20):
        batches.append(make.batch(120))
        sink.write(batches[-1])
        make.restart()
    sink.close()
    assert len(names(tmp_path)) == 1
    assert rows(tmp_path) == written(batches)


WRITER = """
import sys
from pathlib import Path
from pipeline.sinks.arrow import ArrowSink
from pipeline.sinks.recovery import recover
from tests.pipeline.batches import Batches
make = Batches(latent_dim=4)
make.rows = int(sys.argv[2])
for _ in range(3):
    done = recover(Path(sys.argv[1]))
    assert not done.damaged, done
    sink = ArrowSink(Path(sys.argv[1]), make.schema, rotate_bytes=20_000)
    for _ in range(40):
        sink.write(make.batch(25))
    sink.close()
"""


def test_processes_that_share_a_folder_do_not_collide(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, str(start)], cwd=ROOT)
        for start in (0, 3_000, 6_000)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert numbers(tmp_path) == list(range(9_000))
    assert {Path(name).suffix for name in names(tmp_path)} == {".arrow"}
