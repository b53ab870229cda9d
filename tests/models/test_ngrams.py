from zlib import crc32

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.ngrams import SIZES, hashed, ranges


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_n_grams_are_hashed_as_zlib_does(words: list[bytes]) -> None:
    hashes, counts = hashed(words)
    for size, found, count in zip(SIZES, hashes, counts, strict=True):
        of_word = [[w[i : i + size] for i in range(len(w) - size + 1)] for w in words]
        assert found.tolist() == [crc32(gram) for grams in of_word for gram in grams]
        assert count.tolist() == [len(grams) for grams in of_word]


def test_ranges_are_joined() -> None:
    found = ranges(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert found.tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
