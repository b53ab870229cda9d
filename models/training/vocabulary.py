"""Texts as numbers of words, ready to be drawn in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.text import canonical
from models.tokens import bags, words
from models.training.corpus import Ints

FACILITIES: dict[str, int] = {
    **dict.fromkeys(("kernel", "linux", "xen", "drbd"), 0),
    **dict.fromkeys(("postfix", "sendmail", "exim", "exim4", "smtpd", "imapd", "dovecot"), 2),
    **dict.fromkeys(("sudo", "su", "login", "polkitd"), 10),
    **dict.fromkeys(("sshd", "pam", "passwd", "useradd", "audit", "auditd"), 4),
    **dict.fromkeys(("rsyslogd", "syslog-ng"), 5),
    **dict.fromkeys(("cupsd", "cups"), 6),
    **dict.fromkeys(("cron", "atd", "incrond", "bcron"), 9),
    **dict.fromkeys(("proftpd", "atftpd", "tftpd"), 11),
    **dict.fromkeys(("ntpd", "ntpsec", "ptpd"), 12),
}
"""Facility under which a program is known to log; the others are daemons, or not known."""
DAEMON = 3


@dataclass
class Lines:
    """Lines as numbers of their vocabulary's words; app and facility are the first two."""

    flat: npt.NDArray[np.int32]
    offsets: Ints  # (N + 1,)

    def __getitem__(self, row: int) -> npt.NDArray[np.int32]:
        return self.flat[self.offsets[row] : self.offsets[row + 1]]


class Vocabulary:
    """Words numbered in the order they are met, and the hashed features of each."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.features = np.zeros(0, np.int64)
        self.offsets = np.zeros(1, np.int64)

    def number(self, word: str) -> int:
        """The number of a word, a new one if it was not met before."""
        return self.index.setdefault(word, len(self.index))

    def lines(self, apps: Sequence[str], texts: Sequence[str]) -> Lines:
        """Number the words of messages, which are made canonical here."""
        number, flat, ends = self.number, [], [0]
        for app, text in zip(apps, texts, strict=True):
            flat += [number(w) for w in words(app, facility_of(app), canonical(text))]
            ends.append(len(flat))
        return Lines(np.array(flat, np.int32), np.array(ends, np.int64))

    def freeze(self) -> None:
        """Hash the words; to be called when all are numbered."""
        flat, offsets = bags(list(self.index))
        self.features = np.array(flat, np.int64)
        self.offsets = np.array([*offsets, len(flat)], np.int64)

    def bag(self, numbers: Ints) -> tuple[Tensor, Tensor]:
        """Features of these words, one after the other, and the offset of each word's first."""
        begins, ends = self.offsets[numbers], self.offsets[numbers + 1]
        places, starts = ranges(begins, ends)
        return torch.from_numpy(self.features[places]), torch.from_numpy(starts)


def facility_of(app: str) -> int:
    """The facility that an app is taught with, -1 for no app."""
    return FACILITIES.get(app.lower(), DAEMON) if app else -1


def ranges(begins: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """All numbers from each begin to before its end, joined, and where each range starts."""
    counts = ends - begins
    starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
    return np.arange(counts.sum()) + np.repeat(begins - starts, counts), starts
