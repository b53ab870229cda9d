"""The Latent Trajectory Transformer's parts keep their promises."""

from __future__ import annotations

import pytest
import torch

from models import characters
from models.decoder import Decoder
from models.trajectory import Trajectory, TrajectoryArchitecture, Weights

SMALL = TrajectoryArchitecture(
    vocabulary=11,
    length=20,
    latent=4,
    width=16,
    heads=2,
    inner=32,
    encoder_blocks=1,
    decoder_blocks=1,
    drift_hidden=16,
    window=5,
    anchors=2,
)


def small(seed: int = 0) -> Trajectory:
    torch.manual_seed(seed)
    return Trajectory(SMALL).eval()


def some_tokens(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(SMALL.vocabulary, (n, SMALL.length), generator=generator)


def test_sampling_token_by_token_says_what_the_whole_says() -> None:
    model = small()
    path = torch.randn(3, SMALL.length, SMALL.latent, generator=torch.Generator().manual_seed(1))
    tokens = model.sample(path, temperature=0.0)
    assert torch.equal(model.decoder(path, tokens).argmax(-1), tokens)


def test_the_decoder_looks_back_only_and_of_what_is_far_it_knows_the_sum() -> None:
    model, tokens = small(), some_tokens(1)
    tokens[0, 7], tokens[0, 8] = 3, 4
    path = torch.zeros(1, SMALL.length, SMALL.latent)
    swapped = tokens.clone()
    swapped[0, 7], swapped[0, 8] = 4, 3
    before, after = model.decoder(path, tokens), model.decoder(path, swapped)
    moved = (after - before).abs().amax((0, 2)) > 1e-5
    # what stands at 7 and 8 is seen from 8 on, and by a window of 5 until 13
    assert moved.nonzero().flatten().tolist() == [8, 9, 10, 11, 12, 13]
    swapped[0, 8] = 9  # now the sum is another
    assert (model.decoder(path, swapped) - before).abs().amax((0, 2))[8:].min() > 1e-6


def test_the_anchors_are_seen_from_everywhere() -> None:
    model, tokens = small(), some_tokens(1)
    path = torch.zeros(1, SMALL.length, SMALL.latent)
    changed = tokens.clone()
    changed[0, 0] = (changed[0, 0] + 1) % SMALL.vocabulary
    moved = (model.decoder(path, changed) - model.decoder(path, tokens)).abs().amax((0, 2)) > 1e-6
    assert moved[1:].all()
    assert not moved[0]


def test_what_decoding_keeps_does_not_grow() -> None:
    decoder = small().decoder
    assert isinstance(decoder, Decoder)
    kept = [len(decoder._kept(cached)) for cached in range(100)]
    assert max(kept) == SMALL.window - 1 + SMALL.anchors


def test_an_ode_that_made_the_path_has_no_error() -> None:
    model = small()
    z0 = model.start(5, torch.Generator().manual_seed(2))
    with torch.no_grad():
        path = model.prior_path(z0, steps=SMALL.length - 1).path
        assert model.ode_matching(path) < 1e-10
        assert model.ode_matching(path + torch.randn_like(path) * 0.1) > 1e-3


def test_a_path_can_be_asked_at_any_time() -> None:
    model = small()
    path = model.encoder(some_tokens(2)).detach().transpose(0, 1)  # (L, B, D)
    torch.testing.assert_close(model.at(path, model.times), path)
    between = model.at(path, [(model.times[3] + model.times[4]) / 2])
    torch.testing.assert_close(between[0], (path[3] + path[4]) / 2)


def test_the_prior_counts_its_evaluations_and_follows_its_start() -> None:
    model = small()
    z0 = model.start(2, torch.Generator().manual_seed(3))
    with torch.no_grad():
        few = model.prior_path(z0, steps=10)
        fine = model.prior_path(z0, method="dopri5")
    assert few.evaluations == 10
    assert few.path.shape == (2, SMALL.length, SMALL.latent)
    torch.testing.assert_close(few.path[:, 0], z0)
    assert (few.path - fine.path).abs().max() < 0.1
    with torch.no_grad():
        assert torch.equal(model.prior_path(z0, steps=10).path, few.path)


def test_no_steering_is_the_prior() -> None:
    model = small()
    z0 = model.start(3, torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(
            model.steered_path(z0, torch.zeros(3, 4, SMALL.latent)), model.prior_path(z0).path
        )
        pushed = model.steered_path(z0, torch.ones(3, 4, SMALL.latent))
    assert (pushed[:, -1] - model.prior_path(z0).path[:, -1]).mean() > 0.3


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    model = Trajectory(SMALL)
    model(some_tokens(16), jitter=0.1).total(Weights()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_character_task_draws_what_it_reads() -> None:
    sequences = characters.text(characters.draw(2000, torch.Generator().manual_seed(0)))
    found = characters.summary(sequences)
    assert found == {"valid": 1.0, "letters": 26, "positions": characters.POSITIONS}
    noise = sum(s.count("!") for s in sequences) / (2000 * (characters.BODY - characters.BLOCK))
    assert noise == pytest.approx(characters.NOISE, abs=0.005)


@pytest.mark.parametrize(
    "body",
    [
        "_" * 64,
        "A" * 8 + "_" * 56,
        "B" * 9 + "_" * 55,
        "B" * 7 + "_" * 57,
        "B" * 8 + "_" + "B" * 8 + "_" * 47,
        "B" * 8 + "_" * 55,
        "B" * 8 + "?" + "_" * 55,
    ],
)
def test_invalid_sequences_are_told(body: str) -> None:
    assert characters.read("?B>" + body) is None
    assert characters.read("?B>" + "_" * 10 + "B" * 8 + "!" * 46) == ("B", 10)


def test_agreement_tells_shared_starts_from_random_ones() -> None:
    same = ["?B>" + "_" * 10 + "B" * 8 + "_" * 46] * 10
    spread = ["?B>" + "_" * i + "B" * 8 + "_" * (56 - i) for i in range(0, 50, 5)]
    assert characters.agreement(same) == 1.0
    assert characters.agreement(spread) == 0.0
