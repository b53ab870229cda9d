"""What measures code search: its arithmetic on cases done by hand, and made-up repositories."""

from __future__ import annotations

import hashlib
import json
import math
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from benchmarks import codesearch_quality, codesearch_report, codesearch_repositories, lexical
from benchmarks.codesearch_metric import (
    Score,
    best_first,
    files_of,
    in_top,
    ndcg,
    read_queries,
    rrf,
    summary,
)
from benchmarks.codesearch_pairs import fused
from benchmarks.codesearch_quality import NEUTRAL, OURS, Indexed, ablations, indexed
from benchmarks.codesearch_repositories import REPOSITORIES, FetchError, fetch
from benchmarks.codesearch_rivals import has_ripgrep, ripgrep
from pipeline.codesearch.ranking import RANKING, Weights

CODE = {
    "shop": {
        "src/basket.py": "def add_item(basket, item):\n    basket.append(item)\n",
        "src/price.py": "def total_price(basket):\n    return sum(i.price for i in basket)\n",
        "src/mail.py": "def send_receipt(address):\n    connect(address).send('receipt')\n",
    },
    "game": {
        "src/board.py": "class Board:\n    def legal_moves(self):\n        return self.moves\n",
        "src/clock.py": "def start_clock(seconds):\n    return seconds\n",
        "README.py": "def outside():\n    return 'of the folder that is indexed'\n",
    },
}
ASKED = {
    "shop": [
        ("send a receipt by mail", "semantic", ["src/mail.py"], []),
        ("total price of a basket", "semantic", ["src/price.py"], ["src/gone.py"]),
    ],
    "game": [
        ("Board", "symbol", [{"path": "src/board.py", "start_line": 1}], []),
        ("what is gone", "semantic", ["src/gone.py"], []),
    ],
}


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Indexed]]:
    folder = tmp_path_factory.mktemp("repositories")
    with ExitStack() as stack:
        opened = []
        for name, files in CODE.items():
            for path, text in files.items():
                (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / name / path).write_text(text)
            keys = ("query", "category", "relevant", "secondary")
            rows = [dict(zip(keys, row, strict=True)) for row in ASKED[name]]
            (folder / f"{name}.json").write_text(json.dumps(rows))
            opened.append(
                stack.enter_context(
                    indexed(name, "1.0", folder / name, "src", folder / f"{name}.json")
                )
            )
        yield opened


def test_ndcg_of_cases_done_by_hand() -> None:
    assert ndcg(["a", "b"], {"a"}) == 1
    assert ndcg(["x", "a"], {"a"}) == pytest.approx(1 / math.log2(3))
    both = (1 + 1 / 2) / (1 + 1 / math.log2(3))
    assert ndcg(["a", "x", "b"], {"a", "b"}) == pytest.approx(both)
    assert ndcg([], {"a"}) == ndcg(["a"], set()) == 0


def test_what_is_found_eleventh_counts_nothing_and_the_ideal_has_ten() -> None:
    others = [f"x{i}" for i in range(10)]
    assert ndcg([*others, "a"], {"a"}) == 0
    many = [f"a{i}" for i in range(12)]
    assert ndcg(many, set(many)) == pytest.approx(1)


def test_top_five_are_five() -> None:
    assert in_top(["x", "x", "x", "x", "a"], {"a"})
    assert not in_top(["x", "x", "x", "x", "x", "a"], {"a"})


