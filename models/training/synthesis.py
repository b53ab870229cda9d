"""Teaches a Trajectory to write log statements, and a head to tell a path's severity.

The encoder turns a statement into a path; half of the lines are decoded from that path, half from
the one that the ODE leads to from the same start: that is the kind that the decoder gets later.
The head learns the mean of what the developers wrote and of what Raccoon reads, so that the
regions that planning looks for are those where both agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.errors import CorpusError
from models.inference import Engine
from models.losses import epps_pulley
from models.pieces import learn
from models.raccoon import CLASSES
from models.synthesis_parts import END, OTHER, KnownRuns, SeverityHead, Vocabulary
from models.text import canonical
from models.training.statements import Statements
from models.trajectory import Trajectory, TrajectoryArchitecture
from models.trajectory_file import round_for_storage

_DIRECTIONS = 64
"""Of the Epps–Pulley statistic; fresh ones at each step."""


@dataclass(frozen=True)
class Plan:
    """How much is learned, and what the parts of the loss weigh."""

    lines: int = 500_000
    """Drawn in all, with repetition."""
    batch: int = 128
    rate: float = 2e-3
    pieces: int = 2750
    length: int = 32
    latent: int = 16
    width: int = 112
    inner: int = 320
    encoder_blocks: int = 1
    decoder_blocks: int = 3
    ode_steps: int = 8
    jitter: float = 0.4
    """Standard deviation of what is added to a start, of unit size itself: lines that begin so
    near to each other share what they are about, and none is learned by heart."""
    ripple: float = 0.1
    forget_app: float = 0.1
    """Share of lines that are told without their program."""
    epps_pulley: float = 0.05
    ode: float = 1.0
    head: float = 1.0
    seed: int = 0


class Step(NamedTuple):
    done: int
    of: int
    losses: dict[str, float]


class Trained(NamedTuple):
    model: Trajectory
    vocabulary: Vocabulary
    head: SeverityHead
    runs: KnownRuns
    facts: dict[str, Any]


def train(
    statements: Statements,
    engine: Engine,
    plan: Plan,
    *,
    tell: Callable[[Step], None] = lambda step: None,
    say: Callable[[str], None] = lambda text: None,
) -> Trained:
    """All of it; seeded."""
    began_s = time.monotonic()
    say(f"{len(statements.texts):,} statements; learning pieces")
    vocabulary = Vocabulary(statements.known_apps, learn(statements.texts, plan.pieces))
    lines = [
        vocabulary.encode(app, text)
        for app, text in zip(statements.apps, statements.texts, strict=True)
    ]
    say("reading the statements' severities")
    texts = [canonical(sample) for sample in statements.samples]
    opinions = _opinions(statements, engine, texts)
    runs = KnownRuns.of(texts)
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    model = Trajectory(
        TrajectoryArchitecture(
            len(vocabulary),
            plan.length,
            latent=plan.latent,
            width=plan.width,
            inner=plan.inner,
            encoder_blocks=plan.encoder_blocks,
            decoder_blocks=plan.decoder_blocks,
        )
    )
    head = SeverityHead(plan.latent)
    drawn = _draw(lines, statements.weights, plan, generator)
    losses = _learn(model, head, drawn, opinions, plan, generator, tell)
    for module in (model, head):
        module.eval()
        round_for_storage(module)
    facts = {
        "rows": len(lines),
        "plan": asdict(plan),
        "seconds": round(time.monotonic() - began_s),
        "losses": losses,
        "teacher": engine.version,
    }
    return Trained(model, vocabulary, head, runs, facts)


def _opinions(statements: Statements, engine: Engine, texts: list[str]) -> Tensor:
    """(N, 8) the mean of the label and of what Raccoon reads, all severities alike before."""
    read = engine.encode(statements.apps, texts).log_likelihood
    opinions = torch.from_numpy(read).softmax(-1)
    labels = functional.one_hot(torch.from_numpy(statements.severity), CLASSES)
    return 0.5 * (opinions + labels)


def _draw(
    lines: list[list[int]], weights: np.ndarray, plan: Plan, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches: rows (B,) and their tokens (B, L'), all of about one length, END behind them."""
    lengths = np.array([len(line) for line in lines])
    share = torch.from_numpy(np.where((lengths < plan.length) & (lengths > 1), weights, 0.0))
    if not share.any():
        raise CorpusError(f"no statement is of at most {plan.length - 1} pieces")
    at_once = 32 * plan.batch
    while True:
        rows = torch.multinomial(share, at_once, replacement=True, generator=generator)
        rows = rows[torch.from_numpy(lengths[rows.numpy()].argsort(kind="stable"))]
        order = torch.randperm(at_once // plan.batch, generator=generator)
        for part in (rows.view(-1, plan.batch)[i] for i in order):
            longest = int(lengths[part.numpy()].max()) + 1
            tokens = torch.full((plan.batch, longest), END)
            for to, row in zip(tokens, part.tolist(), strict=True):
                to[: lengths[row]] = torch.tensor(lines[row])
            forgotten = torch.rand(plan.batch, generator=generator) < plan.forget_app
            tokens[forgotten, 0] = OTHER
            yield part, tokens


def _learn(
    model: Trajectory,
    head: SeverityHead,
    drawn: Iterator[tuple[Tensor, Tensor]],
    opinions: Tensor,
    plan: Plan,
    generator: torch.Generator,
    tell: Callable[[Step], None],
) -> dict[str, float]:
    steps = max(plan.lines // plan.batch, 2)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=steps, pct_start=0.05
    )
    smooth: dict[str, float] = {}
    for done in range(1, steps + 1):
        rows, tokens = next(drawn)
        terms = _terms(model, head, tokens, opinions[rows], plan, generator)
        loss = (
            terms["reconstruction"]
            + plan.epps_pulley * terms["epps-pulley"]
            + plan.ode * terms["ode"]
            + plan.head * terms["severity"]
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        for name, term in terms.items():
            value = float(term.detach())
            smooth[name] = smooth.get(name, value) * 0.98 + value * 0.02
        tell(Step(done, steps, smooth))
    return {name: round(value, 4) for name, value in smooth.items()}


def _terms(
    model: Trajectory,
    head: SeverityHead,
    tokens: Tensor,
    opinions: Tensor,
    plan: Plan,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    path = model.encoder(tokens)  # (B, L', D)
    lines, length, latent = path.shape
    shift = plan.jitter * torch.randn(lines, 1, latent, generator=generator)
    own = path + shift + plan.ripple * torch.randn(path.shape, generator=generator)
    led = model.prior_path(path[:, 0] + shift[:, 0], steps=plan.ode_steps).path[:, :length]
    by_ode = torch.rand(lines, 1, 1, generator=generator) < 0.5
    seen = torch.where(by_ode, led, own)
    logits = model.decoder(seen, tokens)  # (B, L', V)
    # The first END is a token of the line like others; those behind it say nothing.
    over = (tokens == END).cumsum(1) > 1
    targets = tokens.masked_fill(over, -100)
    somewhere = int(torch.randint(length, (1,), generator=generator))
    return {
        "reconstruction": functional.cross_entropy(logits.flatten(0, 1), targets.flatten()),
        "epps-pulley": 0.5
        * (
            epps_pulley(path[:, 0], directions=_DIRECTIONS, generator=generator)
            + epps_pulley(path[:, somewhere], directions=_DIRECTIONS, generator=generator)
        ),
        "ode": model.ode_matching(path),
        "severity": -(opinions * head(seen)).sum(1).mean(),
    }
