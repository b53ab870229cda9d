"""Runs of lines cut where a reader would cut them, none with more text than is looked at."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

MOST_CHARS: Final = 4000
"""Of a snippet's text; what goes beyond, in minified code and in data, is not read."""

_TAB: Final = 4
_DEEPEST: Final = 40
_UNBROKEN: Final = 3
"""What the lack of a blank line costs, in columns of indentation."""


def split_lines(text: str) -> list[str]:
    """The lines that an editor counts: a form feed or U+2028 stands inside of one."""
    ends = "\n" if "\n" in text or "\r" not in text else "\r"
    return [line.rstrip("\r") for line in text.split(ends)]


class Lines:
    """The lines of a file and how much text a run of them holds."""

    def __init__(self, text: str) -> None:
        self.lines = split_lines(text)
        self._chars = [0, *accumulate(len(line) + 1 for line in self.lines)]

    def __len__(self) -> int:
        return len(self.lines)

    def trimmed(self, first: int, stop: int) -> tuple[int, int]:
        """Without the blank lines at both ends."""
        while first < stop and not self.lines[first].strip():
            first += 1
        while stop > first and not self.lines[stop - 1].strip():
            stop -= 1
        return first, stop

    def text(self, first: int, stop: int) -> str:
        """What the lines first … stop − 1 say."""
        return "\n".join(self.lines[first:stop])[:MOST_CHARS]

    def cut(self, first: int, stop: int, *, most: int, target: int) -> list[tuple[int, int]]:
        """The run in pieces of about `target` lines if it has more than `most`, else whole."""
        pieces = []
        while stop - first > most or self._long(first, stop):
            count = max(2, round((stop - first) / target)) if stop - first > most else 2
            ideal = first + max(1, (stop - first) // count)
            row = self._border(first, ideal, stop)
            while row > first + 1 and self._long(first, row):
                row = first + (row - first) // 2
            pieces.append((first, row))
            first = row
        return [*pieces, (first, stop)]

    def windows(self, *, lines: int, overlap: int) -> list[tuple[int, int]]:
        """The whole file in runs of `lines`, each beginning with the end of the one before."""
        found: list[tuple[int, int]] = []
        first = stop = 0
        while stop < len(self):
            stop = min(first + lines, len(self))
            while stop > first + 1 and self._long(first, stop):
                stop = first + (stop - first) // 2
            window = self.trimmed(first, stop)
            if found and window[0] == found[-1][0]:  # blank lines apart it holds the last one
                found.pop()
            if not found or window[1] > found[-1][1]:
                found.append(window)
            first = stop - overlap if stop - first > overlap else stop
        return found

    def _long(self, first: int, stop: int) -> bool:
        return stop - first > 1 and self._chars[stop] - self._chars[first] > MOST_CHARS + 1

    def _border(self, first: int, ideal: int, stop: int) -> int:
        """The row near the ideal one where the next piece begins best: after a blank line, far
        left, with something that is not an end."""
        reach = max(1, (ideal - first) * 2 // 5)
        rows = range(max(first + 1, ideal - reach), min(stop - 1, ideal + reach) + 1)
        return min(rows, key=lambda row: (self._cost(row) + abs(row - ideal) / 5, row))

    def _cost(self, row: int) -> int:
        line = self.lines[row]
        word = line.lstrip()
        if not word:
            return _DEEPEST
        indent = len(line[: len(line) - len(word)].expandtabs(_TAB))
        unbroken = _UNBROKEN if self.lines[row - 1].strip() else 0
        closing = _DEEPEST if word[0] in ")]}" or word.startswith(("end", "else")) else 0
        return min(indent, _DEEPEST) + unbroken + closing
