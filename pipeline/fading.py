"""Counts that fade with what is added to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[Any]


def add_fading(counts: Counts, new: Counts, half_life: float) -> None:
    """Add new counts to (…, 8) `counts`, each row of which fades with what is added to it.

    The new ones came one after the other, so that they have faded themselves by now; no row
    comes to more than half_life / ln 2.
    """
    rate = np.log(2) / half_life
    faded = rate * new.sum(axis=-1, keepdims=True) + 1e-30  # (…, 1)
    counts *= np.exp(-faded)
    counts += new * (-np.expm1(-faded) / faded)
