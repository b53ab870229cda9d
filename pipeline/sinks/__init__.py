"""Where scored batches go: Arrow files, and stdout as text, JSON lines or an Arrow stream.

OSError
├── SinkFull     no room now: the same batch may be given again
│   └── SinkStalled   stdout is not read just now
└── SinkClosed   the reader of stdout is gone: end quietly
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Sink(Protocol):
    """What the stream loop hands batches to; called by one thread."""

    name: str
    """The `sink` label of the metrics."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Return when the batch is written.

        Raises SinkFull when there is no room: give the same batch again to retry, or another
        one, which gives the first up. Raises SinkClosed when nobody reads any more, and any
        other OSError as the system gave it, with the file named.
        """

    def tick(self, now_us: int) -> None:
        """Do what time brings (rotation by age); called at least once a second."""

    def rotate(self) -> None:
        """Finish the file in hand (SIGHUP); nothing where there is none."""

    def close(self) -> None:
        """Finish everything; a batch that `write` refused is not part of it."""


class SinkFull(OSError):  # noqa: N818 - a state, not a fault
    """No room: the file system or the quota is full."""

    reason: ClassVar[str] = "disk_full"
    """Of the lines that are dropped meanwhile."""


class SinkStalled(SinkFull):
    """The reader of stdout takes nothing just now."""

    reason: ClassVar[str] = "stdout_stalled"


class SinkClosed(OSError):  # noqa: N818 - the ordinary end of a pipe
    """The other end of the pipe is closed."""


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def explained(error: OSError, where: object) -> OSError:
    """The same error as one line that names the file, as SinkFull or SinkClosed where it is."""
    if error.errno in FULL:
        kind: type[OSError] = SinkFull
    elif error.errno == errno.EPIPE:
        kind = SinkClosed
    elif error.errno is None:
        return OSError(f"{where}: {error}")
    else:
        kind = OSError
    return kind(error.errno, error.strerror or str(error), str(where))
