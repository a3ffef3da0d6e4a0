"""The most memory that this process takes for itself while something goes on."""

from __future__ import annotations

import threading
from pathlib import Path


def private_memory() -> int:
    """Return how many bytes this process holds for itself: neither files that it has mapped nor what it shares."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    return kilobytes * 1024


class PeakMemory:
    """Looks at the memory every so often in a ``with`` block.

    Attributes
    ----------
    before : bytes when the block began.
    most : bytes, the most that was seen in it.
    """

    def __init__(self, seconds: float = 0.002) -> None:
        self._seconds, self._over = seconds, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.before = self.most = 0

    def __enter__(self) -> PeakMemory:
        self.before = self.most = private_memory()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        """How many bytes more than before it were."""
        return self.most - self.before

    def _look(self) -> None:
        while not self._over.wait(self._seconds):
            self.most = max(self.most, private_memory())
