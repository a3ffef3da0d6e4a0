"""Saying that something is still going on: a slow disk may take minutes, a silent program looks dead much earlier."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SILENCE_S = 5.0


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say on standard error, every ``SILENCE_S`` seconds, what is going on and for how long."""
    started = time.monotonic()
    over = threading.Event()

    def tell() -> None:
        while not over.wait(SILENCE_S):
            print(f"{what} ... {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
