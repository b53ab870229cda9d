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
from models.fillings import filled
from models.inference import Engine
from models.planner import Planner
from models.synthesis_parts import OTHER, parts
from models.text import canonical
from models.trajectory_file import Stored, load

NAME = "trajectory"
_NO_APP = "app"
"""Who says it where the model knows no program's name."""
STEPS = 8
"""Of the ODE, as in training."""
_BUDGET, _GENERATIONS, _ELITE = 64, 4, 0.25
_AT_ONCE = 32
"""Lines that are planned, decoded and judged together."""
_ROUNDS = 4
"""Paths that are tried for a line at most, until one of its candidates will do."""
_WORD, _SLOT = re.compile(r"[A-Za-z]{3}"), re.compile(r"<[a-z]+>")


class Line(NamedTuple):
    severity: int
    app: str
    message: str


class _Candidate(NamedTuple):
    line: Line
    said: tuple[str, str]
    """Program and text, slots not filled: the same again is a repetition."""
    doubt: float = 0.0
    """1 − p(severity | line)."""
    faults: int = 0
    """1 for a line that reads like another severity, 2 more for one that was said before."""

    @property
    def rank(self) -> tuple[int, float]:
        """The less the better."""
        return self.faults, self.doubt


class Settings(NamedTuple):
    """How lines are drawn."""

    temperature: float = 0.7
    least: float = 0.1
    """Pieces less likely than this share of the likeliest are not written."""
    candidates: int = 8
    """Decoded of each path; the first that will do is kept, or what Raccoon likes best."""
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

        A program without a token of its own is written as no program in particular. A line is
        left out where a model that has hardly been taught makes no line of it at all.
        """
        generator, random = torch.Generator().manual_seed(seed), Random(seed)
        written: set[tuple[str, str]] = set()
        for begin in range(0, len(severities), _AT_ONCE):
            wanted = severities[begin : begin + _AT_ONCE]
            best: list[_Candidate | None] = [None] * len(wanted)
            for _ in range(_ROUNDS):
                missing = [i for i, one in enumerate(best) if one is None or one.faults]
                if not missing:
                    break
                found = self._candidates(
                    [wanted[i] for i in missing], app, generator, random, settings
                )
                for i, candidates in zip(missing, found, strict=True):
                    for one in candidates:
                        weighed = self._weighed(one, written, settings)
                        before = best[i]
                        if before is None or weighed.rank < before.rank:
                            if before is not None:
                                written.discard(before.said)
                            written.add(weighed.said)
                            best[i] = weighed
            yield from (one.line for one in best if one is not None)

    @torch.no_grad()
    def _candidates(
        self,
        wanted: Sequence[int],
        app: str | None,
        generator: torch.Generator,
        random: Random,
        settings: Settings,
    ) -> list[list[_Candidate]]:
        """For each wanted severity the lines that were decoded along one path."""
        token = None if app is None else self.vocabulary.app(app)
        k = settings.candidates
        paths = torch.stack([self._path(s, token, generator, settings) for s in wanted])
        paths = paths.repeat_interleave(k, dim=0)  # (n·k, L, D)
        tokens = self._decode(paths, token, generator, settings).tolist()
        found: list[list[_Candidate]] = []
        for at, severity in enumerate(wanted):
            found.append([])
            for row in tokens[at * k : (at + 1) * k]:
                read = self.vocabulary.decode(row)
                if read is not None and _WORD.search(_SLOT.sub("", read[1])):
                    line = Line(severity, app or read[0] or _NO_APP, filled(read[1], random))
                    found[-1].append(_Candidate(line, (line.app, read[1])))
        return self._read(found)

    def _read(self, found: list[list[_Candidate]]) -> list[list[_Candidate]]:
        """With what Raccoon makes of them, all severities alike before."""
        lines = [one.line for candidates in found for one in candidates]
        if self._judge is None or not lines:
            return found
        read = iter(chances(self._judge, lines))

        def judged(one: _Candidate) -> _Candidate:
            chance = next(read)
            wrong = one.line.severity != int(chance.argmax())
            return one._replace(doubt=1 - float(chance[one.line.severity]), faults=int(wrong))

        return [[judged(one) for one in candidates] for candidates in found]

    def _weighed(
        self, one: _Candidate, written: set[tuple[str, str]], settings: Settings
    ) -> _Candidate:
        runs = self._runs if settings.refuse_copies else None
        if one.said in written or (runs and runs.holds(canonical(one.line.message))):
            return one._replace(faults=one.faults + 2)
        return one

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
            worth: Tensor = self._head(paths)[:, severity]
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

    def _decode(
        self, paths: Tensor, token: int | None, generator: torch.Generator, settings: Settings
    ) -> Tensor:
        if token is None and not self.vocabulary.apps:
            token = OTHER
        if token is None:
            # A line of no program in particular says nothing to whoever reads it.
            known = self._first(paths)[:, OTHER + 1 : self.vocabulary.first_piece].softmax(-1)
            first = OTHER + 1 + torch.multinomial(known, 1, generator=generator)
        else:
            first = torch.full((len(paths), 1), token)
        return self._model.sample(
            paths,
            temperature=settings.temperature,
            least=settings.least,
            prefix=first,
            generator=generator,
        )


def chances(judge: Engine, lines: Sequence[Line]) -> Tensor:
    """p(severity | line) as Raccoon reads them, all severities alike before, (n, 8)."""
    read = judge.encode([x.app for x in lines], [canonical(x.message) for x in lines])
    return torch.from_numpy(read.log_likelihood).softmax(-1)


def pretrained_path() -> Path:
    """The model that ships with the package."""
    return Path(__file__).parent / "pretrained" / NAME
