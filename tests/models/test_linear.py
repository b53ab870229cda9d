"""The linear expert against sums written out."""

import torch

from models.linear import LinearExpert, Words
from models.ngrams import rehash
from models.packing import pack
from models.raccoon import Raccoon
from models.tokens import features, words
from tests.models.lines import LINES
from tests.models.packed import packed_tokens


def by_hand(expert: LinearExpert, line: list[str]) -> torch.Tensor:
    """Votes of all features and, twice, of all pairs, over the root of how many there are."""

    def vote(feature: int, family: int) -> torch.Tensor:
        return expert.votes[rehash(torch.tensor([feature]), family, len(expert.votes))][0]

    total, size, before = torch.zeros(expert.votes.shape[1]), 0.0, 0
    for word in line:
        found = features(word)
        total = total + sum(vote(feature, 2) for feature in found)
        total = total + 2 * vote((found[0] * 31 + before * 7) % (1 << 32), 3)
        size += len(found) + expert.SMOOTHING
        before = found[0]
    return total / size**0.5


def test_logits_are_the_sum_of_features_and_pairs(small_model: Raccoon) -> None:
    with torch.inference_mode():
        tokens, groups, packed = packed_tokens(small_model, LINES)
        logits = small_model.linear(tokens, groups)
        for place, i in enumerate(packed.order.tolist()):
            expected = by_hand(small_model.linear, words("", -1, LINES[i]))
            torch.testing.assert_close(logits[place], expected, rtol=1e-4, atol=1e-5)


def test_pairs_never_cross_lines(small_model: Raccoon) -> None:
    """Words without votes of their own: what is left is pairs."""
    expert = small_model.linear

    def logits(lines: list[list[int]]) -> torch.Tensor:
        packed = pack(lines)
        hashes = torch.from_numpy(packed.words)
        n = len(hashes)
        tokens = Words(torch.zeros(n, 1), torch.zeros(n, 8), torch.ones(n), hashes)
        return expert(tokens, packed.groups)

    with torch.inference_mode():
        line = [77, 1 << 31, 5]
        torch.testing.assert_close(logits([line])[0], logits([[9, 9, 9], line, [1, 2, 3]])[1])
        assert (logits([line]) - logits([line[::-1]])).abs().max() > 1e-3


def test_without_votes_it_has_no_opinion(small_model: Raccoon) -> None:
    with torch.inference_mode():
        small_model.linear.votes.zero_()
        tokens, groups, _ = packed_tokens(small_model, LINES)
        assert (small_model.linear(tokens, groups) == 0).all()
