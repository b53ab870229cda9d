"""How a host's latent state moves between its lines, and what it makes of the next one (no torch).

Each host has a state s ∈ R^S that a diagonal linear ODE carries and its own lines drive:

    ds/dt = −Λ_t s  between two lines,    s ← exp(−Λ_n) s + B z + e_c  at each line,

with z the latent of the line's template and c its code. Λ_t (per second) and Λ_n (per line) are
learned, a few time scales with S / R features each. Linear means closed form: over a gap of Δt
seconds the state is multiplied by exp(−Λ_t Δt − Λ_n), however irregular the gaps are, and a whole
batch is one scan (Martin & Cundy 2018; Gu et al. 2022 for the diagonal form). What is not linear
is in the read-out, g(s) = U clip(W s + b, 0, 6) + c, which says of each code of a bounded codebook
how much more likely it is now than at any other time:

    p(code k | state, host) = q_k [ε + (1 − ε) exp(g_k(s)) / Σ_j q_j exp(g_j(s))],

q being how often this host says what, and ε the share of lines that come whatever was before. The
trajectory surprise is −log p + log q, in nats: what the order of the lines adds to how rare the
line is here anyway. Below 0 the line was awaited.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LONGEST_S = 30 * 86_400.0
"""A longer gap counts as this: nothing is left of the state."""
CEILING = 6.0
"""Of the hidden layer: bounded, whatever a hostile host does to its state."""
MOST_LOG_RATIO = 80.0
"""|g| stays below it: exp of it is finite in float32."""
STEPS = 32
"""Lines of one lane in the scan."""
BLOCK = 2048
"""Lines read out at once: what fits the CPU's caches."""
OTHER = 0
"""The code of a template that is far from all in the codebook."""
STRAY = 0.02
"""ε: no line is less likely than so much of its share, so that none outweighs all others."""
RADIUS = 1.0
"""Farther than this from each centre a template is of the code OTHER."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Dynamics:
    """Learned numbers of R time scales, S state features, H hidden units, K codes, D latents."""

    rate_time: Floats
    """(R,) per second."""
    rate_line: Floats
    """(R,) per line."""
    enter: Floats
    """(D, S) B: what a latent adds to the state."""
    enter_code: Floats
    """(K, S) what a code adds to it."""
    hidden: Floats
    """(S, H)"""
    hidden_bias: Floats
    """(H,)"""
    out: Floats
    """(H, K)"""
    out_bias: Floats
    """(K,)"""
    base: Floats
    """(K,) shares of the codes where it was fitted, all above 0."""
    centres: Floats
    """(K, D) latents; row OTHER is not used."""
    ids: npt.NDArray[np.uint64]
    """(K,) template ids of the centres; 0 for OTHER."""
    held_out: Floats
    """(V,) trajectory surprise of lines that were held out, nats: what is usual."""

    @property
    def features(self) -> int:
        return int(self.hidden.shape[0])

    @property
    def codes(self) -> int:
        return int(self.base.shape[0])

    @property
    def latent_dim(self) -> int:
        return int(self.enter.shape[0])

    @property
    def spread(self) -> Floats:
        """(R, S) of 0 and 1: each scale's number onto its features."""
        scales = len(self.rate_time)
        return np.repeat(np.eye(scales, dtype=np.float32), self.features // scales, axis=1)

    def check(self) -> None:
        """Raises ValueError where shapes or values do not fit each other."""
        (r,), (d, s), (k,) = self.rate_time.shape, self.enter.shape, self.base.shape
        h = len(self.hidden_bias)
        shapes = {
            "rate_line": (r,),
            "enter_code": (k, s),
            "hidden": (s, h),
            "out": (h, k),
            "out_bias": (k,),
            "centres": (k, d),
            "ids": (k,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} is {getattr(self, name).shape}, not {shape}")
        if not r or s % r:
            raise ValueError(f"{s} features for {r} time scales")
        for name, value in vars(self).items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"{name} has values that are not finite")
        if (self.rate_time < 0).any() or (self.rate_line < 0).any() or (self.base <= 0).any():
            raise ValueError("rates below 0, or shares that are not above it")

    def code(self, latent: Floats, ids: npt.NDArray[np.uint64]) -> Codes:
        """Codes of N templates: of the same template where there is one, else of the nearest.

        latent: (N, D). ids: (N,) template ids.
        """
        if self.codes < 2:
            return np.zeros(len(ids), np.int64)
        centres = self.centres[1:]
        apart = (latent**2).sum(1)[:, None] - 2 * latent @ centres.T + (centres**2).sum(1)
        nearest = apart.argmin(axis=1)
        found = np.where(apart[np.arange(len(ids)), nearest] <= RADIUS**2, nearest + 1, OTHER)
        order = np.argsort(self.ids)
        place = np.minimum(np.searchsorted(self.ids[order], ids), self.codes - 1)
        same = self.ids[order][place] == ids
        return np.where(same, order[place], found).astype(np.int64)

    def drive(self, latent: Floats, code: Codes) -> Floats:
        """(N, S) what N templates add to the state."""
        driven: Floats = latent @ self.enter + self.enter_code[code]
        return driven

    def decay(self, gap_s: npt.NDArray[np.floating], lines: float = 1.0) -> Floats:
        """(N, S) what is left of a state after (N,) seconds and so many lines."""
        passed = np.minimum(np.maximum(gap_s, 0.0), LONGEST_S).astype(np.float32)
        exponent = passed[:, None] * -self.rate_time
        exponent -= np.float32(lines) * self.rate_line
        np.maximum(exponent, -80.0, out=exponent)  # numbers below the normal ones are slow
        np.exp(exponent, out=exponent)
        # One term of the sum is not 0, so this is exact, and faster than np.repeat.
        left: Floats = exponent @ self.spread
        return left

    def hide(self, state: Floats) -> Floats:
        """(N, S) → (N, H)"""
        hidden: Floats = state @ self.hidden
        hidden += self.hidden_bias
        np.clip(hidden, 0.0, CEILING, out=hidden)
        return hidden


def surprise(
    dynamics: Dynamics,
    state: Floats,
    code: Codes,
    host: npt.NDArray[np.integer],
    base: Floats,
    out: Floats | None = None,
    out_bias: Floats | None = None,
) -> Floats:
    """−log exp(g_k(s)) / Σ q exp(g) of N lines, nats, from the states just before them.

    state: (N, S). code: (N,). host: (N,) rows of `base`, (B, K): how often each host says what.
    out, out_bias: what has been learnt since, in place of the model's own.
    """
    out = dynamics.out if out is None else out
    out_bias = dynamics.out_bias if out_bias is None else out_bias
    found = np.empty(len(state), np.float32)
    few = len(base) <= 16  # all hosts' sums in one product, where that is less than to gather
    base = base * np.exp(out_bias)  # exp(g + c) q is exp(g) times this: one pass less
    columns = np.ascontiguousarray(base.T) if few else base
    within = np.arange(BLOCK) * dynamics.codes
    own_bias = out_bias.take(code)
    for low in range(0, len(state), BLOCK):
        block = slice(low, min(low + BLOCK, len(state)))
        ratio = dynamics.hide(state[block]) @ out
        own = ratio.ravel().take(within[: len(ratio)] + code[block])
        own += own_bias[block]
        np.exp(ratio, out=ratio)
        if len(base) == 1:
            total = ratio @ base[0]
        elif few:
            total = (ratio @ columns)[np.arange(len(ratio)), host[block]]
        else:
            total = np.einsum("nk,nk->n", ratio, base.take(host[block], axis=0))
        found[block] = np.log(total) - own
    return found


def mixed(nats: Floats) -> Floats:
    """(N,) trajectory surprise, with the share of lines that stray, from `surprise`'s nats."""
    found: Floats = -np.log(np.float32(STRAY) + np.float32(1 - STRAY) * np.exp(-nats))
    return found


def bounded(out: Floats, out_bias: Floats) -> tuple[Floats, Floats]:
    """The read-out scaled down where a log ratio could come to MOST_LOG_RATIO."""
    largest = CEILING * np.abs(out).sum(axis=0) + np.abs(out_bias)  # (K,)
    scale = np.minimum(1.0, MOST_LOG_RATIO / np.maximum(largest, 1e-9)).astype(np.float32)
    return out * scale, out_bias * scale


def scan(decay: Floats, drive: Floats) -> Floats:
    """x_n = decay_n · x_{n−1} + drive_n from x_{−1} = 0; (N, S) each. Nothing is changed."""
    n, features = drive.shape
    steps, lanes = grid(n)
    places = step_major(n)
    x = np.zeros((steps * lanes, features), np.float32)
    left = np.zeros((steps * lanes, features), np.float32)
    x[: len(places)] = drive.take(places, axis=0, mode="clip")
    left[: len(places)] = decay.take(places, axis=0, mode="clip")
    scan_lanes(left.reshape(steps, lanes, -1), x.reshape(steps, lanes, -1))
    found = np.empty_like(drive)
    inside = places < n
    found[places[inside]] = x[inside]
    return found


def scan_lanes(decay: Floats, x: Floats) -> None:
    """The same in place: (steps, lanes, S), lane by lane; `decay` becomes its running product.

    All decays are in [0, 1] and only multiplied: no division, nothing that can overflow.
    """
    steps, lanes, _ = x.shape
    moved = np.empty_like(x[0])
    for i in range(1, steps):
        np.multiply(decay[i], x[i - 1], out=moved)
        x[i] += moved
        decay[i] *= decay[i - 1]
    if lanes > 1:
        ends = scan(decay[-1], x[-1])  # (lanes, S): each lane's last state, with all before it
        for i in range(steps):
            np.multiply(decay[i, 1:], ends[:-1], out=moved[1:])
            x[i, 1:] += moved[1:]


def grid(n: int) -> tuple[int, int]:
    """(steps, lanes) of a scan over n lines."""
    steps = max(min(STEPS, n), 1)
    return steps, -(-n // steps)


def step_major(n: int) -> npt.NDArray[np.intp]:
    """(steps · lanes,) which line stands where; places ≥ n are filling."""
    steps, lanes = grid(n)
    return np.arange(steps * lanes, dtype=np.intp).reshape(lanes, steps).T.ravel()
