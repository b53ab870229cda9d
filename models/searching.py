"""Code search's side of a checkpoint, in NumPy: texts in, unit vectors out.

What `Encoder.embed` and `SearchHead` compute for training is computed here without torch, whose
import alone would take longer than a question and its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize

from models.folder import misfit, read_folder
from models.ngrams import Ints, rehash
from models.places import SCALE, SCHEMA, TABLE, WEIGHTS, checkpoint_in, version_of
from models.tokens import bag, bags

Floats = npt.NDArray[np.float32]

_QUERY: Final = 0
_CODE: Final = 1
_SLICE: Final = 64
"""Texts taken together: they share the work for the words they share."""
_KEPT_WORDS: Final = 16_384
"""Words whose vectors are remembered, 1 KB each; then all are forgotten."""


class SearchWeights(NamedTuple):
    """What the search needs of a checkpoint."""

    table: npt.NDArray[np.int8]  # (R, e) n-gram vectors
    scale: Floats  # (R, 1)
    word: Floats  # (2, B) what a hashed word weighs in a question and in code
    header: float
    saturation: float


class Spread(NamedTuple):
    """The words of N questions, T in all, before they are weighed and summed."""

    vectors: Floats  # (T, dim)
    buckets: Ints  # (T,) which weight each word has
    shares: Floats  # (T,) what its repetitions count
    of_text: Ints  # (T,)


class SearchEngine:
    """Questions and code as vectors whose dot product is their likeness; not thread-safe."""

    def __init__(self, weights: SearchWeights, version: str) -> None:
        self.version = version
        self.parameters = weights.table.size + weights.word.size + 2
        self.dim = 2 * weights.table.shape[1]
        self._weights = weights
        self._places: dict[str, int] = {}
        self._hashes = np.zeros(_KEPT_WORDS, np.int64)
        self._vectors = np.zeros((_KEPT_WORDS, self.dim), np.float32)

    @classmethod
    def load(cls, path: Path) -> SearchEngine:
        """Load a checkpoint directory.

        Raises models.errors.CheckpointError, one line, for one that cannot be used.
        """
        path = checkpoint_in(path)
        folder = read_folder(path, SCHEMA, WEIGHTS)
        try:
            weights = _read(folder.weights)
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise misfit(path, error) from error
        return cls(weights, version_of(path, folder.digest))

    def queries(self, texts: Sequence[str]) -> Floats:
        """Questions in plain words, (N, dim); a text without a word is all zeros."""
        return self._encode(texts, _QUERY)

    def codes(self, texts: Sequence[str]) -> Floats:
        """Pieces of source code, (N, dim)."""
        return self._encode(texts, _CODE)

    @property
    def word_weights(self) -> Floats:
        """(B,) what words weigh in questions."""
        weights: Floats = self._weights.word[_QUERY]
        return weights

    def tuned(self, change: Floats) -> SearchEngine:
        """The same for code; in questions words weigh exp(change) times as much, (B,)."""
        words = np.stack((self._weights.word[_QUERY] * np.exp(change), self._weights.word[_CODE]))
        return SearchEngine(self._weights._replace(word=words), self.version)

    def spread(self, texts: Sequence[str]) -> Spread:
        """What `queries` sums up."""
        found = [bag(text) for text in texts]
        places = self._look_up([word.word for words in found for word in words])  # (T,)
        times = np.array([word.times for words in found for word in words], np.float32)
        return Spread(
            self._vectors[places],
            self._hashes[places] % len(self.word_weights),
            times / (times + self._weights.saturation),
            np.repeat(np.arange(len(texts)), [len(words) for words in found]),
        )

    def _encode(self, texts: Sequence[str], side: int) -> Floats:
        result = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), _SLICE):
            found = [bag(text) for text in texts[start : start + _SLICE]]
            places = self._look_up([word.word for words in found for word in words])  # (T,)
            times = np.array([word.times for words in found for word in words], np.float32)
            weights = self._weights
            # A word said often counts for more, but never for much more (as in BM25).
            weight = weights.word[side][self._hashes[places] % weights.word.shape[1]]
            weight = weight * times / (times + weights.saturation)
            if side == _CODE:
                header = np.array([w.in_header for words in found for w in words], np.float32)
                weight *= 1 + weights.header * header
            begin = 0
            for number, words in enumerate(found, start):
                end = begin + len(words)
                # One text at a time and row by row: the sum does not depend on its company.
                np.add.reduce(
                    self._vectors[places[begin:end]] * weight[begin:end, None],
                    0,
                    out=result[number],
                )
                begin = end
        length = np.sqrt(np.square(result).sum(1, keepdims=True))
        result /= np.maximum(length, 1e-12)
        return result

    def _look_up(self, words: list[str]) -> Ints:
        """Rows of `_vectors` for words, (T,)."""
        if len(self._places) + len(words) > _KEPT_WORDS:
            self._places.clear()
        fresh = [word for word in dict.fromkeys(words) if word not in self._places]
        known, needed = len(self._places), len(self._places) + len(fresh)
        if (more := needed - len(self._vectors)) > 0:  # texts of very many words
            self._vectors = np.concatenate((self._vectors, np.zeros((more, self.dim), np.float32)))
            self._hashes = np.concatenate((self._hashes, np.zeros(more, np.int64)))
        if fresh:
            flat, offsets = bags(fresh)
            self._hashes[known:needed] = flat[offsets]
            self._vectors[known:needed] = self._embed(flat, offsets)
            self._places.update(zip(fresh, range(known, needed), strict=True))
        return np.array([self._places[word] for word in words], np.int64)

    def _embed(self, features: Ints, offsets: Ints) -> Floats:
        """`Encoder.embed`: (F,) and (V,) → (V, dim)."""
        sizes = np.diff(offsets, append=len(features))
        longest_first = np.argsort(-sizes, kind="stable")
        begins, left = offsets[longest_first], sizes[longest_first]
        sums = np.zeros((len(offsets), self.dim), np.float32)
        for which, half in enumerate(np.split(sums, 2, axis=1)):
            rows = rehash(features, which, len(self._weights.table))
            for number in range(left[0]):  # the first feature of all words, the second …
                n = np.searchsorted(-left, -number)
                half[:n] += self._rows(rows[begins[:n] + number])
        vectors = np.empty_like(sums)
        vectors[longest_first] = sums / np.sqrt(left.astype(np.float32))[:, None]
        return vectors

    def _rows(self, rows: Ints) -> Floats:
        """Rows of the table, (n,) → (n, e)."""
        return self._weights.table[rows] * self._weights.scale[rows]


def _read(data: bytes) -> SearchWeights:
    """Raises KeyError, ValueError, SafetensorError."""
    # safetensors has no annotation there.
    tensors: dict[str, dict[str, Any]] = dict(deserialize(data))  # type: ignore[no-untyped-call]
    table = np.frombuffer(tensors[TABLE]["data"], np.int8).reshape(tensors[TABLE]["shape"])
    learnt = 4 * _floats(tensors["search.weight"])
    return SearchWeights(
        table,
        _floats(tensors[SCALE]).reshape(len(table), 1),
        np.asarray(np.logaddexp(0, learnt) / 4, np.float32),  # softplus, sharpened
        float(_floats(tensors["search.header"])),
        abs(float(_floats(tensors["search.saturation"]))) + 0.1,
    )


def _floats(tensor: dict[str, Any]) -> Floats:
    """A tensor of bf16 or fp32 as fp32."""
    if tensor["dtype"] == "BF16":  # the upper half of an fp32
        bits = np.frombuffer(tensor["data"], np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).reshape(tensor["shape"])
    if tensor["dtype"] != "F32":
        raise ValueError(f"weights of type {tensor['dtype']}")
    return np.frombuffer(tensor["data"], np.float32).reshape(tensor["shape"])
