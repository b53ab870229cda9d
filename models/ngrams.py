"""CRC-32 of the n-grams of many words at once: as zlib's, computed a byte a step on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Ints = npt.NDArray[np.int64]
Hashes = TypeVar("Hashes", "Tensor", Ints)

SIZES: Final = (3, 4, 5)
_FACTORS: Final = (1, 2_654_435_761, 2_246_822_519, 3_266_489_917)
_SHIFTS: Final = (0, 13, 7, 11)


def _table() -> npt.NDArray[np.uint32]:
    """(256,) of the reflected polynomial 0xEDB88320 (ISO 3309)."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, (crc >> 1) ^ np.uint32(0xEDB88320), crc >> 1)
    return crc


_TABLE: Final = _table()


def hashed(words: Sequence[bytes]) -> tuple[list[npt.NDArray[np.uint32]], list[Ints]]:
    """For each of SIZES: the hashes of all words' n-grams, in order, and how many each word has.

    ([(G₃,), (G₄,), (G₅,)], [(V,)] * 3); zlib.crc32 of each n-gram.
    """
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    data = np.frombuffer(b"".join(words) + bytes(max(SIZES)), np.uint8)
    n = len(data) - max(SIZES)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(n)  # (n,) bytes to the word's end
    crc = np.full(n, 0xFFFFFFFF, np.uint32)
    hashes, counts = [], []
    for size in range(1, max(SIZES) + 1):
        crc = _TABLE[(crc ^ data[size - 1 : size - 1 + n]) & 0xFF] ^ (crc >> 8)
        if size in SIZES:
            hashes.append(~crc[left >= size])
            counts.append(np.maximum(lengths - size + 1, 0))
    return hashes, counts


def ranges(begins: Ints, counts: Ints) -> Ints:
    """`counts` numbers from each begin on, joined: (V,) and (V,) → (counts.sum(),)."""
    starts = np.cumsum(counts) - counts
    joined: Ints = np.arange(counts.sum()) + np.repeat(begins - starts, counts)
    return joined


def rehash(features: Hashes, which: int, buckets: int) -> Hashes:
    """Table rows of 32-bit hashes: four families (`which` 0 … 3), (F,) → (F,)."""
    if which:
        features = ((features * _FACTORS[which]) & 0xFFFFFFFF) >> _SHIFTS[which]
    if buckets & (buckets - 1) == 0:  # the remainder by a power of two, without dividing
        return features & (buckets - 1)
    return features % buckets
