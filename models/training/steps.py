"""One step of training: what is minimised for a batch, and how fast which weights follow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.losses import (
    adjusted_cross_entropy,
    divergence,
    epps_pulley,
    info_nce,
    ranked_probability_score,
)
from models.raccoon import Raccoon
from models.search import CODE, QUERY
from models.training.batches import Batch
from models.training.pairs import PairBatch, Pairs, document_frequency

KL, PATH_KL, FLOW, NORMALITY = 1e-3, 1e-3, 0.02, 2e-3
RANKED, TWINS = 0.1, 0.01
TWIN_SCALE = 10.0
TEACHER = 1.0
"""Of a teacher's opinion, beside the labels' cross-entropy."""
TABLE_SHARE = 0.4
"""Of the learning rate, for the table once pairs have taught it what words mean."""
LINEAR_RATE, LINEAR_DECAY = 1e-2, 0.1
DECAY = 0.05


def severity_loss(model: Raccoon, batch: Batch) -> Tensor:
    """Both experts' cross-entropy and ranks, both KL terms, flow, Epps–Pulley, twins."""
    words = model.words(batch.features, batch.offsets)
    result = model.train_step(words.take(batch.words), batch.groups)
    loss = (
        adjusted_cross_entropy(result.logits, batch.target, batch.log_prior)
        + adjusted_cross_entropy(result.linear_logits, batch.target, batch.log_prior)
        + RANKED
        * ranked_probability_score((result.logits + batch.log_prior).log_softmax(-1), batch.target)
        + KL * result.kl
        + PATH_KL * result.path_kl
        - FLOW * result.log_prob.mean()
        + NORMALITY * epps_pulley(result.latent, directions=64)
    )
    if batch.opinion is not None:
        for logits in (result.logits, result.linear_logits):
            loss = loss + TEACHER * divergence(batch.opinion, logits)
    if len(batch.twins[0]):
        one, other = (functional.normalize(result.mean[twin], dim=1) for twin in batch.twins)
        loss = loss + TWINS * info_nce(one, other, TWIN_SCALE)
    return loss


def search_loss(model: Raccoon, batch: PairBatch) -> Tensor:
    """Docstrings and codes of a batch must find each other among all of it."""
    vectors = model.encoder.embed(batch.features, batch.offsets)
    docs = model.search(vectors, batch.docs, QUERY)
    codes = model.search(vectors, batch.codes, CODE)
    return info_nce(docs, codes, model.search.log_scale.exp().clamp(max=100.0))


def begin_search(model: Raccoon, pairs: Pairs) -> None:
    """Let words weigh at first what they weigh in BM25: little if they are everywhere."""
    hashes = pairs.vocabulary.features[pairs.vocabulary.offsets[:-1]]
    buckets = model.search.weight.shape[1]
    for side, texts in ((QUERY, pairs.docs), (CODE, pairs.codes)):
        found = np.zeros(buckets)
        np.add.at(found, hashes % buckets, document_frequency(texts, len(hashes)))
        idf = np.log((len(pairs) + 1) / (found + 1)) / 6
        with torch.no_grad():
            model.search.weight[side] = torch.from_numpy(idf.clip(0.05, 3)).float()


class Optimiser:
    """AdamW with a pace for each kind of weights."""

    def __init__(self, model: Raccoon, *, pair_rate: float, rate: float) -> None:
        """pair_rate: of the epochs that see pairs alone; 0 where there are none."""
        self._model = model
        self._pair_rate, self._rate = pair_rate, rate
        table, votes, weights = model.encoder.ngrams, model.linear.votes, model.search.weight
        search = [p for p in model.search.parameters() if p is not weights]
        own = {id(p) for p in (table, votes, weights, *search)}
        rest = [p for p in model.parameters() if id(p) not in own]
        self.adam = torch.optim.AdamW(
            [
                {"params": [p for p in rest if p.ndim > 1], "weight_decay": DECAY},
                {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
                {"params": [table], "weight_decay": 0.0},
                {"params": [votes], "weight_decay": LINEAR_DECAY},
                {"params": [weights], "weight_decay": 0.0},
                {"params": search, "weight_decay": 0.0},
            ],
            lr=rate,
            betas=(0.9, 0.99),
            fused=True,
        )

    def pair_rates(self, left: float, warm_up: float) -> None:
        """While pairs alone are seen; left: the share of these steps that is left."""
        pace = self._pair_rate * min(1.0, warm_up) * (left + 0.01)
        self._set(0.0, 0.0, pace, 0.0, 0.3 * pace, pace)

    def rates(self, factor: float) -> None:
        """While severities are learnt; factor: of the schedule."""
        pace = self._rate * factor
        table = TABLE_SHARE if self._pair_rate else 1.0
        self._set(pace, pace, table * pace, LINEAR_RATE * factor, 0.1 * pace, 0.1 * pace)

    def descend(self, loss: Tensor) -> None:
        """One step down this loss."""
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 5.0)
        self.adam.step()

    def _set(self, *rates: float) -> None:
        for group, rate in zip(self.adam.param_groups, rates, strict=True):
            group["lr"] = rate
