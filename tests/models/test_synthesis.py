"""Lines that are written: slots, pieces, runs that are known, and the laws of the writer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from random import Random

import pytest
import torch

from models.fillings import SLOTS, filled, slot_for
from models.pieces import ALWAYS, Pieces, learn
from models.synthesis import Line, Settings, Synthesiser
from models.synthesis_parts import END, OTHER, KnownRuns, Vocabulary, runs_of
from models.text import canonical
from models.training.statements import slotted
from models.trajectory import Trajectory, TrajectoryArchitecture

DOCUMENTATION = [
    ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def writer() -> Synthesiser:
    return Synthesiser.load()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_slot_gets_a_value_of_its_kind() -> None:
    for slot in SLOTS:
        for seed in range(20):
            value = filled(f"about {slot}.", Random(seed))
            assert "<" not in value
            assert len(value) > len("about .")
    text = "from <ip> port <num>"
    found = {filled(text, Random(seed)) for seed in range(200)}
    assert len(found) > 50
    for line in found:
        address = ip_address(line.split()[1])
        assert any(address in net for net in DOCUMENTATION)
        assert canonical(line) in ("from <ip> port <num>",)
    assert filled(text, Random(1)) == filled(text, Random(1))


@pytest.mark.parametrize(
    ("form", "sample", "text"),
    [
        ("opened %s", "opened /etc/passwd", "opened <path>"),
        ("%s: cannot open: %m", "gw1: cannot open: No such file", "<host>: cannot open: <error>"),
        ("peer %s:%d gone", "peer 192.0.2.1:22 gone", "peer <ip>:<num> gone"),
        ("used 5%% of %lu", "used 5% of 77", "used 5% of <num>"),
        ("{} of {name}", "12 of main", "<num> of <name>"),
        ("probe failed: %d", "usb 4-2: probe failed: -5", "probe failed: <num>"),
        ("%s%s", "ab", "<name><name>"),
        ("plain", "plain", "plain"),
    ],
)
def test_placeholders_become_slots_of_their_values(form: str, sample: str, text: str) -> None:
    assert slotted(form, sample) == text


def test_values_are_told_by_their_look() -> None:
    for value, slot in [
        ("17", "<num>"), ("0xbeef", "<pointer>"), ("192.0.2.1", "<ip>"), ("2001:db8::1", "<ip>"),
        ("/etc/x", "<path>"), ("Permission denied", "<error>"), ("main", "<name>"),
    ]:  # fmt: skip
        assert slot_for(value) == slot


def test_pieces_give_the_text_back() -> None:
    texts = ["failed to open <path>: <error>", "failed to close <name>", "IPv6 is <memory> off"]
    pieces = learn(texts * 3, len(ALWAYS) + 30)
    assert len(pieces) <= len(ALWAYS) + 30
    for text in [*texts, "nothing like it: 0x{}~<num><num>", "a < b > <c>"]:
        assert pieces.decode(pieces.encode(text)) == text
    assert pieces.decode(pieces.encode("two\n\tblanks  é")) == "two blanks ?"
    assert len(pieces.encode(texts[0])) < len(texts[0]) / 2
    assert Pieces(pieces.pieces).encode(texts[0]) == pieces.encode(texts[0])
    with pytest.raises(ValueError, match="missing"):
        Pieces(pieces.pieces[1:])


def test_a_line_is_its_program_and_its_pieces() -> None:
    vocabulary = Vocabulary(["sshd", "kernel"], Pieces(ALWAYS))
    tokens = vocabulary.encode("kernel", "a <num>")
    assert vocabulary.decode([*tokens, END, END]) == ("kernel", "a <num>")
    assert vocabulary.decode([OTHER, *tokens[1:], END]) == ("", "a <num>")
    assert vocabulary.encode("who", "a")[0] == OTHER
    assert vocabulary.decode(tokens) is None, "no end"
    assert vocabulary.decode([*tokens, tokens[0], END]) is None, "a program inside"
    assert vocabulary.decode([END]) is None


def test_known_runs_are_all_told_and_few_others() -> None:
    def lines(seed: int) -> list[str]:
        random = Random(seed)
        return [" ".join(str(random.random()) for _ in range(9)) for _ in range(500)]

    runs = KnownRuns.of(lines(0))
    assert len(runs.bits) == 500 * len(runs_of(lines(0)[0]))
    assert all(runs.holds(line) for line in lines(0))
    assert all(runs.holds(f"new {' '.join(line.split()[2:8])} new") for line in lines(0))
    strangers = sum(runs.holds(run) for line in lines(1) for run in runs_of(line))
    assert strangers < 0.05 * 2000
    assert not runs.holds("five words are no run")


def test_the_same_seed_writes_the_same_lines(writer: Synthesiser) -> None:
    settings = Settings(candidates=2)
    one, again, other = (
        list(writer.draw([3] * 6 + [6] * 6, seed=seed, settings=settings)) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other
    assert [line.severity for line in one] == [3] * 6 + [6] * 6


def test_lines_differ_are_not_copied_and_are_the_programs(writer: Synthesiser) -> None:
    lines = list(writer.draw([3] * 24, "sshd", seed=3, settings=Settings(candidates=2)))
    assert len(lines) == 24
    assert {line.app for line in lines} == {"sshd"}
    assert len({canonical(line.message) for line in lines}) >= 0.9 * len(lines)
    assert sum(_copied(writer, line) for line in lines) <= 1
    assert not any(re.search("<(?:num|ip|path|name)>", line.message) for line in lines)


def test_planning_leads_to_the_severity(writer: Synthesiser) -> None:
    """By the head on the path, without any line: against paths that begin anywhere."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def chance(planned: bool) -> float:
        settings = Settings(planned=planned)
        paths = torch.stack([writer._path(4, None, generator, settings) for _ in range(16)])
        return float(writer._head(paths)[:, 4].exp().mean())

    assert chance(True) > 2 * chance(False)


def test_a_decoder_begins_as_it_is_told_and_leaves_out_what_is_unlikely() -> None:
    torch.manual_seed(0)
    model = Trajectory(TrajectoryArchitecture(11, 6, latent=4, width=16, heads=2, inner=24))
    paths = torch.randn(5, 6, 4)
    prefix = torch.tensor([[7, 3]]).expand(5, 2)
    generator = torch.Generator().manual_seed(1)
    drawn = model.sample(paths, prefix=prefix, generator=generator)
    assert torch.equal(drawn[:, :2], prefix)
    surest = model.sample(paths, temperature=0, prefix=prefix)
    assert torch.equal(model.sample(paths, least=1.0, prefix=prefix), surest)
    assert not torch.equal(drawn, surest)


def _copied(writer: Synthesiser, line: Line) -> bool:
    assert writer._runs is not None
    return writer._runs.holds(canonical(line.message))
