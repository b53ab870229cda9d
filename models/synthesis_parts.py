"""What a Trajectory needs beside itself to write log lines: vocabulary, head and known runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.pieces import Pieces
from models.raccoon import CLASSES

END, OTHER = 0, 1
"""Tokens: what stands after the last piece, and the program that has no token of its own."""
RUN = 6
"""Words of a run that is taken for copied: more than five."""


class Vocabulary:
    """Tokens of lines: END, programs, pieces; a line is its program's token and its pieces."""

    def __init__(self, apps: Sequence[str], pieces: Pieces) -> None:
        self.apps, self.pieces = tuple(apps), pieces
        self._app = {app: OTHER + 1 + i for i, app in enumerate(self.apps)}
        self.first_piece = OTHER + 1 + len(self.apps)

    def __len__(self) -> int:
        return self.first_piece + len(self.pieces)

    def app(self, name: str) -> int:
        """The token of a program, OTHER where it has none."""
        return self._app.get(name, OTHER)

    def encode(self, app: str, text: str) -> list[int]:
        """Without END."""
        return [self.app(app), *(self.first_piece + i for i in self.pieces.encode(text))]

    def decode(self, tokens: Sequence[int]) -> tuple[str, str] | None:
        """Program ("" for OTHER) and text, up to END; None where they are not in that order, or
        where no END comes."""
        if END not in tokens:
            return None
        app, *rest = tokens[: tokens.index(END)] or [END]
        if not OTHER <= app < self.first_piece or not all(t >= self.first_piece for t in rest):
            return None
        name = "" if app == OTHER else self.apps[app - OTHER - 1]
        return name, self.pieces.decode(t - self.first_piece for t in rest).strip()


class SeverityHead(nn.Module):
    """log p(severity | path): each point of a path has an opinion, and their mean counts."""

    def __init__(self, latent: int, hidden: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, CLASSES))

    def forward(self, path: Tensor) -> Tensor:  # (n, L, D) → (n, 8)
        return torch.log_softmax(self.net(path).mean(1), dim=-1)


class KnownRuns:
    """Which runs of RUN words stand in the training corpus, as a Bloom filter (Bloom 1970).

    It answers yes for every run that it was given and for about two of a hundred others; the
    words cannot be read from it.
    """

    def __init__(self, bits: Tensor) -> None:
        """bits: (M,) uint8, eight a byte."""
        self.bits = bits

    @classmethod
    def of(cls, texts: Iterable[str], *, bits_a_run: float = 8.0) -> KnownRuns:
        """Of the runs of all texts."""
        known = {digest for text in texts for digest in _digests(text)}
        runs = cls(torch.zeros(max(int(len(known) * bits_a_run) // 8, 1), dtype=torch.uint8))
        table = runs.bits.numpy()
        for digest in known:
            for at in runs._places(digest):
                table[at >> 3] |= 1 << (at & 7)
        return runs

    def holds(self, text: str) -> bool:
        """Whether a run of the text stands in the corpus, as far as the filter can tell."""
        table = self.bits.numpy()
        return any(
            all(table[at >> 3] >> (at & 7) & 1 for at in self._places(digest))
            for digest in _digests(text)
        )

    def _places(self, digest: bytes) -> list[int]:
        one, other = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
        size = 8 * len(self.bits)
        return [(one + i * other) % size for i in range(5)]


def runs_of(text: str) -> list[str]:
    """Its runs of RUN words, in a blank-separated text."""
    words = text.split()
    return [" ".join(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]


def _digests(text: str) -> list[bytes]:
    return [
        hashlib.blake2b(run.encode("utf-8", "replace"), digest_size=16).digest()
        for run in runs_of(text)
    ]


def parts(extra: dict[str, Any]) -> tuple[Vocabulary, SeverityHead, KnownRuns | None]:
    """Out of what `trajectory_file.load` gives. Raises KeyError, RuntimeError, TypeError or
    ValueError for a file that does not hold them."""
    vocabulary = Vocabulary(extra["apps"], Pieces(extra["pieces"]))
    state = {n.removeprefix("head."): t for n, t in extra.items() if n.startswith("head.")}
    head = SeverityHead(state["net.0.weight"].shape[1], state["net.0.weight"].shape[0])
    head.load_state_dict(state)
    runs = extra.get("known_runs")
    return vocabulary, head.eval(), None if runs is None else KnownRuns(runs)


def extras(
    vocabulary: Vocabulary, head: SeverityHead, runs: KnownRuns | None, **facts: Any
) -> dict[str, Any]:
    """For `trajectory_file.save`: what `parts` reads."""
    tensors = {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
    if runs is not None:
        tensors["known_runs"] = runs.bits
    return {
        "apps": list(vocabulary.apps),
        "pieces": list(vocabulary.pieces.pieces),
        **tensors,
        **facts,
    }
