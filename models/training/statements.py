"""Labelled statements as a decoder learns them: whose they are, and the text with typed slots."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from models.fillings import slot_for
from models.training.corpus import Floats, Ints, read_corpus, sampling_weights

LEAST_OF_APP = 20
"""Statements that a program needs to get a token of its own."""
_PLACEHOLDER = re.compile(
    r"%(?:\(\w+\))?[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t|q|L)?"
    r"(p[A-Z][A-Za-z0-9]*|[A-Za-z])|(%%)|(\{[^{}]{0,60}\})"
)
_BY_VERB = {
    **dict.fromkeys("diuc", "<num>"), **dict.fromkeys("xXo", "<hex>"), "p": "<pointer>",
    **dict.fromkeys("feEgGF", "<float>"), "m": "<error>", "pI4": "<ip>", "pI6": "<ip>",
    "pI6c": "<ip>", "pM": "<mac>",
}  # fmt: skip


@dataclass
class Statements:
    """A corpus that is ready to be cut into pieces."""

    apps: list[str]
    texts: list[str]
    """With slots where values stand."""
    samples: list[str]
    """The same with the corpus's own values, as Raccoon reads them."""
    severity: Ints  # (N,)
    weights: Floats  # (N,) how often each is drawn, of 1
    known_apps: list[str]
    """Programs that are worth a token, the commonest first."""


def read_statements(path: Path) -> Statements:
    """Read a corpus as `train` takes it. Raises CorpusError."""
    rows = read_corpus(path)
    texts = [
        slotted(form, sample)
        for form, sample in zip(rows.forms or rows.texts, rows.texts, strict=True)
    ]
    counts = Counter(app for app in rows.apps if app)
    return Statements(
        rows.apps,
        texts,
        rows.texts,
        rows.severity,
        sampling_weights(rows.severity, rows.origins),
        [app for app, n in counts.most_common() if n >= LEAST_OF_APP],
    )


def slotted(form: str, sample: str) -> str:
    """The form with a slot for each placeholder, of the kind that the sample has a value of.

    The sample's literal parts are looked up one after the other; where one is missing, or two
    placeholders touch, the conversion's letter must do.
    """
    literals: list[str] = []
    verbs: list[str] = []
    at = 0
    literal = ""
    for match in _PLACEHOLDER.finditer(form):
        literal += form[at : match.start()]
        at = match.end()
        if match[2]:
            literal += "%"
            continue
        literals.append(literal)
        verbs.append(match[1] or "s")
        literal = ""
    last = literal + form[at:]
    begin = sample.find(literals[0]) + len(literals[0]) if literals and literals[0] else 0
    out = []
    for i, verb in enumerate(verbs):
        following = literals[i + 1] if i + 1 < len(verbs) else last
        end = sample.find(following, begin) if following else -1
        if not following and i + 1 == len(verbs):
            end = len(sample)
        slot = _BY_VERB.get(verb)
        if slot is None:
            slot = slot_for(sample[begin:end]) if end > begin else "<name>"
        out += [literals[i], slot]
        if end >= 0:
            begin = end + len(following)
    return "".join([*out, last])
