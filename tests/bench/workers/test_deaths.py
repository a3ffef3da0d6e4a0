"""What follows from the death of a worker: who is at fault, and what is given out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from bench.workers.deaths import DEATHS_OF_A_FOLD, FAILED_STARTS, MANY_DEATHS, PATIENCE_SECONDS, Death, Deaths, Verdict
from bench.workers.packs import Packs


def of_fold(fold: int | None, with_node: bool = False) -> Death:
    return Death(fold, with_node, "for a reason")


def test_only_the_fold_that_was_trained_when_three_workers_died_fails() -> None:
    deaths = Deaths()
    assert deaths.after(0, [3, 4, 5, 6, 7], of_fold(5)) == Verdict(None, 5, [[3, 4], [6, 7]])
    assert deaths.after(0, [5], of_fold(5)) == Verdict(None, 5, [])
    assert deaths.after(1, [5], of_fold(5)) == Verdict(None, 5, []), "the fold of another training"
    assert deaths.after(0, [5, 6], of_fold(5)) == Verdict(5, None, [[6]])
    assert deaths.of_fold(0, 5) == DEATHS_OF_A_FOLD
    assert deaths.total == 4


@pytest.mark.parametrize("death", [of_fold(5, with_node=True), of_fold(None), of_fold(2)])
def test_no_fold_is_at_fault_where_a_node_went_or_none_was_being_trained(death: Death) -> None:
    deaths = Deaths()
    for _ in range(3 * DEATHS_OF_A_FOLD):
        assert deaths.after(0, [5, 6, 7], death) == Verdict(None, None, [[5, 6], [7]])


def trained(folds: int, dies: Callable[[int], bool]) -> tuple[list[int], int]:
    """Train packs of folds until each fold is done or has failed; return which failed, and how many workers died."""
    deaths, failures, packs = Deaths(), list[int](), Packs(iter([(0, list(range(folds)))]))
    while (suggested := packs.suggest("the only worker")) != Searcher.FINISHED:
        done, pack = list[int](), suggested["folds"]
        for fold in pack:
            if dies(fold):
                deaths.lived(0, done)
                verdict = deaths.after(0, [one for one in pack if one not in done], of_fold(fold))
                assert all(len(one) <= max(1, (len(pack) + 1) // 2) for one in verdict.again)
                failures += [] if verdict.failed is None else [verdict.failed]
                if verdict.suspect is not None:
                    packs.give_last(0, verdict.suspect)
                packs.give_again(0, verdict.again)
                break
            done.append(fold)
        else:
            deaths.lived(0, done)
        packs.on_trial_complete("the only worker")
    return failures, deaths.total


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_no_fold_fails_where_workers_die_whatever_they_train(share: float) -> None:
    rng = np.random.default_rng(0)
    failures, died = trained(300, lambda fold: rng.random() < share)
    assert failures == []
    assert died > 300 * share / 2


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_a_fold_that_kills_each_of_its_workers_fails_among_others_that_are_killed(share: float) -> None:
    rng = np.random.default_rng(0)
    failures, died = trained(300, lambda fold: fold in (7, 200) or rng.random() < share)
    assert sorted(failures) == [7, 200]
    if not share:
        assert died == 2 * DEATHS_OF_A_FOLD


def test_a_model_that_kills_every_worker_fails_in_every_fold_after_three_deaths_each() -> None:
    failures, died = trained(37, lambda fold: True)
    assert sorted(failures) == list(range(37))
    assert died == 37 * DEATHS_OF_A_FOLD


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


def test_workers_that_raise_an_error_before_a_fold_stop_a_run_only_where_none_has_done_one() -> None:
    raised = Death(None, with_node=False, reason="of another version", raised=True)
    broken = Deaths()
    for _ in range(FAILED_STARTS):
        assert not broken.never_begins()
        broken.after(0, [1, 2], raised)
    assert broken.never_begins()
    losing_nodes = Deaths()
    losing_nodes.lived(0, [0])
    for _ in range(3 * FAILED_STARTS):
        losing_nodes.after(0, [1, 2], raised)
    assert not losing_nodes.never_begins()


def suggested(packs: Packs, trial: str) -> Any:
    pack = packs.suggest(trial)
    return pack["folds"] if isinstance(pack, dict) else pack


def test_what_is_given_again_comes_next_and_nothing_ends_before_it_cannot_come() -> None:
    packs = Packs(iter([(0, [0, 1]), (1, [2])]))
    assert suggested(packs, "a") == [0, 1]
    assert packs.any_left()
    packs.on_trial_complete("a", error=True)
    packs.give_last(0, 0)
    packs.give_again(0, [[1]])
    assert suggested(packs, "b") == [1]
    assert suggested(packs, "c") == [2]
    packs.on_trial_complete("b")
    assert packs.any_left()
    assert suggested(packs, "d") == [0], "the suspect comes when all else is given out"
    assert not packs.any_left()
    packs.on_trial_complete("d")
    assert suggested(packs, "e") is None
    packs.on_trial_complete("c")
    assert suggested(packs, "d") == Searcher.FINISHED


def test_a_run_that_stops_gives_nothing_again() -> None:
    packs = Packs(iter([(0, [0, 1]), (1, [2])]))
    assert suggested(packs, "a") == [0, 1]
    assert packs.any_left()
    packs.stop("the disk is full")
    assert not packs.any_left()
    packs.stop("another reason")
    packs.on_trial_complete("a", error=True)
    packs.give_again(0, [[1]])
    packs.give_last(0, 0)
    assert suggested(packs, "b") == Searcher.FINISHED
    assert packs.stopped == "the disk is full"
