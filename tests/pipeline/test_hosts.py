"""Host trajectories in a stream: the same however it is cut, each host for itself, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.false_discovery import Discoveries
from pipeline.columns import Vocabulary
from pipeline.host_heading import heading
from pipeline.host_table import HostLines
from pipeline.hosts import FIRST_ROOM, HostTrajectories
from pipeline.templates import TemplateTable
from tests.models.host_models import D, model

TEMPLATES = 40


def table() -> TemplateTable:
    made, rng = TemplateTable(64, D), np.random.default_rng(0)
    made.size = TEMPLATES
    made.latent[:TEMPLATES] = 5 * rng.normal(size=(TEMPLATES, D))
    made.template_id[:TEMPLATES] = np.arange(11, 11 + TEMPLATES)
    return made


TABLE = table()


class Lines:
    """N lines of a few hosts, to be fed in parts."""

    def __init__(self, n: int, hosts: int = 5, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.n, self.names = n, Vocabulary(b"host-%d" % i for i in range(hosts))
        self.codes = rng.integers(-1, hosts, n).astype(np.int32)  # -1: no hostname
        self.rows = rng.integers(0, 6, n).astype(np.int32)
        self.times_s = 1e9 + np.cumsum(rng.exponential(1.0, n)) + rng.normal(0, 2, n)
        self.severity = rng.integers(0, 8, n).astype(np.uint8)

    def feed(
        self, known: HostTrajectories, at: npt.NDArray[np.intp] | slice
    ) -> npt.NDArray[np.float32]:
        codes = self.codes[at]
        times_s = self.times_s[at]
        hosts = HostLines([("udp", len(codes))], codes, self.names, times_s, times_s)
        return known.observe(hosts, self.rows[at], TABLE, self.severity[at]).nats

    def cut(self, known: HostTrajectories, cuts: Sequence[int]) -> npt.NDArray[np.float32]:
        ends = [0, *sorted(cuts), self.n]
        parts = [slice(a, b) for a, b in pairwise(ends) if b > a]
        return np.concatenate([self.feed(known, part) for part in parts])


def same(one: HostTrajectories, two: HostTrajectories, atol: float) -> None:
    mine, yours = one.kept(), two.kept()
    assert mine.keys() == yours.keys()
    for name, value in mine.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(value, yours[name], atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(value, yours[name], err_msg=name)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 2 * FIRST_ROOM + 400), max_size=12), st.integers(0, 5))
def test_however_a_stream_is_cut_the_result_is_the_same(cuts: list[int], seed: int) -> None:
    lines = Lines(2 * FIRST_ROOM + 400, seed=seed)
    one, two = HostTrajectories(model()), HostTrajectories(model())
    np.testing.assert_allclose(lines.cut(one, []), lines.cut(two, cuts), atol=1e-4)
    same(one, two, 1e-4)


def test_no_host_moves_anothers_state() -> None:
    lines = Lines(900)
    together, alone = HostTrajectories(model()), HostTrajectories(model())
    lines.feed(together, slice(None))
    lines.feed(alone, np.flatnonzero(lines.codes == 3))
    mine = together.hosts.keys.index(("udp", "host-3"))
    for name in ("state", "severities", "counts", "age_s", "last_s"):
        own = getattr(together.hosts, name)[mine]
        np.testing.assert_allclose(own, getattr(alone.hosts, name)[0], atol=1e-5)


def test_the_order_in_which_hosts_are_mixed_does_not_matter() -> None:
    lines = Lines(200)  # before the shares are brought up to date
    by_host = np.argsort(lines.codes, kind="stable")
    one, two = HostTrajectories(model()), HostTrajectories(model())
    found = lines.feed(one, slice(None))
    np.testing.assert_allclose(found[by_host], lines.feed(two, by_host), atol=1e-4)


def test_the_same_hostname_from_two_senders_is_two_hosts() -> None:
    names, zeros = Vocabulary([b"web"]), np.zeros(2, np.int32)
    known = HostTrajectories(model())
    hosts = HostLines([("udp 192.0.2.1", 1), ("udp 192.0.2.2", 1)], zeros, names, zeros, zeros)
    known.observe(hosts, np.zeros(2, np.int32), TABLE, zeros)
    assert known.hosts.keys == [("udp 192.0.2.1", "web"), ("udp 192.0.2.2", "web")]


def test_a_restart_goes_on_bit_for_bit() -> None:
    lines = Lines(1500)
    one, two = HostTrajectories(model()), HostTrajectories(model())
    lines.feed(one, slice(0, 700))
    one.learn(np.ones(700, np.bool_))
    two.restore(one.kept())
    same(one, two, 0)
    np.testing.assert_array_equal(
        lines.feed(one, slice(700, 1500)), lines.feed(two, slice(700, 1500))
    )
    same(one, two, 0)


def test_a_state_of_other_dynamics_is_left_alone() -> None:
    one = HostTrajectories(model())
    Lines(100).feed(one, slice(None))
    two = HostTrajectories(model()._replace(version="hosts-other"))
    two.restore(one.kept())
    assert two.lines == len(two.hosts) == 0


def test_a_damaged_state_is_refused() -> None:
    one = HostTrajectories(model())
    Lines(100).feed(one, slice(None))
    for name in ("hosts_table_state", "hosts_usual_weights", "hosts_learnt_out"):
        kept = one.kept()
        kept[name] = kept[name][:-1]
        with pytest.raises(ValueError, match=r"shape|of \("):
            HostTrajectories(model()).restore(kept)


def test_hostile_names_find_a_bounded_table() -> None:
    known = HostTrajectories(model(), max_hosts=100)
    names = Vocabulary()
    for batch in range(30):
        codes = names.codes([b"%d-%d" % (batch, i) for i in range(40)])
        at = np.full(40, float(batch))
        hosts = HostLines([("udp", 40)], codes, names, at, at)
        found = known.observe(hosts, np.zeros(40, np.int32), TABLE, np.zeros(40, np.uint8))
        assert np.isfinite(found.nats).all()
        assert len(known.hosts) <= 140
    assert known.hosts.keys[-1] == ("udp", "29-39"), "the last ones are known"
    assert all(len(column) <= 512 for column in known.hosts.columns().values())


def test_a_vocabulary_that_starts_afresh_mixes_no_hosts_up() -> None:
    known, names = HostTrajectories(model()), Vocabulary()
    for order in ([b"a", b"b"], [b"b", b"a"]):
        names._restart()
        codes = names.codes(order)
        hosts = HostLines([("udp", 2)], codes, names, np.zeros(2), np.zeros(2))
        known.observe(hosts, np.array([0, 1], np.int32), TABLE, np.zeros(2, np.uint8))
    assert known.hosts.keys == [("udp", "a"), ("udp", "b")]
    assert known.hosts.counts[:2].sum(axis=1).tolist() == [2, 2]


def test_lines_that_were_not_scored_move_nothing() -> None:
    lines = Lines(300)
    one, two = HostTrajectories(model()), HostTrajectories(model())
    keep = np.flatnonzero(np.arange(300) % 3 > 0)
    lines.rows[np.arange(300) % 3 == 0] = -1
    found = lines.feed(one, slice(None))
    assert np.isnan(found[::3]).all()
    np.testing.assert_allclose(found[keep], lines.feed(two, keep), atol=1e-5)


def test_a_clock_that_goes_mad_leaves_finite_numbers() -> None:
    lines = Lines(400)
    lines.times_s[::7] = 0
    lines.times_s[3::11] = 4e9
    known = HostTrajectories(model())
    assert np.isfinite(lines.feed(known, slice(None))).all()
    assert np.isfinite(known.hosts.state).all()
    said = [p for host in heading(known, 300.0) for p in host.probability]
    assert 0 <= min(said) <= max(said) <= 1


def test_rows_that_move_in_the_table_stay_the_same_templates() -> None:
    moved = table()
    swap = np.arange(TEMPLATES)[::-1]
    moved.latent[:TEMPLATES] = TABLE.latent[swap]
    moved.template_id[:TEMPLATES] = TABLE.template_id[swap]
    one, two = HostTrajectories(model()), HostTrajectories(model())
    lines = Lines(200)
    lines.feed(one, slice(0, 100))
    lines.feed(two, slice(0, 100))
    there = lines.feed(one, slice(100, 200))
    hosts = HostLines(
        [("udp", 100)], lines.codes[100:], lines.names, lines.times_s[100:], lines.times_s[100:]
    )
    rows = (TEMPLATES - 1 - lines.rows[100:]).astype(np.int32)
    np.testing.assert_array_equal(
        there, two.observe(hosts, rows, moved, lines.severity[100:]).nats
    )


def test_without_an_order_hardly_a_line_is_flagged() -> None:
    known, lines, discoveries = HostTrajectories(model()), Lines(40_000), Discoveries()
    flagged = 0
    for low in range(0, lines.n, 4000):
        part = slice(low, low + 4000)
        hosts = HostLines(
            [("udp", 4000)],
            lines.codes[part],
            lines.names,
            lines.times_s[part],
            lines.times_s[part],
        )
        headed = known.observe(hosts, lines.rows[part], TABLE, lines.severity[part])
        assert ((headed.p_value > 0) & (headed.p_value <= 1)).all()
        flagged += int(discoveries.observe(headed.p_value).sum())
    assert flagged <= 20


def test_flagged_lines_teach_nothing_and_others_do() -> None:
    lines, fitted = Lines(500), model().dynamics.out
    quiet, taught = HostTrajectories(model()), HostTrajectories(model())
    for known in (quiet, taught):
        lines.feed(known, slice(None))
    quiet.learn(np.zeros(500, np.bool_))
    np.testing.assert_array_equal(quiet.on_line.out, fitted)
    taught.learn(np.ones(500, np.bool_))
    assert (taught.on_line.out != fitted).any()


def test_it_learns_on_line_what_the_fit_did_not_know() -> None:
    lines = Lines(6000, hosts=1)
    lines.rows[:] = np.arange(6000) % 3  # in turn, from now on
    still, learning = HostTrajectories(model()), HostTrajectories(model())
    for low in range(0, 6000, 100):
        part = slice(low, low + 100)
        before, after = lines.feed(still, part), lines.feed(learning, part)
        learning.learn(np.ones(100, np.bool_))
    assert after.mean() < before.mean() - 0.3


def test_no_stream_takes_the_read_out_out_of_bounds() -> None:
    lines, known = Lines(2000, hosts=1), HostTrajectories(model())
    lines.rows[:] = 0
    for low in range(0, 2000, 20):
        lines.feed(known, slice(low, low + 20))
        known.learn(np.ones(20, np.bool_))
    lines.rows[:] = 1
    assert np.isfinite(lines.feed(known, slice(0, 100))).all()
