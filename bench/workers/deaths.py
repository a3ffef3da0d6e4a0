"""What follows when a worker dies: which folds are given out again, and which one is at fault.

Workers die for many reasons, and on a cluster of cheap machines often. A death counts for the fold that was being
trained, and for none where the whole node went or where no fold had begun; only a fold that has killed its worker three
times fails.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

DEATHS_OF_A_FOLD = 3
"""A fold fails when this many workers died while they trained it."""

PATIENCE_SECONDS = 600.0
MANY_DEATHS = 20
"""A run stops when workers die this often, and for this long, without a single fold done in between."""


@dataclass(frozen=True)
class Death:
    """How a worker died.

    Attributes
    ----------
    fold : the fold that it was training; None where none had begun.
    with_node : whether its whole node went, so that no fold is at fault.
    reason : in a few words.
    raised : whether our own code raised an error, outside of what a fold does.
    """

    fold: int | None
    with_node: bool
    reason: str
    raised: bool = False


@dataclass
class Deaths:
    """The deaths of a run's workers, and what follows from each.

    Attributes
    ----------
    clock : seconds that only grow.
    total : workers that died so far.
    """

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    _of_fold: Counter[tuple[int, int]] = field(default_factory=Counter)
    _in_vain: int = 0
    _since: float = 0.0

    def progress(self) -> None:
        """Note that a fold was done: workers live long enough."""
        self._in_vain = 0

    def after(self, training: int, left: Sequence[int], death: Death) -> tuple[int | None, list[list[int]]]:
        """Decide about the folds that a dead worker's pack has left.

        Parameters
        ----------
        training : the pack's training.
        left : folds of the pack that are neither done nor failed.
        death : how the worker died.

        Returns
        -------
        The fold that has failed by it, None where none has, and the packs in which the others are given out again:
        smaller ones, and the fold that was being trained by itself, so that it takes no other with it.
        """
        if not self._in_vain:
            self._since = self.clock()
        self.total += 1
        self._in_vain += 1
        blamed = death.fold if death.fold in left and not death.with_node else None
        failed = None
        if blamed is not None:
            self._of_fold[training, blamed] += 1
            failed = blamed if self._of_fold[training, blamed] >= DEATHS_OF_A_FOLD else None
        alone = [[blamed]] if blamed is not None and failed is None else []
        return failed, [*alone, *_halves([fold for fold in left if fold != blamed])]

    def in_vain(self) -> bool:
        """Return whether workers have died for so long, and so often, without a fold done that waiting cannot help."""
        return self._in_vain >= MANY_DEATHS and self.clock() - self._since > PATIENCE_SECONDS


def _halves(folds: list[int]) -> Iterator[list[int]]:
    middle = (len(folds) + 1) // 2
    yield from (half for half in (folds[:middle], folds[middle:]) if half)
