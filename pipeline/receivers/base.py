"""What every receiver is: one source, and a thread of its own that reads it into the queue."""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from typing import ClassVar

from pipeline.batcher import FrameQueue


class ReceiverError(OSError):
    """A source that cannot be opened; the message is one line that names it and the mend."""


class StopSignal:
    """Set once, from any thread; a poll() on its descriptor sees it."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Closed with the object, not before: set() may come late, to a number used anew by then.
        weakref.finalize(self, os.close, self._fd)
        self._event = threading.Event()

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        if not self._event.is_set():
            self._event.set()
            os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        return self._event.is_set()


class Receiver(ABC):
    """One source and the thread that reads it.

    To end without loss: stop() every receiver, go on taking from the queue until all are
    `finished`, close the queue, take what is left. A receiver that waits for room in the queue
    when nobody takes any more is freed by close(), the lines in its hand counted as dropped.
    """

    can_wait: ClassVar[bool]
    """Whether the sender waits while we don't read (a pipe) or loses what comes (UDP)."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.kernel_dropped = 0
        """Messages that the kernel dropped before we could read them."""
        self.error: str | None = None
        """Why reading ended, one line, where it was neither the end of input nor stop()."""
        self._stop = StopSignal()
        self._finished = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will be put: end of input, stopped, or `error`."""
        return self._finished.is_set()

    def start(self, queue: FrameQueue) -> None:
        """Begin to read. Once in the life of a receiver."""
        self._thread = threading.Thread(
            target=self._run, args=(queue,), name=f"receive {self.source}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to put what has arrived already and end. Does not wait for it."""
        self._stop.set()
        if self._thread is None:
            self._close()
            self._finished.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of reading; False when `timeout_s` passed before."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def _run(self, queue: FrameQueue) -> None:
        try:
            self._read(queue)
        except OSError as error:
            self.error = f"{self.source}: {error.strerror or error}"
        except Exception as error:
            self.error = f"{self.source}: {type(error).__name__}: {error}"
            raise
        finally:
            self._close()
            self._finished.set()
            queue.wake()

    @abstractmethod
    def _read(self, queue: FrameQueue) -> None:
        """Put what arrives until the end of input or until `_stop` is set."""

    @abstractmethod
    def _close(self) -> None:
        """Give back what the receiver opened."""
