"""Which packages a corpus takes, and the wall between the two sides."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from models.errors import CorpusError
from models.training.harvest.packages import Corpus, HeldOutError, Package, guard, load, select
from tests.support import shared

DEV = (
    "unbound haproxy postfix pacemaker openvpn bluez rabbitmq-server docker.io cinder jetty9"
    " lighttpd mdadm chrony cloud-init gpsd"
)


def test_the_dev_split_of_the_severity_corpus_is_the_fifteen_packages() -> None:
    assert {p.name for p in select("severity", "dev")} == set(DEV.split(" "))


@pytest.mark.parametrize("corpus", ["severity", "code"])
def test_sides_share_no_package(corpus: Corpus) -> None:
    train, dev = select(corpus, "train"), select(corpus, "dev")
    assert {p.name for p in train}.isdisjoint(p.name for p in dev)
    assert len(train) + len(dev) == len(load(corpus))


@pytest.mark.parametrize(
    ("corpus", "name"), [("severity", "postfix"), ("code", "libxml2"), ("code", "doctrine")]
)
def test_a_held_out_package_is_refused_for_training(corpus: Corpus, name: str) -> None:
    with pytest.raises(HeldOutError, match=f"not of the train side: {name}"):
        select(corpus, "train", [name])


def test_a_package_of_both_sides_is_refused_whole() -> None:
    mixed = [
        Package("a", "pypi", "1", "MIT", "train"),
        Package("b", "pypi", "1", "MIT", "dev"),
    ]
    with pytest.raises(HeldOutError, match=r"not of the train side: b$"):
        guard(mixed, "train")


def test_a_package_that_is_not_listed_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"dovecot: not in severity_packages\.csv"):
        select("severity", "train", ["dovecot", "nginx"])


@pytest.mark.parametrize(("corpus", "stem"), [("severity", "severity"), ("code", "codepairs")])
def test_the_lists_name_the_packages_of_the_given_corpora(corpus: Corpus, stem: str) -> None:
    for side in ("train", "dev"):
        rows = pq.read_table(shared(f"data/{stem}_{side}.parquet"), columns=["package"])
        given = set(rows["package"].to_pylist())
        if side == "train":
            given.discard("doctrine")  # the source package of php-doctrine-orm, which is held out
        else:
            given |= {"doctrine"} & {p.name for p in load(corpus)}
        assert given == {p.name for p in load(corpus) if p.side == side}
