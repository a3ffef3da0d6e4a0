"""What follows when a worker dies: which folds are given out again, and which one is at fault.

Workers die for many reasons, and on a cluster of cheap machines often. A death counts for the fold that was being
trained, and for none where the whole node went or where no fold had begun. A fold fails after three deaths, or more
where workers die while they train anything: how often folds that were done in the end saw a death tells.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

DEATHS_OF_A_FOLD = 3
"""No fold fails before this many workers died while they trained it."""

CHANCE = 0.003
"""A fold fails when fewer folds than this, of all that were done, would see as many deaths without being at fault."""

PATIENCE_SECONDS = 600.0
MANY_DEATHS = 20
"""A run stops when workers die this often, and for this long, without a single fold done in between."""

FAILED_STARTS = 3
"""A run stops when so many workers raised an error before any fold of it was done: on a lost node, one may as well."""


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


@dataclass(frozen=True)
class Verdict:
    """What becomes of the folds that a dead worker's pack has left.

    Attributes
    ----------
    failed : the fold that has failed by this death; None where none has.
    suspect : the fold that is tried again by itself, when all else is done and what deaths mean is known best.
    again : the packs in which the others are given out again, smaller than the lost one.
    """

    failed: int | None
    suspect: int | None
    again: list[list[int]]


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
    _innocent: int = 0
    _lived: int = 0
    _failed_starts: int = 0
    _in_vain: int = 0
    _since: float = 0.0

    def progress(self) -> None:
        """Note that a fold was done: workers live long enough."""
        self._in_vain = 0

    def lived(self, training: int, folds: Iterable[int]) -> None:
        """Note that workers lived to the end of these folds: earlier deaths while they were trained are not theirs."""
        for fold in folds:
            self._lived += 1
            self._innocent += self._of_fold.pop((training, fold), 0)

    def of_fold(self, training: int, fold: int) -> int:
        """Return how many workers died while they trained a fold."""
        return self._of_fold[training, fold]

    def after(self, training: int, left: Sequence[int], death: Death) -> Verdict:
        """Decide about the folds that a dead worker's pack has left.

        Parameters
        ----------
        training : the pack's training.
        left : folds of the pack that are neither done nor failed.
        death : how the worker died.
        """
        if not self._in_vain:
            self._since = self.clock()
        self.total += 1
        self._in_vain += 1
        self._failed_starts += death.raised and death.fold is None
        suspect = death.fold
        if death.with_node or suspect is None or suspect not in left:
            return Verdict(None, None, _halves(left))
        self._of_fold[training, suspect] += 1
        again = _halves([fold for fold in left if fold != suspect])
        if self._is_at_fault(self._of_fold[training, suspect]):
            return Verdict(suspect, None, again)
        return Verdict(None, suspect, again)

    def _is_at_fault(self, deaths: int) -> bool:
        # As if ten attempts were known already, with next to no death: three deaths are enough where all is calm.
        rate = (self._innocent + 0.4) / (self._innocent + self._lived + 10)
        return deaths >= DEATHS_OF_A_FOLD and rate**deaths * (self._lived + 10) < CHANCE

    def never_begins(self) -> bool:
        """Return whether no worker of this run can begin: several have raised an error, and none has done a fold."""
        return self._failed_starts >= FAILED_STARTS and not self._lived

    def in_vain(self) -> bool:
        """Return whether workers have died for so long, and so often, without a fold done that waiting cannot help."""
        return self._in_vain >= MANY_DEATHS and self.clock() - self._since > PATIENCE_SECONDS


def _halves(folds: Sequence[int]) -> list[list[int]]:
    middle = (len(folds) + 1) // 2
    return [list(half) for half in (folds[:middle], folds[middle:]) if half]
