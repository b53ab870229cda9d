"""Host dynamics made up for tests, and a history whose order matters."""

from __future__ import annotations

import numpy as np

from models.host_checkpoint import HostModel
from models.host_dynamics import Dynamics
from models.host_forecast import AHEAD_S, FADE_S, SEVERITIES, Forecast
from models.training.hosts import History

D, S, H, K = 5, 8, 6, 4


def dynamics(seed: int = 0, *, latent_dim: int = D, held_out: int = 500) -> Dynamics:
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return (0.4 * rng.normal(size=shape)).astype(np.float32)

    found = Dynamics(
        rate_time=np.array([0.5, 0.001], np.float32),
        rate_line=np.array([0.7, 0.05], np.float32),
        enter=some(latent_dim, S),
        enter_code=some(K, S),
        hidden=some(S, H),
        hidden_bias=some(H),
        out=some(H, K),
        out_bias=some(K),
        base=np.array([0.1, 0.4, 0.3, 0.2], np.float32),
        centres=(10 * rng.normal(size=(K, latent_dim))).astype(np.float32),
        ids=np.array([0, 11, 12, 13], np.uint64),
        held_out=some(held_out),
    )
    found.check()
    return found


def forecast() -> Forecast:
    ahead = len(AHEAD_S)
    rates = np.zeros((ahead, len(FADE_S)), np.float32)
    rates[:, 1] = 1
    bias = np.full((ahead, SEVERITIES), np.log(0.01), np.float32)
    return Forecast(bias, rates, np.zeros((ahead, H, SEVERITIES), np.float32))


def model(seed: int = 0, *, latent_dim: int = D) -> HostModel:
    return HostModel(
        dynamics(seed, latent_dim=latent_dim), forecast(), "raccoon-test", {}, "hosts-test"
    )


def rounds(lines: int, seed: int = 0, templates: int = 6) -> History:
    """Templates that follow one another, now and then with a jump; the last one is an error."""
    rng = np.random.default_rng(seed)
    said, now = [], 0
    for _ in range(lines):
        now = int(rng.integers(templates)) if rng.random() < 0.05 else (now + 1) % templates
        said.append(now)
    of = np.array(said, np.intp)
    times_s = np.cumsum(rng.exponential(5.0, lines))
    return History(times_s, of, np.where(of == templates - 1, 3, 6).astype(np.uint8))
