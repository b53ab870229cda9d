"""Which type computes the matrix products: asked of the hardware once, by timing it.

A CPU with AMX or AVX512-BF16 multiplies bf16 several times faster than fp32; one without can be
hundreds of times slower. What the vendor string says is no help inside virtual machines, so both
are timed at the size the encoder has.
"""

from __future__ import annotations

import functools
import time
from typing import Literal, NamedTuple

import torch
from torch.nn import functional

DType = Literal["auto", "bf16", "fp32"]


class Precision(NamedTuple):
    """The chosen type and the reason, for people."""

    name: Literal["bf16", "fp32"]
    reason: str

    @property
    def torch_dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.name == "bf16" else torch.float32


def choose(asked: DType, width: int, inner: int) -> Precision:
    """Decide the type of products of (rows, width) by (width, inner).

    Raises ValueError for a name that is none of auto, bf16, fp32.
    """
    if asked == "auto":
        bf16_s, fp32_s = probe(width, inner)
        name: Literal["bf16", "fp32"] = "bf16" if bf16_s <= fp32_s else "fp32"
        return Precision(name, f"bf16 {bf16_s * 1e6:.0f} µs, fp32 {fp32_s * 1e6:.0f} µs a product")
    if asked not in ("bf16", "fp32"):
        raise ValueError(f"dtype {asked!r}: expected auto, bf16 or fp32")
    return Precision(asked, "asked for")


@functools.cache
def probe(width: int, inner: int, rows: int = 512) -> tuple[float, float]:
    """Seconds of one product in bf16, with the casts around it, and in fp32; once a process."""
    x = torch.full((rows, width), 0.5)
    weight = torch.full((inner, width), 0.5)
    weight_bf16 = weight.to(torch.bfloat16)

    def best_s(dtype: torch.dtype, w: torch.Tensor) -> float:
        times = []
        for _ in range(6):
            begin = time.perf_counter()
            functional.linear(x.to(dtype), w).float()
            times.append(time.perf_counter() - begin)
        return min(times)

    with torch.inference_mode():
        return best_s(torch.bfloat16, weight_bf16), best_s(torch.float32, weight)
