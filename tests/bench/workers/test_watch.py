"""What the driver makes of Tune's events: which folds are done, and which trainings are over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bench.workers.pack_trials import _Watch


class Seen:
    """Notes what a watch says."""

    def __init__(self, *folds: int) -> None:
        self.tallies: list[tuple[int, int]] = []
        self.over: list[int] = []
        self.lost: list[tuple[int, list[int]]] = []
        self.watch = _Watch(
            folds,
            lambda done, failed: self.tallies.append((done, failed)),
            self.over.append,
            lambda training, folds, trial: self.lost.append((training, folds)),
            lambda message: None,
        )


def trial(name: str, training: int, *folds: int) -> Any:
    return SimpleNamespace(trial_id=name, config={"training": training, "folds": list(folds)})


def test_a_training_is_over_with_the_last_of_its_folds_however_they_were_packed() -> None:
    for packs in ([[0, 1, 2, 3, 4]], [[3, 4], [0], [1, 2]], [[0], [1], [2], [3], [4]]):
        seen = Seen(2, 5)
        for number, folds in enumerate(packs):
            assert seen.over == []
            seen.watch.on_trial_complete(0, [], trial(f"pack {number}", 1, *folds))
        assert seen.over == [1]
        seen.watch.on_trial_complete(0, [], trial("other", 0, 0, 1))
        assert seen.over == [1, 0]


def test_folds_of_a_lost_pack_count_as_failed_and_as_over() -> None:
    seen = Seen(4)
    first, second = trial("a", 0, 0, 1, 2), trial("b", 0, 3)
    seen.watch.on_trial_result(0, [], first, {"folds_done": 1, "folds_failed": 0})
    seen.watch.on_trial_error(0, [], first)
    assert seen.lost == [(0, [0, 1, 2])]
    assert seen.tallies[-1] == (1, 2)
    assert seen.over == []
    seen.watch.on_trial_result(0, [], second, {"folds_done": 1, "folds_failed": 0})
    seen.watch.on_trial_complete(0, [], second)
    assert seen.tallies[-1] == (2, 2)
    assert seen.over == [0]
