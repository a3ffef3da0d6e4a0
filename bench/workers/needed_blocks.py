"""Which blocks a node must keep while a run goes on."""

from __future__ import annotations

from collections import Counter

from bench.plan.plan import Plan
from bench.study.feature_rows import FeatureRows


class NeededBlocks:
    """Counts for each block the trainings that still need it.

    A block is kept from the first pack that is trained on it to the end of the last such training.
    """

    def __init__(self, plan: Plan) -> None:
        self._of_data = {
            key: [block.key for one in data.all_features if isinstance(one, FeatureRows) for block in one.blocks]
            for key, data in plan.data.items()
        }
        self._data_of = [planned.training.data for planned in plan.trainings]
        self._left = Counter(planned.training.data for planned in plan.trainings if planned.todo)
        self._begun: set[str] = set()
        self._keys: tuple[str, ...] | None = None

    def by(self, training: int) -> tuple[str, ...]:
        """Return the keys of all blocks that nodes keep, now that a pack of this training is given out."""
        data = self._data_of[training]
        if data not in self._begun or self._keys is None:
            self._begun.add(data)
            self._keys = tuple(sorted({key for one in self._begun for key in self._of_data[one]}))
        return self._keys

    def training_over(self, training: int) -> None:
        """Note that no pack of this training comes any more."""
        data = self._data_of[training]
        self._left[data] -= 1
        if not self._left[data]:
            self._begun.discard(data)
            self._keys = None
