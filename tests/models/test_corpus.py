"""Labelled corpora: what is read, what is held out, how often a row is drawn."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import CorpusError
from models.training.corpus import held_out, log_priors, read_corpus, sampling_weights


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("nothing useful\n", "no usable row"),
        ("", "no usable row"),
        ("PAR1 but not really", "not readable Parquet"),
    ],
)
def test_a_corpus_of_no_use_is_refused_in_one_line(
    tmp_path: Path, content: str, error: str
) -> None:
    path = tmp_path / "bad"
    path.write_text(content)
    with pytest.raises(CorpusError, match=error) as caught:
        read_corpus(path)
    assert "\n" not in str(caught.value)


def test_text_and_parquet_give_the_same_rows_and_count_the_bad(tmp_path: Path) -> None:
    text = tmp_path / "c.tsv"
    text.write_text("3\tdisk failed\nwarn\tslow\n9\tno such level\n6\t \ninfo\tup\n")
    samples = ["disk failed", "slow", "no such level", " ", "up", "x"]
    table = pa.table({"severity": [3, 4, 9, 6, 6, None], "sample": samples})
    pq.write_table(table, tmp_path / "c.parquet")
    one, other = read_corpus(text), read_corpus(tmp_path / "c.parquet")
    assert one.texts == other.texts == ["disk failed", "slow", "up"]
    assert one.severity.tolist() == other.severity.tolist() == [3, 4, 6]
    assert (one.bad, other.bad) == (2, 3)


def test_templates_and_programs_of_parquet_are_used(tmp_path: Path) -> None:
    row = {
        "severity": 3,
        "sample": "read 5 of /x: EIO",
        "template": "read %d of %s: %m",
        "program": "smbd",
        "package": "samba",
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "c.parquet")
    rows = read_corpus(tmp_path / "c.parquet")
    assert rows.templates == ["read 1 of : "]
    assert (rows.apps, rows.origins) == (["smbd"], ["samba"])


def test_held_out_rows_are_whole_packages_and_no_giant() -> None:
    origins = ["giant"] * 900 + [f"p{i % 50}" for i in range(1000)]
    out = held_out(origins, 0.05)
    assert 0.03 < out.mean() < 0.08
    chosen = {o for o, x in zip(origins, out, strict=True) if x}
    assert chosen.isdisjoint({o for o, x in zip(origins, out, strict=True) if not x})
    assert "giant" not in chosen


def test_rare_levels_and_small_packages_are_drawn_more_often() -> None:
    severity = np.array([7] * 90 + [0] * 10)
    weight = sampling_weights(severity, ["a"] * 100)
    assert weight.sum() == pytest.approx(1)
    assert weight[severity == 0].sum() == pytest.approx(0.25)


def test_the_prior_of_a_package_is_what_is_drawn_of_it() -> None:
    """Packages of one size, each with severities of its own, drawn as training draws them."""
    rng = np.random.default_rng(0)
    mixes = rng.dirichlet(np.full(8, 0.5), 3)
    severity = np.concatenate([rng.choice(8, 20_000, p=mix) for mix in mixes])
    origins = [name for name in "abc" for _ in range(20_000)]
    weights = sampling_weights(severity, origins)
    priors = np.exp(log_priors(severity, origins, weights))  # (N, 8)
    np.testing.assert_allclose(priors.sum(1), 1)
    drawn = rng.choice(len(severity), 300_000, p=weights)
    for package in range(3):
        of_package = drawn[drawn // 20_000 == package]
        shares = np.bincount(severity[of_package], minlength=8) / len(of_package)
        np.testing.assert_allclose(priors[package * 20_000], shares, atol=0.01)


def test_a_small_package_leans_on_the_whole_corpus() -> None:
    severity = np.array([3] * 1000 + [6] * 1000 + [3] * 2 + [3] * 500)
    origins = ["mixed"] * 2000 + ["tiny"] * 2 + ["failing"] * 500
    weights = sampling_weights(severity, origins)
    priors = np.exp(log_priors(severity, origins, weights))
    mixed, tiny, failing = priors[0], priors[2000], priors[2002]
    np.testing.assert_allclose(priors.sum(1), 1)
    assert failing[3] > 0.95  # a package with nothing but errors
    assert tiny[3] == pytest.approx(weights[severity == 3].sum(), abs=0.05)
    assert mixed[3] < tiny[3] < failing[3]
    assert (priors[:, [0, 1, 2, 4, 5, 7]] < 1e-6).all()
    assert np.isfinite(np.log(priors)).all()
