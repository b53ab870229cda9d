"""Lines as the model takes them, without the engine."""

import torch

from models.encoder import Groups
from models.linear import Words
from models.packing import Packed, pack
from models.raccoon import Raccoon
from models.tokens import bags, words


def packed_tokens(model: Raccoon, lines: list[str]) -> tuple[Words, Groups, Packed]:
    split = [words("", -1, line) for line in lines]
    vocabulary = sorted({word for line in split for word in line})
    flat, offsets = bags(vocabulary)
    known = model.words(torch.tensor(flat), torch.tensor(offsets))
    packed = pack([[vocabulary.index(word) for word in line] for line in split])
    return known.take(torch.from_numpy(packed.words)), packed.groups, packed
