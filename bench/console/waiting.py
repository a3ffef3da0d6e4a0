"""Saying that something is still going on: a slow disk may take minutes, a silent program looks dead much earlier."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SILENCE_S = 5.0
LONGEST_S = 60.0


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say on standard error what is going on and for how long: after ``SILENCE_S`` seconds, then ever more rarely."""
    started = time.monotonic()
    over = threading.Event()

    def tell() -> None:
        pause = SILENCE_S
        while not over.wait(pause):
            print(f"{what} ... {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            pause = min(2 * pause, LONGEST_S)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
