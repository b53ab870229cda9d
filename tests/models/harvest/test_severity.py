"""The severity corpus: what enters, what is counted, how it is laid out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.training.harvest.compare import Given
from models.training.harvest.severity import SCHEMA, SeverityCorpus
from models.training.harvest.write import write
from tests.models.harvest.trees import package, tree
from tests.support import shared

FILES = {
    "src/main.c": """
        int main(void) {
            syslog(LOG_ERR, "cannot open %s", path);
            syslog(LOG_ERR, "cannot open %s", other);
            syslog(LOG_WARNING, "cannot open %s", third);
            log_info("listening on %s port %d", address, port);
        }
    """,
    "tools/report.py": 'log.error("cannot open %s", name)\n',
    "tests/check.c": 'void t(void) { syslog(LOG_ERR, "the test broke down"); }\n',
    "vendor/lib.c": 'void t(void) { syslog(LOG_ERR, "not our own message"); }\n',
    "README.md": 'syslog(LOG_ERR, "not a source file");\n',
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "clockd", FILES)


def test_one_row_a_template_and_severity(root: Path) -> None:
    corpus = SeverityCorpus(seed=0)
    assert corpus.add(package(), root) == 3
    rows = {(r["template"], r["severity"]): r for r in corpus.table().to_pylist()}
    assert {key: row["count"] for key, row in rows.items()} == {
        ("cannot open %s", 3): 3,
        ("cannot open %s", 4): 1,
        ("listening on %s port %d", 6): 1,
    }
    row = rows["cannot open %s", 3]
    assert (row["package"], row["program"], row["level"]) == ("clockd", "clockd", "LOG_ERR")
    assert row["language"] == "c"
    assert row["sample"].startswith("cannot open /")


def test_the_first_package_keeps_a_row(root: Path) -> None:
    corpus = SeverityCorpus(seed=0)
    corpus.add(package("first"), root)
    assert corpus.add(package("second"), root) == 0
    assert {row["package"] for row in corpus.table().to_pylist()} == {"first"}
    assert max(row["count"] for row in corpus.table().to_pylist()) == 6


def test_what_is_held_out_never_enters(root: Path) -> None:
    dev = SeverityCorpus(seed=0)
    dev.add(package("dev", side="dev"), tree(root.parent / "dev", {"a.c": FILES["src/main.c"]}))
    train = SeverityCorpus(seed=0, held_out=dev.keys())
    assert train.add(package(), root) == 0


def test_equal_seeds_give_equal_tables_and_others_do_not(root: Path) -> None:
    def made(seed: int) -> pa.Table:
        corpus = SeverityCorpus(seed)
        corpus.add(package(), root)
        return corpus.table()

    assert made(1).equals(made(1))
    assert any(not made(1).equals(made(seed)) for seed in range(2, 6))


def test_a_limit_takes_a_seeded_sample(root: Path) -> None:
    def keys(seed: int) -> list[tuple[str, int]]:
        corpus = SeverityCorpus(seed)
        assert corpus.add(package(), root, limit=2) == 2
        return list(corpus.keys())

    assert keys(1) == keys(1)
    assert any(keys(1) != keys(seed) for seed in range(2, 10))


def test_the_file_has_the_columns_of_the_given_corpus(root: Path, tmp_path: Path) -> None:
    corpus = SeverityCorpus(seed=0)
    corpus.add(package(), root)
    write(corpus.table(), tmp_path / "out" / "severity_train.parquet")
    ours = pq.read_schema(tmp_path / "out" / "severity_train.parquet")
    assert ours.equals(SCHEMA)
    for side in ("train", "dev"):
        given = pq.read_schema(shared(f"data/severity_{side}.parquet"))
        assert ours.equals(given, check_metadata=False)


def test_agreement_counts_rows_filed_under_another_package(tmp_path: Path) -> None:
    rows = [("a", 3, "one"), ("b", 4, "one"), ("c", 6, "two")]
    given = pa.table(
        {
            "template": [r[0] for r in rows],
            "severity": pa.array([r[1] for r in rows], pa.int8()),
            "package": [r[2] for r in rows],
        }
    )
    pq.write_table(given, tmp_path / "given.parquet")
    found = Given([tmp_path / "given.parquet"]).agreement(
        "one", {("a", 3), ("b", 7), ("c", 6), ("d", 0)}
    )
    assert found.precision == 2 / 4
    assert found.recall == 1 / 2
    assert found.severity == 2 / 3
