"""The model as it is asked must say what the model says that was trained."""

from dataclasses import replace

import pytest
import torch

from models.encoder import Groups
from models.frozen import Frozen
from models.linear import Words
from models.packing import pack
from models.raccoon import Raccoon
from models.tokens import bags, words
from tests.models.conftest import SMALL
from tests.models.lines import LINES


def random_model(blocks: int, coupling: str) -> Raccoon:
    model = Raccoon(replace(SMALL, blocks=blocks, coupling=coupling)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def tokens_of(model: Raccoon, lines: list[list[str]]) -> tuple[torch.Tensor, Words, Groups]:
    vocabulary = sorted({word for line in lines for word in line})
    flat, offsets = bags(vocabulary)
    known = model.words(torch.from_numpy(flat), torch.from_numpy(offsets))
    packed = pack([[vocabulary.index(word) for word in line] for line in lines])
    return torch.from_numpy(packed.words), known, packed.groups


@pytest.mark.parametrize("coupling", ["affine", "spline"])
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_it_says_what_the_model_says(blocks: int, coupling: str) -> None:
    model = random_model(blocks, coupling)
    lines = [["one"], ["a", "b"], ["one"], *[words("sshd", 4, text) for text in LINES]]
    with torch.inference_mode():
        numbers, known, groups = tokens_of(model, lines)
        found = Frozen(model)(numbers, known, groups)
        expected = model(known.take(numbers), groups)
    for name, a, b in zip(found._fields, found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4, msg=name)


def test_bf16_moves_little_and_the_rest_stays_fp32(small_model: Raccoon) -> None:
    with torch.inference_mode():
        numbers, known, groups = tokens_of(small_model, [words("", -1, text) for text in LINES])
        exact = Frozen(small_model)(numbers, known, groups)
        rounded = Frozen(small_model, torch.bfloat16)(numbers, known, groups)
    assert {field.dtype for field in rounded} == {torch.float32}
    assert not torch.equal(exact.latent, rounded.latent)
    torch.testing.assert_close(exact.latent, rounded.latent, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_line_is_the_same_alone_and_among_others(
    small_model: Raccoon, dtype: torch.dtype
) -> None:
    frozen = Frozen(small_model, dtype)
    lines = [words("", -1, text) for text in LINES]
    with torch.inference_mode():
        together = frozen(*tokens_of(small_model, sorted(lines, key=len)))
        for place, line in enumerate(sorted(lines, key=len)):
            alone = frozen(*tokens_of(small_model, [line]))
            for a, b in zip(together, alone, strict=True):
                torch.testing.assert_close(a[place], b[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("coupling", ["affine", "spline"])
def test_training_afterwards_needs_another(coupling: str) -> None:
    small_model = random_model(1, coupling)
    with torch.inference_mode():
        numbers, known, groups = tokens_of(small_model, [words("", -1, LINES[0])])
        before = Frozen(small_model)(numbers, known, groups)
    with torch.no_grad():
        frozen = Frozen(small_model)
        small_model.sde.last.weight += 1
        for parameter in small_model.flow.parameters():
            parameter += 0.1
    with torch.inference_mode():
        still = frozen(numbers, known, groups)
        after = Frozen(small_model)(numbers, known, groups)
        expected = small_model(known.take(numbers), groups)
        torch.testing.assert_close(after.latent, expected.latent)
        torch.testing.assert_close(after.log_prob, expected.log_prob)
    assert torch.equal(before.latent, still.latent)
    assert torch.equal(before.log_prob, still.log_prob)
    assert not torch.allclose(before.latent, after.latent)
    assert not torch.allclose(before.log_prob, after.log_prob)
