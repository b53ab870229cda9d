"""Whether the program is alive and whether it is ready: what /healthz and /readyz answer from."""

from __future__ import annotations

import threading
import time

NOT_YET = {"model": "not loaded yet", "sockets": "not open yet", "sink": "not open yet"}


class Health:
    """Set by the stream loop, read by the HTTP threads.

    Alive: the loop's last `beat` is at most `beat_within_s` old. Ready: no part has a reason not
    to be; at first "model", "sockets" and "sink" have one.
    """

    def __init__(self, beat_within_s: float = 30.0) -> None:
        self.beat_within_s = beat_within_s
        self._beaten = time.monotonic()
        self._reasons = dict(NOT_YET)
        self._lock = threading.Lock()

    def beat(self) -> None:
        """Say that the loop goes round; call it also when there is nothing to do."""
        self._beaten = time.monotonic()

    def silent_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beaten

    def alive(self) -> bool:
        """Whether the loop has gone round lately."""
        return self.silent_s() <= self.beat_within_s

    def set_ready(self, part: str) -> None:
        """Nothing is wrong with `part` ("model", "sockets", "sink") any more."""
        with self._lock:
            self._reasons.pop(part, None)

    def set_not_ready(self, part: str, reason: str) -> None:
        """`part` does not work, for `reason` (one line), until `set_ready`."""
        with self._lock:
            self._reasons[part] = reason

    def not_ready(self) -> list[str]:
        """Why the program is not ready, "part: reason" each; empty when it is."""
        with self._lock:
            return [f"{part}: {reason}" for part, reason in self._reasons.items()]
