"""The character task: a prompt with a letter, and 64 characters with a block of 8 of that letter.

`?B>!_____BBBBBBBB____!___…`: the letter and where its block begins are what a sequence is about;
the noise `!`, one character in 16, is not. Small enough to learn in minutes, and whether a sample
is right can be told exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SYMBOLS = "?>_!" + LETTERS
BODY, BLOCK = 64, 8
LENGTH = 3 + BODY
NOISE = 1 / 16
POSITIONS = BODY - BLOCK + 1
_BACKGROUND, _NOISE, _FIRST = SYMBOLS.index("_"), SYMBOLS.index("!"), len(SYMBOLS) - len(LETTERS)
_VALID = re.compile(r"\?([A-Z])>([_!]*)(\1{8})[_!]*")


def draw(n: int, generator: torch.Generator | None = None) -> Tensor:
    """n sequences of the task, (n, LENGTH) int64 indices into SYMBOLS."""
    letters = torch.randint(len(LETTERS), (n, 1), generator=generator) + _FIRST
    begins = torch.randint(POSITIONS, (n, 1), generator=generator)
    at = torch.arange(BODY)
    body = torch.where(
        torch.rand(n, BODY, generator=generator) < NOISE, _NOISE, _BACKGROUND
    )  # (n, 64)
    body = torch.where((at >= begins) & (at < begins + BLOCK), letters, body)
    question, end = torch.zeros_like(letters), torch.ones_like(letters)
    return torch.cat((question, letters, end, body), dim=1)


def text(tokens: Tensor) -> list[str]:
    """(n, L) → n strings."""
    return ["".join(SYMBOLS[i] for i in row) for row in tokens.tolist()]


def read(sequence: str) -> tuple[str, int] | None:
    """The letter and where its block begins in the body; None for an invalid sequence."""
    found = _VALID.fullmatch(sequence)
    if found is None or len(sequence) != LENGTH:
        return None
    return found[1], len(found[2])


def summary(sequences: Sequence[str]) -> dict[str, float]:
    """How many are valid, of 1, and how many letters and positions the valid ones have."""
    found = [pair for pair in map(read, sequences) if pair is not None]
    return {
        "valid": len(found) / max(len(sequences), 1),
        "letters": len({letter for letter, _ in found}),
        "positions": len({position for _, position in found}),
    }


def agreement(sequences: Sequence[str]) -> float:
    """Share of the pairs of valid sequences whose blocks begin within one place of each other."""
    begins = torch.tensor([pair[1] for pair in map(read, sequences) if pair is not None])
    if len(begins) < 2:
        return float("nan")
    near = ((begins[:, None] - begins).abs() <= 1).float()
    n = len(begins)
    return float((near.sum() - n) / (n * (n - 1)))
