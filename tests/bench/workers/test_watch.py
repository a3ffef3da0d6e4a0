"""What the driver makes of Tune's events: which folds are done, and which trainings are over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bench.workers.watch import Tally, Watch


class Seen:
    """Notes what a watch says."""

    def __init__(self, *folds: int) -> None:
        self.tallies: list[tuple[int, int]] = []
        self.over: list[int] = []
        self.said: list[str] = []
        self.training: list[int] = []
        self.lost = Tally(0, 0)
        self.watch = Watch(
            folds,
            self._tally,
            self.over.append,
            lambda trial: None,
            lambda trial: self.lost,
            lambda message: None,
            self.said.append,
        )

    def _tally(self, done: int, failed: int, training: int) -> None:
        self.tallies.append((done, failed))
        self.training.append(training)


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


def test_folds_that_a_dead_worker_has_left_are_neither_done_nor_over_until_another_trial_ends_them() -> None:
    seen = Seen(4)
    first, second = trial("a", 0, 0, 1, 2), trial("b", 0, 3)
    seen.watch.on_trial_result(0, [], second, {"folds_done": 1, "folds_failed": 0})
    seen.watch.on_trial_complete(0, [], second)
    # It had not yet told of the second one.
    seen.watch.on_trial_result(0, [], first, {"folds_done": 1, "folds_failed": 0})
    seen.lost = Tally(1, 1)
    seen.watch.on_trial_error(0, [], first)
    assert seen.tallies[-1] == (2, 1)
    assert seen.over == []
    again = trial("c", 0, 2)
    seen.lost = Tally(0, 0)
    seen.watch.on_trial_error(0, [], again)
    assert seen.tallies[-1] == (2, 1)
    assert seen.over == []
    last = trial("d", 0, 2)
    seen.watch.on_trial_result(0, [], last, {"folds_done": 1, "folds_failed": 0})
    seen.watch.on_trial_complete(0, [], last)
    assert seen.tallies[-1] == (3, 1)
    assert seen.over == [0]


def test_the_workers_that_train_are_counted_as_they_come_and_go() -> None:
    seen = Seen(8)
    first, second, third = (trial(name, 0, fold) for fold, name in enumerate("abc"))
    result = {"folds_done": 0, "folds_failed": 0}
    for started in (first, second, third):
        seen.watch.on_trial_start(0, [], started)
    seen.watch.on_trial_result(0, [], third, result)
    seen.watch.on_trial_complete(0, [], first)
    seen.watch.on_trial_error(0, [], second)
    seen.watch.on_trial_result(0, [], third, result)
    assert seen.training == [3, 1, 1], "one report each of two results and of a loss"


def test_what_many_workers_have_to_tell_is_told_once() -> None:
    seen = Seen(4)
    for name, note in (("a", "node 1 has no GPU"), ("b", "node 1 has no GPU"), ("b", "node 2 has no GPU")):
        seen.watch.on_trial_result(0, [], trial(name, 0, 0), {"folds_done": 1, "folds_failed": 0, "note": note})
    seen.watch.on_trial_result(0, [], trial("c", 0, 1), {"folds_done": 1, "folds_failed": 0})
    assert seen.said == ["node 1 has no GPU", "node 2 has no GPU"]
