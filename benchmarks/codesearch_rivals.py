"""Other ways to search the same snippets: words, as they stand or stemmed, and ripgrep."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import lexical
from benchmarks.codesearch_metric import rrf
from benchmarks.codesearch_minilm import MiniLM

Floats = npt.NDArray[np.floating]
Ranker = Callable[[list[str], list[str]], Floats]
"""Docs (Q) and codes (C) → scores (Q, C), higher is nearer."""

_WORD = re.compile(r"\w+")


def raw_words(text: str) -> list[str]:
    """Words as they stand, in small letters."""
    return _WORD.findall(text.lower())


def raw_bm25(docs: list[str], codes: list[str]) -> Floats:
    """Scores (Q, C) of BM25 (Lucene's form, k1 1.5, b 0.75) over raw words."""
    from bm25s import BM25

    index = BM25()
    index.index([raw_words(code) for code in codes], show_progress=False)
    scores = np.zeros((len(docs), len(codes)), np.float32)
    for row, doc in enumerate(docs):
        if asked := list(dict.fromkeys(raw_words(doc))):
            scores[row] = index.get_scores(asked)
    return scores


def rankers(minilm: MiniLM | None) -> dict[str, Ranker]:
    """By name."""
    found: dict[str, Ranker] = {
        "BM25, raw words": raw_bm25,
        "BM25, stems": lexical.bm25,
        "TF-IDF": lexical.tf_idf,
    }
    if minilm:
        found["MiniLM-L6"] = minilm
        found["BM25, stems + MiniLM-L6, RRF"] = lambda docs, codes: rrf(
            lexical.bm25(docs, codes), minilm(docs, codes)
        )
    return found


def ripgrep(words: Sequence[str], root: Path, files: Sequence[str]) -> list[str]:
    """Those of some files that hold a word, by the number of places where one stands, most first.

    Raises RuntimeError where ripgrep fails.
    """
    patterns = [option for word in words for option in ("-e", word)]
    if not patterns:
        return []
    command = ["rg", "--no-config", "--ignore-case", "--fixed-strings", "--threads=1"]
    command += ["--count-matches", "--with-filename", "--null", *patterns, "--", *files]
    done = subprocess.run(
        command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode > 1:  # 1: nothing was found
        raise RuntimeError(f"rg: {done.stderr.strip().splitlines()[0]}")
    counts = [line.rpartition("\0") for line in done.stdout.splitlines()]
    return [file for file, _, count in sorted(counts, key=lambda c: (-int(c[2]), c[0]))]


def has_ripgrep() -> bool:
    return shutil.which("rg") is not None


def asked_words(text: str) -> list[str]:
    """What one would grep for: the words of a question without stop words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return [word for word in dict.fromkeys(raw_words(text)) if word not in ENGLISH_STOP_WORDS]
