"""Plausible log lines of a severity: plan a path to where such lines are, and decode along it.

Each line is planned by itself, from starts of its own (`models.planner`): the cost of a path is
−log p(severity | path) by the head, and −log p(program | z(0)) by the decoder where a program is
asked for. Of each path several candidates are decoded; Raccoon may choose among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from models.errors import CheckpointError
from models.inference import Engine
from models.planner import Planner
from models.slots import filled
from models.synthesis_parts import OTHER, parts
from models.text import canonical
from models.trajectory_file import Stored, load

NAME = "trajectory"
STEPS = 8
"""Of the ODE, as in training."""
_BUDGET, _GENERATIONS, _ELITE = 64, 4, 0.25
_AT_ONCE = 32
"""Lines that are planned, decoded and judged together."""
_ROUNDS = 4
"""How often a line is begun anew where no candidate will do."""
_WORD = re.compile(r"[A-Za-z]{3}")


class Line(NamedTuple):
    severity: int
    app: str
    message: str


class Settings(NamedTuple):
    """How lines are drawn."""

    temperature: float = 0.7
    candidates: int = 8
    """Decoded of each path; the first that will do is kept, or the one that Raccoon likes best."""
    refuse_copies: bool = True
    """Leave out candidates with a run of words that the training corpus has."""
    planned: bool = True
    """Without, paths begin anywhere: what planning is worth is the difference."""


class Synthesiser:
    """A loaded model that writes lines."""

    def __init__(self, stored: Stored, *, judge: Engine | None = None) -> None:
        """judge: chooses among the candidates; without it the first that will do is taken.

        Raises KeyError, RuntimeError, TypeError or ValueError for a model of something else.
        """
        self._model, self._judge = stored.model, judge
        self.vocabulary, self._head, self._runs = parts(stored.extra)
        if len(self.vocabulary) != stored.model.architecture.vocabulary:
            raise ValueError(f"{len(self.vocabulary)} tokens in the vocabulary")
        self.version = stored.version

    @classmethod
    def load(
        cls, path: Path | None = None, *, judge: Engine | None = None, threads: int = 1
    ) -> Synthesiser:
        """Load a directory; without one the model that ships. Raises CheckpointError."""
        torch.set_num_threads(threads)
        path = path or pretrained_path()
        stored = load(path)
        try:
            return cls(stored, judge=judge)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{path}: not a model of log lines: {reason}") from error

    def draw(
        self,
        severities: Sequence[int],
        app: str | None = None,
        *,
        seed: int = 0,
        settings: Settings = Settings(),  # noqa: B008
    ) -> Iterator[Line]:
        """A line for each of the severities, of one program or of any; seeded.

        A program without a token of its own is written as no program in particular.
        """
        generator = torch.Generator().manual_seed(seed)
        random = Random(seed)
        written: set[tuple[str, str]] = set()
        for begin in range(0, len(severities), _AT_ONCE):
            wanted = list(severities[begin : begin + _AT_ONCE])
            found: dict[int, Line] = {}
            second: dict[int, Line] = {}
            for _ in range(_ROUNDS):
                missing = [i for i in range(len(wanted)) if i not in found]
                if not missing:
                    break
                for i, good, bad in self._round(
                    missing, wanted, app, generator, random, written, settings
                ):
                    if good is not None:
                        found[i] = good
                    elif bad is not None:
                        second.setdefault(i, bad)
            yield from (line for i in range(len(wanted)) if (line := (found | second).get(i)))

    def _round(
        self,
        missing: list[int],
        wanted: list[int],
        app: str | None,
        generator: torch.Generator,
        random: Random,
        written: set[tuple[str, str]],
        settings: Settings,
    ) -> Iterator[tuple[int, Line | None, Line | None]]:
        """For each missing line one that will do, else one that is copied or was written."""
        token = None if app is None else self.vocabulary.app(app)
        k = settings.candidates
        paths = torch.stack([self._path(wanted[i], token, generator, settings) for i in missing])
        paths = paths.repeat_interleave(k, dim=0)  # (n·k, L, D)
        tokens = self._decode(paths, token, generator, settings.temperature)
        candidates: list[list[tuple[str, Line]]] = []
        for at, i in enumerate(missing):
            candidates.append([])
            for row in tokens[at * k : (at + 1) * k].tolist():
                read = self.vocabulary.decode(row)
                if read is not None and _WORD.search(re.sub("<[a-z]+>", "", read[1])):
                    line = Line(wanted[i], app or read[0], filled(read[1], random))
                    candidates[-1].append((read[1], line))
        for i, of_line in zip(missing, self._ranked(candidates), strict=True):
            good = bad = None
            for text, line in of_line:
                if self._will_do(text, line, written, settings):
                    written.add((line.app, text))
                    good = line
                    break
                bad = bad or line
            yield i, good, bad

    def _will_do(
        self, text: str, line: Line, written: set[tuple[str, str]], settings: Settings
    ) -> bool:
        if (line.app, text) in written:
            return False
        runs = self._runs if settings.refuse_copies else None
        return runs is None or not runs.holds(canonical(line.message))

    def _ranked(self, candidates: list[list[tuple[str, Line]]]) -> list[list[tuple[str, Line]]]:
        if self._judge is None:
            return candidates
        lines = [line for of_line in candidates for _, line in of_line]
        if not lines:
            return candidates
        chances = iter(severity_chances(self._judge, lines))
        scored = [[(next(chances), *one) for one in of_line] for of_line in candidates]
        return [
            [(text, line) for _, text, line in sorted(of_line, key=lambda one: -one[0])]
            for of_line in scored
        ]

    def _path(
        self, severity: int, token: int | None, generator: torch.Generator, settings: Settings
    ) -> Tensor:
        """(L, D)"""
        latent = self._model.architecture.latent
        if not settings.planned:
            start = self._model.start(1, generator)
            anywhere: Tensor = self._model.prior_path(start, steps=STEPS).path[0]
            return anywhere

        def rollout(starts: Tensor, controls: Tensor) -> Tensor:
            return self._model.steered_path(starts, controls, steps=STEPS)

        def cost(paths: Tensor) -> Tensor:
            worth = self._head(paths)[:, severity]
            if token is not None and token != OTHER:
                worth = worth + self._first(paths).log_softmax(-1)[:, token]
            return -worth

        planner = Planner(rollout, cost, latent=latent, start_weight=0.02)
        return planner.cross_entropy(
            _BUDGET, generations=_GENERATIONS, elite=_ELITE, generator=generator
        ).path

    def _first(self, paths: Tensor) -> Tensor:
        """Logits of the first token, (n, V)."""
        nothing = torch.zeros(len(paths), 1, dtype=torch.long)
        logits: Tensor = self._model.decoder(paths[:, :1], nothing)
        return logits[:, 0]

    @torch.no_grad()
    def _decode(
        self, paths: Tensor, token: int | None, generator: torch.Generator, temperature: float
    ) -> Tensor:
        if token is None:
            # A line of no program in particular says nothing to whoever reads it.
            known = self._first(paths)[:, OTHER + 1 : self.vocabulary.first_piece].softmax(-1)
            first = OTHER + 1 + torch.multinomial(known, 1, generator=generator)
        else:
            first = torch.full((len(paths), 1), token)
        return self._model.sample(
            paths, temperature=temperature, prefix=first, generator=generator
        )


def severity_chances(judge: Engine, lines: Sequence[Line]) -> list[float]:
    """p(the line's severity | line) as Raccoon reads it, all severities alike before."""
    read = judge.encode([x.app for x in lines], [canonical(x.message) for x in lines])
    chances = torch.from_numpy(read.log_likelihood).softmax(-1)
    return [float(row[line.severity]) for row, line in zip(chances, lines, strict=True)]


def pretrained_path() -> Path:
    """The model that ships with the package."""
    return Path(__file__).parent / "pretrained" / NAME
