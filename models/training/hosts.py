"""Fit host dynamics to what hosts have said: likelihood of the next code, window by window.

Training needs no loop over lines: the state before line t of a window is a sum over the lines
before it, s_t = Σ_{i<t} exp(−(A_t − A_i)) (B z_i + e_{c_i}) with A the rates' integral, and with
windows of a hundred lines that sum is one small matrix product per time scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from models.host_dynamics import CEILING, LONGEST_S, STRAY, Codes, Dynamics, Floats, bounded

SCALES = ((3.0, 0.01), (0.7, 0.003), (0.2, 0.0003), (0.04, 0.00003))
"""Rates to begin with: (per line, per second)."""
FEATURES, HIDDEN, CODES = 32, 32, 64
WINDOW, WARM_UP = 96, 32
"""Lines of a window; the first ones, unless the host begins with them, only move the state."""
BATCH = 16
"""Windows of one step."""
STEPS, PATIENCE, LOOK_EVERY = 1500, 6, 30
HELD_OUT, FOLDS, MANY = 6, 3, 300
"""Of so many stretches of the lines one chooses when to stop: hosts change their ways, and the
last lines alone would stand for the last of them only. Below MANY stretches FOLDS models are
fitted, each with another third held out."""
SMOOTHING = 5.0
"""So many lines of the common shares are mixed into each host's own."""
DROPOUT, WEIGHT_DECAY, LEARNING_RATE = 0.15, 0.02, 4e-3


class History(NamedTuple):
    """What one host said, in order."""

    times_s: npt.NDArray[np.float64]
    """(N,)"""
    templates: npt.NDArray[np.intp]
    """(N,) rows of the latents."""
    severity: npt.NDArray[np.uint8]
    """(N,) declared, or predicted."""


Report = Callable[[int, float, float], None]
"""step, loss of the step, held-out loss: nats a line; the share of the order in it is below 0."""


