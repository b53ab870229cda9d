"""Pairs of a docstring and its code, as bags of word numbers, in batches with hard negatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.errors import CorpusError
from models.search import Bags
from models.tokens import bag, has_words
from models.training.corpus import Ints
from models.training.vocabulary import Vocabulary, ranges

CHUNK = 128
"""Pairs of one package that stay together in a batch: the negatives that are hard."""
WORD_DROPOUT = 0.1
NAME_DROPOUT = 0.2
"""Codes whose header is left out, so that the body must do."""


@dataclass
class Texts:
    """Texts as bags: distinct words with their counts."""

    words: npt.NDArray[np.int32]
    counts: npt.NDArray[np.float32]
    header: npt.NDArray[np.bool_]
    offsets: Ints  # (N + 1,)


@dataclass
class Pairs:
    vocabulary: Vocabulary
    docs: Texts
    codes: Texts
    package: Ints  # (N,) number of each pair's package

    def __len__(self) -> int:
        return len(self.package)


@dataclass
class PairBatch:
    features: Tensor  # (F,) hashed features of the distinct words of both sides
    offsets: Tensor  # (V,)
    docs: Bags
    codes: Bags


def read_pairs(path: Path) -> Pairs:
    """Read Parquet with the columns doc, code and package, but no pair without a word on a side.

    Raises CorpusError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["doc", "code", "package"])
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise CorpusError(f"{path}: want doc, code, package: {reason}") from error
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
    columns = (table[name].to_pylist() for name in ("doc", "code", "package"))
    rows = [
        (doc, code, package or "")
        for doc, code, package in zip(*columns, strict=True)
        if has_words(doc or "") and has_words(code or "")
    ]
    if not rows:
        raise CorpusError(f"{path}: no usable pair (want words in doc and in code)")
    docs, codes, packages = zip(*rows, strict=True)
    vocabulary = Vocabulary()
    docs_of, codes_of = _texts(docs, vocabulary), _texts(codes, vocabulary)
    vocabulary.freeze()
    _, package = np.unique(np.array(packages), return_inverse=True)
    return Pairs(vocabulary, docs_of, codes_of, package.astype(np.int64))


def pair_batches(pairs: Pairs, seed: int, number: int, size: int) -> Iterator[PairBatch]:
    """One epoch in full batches; what is left over waits for another epoch's order.

    Fewer pairs than a batch are one smaller batch.
    """
    rng = np.random.default_rng((seed, 1 << 20, number))
    shuffled = rng.permutation(len(pairs))
    by_package = shuffled[np.argsort(pairs.package[shuffled], kind="stable")]
    _, starts = np.unique(pairs.package[by_package], return_index=True)
    chunks = [
        group[i : i + CHUNK]
        for group in np.split(by_package, starts[1:])
        for i in range(0, len(group), CHUNK)
    ]
    rows = np.concatenate([chunks[i] for i in rng.permutation(len(chunks)).tolist()])
    for i in rng.permutation(pair_batches_per_epoch(pairs, size)).tolist():
        yield _batch(pairs, rows[i * size : (i + 1) * size], rng)


def pair_batches_per_epoch(pairs: Pairs, size: int) -> int:
    return max(1, len(pairs) // size)


def document_frequency(texts: Texts, words: int) -> Ints:
    """(V,) texts that each word of the vocabulary is in."""
    return np.bincount(texts.words, minlength=words)


def _texts(texts: Sequence[str], vocabulary: Vocabulary) -> Texts:
    words: list[int] = []
    counts: list[int] = []
    header: list[bool] = []
    ends = [0]
    for text in texts:
        for word in bag(text):
            words.append(vocabulary.number(word.word))
            counts.append(word.times)
            header.append(word.in_header)
        ends.append(len(words))
    return Texts(
        np.array(words, np.int32),
        np.array(counts, np.float32),
        np.array(header, np.bool_),
        np.array(ends, np.int64),
    )


def _batch(pairs: Pairs, rows: Ints, rng: np.random.Generator) -> PairBatch:
    docs = _draw(pairs.docs, rows, rng, name_dropout=0.0)
    codes = _draw(pairs.codes, rows, rng, name_dropout=NAME_DROPOUT)
    distinct, place = np.unique(np.concatenate((docs[0], codes[0])), return_inverse=True)
    features, offsets = pairs.vocabulary.bag(distinct)
    hashes = features[offsets]

    def bags(at: Ints, drawn: _Drawn) -> Bags:
        places = torch.from_numpy(at)
        _, counts, header, starts = drawn
        return Bags(
            places,
            hashes[places],
            torch.from_numpy(counts),
            torch.from_numpy(header.astype(np.float32)),
            torch.from_numpy(starts),
        )

    cut = len(docs[0])
    return PairBatch(features, offsets, bags(place[:cut], docs), bags(place[cut:], codes))


_Drawn = tuple[Ints, npt.NDArray[np.float32], npt.NDArray[np.bool_], Ints]


def _draw(texts: Texts, rows: Ints, rng: np.random.Generator, *, name_dropout: float) -> _Drawn:
    """Words, counts, header marks and starts of these texts, some words left out."""
    places, starts = ranges(texts.offsets[rows], texts.offsets[rows + 1])
    header = texts.header[places]
    row = np.repeat(np.arange(len(rows)), texts.offsets[rows + 1] - texts.offsets[rows])
    kept = rng.random(len(places)) >= WORD_DROPOUT
    if name_dropout:
        kept &= ~((rng.random(len(rows)) < name_dropout)[row] & header)
    kept[starts[starts < len(kept)]] = True  # no text is left without a word
    places, header, row = places[kept], header[kept], row[kept]
    first = np.searchsorted(row, np.arange(len(rows)))
    return texts.words[places].astype(np.int64), texts.counts[places], header, first
