"""Taking turns among processes of one machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from preprocess.base.locks import lock


@contextlib.contextmanager
def turn(folder: Path, number: int, places: int) -> Iterator[None]:
    """Wait until fewer than so many others are inside of the block.

    Parameters
    ----------
    folder : shared by those who wait for each other.
    number : of this process; consecutive ones get different places.
    places : how many may be inside at a time, about: who waits for a place does so although another is free.
    """
    with open(folder / f"turn-{number % places}", "ab") as place:
        # Without locks there, nobody waits.
        lock(place)
        yield
