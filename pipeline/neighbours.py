"""What a source's other templates say of one that it has never labelled.

A template that lies near others in the latent space is likely to be of their severity: the labels
of its neighbours count, each by a Gaussian kernel of the distance (Nadaraya 1964, Watson 1964),
those of the same program five times as much as others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WIDTH = 0.35
"""The kernel's, in standard deviations of the remembered latents."""
WEIGHT = 8.0
"""Labels of the model's answer's weight that a neighbour at no distance counts for."""
OTHER_PROGRAM = 0.2
_CHUNK = 128
"""Templates asked for at once: what fits the CPU's caches."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


def heed_neighbours(
    probability: Floats,
    latents: Floats,
    apps: Ints,
    known_latents: Floats,
    known_apps: Ints,
    known_labels: Floats,
) -> Floats:
    """(R, 8) what the model says of R templates → what it and their neighbours say.

    latents: (R, D). apps: (R,). known_latents: (T, D), known_apps: (T,) and known_labels: (T, 8),
    shares of each severity, of those that the source has labelled.
    """
    spread = max(float(known_latents.std(axis=0).mean()), 1e-3)
    scale = np.float32(1 / (WIDTH * spread * np.sqrt(2 * latents.shape[1])))
    known = known_latents * scale
    norms = (known * known).sum(axis=1)
    result = np.empty_like(probability)
    for low in range(0, len(latents), _CHUNK):
        part = slice(low, low + _CHUNK)
        asked = latents[part] * scale
        near = 2 * asked @ known.T - norms - (asked * asked).sum(axis=1)[:, None]  # (r, T)
        np.exp(np.clip(near, -80, 0, out=near), out=near)
        near *= np.where(apps[part, None] == known_apps, np.float32(1), np.float32(OTHER_PROGRAM))
        votes = np.float32(WEIGHT) * near @ known_labels  # (r, 8)
        result[part] = (probability[part] + votes) / (1 + votes.sum(axis=1, keepdims=True))
    return result