def test_a_file_stands_where_its_best_snippet_does() -> None:
    assert files_of(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
    assert best_first(np.array([0.5, 0.0, 2.0, -1.0, 0.5])) == [2, 0, 4]


def test_rrf_adds_reciprocal_places_of_what_each_has_found() -> None:
    fused_scores = rrf(np.array([[3.0, 2.0, 0.0]]), np.array([[0.1, 0.9, 0.5]]))
    expected = [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 62]
    assert fused_scores[0].tolist() == pytest.approx(expected)


def test_each_repository_weighs_the_same_and_each_query_in_its_category() -> None:
    scores = [
        Score("a", "symbol", 1.0, True),
        Score("a", "semantic", 0.0, False),
        Score("b", "semantic", 0.5, True),
        Score("c", "semantic", 0.1, False),
    ]
    found = summary(scores, ["a", "b"])
    assert found.repositories == {"a": 0.5, "b": 0.5, "c": 0.1}
    assert found.overall == pytest.approx(1.1 / 3)
    assert (found.small, found.large, found.top5) == (0.5, 0.1, 0.5)
    assert found.categories == {"semantic": pytest.approx(0.2), "symbol": 1.0}


def test_pairs_are_mixed_as_the_ranking_does() -> None:
    found = fused(np.array([[4.0, 2.0]]), np.array([[-0.1, 0.5]]))
    share = RANKING.dense
    assert found.tolist() == [[pytest.approx(1 - share), pytest.approx((1 - share) / 2 + share)]]


def test_labels_are_paths_or_paths_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        '[{"query": "q", "category": "symbol", "relevant": [{"path": "a", "end_line": 3}], '
        '"secondary": ["b"]}]'
    )
    assert [query.relevant for query in read_queries(path)] == [{"a", "b"}]
    path.write_text('{"query": "q"}')
    with pytest.raises(ValueError, match="expected annotations"):
        read_queries(path)


def test_labels_without_a_file_are_left_out_and_counted(repositories: list[Indexed]) -> None:
    shop, game = repositories
    assert (shop.missing, game.missing) == (1, 1)
    assert [query.relevant for query in shop.queries] == [{"src/mail.py"}, {"src/price.py"}]
    assert [query.text for query in game.queries] == ["Board"]
    assert game.files == ["src/board.py", "src/clock.py"]


def test_all_systems_answer_about_made_up_repositories(repositories: list[Indexed]) -> None:
    found = codesearch_quality.systems(repositories, {"stems": lexical.bm25}, ["shop"])
    assert found[OURS.name].overall == found[OURS.name].top5 == 1
    assert list(found[OURS.name].repositories) == ["shop", "game"]
    assert ("ripgrep, files by hits" in found) == has_ripgrep()
    assert all(0 < system.overall <= 1 for system in found.values())
    facts = {"origin": "PyPI", "files": 3, "snippets": 3, "queries": 2, "missing": 1}
    shown = codesearch_report.quality(
        {
            "quality": {
                "systems": {name: system._asdict() for name, system in found.items()},
                "repositories": [{"name": "shop", "version": "1.0", "folder": "src", **facts}],
            }
        }
    )
    assert "| ltt-stream | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 | 100.0 |" in shown


def test_without_the_encoder_nothing_is_found_by_meaning(repositories: list[Indexed]) -> None:
    shop = repositories[0]
    engine = codesearch_quality.load_engine(None)
    without = codesearch_quality.NO_ENCODER
    nowhere = "zzyzx quux"
    assert shop.finder(OURS, engine)(nowhere)
    assert shop.finder(without, engine)(nowhere) == []
    words = ablations()[1]
    assert shop.finder(words, engine)("total_price basket")[0] == "src/price.py"


def test_every_signal_is_left_out_in_its_turn() -> None:
    names = {field.name for field in fields(Weights)} - {"dense", "dense_of_name"}
    assert names == NEUTRAL.keys()
    assert len(ablations()) == len(names) + 2


@pytest.mark.skipif(not has_ripgrep(), reason="needs ripgrep")
def test_ripgrep_ranks_files_by_hits(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one two\n")
    (tmp_path / "b.py").write_text("One one TWO\n")
    (tmp_path / "c.py").write_text("three\n")
    files = ["a.py", "b.py", "c.py"]
    assert ripgrep(["one", "two"], tmp_path, files) == ["b.py", "a.py"]
    assert ripgrep(["nothing"], tmp_path, files) == ripgrep([], tmp_path, files) == []


def test_an_archive_has_to_be_the_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made.tar.gz"
    (tmp_path / "app.py").write_text("pass\n")
    with tarfile.open(made, "w:gz") as bundle:
        bundle.add(tmp_path / "app.py", "flask-3.1.3/app.py")
    monkeypatch.setattr(codesearch_repositories, "_download", lambda repository, folder: made)
    flask, cache = REPOSITORIES[0], tmp_path / "cache"
    with pytest.raises(FetchError, match="SHA-256"):
        fetch(flask, cache)
    assert list((cache / "trees").iterdir()) == []
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    root = fetch(flask._replace(sha256=digest), cache)
    assert (root / "app.py").read_text() == "pass\n"
