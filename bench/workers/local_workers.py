"""How many workers a Ray of our own has: one a core, as far as memory holds them."""

from __future__ import annotations

from preprocess.base.machine import usable_cores, usable_memory

DRIVER_GIB, WORKER_GIB = 0.8, 0.6
"""What a run takes in memory: its own process with Ray's, and each worker, without the features."""


def local_workers(asked: int | None) -> int:
    """Return how many workers there are.

    Ray ends workers of a machine, or of a container, whose memory is full, again and again: more of them than memory
    holds train less.

    Parameters
    ----------
    asked : ``--workers``; None for what cores and memory allow, one at least.
    """
    return asked or max(1, min(usable_cores(), int((_gib() - DRIVER_GIB) / WORKER_GIB)))


def told_of_workers(asked: int | None) -> str:
    """Return what a person should know where memory holds fewer workers than there are cores; "" where it does not."""
    workers, cores = local_workers(asked), usable_cores()
    if asked or workers == cores:
        return ""
    number = "one worker" if workers == 1 else f"{workers} workers"
    return f"{number} for {cores} cores: {_gib():.1f} GiB of memory hold no more (--workers takes another number)."


def _gib() -> float:
    return usable_memory() / 2**30
