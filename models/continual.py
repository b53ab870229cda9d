"""Learning from a stream without forgetting: updates of half new and half replayed templates.

Dark experience replay (DER++, Buzzega et al. 2020): what is replayed must keep its label and the
logits that it had when it was learnt. The table of n-grams and the search head stand still, so
that what words mean, and the vectors of code, are the same under every snapshot.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.checkpoint import Checkpoint, round_for_storage
from models.encoder import Groups
from models.linear import Words
from models.losses import ranked_probability_score
from models.packing import pack
from models.tokens import bags, known_app, words

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

RATE = 1e-4
LINEAR_PACE = 10.0
"""By how much the linear expert's rate is higher: its weights are sparse and seldom met."""
DECAY = 0.01
CLIP = 1.0
RANKED = 0.1
LOGITS = 0.1
"""α of DER++, for logits of unit variance or so."""
FLOW = 0.02
APP_DROPOUT = 0.5


class Examples(NamedTuple):
    """Templates and what they teach."""

    apps: Sequence[str]
    texts: Sequence[str]
    """Canonical."""
    facilities: Sequence[int]
    severity: Ints  # (N,)
    log_prior: Floats
    """(N, 8) how common the severities are where each comes from: its own is divided out."""


class Update(NamedTuple):
    """What one update saw."""

    new_loss: Floats  # (N,) cross-entropy of the new examples before the step, nats
    new_log_likelihood: Floats  # (N, 8) before the step
    replayed_loss: Floats  # (M,)


class Learning:
    """A model that is being taught."""

    def __init__(self, checkpoint: Checkpoint, *, rate: float = RATE, seed: int = 0) -> None:
        """checkpoint: taken over. rate: of AdamW."""
        self.checkpoint = checkpoint
        self._model = model = checkpoint.model.eval()
        self._apps = frozenset(checkpoint.card.apps)
        self._random = np.random.default_rng(seed)
        for parameter in (model.encoder.ngrams, *model.search.parameters()):
            parameter.requires_grad_(False)
        votes = [p for p in model.linear.parameters() if p.requires_grad]
        own = {id(p) for p in votes}
        self._taught = [p for p in model.parameters() if p.requires_grad]
        rest = [p for p in self._taught if id(p) not in own]
        self._groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": DECAY, "lr": rate},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "lr": rate},
            {"params": votes, "weight_decay": 0.0, "lr": LINEAR_PACE * rate},
        ]
        self._adam = self._fresh_optimiser()
        self._kept = self._copy()

    def update(
        self,
        new: Examples,
        replayed: Examples | None = None,
        *,
        weights: Floats | None = None,
        stored: Floats | None = None,
    ) -> Update:
        """One step of AdamW down the loss of these examples.

        replayed: as many as are new, or fewer; each with its importance weight, (M,), and the
        log-likelihoods that it had when it was learnt, `stored` (M, 8).
        """
        self._adam.zero_grad(set_to_none=True)
        losses, found, loss = self._loss(new)
        total = loss.mean()
        before = np.zeros(0, np.float32)
        if replayed is not None and len(replayed.texts):
            assert weights is not None
            assert stored is not None
            before, _, loss = self._loss(replayed, torch.from_numpy(stored))
            total = 0.5 * total + 0.5 * (loss * torch.from_numpy(weights)).mean()
        total.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        nn.utils.clip_grad_norm_(self._taught, CLIP)
        self._adam.step()
        return Update(losses, found, before)

    def log_likelihood(self, examples: Examples) -> Floats:
        """(N, 8) log p(text | severity) up to a constant of each line, of the candidate."""
        if not len(examples.texts):
            return np.zeros((0, 8), np.float32)
        with torch.inference_mode():
            tokens, groups, order = self._tokens(examples, dropout=0.0)
            logits = self._model(tokens, groups).logits / self.checkpoint.card.temperature
            found = np.empty((len(order), logits.shape[1]), np.float32)
            found[order] = logits.log_softmax(-1).numpy()
            return found

    def kept_log_likelihood(self, examples: Examples) -> Floats:
        """As `log_likelihood`, of the model that `roll_back` comes back to."""
        candidate = self._copy()
        self._put(self._kept)
        try:
            return self.log_likelihood(examples)
        finally:
            self._put(candidate)

    def keep(self) -> None:
        """The candidate has proved itself: it is what `roll_back` comes back to."""
        self._kept = self._copy()

    def roll_back(self) -> None:
        """Back to what was kept; the optimiser's moments led away from it, and go as well."""
        self._put(self._kept)
        self._adam = self._fresh_optimiser()

    def snapshot(self) -> Checkpoint:
        """A copy as it can be stored."""
        model = copy.deepcopy(self._model).eval()
        round_for_storage(model)
        card = copy.deepcopy(self.checkpoint.card)
        return Checkpoint(model, card, self.checkpoint.reference_surprise)

    def _loss(
        self, examples: Examples, stored: Tensor | None = None
    ) -> tuple[Floats, Floats, Tensor]:
        """Cross-entropy (N,) and log-likelihoods (N, 8) of each line; what is minimised, (N,)."""
        tokens, groups, order = self._tokens(examples, dropout=APP_DROPOUT)
        model = self._model
        scored = model.experts(tokens, groups)
        prior = torch.from_numpy(examples.log_prior[order])
        target = torch.from_numpy(examples.severity[order])
        agreed = scored.logits / self.checkpoint.card.temperature
        nats = functional.cross_entropy(agreed + prior, target, reduction="none")  # (N,)
        loss = (
            functional.cross_entropy(scored.deep + prior, target, reduction="none")
            + functional.cross_entropy(scored.linear + prior, target, reduction="none")
            + RANKED
            * ranked_probability_score((agreed + prior).log_softmax(-1), target, mean=False)
            - FLOW * model.flow.log_prob(scored.latent.detach())
        )
        if stored is not None:
            then = stored[torch.from_numpy(order)]
            loss = loss + LOGITS * (agreed.log_softmax(-1) - then).square().sum(-1)
        place = np.argsort(order)
        found = agreed.detach().log_softmax(-1)
        return nats.detach().numpy()[place], found.numpy()[place], loss[torch.from_numpy(place)]

    def _tokens(
        self, examples: Examples, dropout: float
    ) -> tuple[Words, Groups, npt.NDArray[np.intp]]:
        hidden = self._random.random(len(examples.texts)) < dropout
        lines: list[list[int]] = []
        index: dict[str, int] = {}
        for app, facility, text, unknown in zip(
            examples.apps, examples.facilities, examples.texts, hidden.tolist(), strict=True
        ):
            name = "" if unknown else known_app(app, self._apps)
            lines.append(
                [index.setdefault(word, len(index)) for word in words(name, facility, text)]
            )
        flat, offsets = bags(list(index))
        vocabulary = self._model.words(torch.tensor(flat), torch.tensor(offsets))
        packed = pack(lines)
        return vocabulary.take(torch.from_numpy(packed.words)), packed.groups, packed.order

    def _put(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._taught, values, strict=True):
                parameter.copy_(value)

    def _fresh_optimiser(self) -> torch.optim.AdamW:
        return torch.optim.AdamW([dict(group) for group in self._groups], betas=(0.9, 0.99))

    def _copy(self) -> list[Tensor]:
        return [p.detach().clone() for p in self._taught]
