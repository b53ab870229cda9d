"""Rivals of the encoder in code search that compare words: stemmed BM25, and TF-IDF.

Both come with the extra `bench`: pip install 'ltt-stream[bench]'.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from Stemmer import Stemmer

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@cache
def _stemmer() -> Stemmer:
    from Stemmer import Stemmer

    return Stemmer("english")


@cache
def _stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


@lru_cache(1 << 18)
def _stems(word: str) -> tuple[str, ...]:
    parts = [part.lower() for part in _PART.findall(word)]
    whole = [word.lower()] if len(parts) != 1 else []
    return tuple(_stemmer().stemWords([w for w in whole + parts if w not in _stop_words()]))


def stems(text: str) -> list[str]:
    """The Snowball stems of identifiers and of their camel and snake parts, stop words out."""
    return [stem for word in _WORD.findall(text) for stem in _stems(word)]


def bm25(docs: list[str], codes: list[str]) -> npt.NDArray[np.floating]:
    """Scores (Q, C) of BM25 (Lucene's form, k1 1.5, b 0.75) over stems."""
    from bm25s import BM25

    index = BM25()
    index.index([stems(code) for code in codes], show_progress=False)
    scores = np.zeros((len(docs), len(codes)), np.float32)
    for row, doc in enumerate(docs):
        asked = list(dict.fromkeys(stems(doc)))
        if asked:
            scores[row] = index.get_scores(asked)
    return scores


def tf_idf(docs: list[str], codes: list[str]) -> npt.NDArray[np.floating]:
    """Cosines (Q, C) of TF-IDF vectors: stems and character 3- to 5-grams side by side."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    sides = [
        TfidfVectorizer(analyzer=stems, sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True),
    ]
    code = hstack([side.fit_transform(codes) for side in sides], format="csr")
    doc = hstack([side.transform(docs) for side in sides], format="csr")
    cosines: npt.NDArray[np.floating] = (doc @ code.T).toarray() / 2
    return cosines
