"""The report of a study, and finding a study by what a person types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from example_studies import ExampleStudy, example_study

from preprocess.base.errors import UsageError
from results.scores.leaderboard import build_leaderboard
from results.scores.pooling import score
from results.store.outcome_store import OutcomeStore
from results.views.columns import interval, number
from results.views.study_report import find_study, study_report, words_for


def report(study: ExampleStudy, folds: int | None = None, failed: tuple[int, ...] = ()) -> str:
    failures = [study.failure(place) for place in failed]
    return study_report(study.card, study.outcomes()[:folds], failures, np.random.default_rng(0))


def test_a_report_shows_parts_classes_and_subjects() -> None:
    study = example_study(datasets={"casme2": 3, "samm": 2}, params={"epochs": 3})
    text = report(study)
    scores = score(study.card, study.outcomes())
    assert text.startswith("ststnet[epochs=3] · casme2+samm · megc3 · cde · last · seed 0\n")
    assert study.card.key[:16] in text
    lines = text.splitlines()
    for name, part in scores.items():
        summary = next(line for line in lines if line.startswith(f"{name} ") and "[" in line).split()
        assert summary[1:3] == [str(part.n_samples), str(part.n_subjects)]
        assert number(part.metrics["uf1"]) in summary
        assert number(part.metrics["uar"]) in summary
        block = lines[lines.index(f"{name}: per class, and the confusion matrix") + 3 :][:3]
        for line, label, counts in zip(block, study.card.classes, part.counts.tolist(), strict=True):
            words = line.split()
            assert words[:2] == [label, str(part.class_counts[label])]
            assert words[3:5] == [number(part.recall_per_class[label]), number(part.f1_per_class[label])]
            assert words[5:] == [str(count) for count in counts]
    for outcome in study.outcomes():
        correct = int((outcome.y_true == outcome.y_pred).sum())
        expected = [outcome.subjects[0], "4", str(correct), number(correct / 4), "3"]
        assert expected in [line.split() for line in lines]


def test_an_incomplete_study_shows_what_is_missing_and_no_score() -> None:
    text = report(example_study(datasets={"casme2": 3, "samm": 2}), folds=3, failed=(4,))
    assert "3/5 folds are done: no score. Missing: samm/sub00, samm/sub01." in text
    assert "! samm/sub01: ValueError: too few samples" in text
    assert "UF1" not in text
    assert "per subject" not in text


def test_oracle_and_synthetic_are_stamped() -> None:
    text = report(example_study(selection="oracle", synthetic=True))
    assert "SYNTHETIC DATA" in text
    assert "best epoch on the test subject: not comparable, not ranked" in text


def test_an_absent_class_is_warned_of() -> None:
    assert "! no sample of class 'surprise'" in report(example_study(labels=(0, 1)))


CARDS = [
    example_study("ststnet", seed=1).card,
    example_study("ststnet", seed=10).card,
    example_study("ststnet", seed=1, params={"epochs": 30}).card,
    example_study("htnet", {"casme2": 2, "samm": 2}, selection="oracle").card,
]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("htnet", 3),
        ("oracle cde", 3),
        ("ststnet last seed 1", 0),
        ("STSTNET seed 10", 1),
        ("epochs=30", 2),
        *((card.key, place) for place, card in enumerate(CARDS)),
        *((card.key[:16].upper(), place) for place, card in enumerate(CARDS)),
    ],
)
def test_a_study_is_found_by_words_or_key(text: str, place: int) -> None:
    assert find_study(CARDS, text) is CARDS[place]


def test_several_matches_are_listed_with_their_keys() -> None:
    with pytest.raises(UsageError, match="3 studies match 'ststnet'") as caught:
        find_study(CARDS, "ststnet")
    for card in CARDS[:3]:
        assert f"{card.key[:16]}  {card.title}" in str(caught.value)


def test_no_match_names_the_near_word() -> None:
    with pytest.raises(UsageError, match=r"No study matches 'stsnet last'\. Did you mean: ststnet"):
        find_study(CARDS, "stsnet last")
    with pytest.raises(UsageError, match="No study matches"):
        find_study([], "ststnet")


def test_a_report_shows_the_intervals_of_the_leaderboard(tmp_path: Path) -> None:
    study = example_study(datasets={"casme2": 5, "samm": 4})
    store = OutcomeStore(tmp_path, create=True)
    store.write_card(study.card)
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    text = report(study)
    rows = build_leaderboard(store, rng=np.random.default_rng(0)).rows
    assert [row.part for row in rows] == ["full", "casme2", "samm"]
    for row in rows:
        line = next(line for line in text.splitlines() if line.startswith(f"{row.part} ") and "[" in line)
        assert interval(row.uf1_low, row.uf1_high) in line
        assert interval(row.uar_low, row.uar_high) in line


@pytest.mark.parametrize("place", range(5))
def test_the_words_for_a_study_find_it(place: int) -> None:
    cards = [
        example_study().card,
        example_study(seed=1).card,
        example_study(datasets={"casme2": 3, "samm": 3}).card,
        example_study("st", {"samm": 4}).card,
        example_study(params={"epochs": 3}, selection="oracle").card,
    ]
    words = words_for(cards, cards[place])
    assert find_study(cards, words) == cards[place]
    assert (
        words
        == [
            "ststnet loso casme2 megc3 last seed 0",
            "ststnet loso casme2 megc3 last seed 1",
            "ststnet cde",
            "st loso",
            "ststnet[epochs=3] loso",
        ][place]
    )


def test_studies_of_equal_titles_are_named_by_their_keys() -> None:
    old, new = example_study(code="v1").card, example_study(code="v2").card
    assert words_for([old, new], new) == new.key[:16]
