"""Packages through the real clients: a folder of wheels as pip's index, and the network."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from models.training.harvest.__main__ import main
from models.training.harvest.fetch import Fetcher, FetchError
from models.training.harvest.packages import Package, load
from tests.models.harvest.trees import wheel
from tests.support import missing

LOGS = {"amqp/connection.py": 'log.error("connection to %s broke", host)\n'}


def amqp(version: str = "5.4.2") -> Package:
    return Package("amqp", "pypi", version, "BSD", "train", "amqp")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip sees."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_package_is_unpacked_for_as_long_as_it_is_read(index: Path, tmp_path: Path) -> None:
    wheel(index, "amqp", "5.4.2", LOGS)
    with Fetcher(tmp_path / "cache").tree(amqp()) as tree:
        assert tree.version == "5.4.2"
        assert (tree.root / "amqp/connection.py").read_text() == LOGS["amqp/connection.py"]
    assert not tree.root.exists()


def test_what_was_loaded_once_needs_no_index(index: Path, tmp_path: Path) -> None:
    archive = wheel(index, "amqp", "5.4.2", LOGS)
    with Fetcher(tmp_path / "cache").tree(amqp()):
        archive.unlink()
    with Fetcher(tmp_path / "cache").tree(amqp()) as tree:
        assert (tree.root / "amqp").is_dir()


def test_a_version_that_is_gone_gives_way_to_the_one_there_is(index: Path, tmp_path: Path) -> None:
    wheel(index, "amqp", "5.4.9", LOGS)
    with Fetcher(tmp_path / "cache").tree(amqp()) as tree:
        assert tree.version == "5.4.9"


def test_a_package_that_is_nowhere_is_said_in_one_line(index: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(FetchError, match=r"^[^\n]*amqp[^\n]*$"),
        Fetcher(tmp_path / "cache").tree(amqp()),
    ):
        pytest.fail("there is no such package")


def test_an_archive_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cache/pypi/amqp"
    folder.mkdir(parents=True)
    with tarfile.open(folder / "amqp-5.4.2.tar.gz", "w:gz") as bundle:
        member = tarfile.TarInfo("../../outside.txt")
        member.size = 2
        bundle.addfile(member, io.BytesIO(b"hi"))
    (folder / ".version").write_text("5.4.2")
    with (
        pytest.raises(FetchError, match="amqp: cannot unpack"),
        Fetcher(tmp_path / "cache").tree(amqp()),
    ):
        pytest.fail("it was unpacked")
    assert not list(tmp_path.rglob("outside.txt"))


def test_the_command_builds_a_corpus_and_tells_of_each_package(
    index: Path, tmp_path: Path
) -> None:
    wheel(index, "amqp", "5.4.9", LOGS)
    options = ["--out", str(tmp_path), "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(main, ["severity", *options, "--packages", "amqp,paramiko"])
    assert done.exit_code == 0, done.output
    told = {line.split()[0]: line for line in done.output.splitlines()}
    assert "5.4.9  (listed: 5.4.2)" in told["amqp"]
    assert told["paramiko"].split()[1] == "0"
    [row] = pq.read_table(tmp_path / "severity_train.parquet").to_pylist()
    assert (row["template"], row["severity"]) == ("connection to %s broke", 3)
    assert not (tmp_path / "severity_dev.parquet").exists()


def test_train_leaves_out_what_the_dev_file_holds(index: Path, tmp_path: Path) -> None:
    same = {"a.py": 'LOG.error("the same words here")\n'}
    wheel(index, "cinder", "29.0.0", same)
    wheel(index, "amqp", "5.4.2", same | LOGS)
    options = ["--out", str(tmp_path), "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(main, ["severity", *options, "--packages", "amqp,cinder"])
    assert done.exit_code == 0, done.output
    files = {s: pq.read_table(tmp_path / f"severity_{s}.parquet") for s in ("dev", "train")}
    assert files["dev"]["template"].to_pylist() == ["the same words here"]
    assert files["train"]["template"].to_pylist() == ["connection to %s broke"]


def test_the_command_refuses_a_held_out_package(tmp_path: Path) -> None:
    options = ["--out", str(tmp_path), "--side", "train", "--packages", "cinder"]
    done = CliRunner().invoke(main, ["severity", *options])
    assert done.exit_code == 1
    assert done.output == "Error: not of the train side: cinder\n"


@pytest.mark.system
@pytest.mark.parametrize("name", ["amqp", "memcached"])
def test_a_small_real_package(name: str, tmp_path: Path) -> None:
    """One wheel through pip, one Debian source package through apt-get and dpkg-source."""
    listed = {package.name: package for package in load("severity")}
    options = ["--out", str(tmp_path), "--cache", str(tmp_path / "cache")]
    try:
        with Fetcher(tmp_path / "cache").tree(listed[name]):
            pass
    except FetchError as error:
        missing(f"package {name} from its registry: {error}")
    done = CliRunner().invoke(main, ["severity", *options, "--packages", name])
    assert done.exit_code == 0, done.output
    rows = pq.read_table(tmp_path / "severity_train.parquet").to_pylist()
    assert rows
    assert {row["package"] for row in rows} == {name}
    assert {row["severity"] for row in rows} <= set(range(8))
