"""What Ray Tune asks for the next trial: the plan's packs, and those that dead workers have left."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ray.tune.search import Searcher


class Packs(Searcher):
    """Hands Tune one pack after the other, so that waiting packs cost nothing.

    Parameters
    ----------
    packs : (training number, fold numbers), lazily.
    blocks : returns the keys of the blocks that nodes keep when a pack of a training is given out.

    Attributes
    ----------
    stopped : why nothing more is handed out; None while all is well.
    """

    def __init__(
        self, packs: Iterator[tuple[int, list[int]]], blocks: Callable[[int], tuple[str, ...]] = lambda training: ()
    ) -> None:
        super().__init__()
        self._packs, self._blocks = packs, blocks
        # The next pack, where it was looked for before it was asked for.
        self._seen: deque[tuple[int, list[int]]] = deque()
        self._again: deque[tuple[int, list[int]]] = deque()
        self._last: deque[tuple[int, list[int]]] = deque()
        self._given: set[str] = set()
        self.stopped: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles what it could restore from; a run resumes from the outcome store instead.
        return {}

    def stop(self, why: str) -> None:
        """Hand out nothing more."""
        self.stopped = self.stopped or why
        self._packs = iter(())
        for waiting in (self._seen, self._again, self._last):
            waiting.clear()

    def give_again(self, training: int, packs: Sequence[list[int]]) -> None:
        """Hand out these packs of a training next."""
        if not self.stopped:
            self._again.extend((training, folds) for folds in packs)

    def give_last(self, training: int, fold: int) -> None:
        """Hand out this fold by itself when nothing else is left."""
        if not self.stopped:
            self._last.append((training, [fold]))

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack as a trial's configuration, FINISHED, or None while it may come back from a worker."""
        pack = self._next()
        if pack is None:
            return None if self._given else Searcher.FINISHED
        self._given.add(trial_id)
        return {"training": pack[0], "folds": pack[1], "blocks": self._blocks(pack[0])}

    def any_left(self) -> bool:
        """Whether there is a pack to be handed out."""
        if not self._seen:
            self._seen.extend(itertools.islice(self._packs, 1))
        return bool(self._again or self._seen or self._last)

    def _next(self) -> tuple[int, list[int]] | None:
        if not self.any_left():
            return None
        return (self._again or self._seen or self._last).popleft()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note that nothing of this pack comes back, once the error's own callback has been called."""
        self._given.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a run resumes from the outcome store."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: a run resumes from the outcome store."""
