"""What is known of each template: one row each, one array a column."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from parsers.firewall import Kind


class TemplateTable:
    """What is known of each template, one array a column, all of one bounded capacity."""

    def __init__(self, capacity: int, latent_dim: int) -> None:
        self.capacity = capacity
        self.size = 0
        self.latent = np.zeros((capacity, latent_dim), np.float32)  # (T, D)
        self.surprise = np.zeros(capacity, np.float32)
        self.probability = np.zeros((capacity, 8), np.float32)  # (T, 8)
        """Under the prior that `prior_stamp` names."""
        self.prior_stamp = np.zeros(capacity, np.int64)
        """0 is the emission prior's; see pipeline.priors."""
        self.likelihood = np.zeros((capacity, 8), np.float32)  # (T, 8)
        """Probabilities, were all severities equally frequent."""
        self.severity = np.zeros(capacity, np.uint8)
        self.confidence = np.zeros(capacity, np.float32)
        self.template_id = np.zeros(capacity, np.uint64)
        self.facility = np.zeros(capacity, np.int8)
        """Of the PRI, -1 without one."""
        self.app = np.zeros(capacity, np.int32)
        """The program, as `Scorer.novelty` numbers it."""
        self.seen = np.zeros(capacity, np.int64)
        self.last_used = np.zeros(capacity, np.int64)
        self.is_packet = np.zeros(capacity, np.bool_)
        self.told = np.full(capacity, -1, np.int8)
        """The severity that a person has given a template, -1 without one."""
        self.mistrusted = np.zeros(capacity, np.bool_)
        """Of programs and facilities whose declared severities are not believed."""
        self.verdict = np.zeros(capacity, np.int8)
        """What a person has called it: 0 nothing, 1 normal, 2 an anomaly."""
        self.next_latent = np.zeros((capacity, latent_dim), np.float32)  # (T, D)
        """What a model on its way in says of the rows that are `ready`; see pipeline.swap."""
        self.next_surprise = np.zeros(capacity, np.float32)
        self.next_likelihood = np.zeros((capacity, 8), np.float32)  # (T, 8)
        self.ready = np.zeros(capacity, np.bool_)
        self.packet_kinds: list[Kind | None] = []
        """Which firewall format the template is of."""
        self.texts: list[tuple[str, str]] = []
        """(app_name, canonical text) of each row: what the encoder is given."""

    def columns(self) -> list[npt.NDArray[np.generic]]:
        return [v for v in vars(self).values() if isinstance(v, np.ndarray)]

    def keep_prediction(
        self, rows: npt.NDArray[np.integer], probability: npt.NDArray[np.float32], stamp: int
    ) -> None:
        """What these R rows are predicted to be, (R, 8), under the prior of this stamp."""
        self.probability[rows] = probability
        self.severity[rows] = probability.argmax(axis=1)
        self.confidence[rows] = probability.max(axis=1)
        self.prior_stamp[rows] = stamp

    def take_over(self) -> None:
        """Let what the next model says count; all rows must be ready."""
        used = slice(0, self.size)
        self.latent[used] = self.next_latent[used]
        self.surprise[used] = self.next_surprise[used]
        self.likelihood[used] = self.next_likelihood[used]
        self.prior_stamp[used] = -1  # no prior's: each row is predicted anew when it is used
        self.ready[:] = False

    def keep(self, rows: npt.NDArray[np.intp]) -> None:
        """Keep these rows only, in this order."""
        # What the next model says is moved where it has said something: a column that was never
        # written to takes no memory.
        unused = () if self.ready.any() else ("next_latent", "next_surprise", "next_likelihood")
        for name, column in vars(self).items():
            if isinstance(column, np.ndarray) and name not in unused:
                column[: len(rows)] = column[rows]
        self.texts = [self.texts[i] for i in rows.tolist()]
        self.packet_kinds = [self.packet_kinds[i] for i in rows.tolist()]
        self.size = len(rows)
        self.seen[self.size :] = 0


def template_id(app_name: str, text: str) -> int:
    """The same number for the same template on every machine: 64 bits of BLAKE2b, never 0."""
    digest = hashlib.blake2b(f"{app_name}\0{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
