"""The search head learns how a repository asks: what words weigh in a question, a little.

Symmetric training is behind it; here code stands still, so that the vectors of an index stay what
they are, and the question's side moves: InfoNCE (van den Oord et al. 2018) of docstrings against
the vectors of all code that is at hand.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch.nn import functional

from models.ngrams import Ints
from models.searching import Floats, Spread

_STEPS: Final = 40
_RATE: Final = 0.02
_SCALE: Final = 20.0
"""Inverse temperature."""
_TIE: Final = 0.01
"""What a weight pays for leaving its place, squared: a few hundred docstrings know little."""


def tune(
    questions: Spread, codes: Floats, right: Ints, base: Floats, start: Floats, *, threads: int = 1
) -> Floats:
    """The logarithms by which words should weigh more or less, (B,).

    questions: N docstrings. codes: (C, dim) unit vectors. right: (N,) the code of each. base:
    (B,) the weights as they were trained. start: (B,) the logarithms so far.
    """
    torch.set_num_threads(threads)
    vectors, buckets, shares, of_text, vectors_of_code, answers, weights = (
        torch.from_numpy(np.ascontiguousarray(array)) for array in (*questions, codes, right, base)
    )
    change = torch.from_numpy(start.copy()).requires_grad_()
    optimiser = torch.optim.Adam([change], lr=_RATE)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        weight = weights[buckets] * change[buckets].exp() * shares  # (T,)
        sums = vectors.new_zeros(len(right), vectors.shape[1])
        sums = sums.index_add(0, of_text, vectors * weight.unsqueeze(1))  # (N, dim)
        logits = functional.normalize(sums, dim=1) @ vectors_of_code.T * _SCALE  # (N, C)
        loss = functional.cross_entropy(logits, answers) + _TIE * change.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        optimiser.step()
    learnt: Floats = change.detach().numpy()
    return learnt
