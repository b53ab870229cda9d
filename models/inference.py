"""The border of the model: canonical texts in, numpy arrays out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from models.checkpoint import Checkpoint, load_checkpoint
from models.encoder import Groups
from models.frozen import Frozen
from models.lexicon import Lexicon
from models.packing import pack
from models.precision import DType, Precision, choose
from models.raccoon import CLASSES

Floats = npt.NDArray[np.float32]

_BATCH = 256
"""Lines computed at once: larger ones leave the CPU's caches, and take 20 MB and more beside."""
_SLICE = 512
"""Lines looked at together to find equal lengths; their words must fit the lexicon."""


class Scores(NamedTuple):
    latent: Floats  # (N, D)
    log_likelihood: Floats  # (N, 8) log p(text | severity) up to a constant of each line
    surprise: Floats  # (N,) −log p(latent) under the flow, nats


class Uncertainty(NamedTuple):
    """Mean and standard deviation over Monte-Carlo paths."""

    probability: Floats  # (N, 8)
    probability_std: Floats  # (N, 8)
    surprise: Floats  # (N,)
    surprise_std: Floats  # (N,)


class Engine:
    """A loaded model that scores texts; not thread-safe."""

    def __init__(self, checkpoint: Checkpoint, *, dtype: DType = "auto", threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self.dtype_asked, self.threads = dtype, threads
        self._model = checkpoint.model.eval()
        self._temperature = checkpoint.card.temperature
        architecture = checkpoint.model.architecture
        self.precision: Precision = choose(dtype, architecture.width, architecture.inner)
        self._frozen = Frozen(self._model, self.precision.torch_dtype)
        self._model.set_product_dtype(self.precision.torch_dtype)
        self.version = checkpoint.version
        self.dtype: str = self.precision.name
        self.latent_dim = architecture.latent
        self.corpus_prior = np.array(checkpoint.card.corpus_prior, np.float32)
        self.prior_strength = checkpoint.card.prior_strength
        self.emission_prior = np.array(checkpoint.card.emission_prior, np.float32)
        self.reference_surprise = checkpoint.reference_surprise
        self._lexicon = Lexicon(self._model, frozenset(checkpoint.card.apps))

    @classmethod
    def load(cls, path: Path, *, dtype: DType = "auto", threads: int = 1) -> Engine:
        """Load a checkpoint directory.

        Raises models.checkpoint.CheckpointError, one line, for one that cannot be used.
        """
        return cls(load_checkpoint(path), dtype=dtype, threads=threads)

    def encode(
        self,
        apps: Sequence[str],
        texts: Sequence[str],
        facilities: Sequence[int] | None = None,
    ) -> Scores:
        """Score canonical texts (models.text.canonical).

        An app that training has not met counts as unknown, as "" does: on programs never seen a
        made-up meaning of the name costs more than the name is worth. facilities: of RFC 5424,
        -1 where unknown; all are without them.
        """
        n = len(texts)
        latent = np.empty((n, self.latent_dim), np.float32)
        log_likelihood = np.empty((n, CLASSES), np.float32)
        surprise = np.empty(n, np.float32)
        with torch.inference_mode():
            for rows, words, groups in self._batches(apps, texts, facilities):
                scored = self._frozen(words, self._lexicon.words, groups)
                latent[rows] = scored.latent.numpy()
                logits = scored.logits / self._temperature
                log_likelihood[rows] = logits.log_softmax(-1).numpy()
                surprise[rows] = -scored.log_prob.numpy()
        return Scores(latent, log_likelihood, surprise)

    def uncertainty(
        self,
        apps: Sequence[str],
        texts: Sequence[str],
        facilities: Sequence[int] | None = None,
        *,
        log_prior: Floats | None = None,
        paths: int = 16,
        seed: int = 0,
    ) -> Uncertainty:
        """How far noise in the latent moves a score, from `paths` draws.

        log_prior: (N, 8) or (8,) of the severities, its strength included; the emission prior
        if there is none.
        """
        n = len(texts)
        result = Uncertainty(
            np.empty((n, CLASSES), np.float32),
            np.empty((n, CLASSES), np.float32),
            np.empty(n, np.float32),
            np.empty(n, np.float32),
        )
        emission = self.prior_strength * np.log(self.emission_prior)
        prior = emission if log_prior is None else log_prior
        of_line = torch.from_numpy(np.array(np.broadcast_to(prior, (n, CLASSES)), np.float32))
        generator = torch.Generator().manual_seed(seed)
        with torch.inference_mode():
            for rows, words, groups in self._batches(apps, texts, facilities):
                tokens = self._lexicon.words.take(words)
                scored = self._model.sample(tokens, groups, paths, generator)
                probability = (scored.logits / self._temperature + of_line[rows]).softmax(-1)
                result.probability[rows] = probability.mean(0).numpy()
                result.probability_std[rows] = probability.std(0, correction=0).numpy()
                result.surprise[rows] = -scored.log_prob.mean(0).numpy()
                result.surprise_std[rows] = scored.log_prob.std(0, correction=0).numpy()
        return result

    def _batches(
        self, apps: Sequence[str], texts: Sequence[str], facilities: Sequence[int] | None
    ) -> Iterator[tuple[npt.NDArray[np.intp], torch.Tensor, Groups]]:
        """Batches of lines of about equal length: their rows, their words' numbers, packed."""
        if facilities is None:
            facilities = [-1] * len(texts)
        if not len(apps) == len(texts) == len(facilities):
            raise ValueError(f"{len(apps)} apps, {len(facilities)} facilities, {len(texts)} texts")
        for start in range(0, len(texts), _SLICE):
            part = slice(start, start + _SLICE)
            lines = self._lexicon.read(apps[part], facilities[part], texts[part])
            lengths = np.fromiter(map(len, lines), np.intp, len(lines))
            by_length = np.argsort(lengths, kind="stable")
            for begin in range(0, len(lines), _BATCH):
                rows = by_length[begin : begin + _BATCH]
                packed = pack([lines[i] for i in rows.tolist()])
                yield start + rows[packed.order], torch.from_numpy(packed.words), packed.groups
