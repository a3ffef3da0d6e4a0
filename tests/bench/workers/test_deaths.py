"""What follows from the death of a worker: who is at fault, and what is given out again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ray.tune.search import Searcher

from bench.workers.deaths import DEATHS_OF_A_FOLD, MANY_DEATHS, PATIENCE_SECONDS, Death, Deaths
from bench.workers.packs import Packs


def of_fold(fold: int | None, with_node: bool = False) -> Death:
    return Death(fold, with_node, "for a reason")


def test_only_the_fold_that_was_trained_when_three_workers_died_fails() -> None:
    deaths = Deaths()
    assert deaths.after(0, [3, 4, 5, 6, 7], of_fold(5)) == (None, [[5], [3, 4], [6, 7]])
    assert deaths.after(0, [5], of_fold(5)) == (None, [[5]])
    assert deaths.after(1, [5], of_fold(5)) == (None, [[5]]), "the fold of another training"
    assert deaths.after(0, [5, 6], of_fold(5)) == (5, [[6]])
    assert deaths.total == 4


@pytest.mark.parametrize("death", [of_fold(5, with_node=True), of_fold(None), of_fold(2)])
def test_no_fold_is_at_fault_where_a_node_went_or_none_was_being_trained(death: Death) -> None:
    deaths = Deaths()
    for _ in range(3 * DEATHS_OF_A_FOLD):
        assert deaths.after(0, [5, 6, 7], death) == (None, [[5, 6], [7]])


def test_packs_get_smaller_with_each_loss_and_lose_no_fold() -> None:
    deaths, packs, seen = Deaths(), [list(range(37))], []
    while packs:
        pack = packs.pop()
        failed, again = deaths.after(0, pack, of_fold(pack[0]))
        assert sorted(itertools.chain(*again, [] if failed is None else [failed])) == pack
        assert all(len(one) <= max(1, (len(pack) + 1) // 2) for one in again)
        packs += again
        seen += [] if failed is None else [failed]
    assert sorted(seen) == list(range(37))
    assert deaths.total == 37 * DEATHS_OF_A_FOLD


def test_a_run_stops_only_after_many_deaths_over_a_long_time_with_nothing_done() -> None:
    now = 0.0
    deaths = Deaths(clock=lambda: now)
    for _ in range(10 * MANY_DEATHS):
        deaths.after(0, [1], of_fold(None))
    assert not deaths.in_vain(), "all nodes of a cluster may go at once"
    now = PATIENCE_SECONDS + 1
    assert deaths.in_vain()
    deaths.progress()
    assert not deaths.in_vain()
    deaths.after(0, [1], of_fold(None))
    now *= 3
    assert not deaths.in_vain(), "few deaths, far apart"


def suggested(packs: Packs, trial: str) -> Any:
    pack = packs.suggest(trial)
    return pack["folds"] if isinstance(pack, dict) else pack


def test_what_is_given_again_comes_next_and_nothing_ends_before_it_cannot_come() -> None:
    packs = Packs(iter([(0, [0, 1]), (1, [2])]))
    assert suggested(packs, "a") == [0, 1]
    packs.on_trial_complete("a", error=True)
    packs.give_again(0, [[1]])
    assert suggested(packs, "b") == [1]
    assert suggested(packs, "c") == [2]
    assert suggested(packs, "d") is None
    packs.on_trial_complete("b")
    assert suggested(packs, "d") is None
    packs.on_trial_complete("c")
    assert suggested(packs, "d") == Searcher.FINISHED


def test_a_run_that_stops_gives_nothing_again() -> None:
    packs = Packs(iter([(0, [0, 1]), (1, [2])]))
    assert suggested(packs, "a") == [0, 1]
    packs.stop("the disk is full")
    packs.stop("another reason")
    packs.on_trial_complete("a", error=True)
    packs.give_again(0, [[1]])
    assert suggested(packs, "b") == Searcher.FINISHED
    assert packs.stopped == "the disk is full"
