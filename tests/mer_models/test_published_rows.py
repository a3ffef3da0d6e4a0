"""Scores that are printed elsewhere: which epoch was scored, and the pairs that show what that is worth."""

from __future__ import annotations

import pytest

from mer_models.registry import MODELS

WITHOUT_EPOCHS = [name for name, info in MODELS.items() if info.kind == "estimator" and info.published]


def test_there_are_estimators_with_published_scores() -> None:
    assert {"biwoof_svm", "hoof_svm", "lbp_top_svm", "mdmo_svm"} <= set(WITHOUT_EPOCHS)


@pytest.mark.parametrize("name", WITHOUT_EPOCHS)
def test_no_source_says_how_the_settings_of_an_estimator_were_chosen(name: str) -> None:
    assert {score.selection for score in MODELS.get(name).published} == {"unknown"}


@pytest.mark.parametrize(("name", "gap"), [("ststnet", 0.0613), ("off_apexnet", 0.1358)])
def test_the_same_runs_at_their_last_and_at_their_best_epoch_stand_side_by_side(name: str, gap: float) -> None:
    pair = {
        score.selection: score.uf1
        for score in MODELS.get(name).published
        if score.benchmark == "MEGC2019 cde full" and "2211.11425" in score.reference
    }
    assert set(pair) == {"last", "oracle"}
    assert pair["oracle"] - pair["last"] == pytest.approx(gap)


def test_what_a_third_party_noted_of_another_input_is_no_score_of_a_model() -> None:
    assert MODELS.get("timm/resnet18").published == ()


def test_a_score_that_is_one_of_many_repeats_does_not_count_as_chosen_on_validation_subjects() -> None:
    assert {score.selection for score in MODELS.get("dual_inception").published} == {"unknown"}


def test_sssnets_score_is_one_of_emotions_pooled_over_the_folds() -> None:
    full = next(score for score in MODELS.get("sssnet").published if score.benchmark == "MEGC2019 cde full")
    assert (full.uf1, full.uar, full.selection) == (0.7394, None, "last")
