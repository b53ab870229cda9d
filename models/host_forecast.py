"""Where a host is heading: the probability of each severity in the next minutes (no torch).

Each host has fading counts of what it said, by severity and at a few time scales; like the latent
state they obey a linear ODE, c' = −c / T with a step of 1 at each line. From them, and from the
latent state as it will have faded, comes a hazard: lines of severity s within τ seconds are a
Poisson count in the mean Λ_s, so that

    P(any within τ) = 1 − exp(−Λ_s),
    log Λ_s = b_s + Σ_m w_m log(1 + r_ms τ / ε) + v_s · h(state)

with r_ms the rate at time scale m, and b, w and v learned at a few horizons τ. Between two of them
log Λ is a line in log τ, and a longer horizon is never given less than a shorter one. With
w = v = 0 this is a base rate, with one w at 1 and b at log ε a moving average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.host_dynamics import Doubles, Floats

SEVERITIES = 8
FADE_S = np.array([60.0, 600.0, 7200.0, 604_800.0])
"""(M,) time scales T of the counts."""
AHEAD_S = np.array([60.0, 300.0, 900.0, 3600.0])
"""(A,) horizons that are learned."""
FAINT = 0.01
"""ε: fewer lines expected than this tell nothing apart."""
LEAST_S = 1.0


@dataclass(frozen=True)
class Forecast:
    """Learned numbers of A horizons, 8 severities, M time scales and H hidden units."""

    bias: Floats
    """(A, 8) b"""
    rates: Floats
    """(A, M) w, at least 0"""
    state: Floats
    """(A, H, 8) v"""

    def check(self, hidden: int) -> None:
        """Raises ValueError where shapes or values do not fit."""
        ahead = len(AHEAD_S)
        shapes = {
            "bias": (ahead, SEVERITIES),
            "rates": (ahead, len(FADE_S)),
            "state": (ahead, hidden, SEVERITIES),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"forecast {name} is {value.shape}, or not finite")
        if (self.rates < 0).any():
            raise ValueError("forecast rates below 0")

    def probability(
        self, counts: Doubles, age_s: Doubles, hidden: Floats, ahead_s: float
    ) -> Doubles:
        """(N, 8) of any line within `ahead_s` seconds.

        counts: (N, M, 8) faded until now. age_s: (N,) since the host was first seen. hidden:
        (N, H) of the state as of now.
        """
        knots = np.stack(
            [
                self.bias[a]
                + np.einsum("nms,m->ns", features(counts, age_s, float(tau)), self.rates[a])
                + hidden @ self.state[a]
                for a, tau in enumerate(AHEAD_S)
            ]
        )
        knots = np.maximum.accumulate(knots, axis=0)  # (A, N, 8)
        log_ahead, at = np.log(AHEAD_S), np.log(ahead_s)
        if at <= log_ahead[0] or at >= log_ahead[-1]:
            end = 0 if at <= log_ahead[0] else -1
            log_hazard = knots[end] + (at - log_ahead[end])  # as a steady rate has it
        else:
            right = int(np.searchsorted(log_ahead, at))
            share = (at - log_ahead[right - 1]) / (log_ahead[right] - log_ahead[right - 1])
            log_hazard = (1 - share) * knots[right - 1] + share * knots[right]
        found: Doubles = -np.expm1(-np.exp(np.clip(log_hazard, -30.0, 4.0)))
        return found


def features(counts: Doubles, age_s: Doubles, ahead_s: float) -> Doubles:
    """(N, M, 8) log(1 + r τ / ε), with rates that know how long the host has been watched."""
    watched = FADE_S * -np.expm1(-np.maximum(age_s, LEAST_S)[:, None] / FADE_S)  # (N, M)
    found: Doubles = np.log1p(counts / watched[:, :, None] * (ahead_s / FAINT))
    return found


def faded(counts: npt.NDArray[np.floating], passed_s: Doubles) -> Doubles:
    """(N, M, 8) counts after (N,) seconds without a line."""
    left = np.exp(-np.maximum(passed_s, 0.0)[:, None] / FADE_S)
    found: Doubles = counts * left[:, :, None]
    return found
