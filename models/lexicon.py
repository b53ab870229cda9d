"""Words that have been met: their numbers, and what the model knows of each.

Reading a line is looking up its blank-separated tokens: what a token is made of, and what that
means to the model, is computed when it is met first. Bounded: when all is full, all is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from models.linear import Words
from models.raccoon import CLASSES, Raccoon
from models.tokens import MAX_WORDS, app_word, bags, facility_word, known_app, token_words

CAPACITY = 1 << 15
"""Words kept; more than the lines of one call to `read` can have."""
_TOKENS = 1 << 15
"""Tokens kept, and names of apps."""

_BLANK, _END = " ", ""
"""What may come after a token."""


class Lexicon:
    """Numbers lines as `models.tokens.words` splits them; not thread-safe."""

    def __init__(self, model: Raccoon, apps: Collection[str]) -> None:
        """apps: those that training has met."""
        self._model, self._known_apps = model, apps
        width = model.architecture.width
        self.words = Words(
            torch.zeros((CAPACITY, width)),
            torch.zeros((CAPACITY, CLASSES)),
            torch.zeros(CAPACITY),
            torch.zeros(CAPACITY, dtype=torch.int64),
        )
        """By number; what lies beyond the words that are known is undefined."""
        self._forget()

    def read(
        self, apps: Sequence[str], facilities: Sequence[int], texts: Sequence[str]
    ) -> list[list[int]]:
        """The numbers of each line's words, until the next call; their `words` are there.

        Of canonical texts, at most CAPACITY / MAX_WORDS of them.
        """
        lines = self._read(apps, facilities, texts)
        if len(self._index) > CAPACITY:
            self._forget()
            lines = self._read(apps, facilities, texts)
        if self._fresh:
            self._learn()
        return lines

    def _read(
        self, apps: Sequence[str], facilities: Sequence[int], texts: Sequence[str]
    ) -> list[list[int]]:
        inside, at_end = self._tokens[_BLANK], self._tokens[_END]
        lines = []
        for app, facility, text in zip(apps, facilities, texts, strict=True):
            app_number = self._apps.get(app)
            if app_number is None:
                app_number = self._app(app)
            facility_number = self._facilities.get(facility)
            if facility_number is None:
                facility_number = self._facility(facility)
            line = [app_number, facility_number]
            *tokens, last = text.split(" ")
            for token in tokens:
                try:
                    line += inside[token]
                except KeyError:
                    line += self._token(token, _BLANK, MAX_WORDS - len(line))
            try:
                line += at_end[last]
            except KeyError:
                line += self._token(last, _END, MAX_WORDS - len(line))
            if len(line) > MAX_WORDS:
                del line[MAX_WORDS:]
            lines.append(line)
        return lines

    def _app(self, app: str) -> int:
        if len(self._apps) >= _TOKENS:
            self._apps.clear()
        number = self._apps[app] = self._number(app_word(known_app(app, self._known_apps)))
        return number

    def _facility(self, facility: int) -> int:
        number = self._facilities[facility] = self._number(facility_word(facility))
        return number

    def _token(self, token: str, after: str, room: int) -> Sequence[int]:
        """Numbers of a new token's words; of words beyond `room` nobody needs to know."""
        if room <= 0:
            return ()
        words = token_words(token + after)
        numbers = tuple([self._number(word) for word in words[:room]])
        if len(words) <= room:
            known = self._tokens[after]
            if len(known) >= _TOKENS:
                known.clear()
            known[token] = numbers
        return numbers

    def _number(self, word: str) -> int:
        number = self._index.get(word)
        if number is None:
            number = self._index[word] = len(self._index)
            self._fresh.append(word)
        return number

    def _learn(self) -> None:
        """Ask the model for the words that were met in the last call."""
        features, offsets = bags(self._fresh)
        found = self._model.words(torch.from_numpy(features), torch.from_numpy(offsets))
        last = len(self._index)
        for store, field in zip(self.words, found, strict=True):
            store[last - len(self._fresh) : last] = field
        self._fresh.clear()

    def _forget(self) -> None:
        self._index: dict[str, int] = {}
        self._fresh: list[str] = []
        self._apps: dict[str, int] = {}
        self._facilities: dict[int, int] = {}
        self._tokens: dict[str, dict[str, tuple[int, ...]]] = {_BLANK: {}, _END: {}}