class HostModule(nn.Module):
    """The dynamics as parameters; windows of hosts in, log ratios out."""

    def __init__(self, latent_dim: int, codes: int) -> None:
        super().__init__()
        scales = len(SCALES)
        self.log_rate_line = nn.Parameter(torch.tensor([line for line, _ in SCALES]).log())
        self.log_rate_time = nn.Parameter(torch.tensor([time for _, time in SCALES]).log())
        # A slow scale adds up many lines: each counts the less.
        share = 1 - (-torch.tensor([line for line, _ in SCALES])).exp()
        scale = share.repeat_interleave(FEATURES // scales)
        self.enter = nn.Parameter(0.3 * torch.randn(latent_dim, FEATURES) * scale)
        self.enter_code = nn.Parameter(0.7 * torch.randn(codes, FEATURES) * scale)
        self.hidden = nn.Parameter(torch.randn(FEATURES, HIDDEN) / FEATURES**0.5)
        self.hidden_bias = nn.Parameter(0.1 * torch.ones(HIDDEN))
        self.out = nn.Parameter(torch.zeros(HIDDEN, codes))
        self.out_bias = nn.Parameter(torch.zeros(codes))

    def forward(
        self, latent: torch.Tensor, code: torch.Tensor, gap_s: torch.Tensor
    ) -> torch.Tensor:
        """(B, L, D), (B, L), (B, L) seconds since the line before → (B, L, K) log ratios."""
        driven = latent @ self.enter + self.enter_code[code]  # (B, L, S)
        b, length, s = driven.shape
        scales = len(self.log_rate_line)
        step = gap_s[..., None] * self.log_rate_time.exp() + self.log_rate_line.exp()
        passed = step.cumsum(1).permute(0, 2, 1)  # (B, R, L)
        later = torch.full((length, length), -torch.inf).triu()  # a line is no part of its past
        exponent = passed[..., None, :] - passed[..., :, None]  # (B, R, t, i)
        weights = (exponent + later).exp()
        parts = driven.reshape(b, length, scales, s // scales)
        state = torch.einsum("brti,birp->btrp", weights, parts).reshape(b, length, s)
        state = functional.dropout(state, DROPOUT, self.training)
        hidden = (state @ self.hidden + self.hidden_bias).clamp(0, CEILING)
        hidden = functional.dropout(hidden, DROPOUT, self.training)
        ratios: torch.Tensor = hidden @ self.out + self.out_bias
        return ratios


class _Windows(NamedTuple):
    """M windows of L lines, padded at the end."""

    template: torch.Tensor  # (M, L)
    code: torch.Tensor  # (M, L)
    gap_s: torch.Tensor  # (M, L)
    log_base: torch.Tensor  # (M, K)
    counts: torch.Tensor  # (M, L) 1 for the lines whose likelihood is asked for


def fit(
    histories: Sequence[History],
    latents: Floats,
    ids: npt.NDArray[np.uint64],
    *,
    seed: int = 0,
    steps: int = STEPS,
    report: Report | None = None,
) -> Dynamics:
    """Dynamics of these hosts. latents: (T, D) of their templates, with (T,) ids.

    Raises ValueError where there are too few lines to learn an order from.
    """
    lines = sum(len(h.templates) for h in histories)
    if lines < 2 * WARM_UP:
        raise ValueError(f"{lines} lines are too few to learn an order from")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    dynamics = _codebook(histories, latents, ids)
    code = dynamics.code(latents, ids)
    shares = _shares(histories, code, dynamics)
    windows = _windows(histories, code, shares)
    stretch = torch.arange(len(windows.code))
    table = torch.from_numpy(latents)
    dim = latents.shape[1]
    # Of a short log each stretch has its turn: two of them alone would not tell when to stop.
    folds = FOLDS if len(stretch) < MANY else 1
    curves, usual = [], []
    for fold in range(folds):
        held_out = stretch % (FOLDS if folds > 1 else HELD_OUT) == fold
        train, held = (_Windows(*(part[of] for part in windows)) for of in (~held_out, held_out))
        module = HostModule(dim, dynamics.codes)
        nats = _train(module, table, train, steps, rng, held, report)
        curves.append(torch.stack([part.sum() for part in nats]))
        usual.append(nats)
    length = min(len(curve) for curve in curves)
    best = int(torch.stack([curve[:length] for curve in curves]).sum(0).argmin())
    module = HostModule(dim, dynamics.codes)
    _train(module, table, windows, best * LOOK_EVERY, rng, None, report)
    return _finished(module, dynamics, torch.cat([nats[best] for nats in usual]).numpy())


def _train(
    module: HostModule,
    latents: torch.Tensor,
    windows: _Windows,
    steps: int,
    rng: np.random.Generator,
    held: _Windows | None,
    report: Report | None,
) -> list[torch.Tensor]:
    """Train in place; before each LOOK_EVERY steps the nats of the lines held out.

    Ends early where these get no better.
    """
    rates = [module.log_rate_line, module.log_rate_time]
    weights = [p for p in module.parameters() if all(p is not rate for rate in rates)]
    optimiser = torch.optim.AdamW(
        [
            {"params": rates, "weight_decay": 0.0},
            {"params": weights, "weight_decay": WEIGHT_DECAY},
        ],
        lr=LEARNING_RATE,
    )
    found: list[torch.Tensor] = []
    for step in range(steps + 1):
        if held is not None and step % LOOK_EVERY == 0:
            found.append(_evaluate(module, latents, held))
            means = [float(nats.mean()) for nats in found]
            if len(means) - 1 - int(np.argmin(means)) >= PATIENCE:
                break
        if step == steps:
            break
        module.train()
        chosen = torch.from_numpy(rng.integers(0, len(windows.code), BATCH))
        loss = _nats(module, latents, _Windows(*(part[chosen] for part in windows))).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        if report is not None and step % LOOK_EVERY == 0:
            report(step, loss.item(), float(found[-1].mean()) if found else float("nan"))
    return found


def _codebook(
    histories: Sequence[History], latents: Floats, ids: npt.NDArray[np.uint64]
) -> Dynamics:
    """An untrained model whose codes are the commonest templates."""
    counts = np.zeros(len(ids), np.int64)
    for history in histories:
        counts += np.bincount(history.templates, minlength=len(ids))
    common = np.argsort(-counts, kind="stable")[: CODES - 1]
    common = common[counts[common] > 0]
    codes, dim = len(common) + 1, latents.shape[1]
    centres, of = np.zeros((codes, dim), np.float32), np.zeros(codes, np.uint64)
    centres[1:], of[1:] = latents[common], ids[common]
    zeros = np.zeros((codes, FEATURES), np.float32)
    empty = Dynamics(
        rate_time=np.zeros(len(SCALES), np.float32),
        rate_line=np.zeros(len(SCALES), np.float32),
        enter=np.zeros((dim, FEATURES), np.float32),
        enter_code=zeros,
        hidden=np.zeros((FEATURES, HIDDEN), np.float32),
        hidden_bias=np.zeros(HIDDEN, np.float32),
        out=np.zeros((HIDDEN, codes), np.float32),
        out_bias=np.zeros(codes, np.float32),
        base=np.ones(codes, np.float32),
        centres=centres,
        ids=of,
        held_out=np.zeros(0, np.float32),
    )
    base = np.bincount(empty.code(latents, ids), weights=counts, minlength=codes) + 0.5
    return Dynamics(**{**vars(empty), "base": (base / base.sum()).astype(np.float32)})


def _shares(histories: Sequence[History], code: Codes, dynamics: Dynamics) -> Floats:
    """(hosts, K) how often each host says what."""
    found = []
    for history in histories:
        counts = np.bincount(code[history.templates], minlength=dynamics.codes)
        mixed = counts + SMOOTHING * dynamics.base
        found.append(mixed / mixed.sum())
    return np.stack(found).astype(np.float32)


def _windows(histories: Sequence[History], code: Codes, shares: Floats) -> _Windows:
    """Overlapping windows, one a stretch; each line counts in one of them."""
    columns: list[list[npt.NDArray[np.generic]]] = [[], [], [], [], []]
    for history, share in zip(histories, shares, strict=True):
        gaps = np.diff(history.times_s, prepend=history.times_s[:1]).clip(0, LONGEST_S)
        lines = len(history.templates)
        for start in range(0, lines, WINDOW - WARM_UP):
            first = max(start - WARM_UP, 0)
            last = min(start + WINDOW - WARM_UP, lines)
            pad = (0, WINDOW - (last - first))
            templates = history.templates[first:last]
            counts = np.arange(first, last) >= start
            columns[0].append(np.pad(templates, pad))
            columns[1].append(np.pad(code[templates], pad))
            columns[2].append(np.pad(gaps[first:last].astype(np.float32), pad))
            columns[3].append(np.log(share))
            columns[4].append(np.pad(counts.astype(np.float32), pad))
    return _Windows(*(torch.from_numpy(np.stack(column)) for column in columns))


def _nats(module: HostModule, latents: torch.Tensor, windows: _Windows) -> torch.Tensor:
    """Trajectory surprise of the lines that count, nats."""
    ratios = module(latents[windows.template], windows.code, windows.gap_s)
    total = (ratios + windows.log_base[:, None]).logsumexp(-1)
    own = ratios.gather(-1, windows.code[..., None])[..., 0]
    ratio = (own - total)[windows.counts > 0].exp()
    nats: torch.Tensor = -(STRAY + (1 - STRAY) * ratio).log()
    return nats


@torch.no_grad()
def _evaluate(module: HostModule, latents: torch.Tensor, windows: _Windows) -> torch.Tensor:
    module.eval()
    parts = [
        _nats(module, latents, _Windows(*(part[low : low + 64] for part in windows)))
        for low in range(0, len(windows.code), 64)
    ]
    return torch.cat(parts)


def _finished(module: HostModule, dynamics: Dynamics, usual: Floats) -> Dynamics:
    learnt = {name: value.detach().numpy() for name, value in module.named_parameters()}
    line, time = learnt.pop("log_rate_line"), learnt.pop("log_rate_time")
    learnt["out"], learnt["out_bias"] = bounded(learnt["out"], learnt["out_bias"])
    found = Dynamics(
        **{
            **vars(dynamics),
            **learnt,
            "rate_line": np.exp(line),
            "rate_time": np.exp(time),
            "held_out": usual.astype(np.float32),
        }
    )
    found.check()
    return found
