"""The encoder and what stands on it."""

from dataclasses import replace

import torch

from models.ngrams import rehash
from models.raccoon import Raccoon
from models.tokens import bags, features
from tests.models.conftest import SMALL
from tests.models.lines import LINES
from tests.models.packed import packed_tokens


def test_a_line_is_the_same_alone_and_among_others(small_model: Raccoon) -> None:
    with torch.inference_mode():
        tokens, groups, packed = packed_tokens(small_model, LINES * 3)
        together = small_model(tokens, groups)
        for place, line in enumerate(packed.order.tolist()):
            alone = small_model(*packed_tokens(small_model, [(LINES * 3)[line]])[:2])
            for a, b in zip(together, alone, strict=True):
                torch.testing.assert_close(a[place], b[0], rtol=1e-4, atol=1e-5)


def test_packed_equals_padded_and_masked(small_model: Raccoon) -> None:
    """The same block over a padded batch with a key mask, written out."""
    tokens, groups, _ = packed_tokens(small_model, LINES)
    encoder = small_model.encoder
    with torch.inference_mode():
        encoded = encoder(tokens.vectors, groups)
        path, mask = encoded.padded_path()
        block, (lines, length) = encoder.blocks[0], mask.shape
        x = torch.zeros(lines, length, tokens.vectors.shape[1])
        x[mask] = tokens.vectors
        x = x + encoder.position[:length]
        q, k, v = (
            part.unflatten(-1, (2, -1)).transpose(1, 2)
            for part in block.qkv(block.norm_attention(x)).chunk(3, dim=-1)
        )
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        x = x + block.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        x = x + block.down(torch.relu(block.up(block.norm_inner(x))))
        expected = encoder.to_path(encoder.norm(x))
    torch.testing.assert_close(path[mask], expected[mask], rtol=1e-4, atol=1e-5)
    assert (path[~mask] == 0).all()
    assert mask.sum() == len(tokens.vectors)


def test_a_word_is_the_sum_of_its_features(small_model: Raccoon) -> None:
    """Two rows of the table side by side for each, over the root of how many there are."""
    vocabulary, table = ["link", "<num>", "Überlauf"], small_model.encoder.ngrams
    flat, offsets = bags(vocabulary)
    with torch.inference_mode():
        found = small_model.encoder.embed(torch.tensor(flat), torch.tensor(offsets))
        for word, vector in zip(vocabulary, found, strict=True):
            hashes = torch.tensor(features(word))
            rows = (table[rehash(hashes, which, len(table))] for which in (0, 1))
            expected = torch.cat([row.sum(0) for row in rows]) / len(hashes) ** 0.5
            torch.testing.assert_close(vector, expected, rtol=1e-4, atol=1e-5)


def test_features_that_share_one_row_have_others_of_their_own() -> None:
    buckets = 1 << 8
    hashes = torch.randint(1 << 32, (20_000,), generator=torch.Generator().manual_seed(0))
    rows = torch.stack([rehash(hashes, which, buckets) for which in range(4)])  # (4, F)
    assert rows.min() >= 0
    assert rows.max() < buckets
    for row in rows:  # evenly spread
        assert torch.bincount(row, minlength=buckets).max() < 2 * len(hashes) / buckets
    for one in range(4):
        for other in range(one):
            both = len((rows[one] * buckets + rows[other]).unique())
            assert both > 0.8 * buckets**2 * (1 - 2.718 ** (-len(hashes) / buckets**2))


def test_word_order_matters_to_the_latent(small_model: Raccoon) -> None:
    with torch.inference_mode():
        one = small_model(*packed_tokens(small_model, ["link down after up"])[:2])
        two = small_model(*packed_tokens(small_model, ["link up after down"])[:2])
    assert (one.latent - two.latent).abs().max() > 1e-3


def test_gradient_reaches_every_parameter(small_model: Raccoon) -> None:
    small_model.train()
    tokens, groups, _ = packed_tokens(small_model, LINES)
    result = small_model.train_step(tokens, groups)
    target = torch.arange(len(LINES)) % 8
    loss = (
        torch.nn.functional.cross_entropy(result.logits, target)
        + torch.nn.functional.cross_entropy(result.linear_logits, target)
        + result.kl
        + result.path_kl
        - result.log_prob.mean()
    )
    loss.backward()
    without = {n for n, p in small_model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == {n for n, _ in small_model.named_parameters() if n.startswith("search.")}


def test_the_flow_does_not_pull_the_latent(small_model: Raccoon) -> None:
    tokens, groups, _ = packed_tokens(small_model, LINES)
    small_model.train_step(tokens, groups).log_prob.sum().backward()
    moved = {n.split(".")[0] for n, p in small_model.named_parameters() if p.grad is not None}
    assert moved == {"flow"}


def test_path_kl_is_zero_at_the_prior(small_model: Raccoon) -> None:
    sde = small_model.sde
    z0 = torch.randn(10, small_model.architecture.latent)
    assert sde.kl(sde(z0)) > 0
    with torch.no_grad():
        sde.last.weight.zero_()
        sde.last.bias.zero_()
    assert sde.kl(sde(z0)) == 0


def test_diffusion_stays_away_from_zero(small_model: Raccoon) -> None:
    sde = small_model.sde
    far = 1e4 * torch.randn(100, small_model.architecture.latent)
    for t in (0.0, 0.5, 1.0):
        g = sde.diffusion(far, t)
        assert g.min() >= sde.G_MIN
        assert g.max() <= sde.G_MAX


def test_monte_carlo_paths_spread_and_repeat_with_their_seed(small_model: Raccoon) -> None:
    tokens, groups, _ = packed_tokens(small_model, LINES)

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return small_model.sample(tokens, groups, 64, generator).latent

    with torch.inference_mode():
        assert torch.equal(draw(1), draw(1))
        assert draw(1).shape == (64, len(LINES), small_model.architecture.latent)
        assert (draw(1).std(0) > 0.01).all()


def test_checkpointed_blocks_have_the_same_gradients() -> None:
    """With dropout: what is computed again must draw what was drawn before."""
    torch.manual_seed(0)
    model = Raccoon(replace(SMALL, blocks=2)).train()
    found = []
    for checkpointed in (False, True):
        model.encoder.checkpoint_blocks = checkpointed
        model.zero_grad()
        torch.manual_seed(7)
        tokens, groups, _ = packed_tokens(model, LINES)
        result = model.train_step(tokens, groups)
        (result.logits.square().sum() + result.kl).backward()
        found.append([p.grad for p in model.encoder.parameters()])
    for one, other in zip(*found, strict=True):
        assert one is not None
        torch.testing.assert_close(one, other)
    assert any(gradient.abs().max() > 0 for gradient in found[0] if gradient is not None)
