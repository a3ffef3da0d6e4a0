"""What was made last, kept for whoever asks for it again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


def _one(_: object) -> int:
    return 1


class Recent(Generic[V]):
    """The values that were asked for last. Any thread may ask; two that ask at once may both make a value.

    Parameters
    ----------
    most : total size of the values that are kept.
    size : of a value; by default each counts as 1. A value larger than ``most`` is not kept.
    """

    def __init__(self, most: int, size: Callable[[V], int] = _one) -> None:
        self._most, self._size = most, size
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key; ``make`` makes it where it is not kept. Its errors go to the caller."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        size = self._size(value)
        with self._lock:
            if key not in self._kept and size <= self._most:
                self._kept[key] = value
                self._total += size
            while self._total > self._most:
                self._total -= self._size(self._kept.popitem(last=False)[1])
        return value

    def clear(self) -> None:
        """Keep nothing of what was made so far."""
        with self._lock:
            self._kept.clear()
            self._total = 0
