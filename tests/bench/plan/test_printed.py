"""The printed scores of the registry, and which of our rows they are of."""

from __future__ import annotations

from typing import Any

import pytest

from bench.plan.printed import printed_scores
from mer_models.registry import MODELS
from preprocess.datasets import DATASETS
from results.scores.row import Row


def row(dataset: str, protocol: str = "loso", task: str = "emotion5", classes: int = 5, **changes: Any) -> Row:
    values: dict[str, Any] = dict.fromkeys(("model", "label", "params", "part", "selection", "watches"))
    counts = {str(number): 1 for number in range(classes)}
    values |= {"seeds": [], "studies": [], "n_samples": 1, "n_subjects": 1, "class_counts": counts}
    values |= {"folds_done": 1, "folds_total": 1, "folds_failed": 0}
    return Row(**{**values, "dataset": dataset, "protocol": protocol, "task": task, **changes})


def fitting(model: str, benchmark: str, ours: Row) -> bool:
    return any(one.fits(ours) for one in printed_scores([model]) if one.benchmark == benchmark)


@pytest.mark.parametrize(
    ("model", "benchmark", "ours", "fits"),
    [
        ("ststnet", "MEGC2019 cde samm", row("casme2+samm+smic", "cde", "megc3", 3), True),
        ("ststnet", "MEGC2019 cde samm", row("casme2+samm+smic", "cde", "emotion3", 3), False),
        ("ststnet", "MEGC2019 cde samm", row("casme2+samm", "cde", "megc3", 3), False),
        ("slstt", "CASME II loso 5 classes", row("casme2"), True),
        ("slstt", "CASME II loso 5 classes", row("casme"), False),
        ("slstt", "CASME II loso 5 classes", row("casme2", "kfold-subject"), False),
        ("slstt", "CASME II loso 5 classes", row("casme2", task="objective5"), False),
        ("slstt", "CASME II loso 5 classes", row("casme2", multilabel=True), False),
        ("slstt", "SMIC loso 3 classes", row("smic", task="megc3", classes=3), True),
        ("slstt", "SMIC loso 3 classes", row("smic_vis", task="megc3", classes=3), False),
        ("hoof_svm", "SAMM loso objective classes", row("samm", task="objective5"), True),
        ("hoof_svm", "SAMM loso objective classes", row("samm"), False),
        ("off_tanet", "CASME, CASME II and CAS(ME)^2 cde 3 classes", row("casme+casme2+casme_sq", "cde", "x", 3), True),
        ("micron_bert", "CAS(ME)^3 3 classes", row("casme3", "loso", "megc3", 3), False),
    ],
)
def test_a_benchmark_in_words_is_found_among_ours(model: str, benchmark: str, ours: Row, fits: bool) -> None:
    assert fitting(model, benchmark, ours) == fits


def test_every_printed_benchmark_is_of_databases_that_are_known() -> None:
    for one in printed_scores(MODELS.names()):
        if one.part != "full" or "MEGC2019" in one.benchmark or " loso " not in one.benchmark:
            continue
        kinds = [("emotions", 3), ("emotions", 4), ("emotions", 5), ("objective5", 5)]
        classes = [row(name, "loso", task, count) for name in DATASETS.names() for task, count in kinds]
        assert any(one.fits(ours) for ours in classes), one.benchmark


def test_both_of_a_leak_pair_are_there_and_a_published_form_is_named() -> None:
    pair = [one for one in printed_scores(["ststnet"]) if "Varanka" in one.source and one.part == "full"]
    assert [(one.selection, one.value) for one in pair] == [("last", 0.7127), ("oracle", 0.774)]
    assert {one.published.get("as_published") for one in printed_scores(["htnet"])} == {True}
    assert all("macro precision" in one.source for one in printed_scores(["ststnet"]) if one.value == 0.7186)
