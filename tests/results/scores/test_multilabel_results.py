"""Multi-label tasks: their metrics against scikit-learn, and their studies from outcome file to leaderboard."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import sklearn.metrics
from example_studies import UNITS, ExampleStudy, example_study

from preprocess.base.errors import DataError, HonestyError
from results.scores.leaderboard import Row, build_leaderboard, study_rows
from results.scores.metrics import decide
from results.scores.multilabel import LABEL_METRICS, grouped_label_confusion, label_confusion
from results.scores.pooling import pool_complete, score
from results.store.outcome import Outcome
from results.store.outcome_file import outcome_from_bytes, outcome_to_bytes, result_digest
from results.store.outcome_store import OutcomeStore
from results.views.columns import number
from results.views.leaderboard_text import render
from results.views.study_files import study_tables
from results.views.study_report import study_report

SKLEARN: dict[str, Any] = {
    "uf1": lambda t, p: sklearn.metrics.f1_score(t, p, average="macro", zero_division=0),
    "uar": lambda t, p: sklearn.metrics.recall_score(t, p, average="macro", zero_division=0),
    "accuracy": lambda t, p: float(np.mean(t == p)),
    "weighted_f1": lambda t, p: sklearn.metrics.f1_score(t, p, average="weighted", zero_division=0),
    "micro_f1": lambda t, p: sklearn.metrics.f1_score(t, p, average="micro", zero_division=0),
    "macro_f1": lambda t, p: np.mean(
        [
            sklearn.metrics.f1_score(t[:, c], p[:, c], average="macro", labels=[0, 1], zero_division=0)
            for c in range(t.shape[1])
        ]
    ),
}


def random_labels(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return true and predicted labels; some classes are rare, some absent."""
    rng = np.random.default_rng(seed)
    n, classes = int(rng.integers(1, 40)), int(rng.integers(2, 13))
    shares = rng.choice([0.0, 0.05, 0.3, 0.9], classes)
    return (rng.random((n, classes)) < shares).astype(int), (rng.random((n, classes)) < shares).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("name", SKLEARN)
def test_metrics_equal_scikit_learns(name: str) -> None:
    for seed in range(60):
        true, predicted = random_labels(seed)
        found = float(LABEL_METRICS.get(name)(label_confusion(true, predicted)))
        assert found == pytest.approx(SKLEARN[name](true, predicted)), seed


def test_true_and_predicted_may_not_be_swapped() -> None:
    true, predicted = np.array([[1, 0], [1, 0], [1, 1]]), np.array([[1, 0], [0, 0], [0, 0]])
    counts = label_confusion(true, predicted)
    assert counts.tolist() == [[[0, 0], [2, 1]], [[2, 0], [1, 0]]]
    assert float(LABEL_METRICS.get("uar")(counts)) == pytest.approx((1 / 3 + 0) / 2)


def test_a_class_that_nobody_shows_counts_as_zero() -> None:
    true = np.array([[1, 0], [0, 0]])
    assert float(LABEL_METRICS.get("uf1")(label_confusion(true, true))) == 0.5
    assert float(LABEL_METRICS.get("accuracy")(label_confusion(true, true))) == 1


def test_groups_add_up() -> None:
    true, predicted = random_labels(3)
    groups = np.arange(len(true)) % 4
    counts = grouped_label_confusion(true, predicted, groups, 4, true.shape[1])
    np.testing.assert_array_equal(counts.sum(axis=0), label_confusion(true, predicted))
    np.testing.assert_array_equal(counts[2], label_confusion(true[groups == 2], predicted[groups == 2]))


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), r"predicted ones \(2, 2\); expected both \(2, 3\)"),
        (np.zeros((2, 3), int), np.full((2, 3), 2), r"predicted labels \[2\]; expected 0 and 1"),
        (np.full((2, 3), -1), np.zeros((2, 3), int), r"true labels \[-1\]; expected 0 and 1"),
    ],
)
def test_what_is_no_label_is_refused(true: np.ndarray, predicted: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        label_confusion(true, predicted)


def test_a_score_above_zero_means_present() -> None:
    scores = np.array([[0.1, -0.1, 0.0], [3.0, -9.0, 1e-30]], dtype=np.float32)
    assert decide(scores, multilabel=True).tolist() == [[1, 0, 0], [1, 0, 1]]
    assert decide(scores).tolist() == [0, 0]


# Studies


@pytest.fixture
def study() -> ExampleStudy:
    return example_study(datasets={"casme2": 3, "samm": 4}, clips=5, multilabel=True)


def flat(outcomes: list[Outcome]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    true = np.concatenate([outcome.y_true for outcome in outcomes])
    predicted = np.concatenate([outcome.y_pred for outcome in outcomes])
    return true, predicted, np.concatenate([outcome.datasets for outcome in outcomes])


def board(study: ExampleStudy, tmp_path: Path, **options: Any) -> list[Row]:
    store = OutcomeStore(tmp_path / "runs", create=True)
    store.write_card(study.card)
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    return build_leaderboard(store, rng=np.random.default_rng(0), resamples=50, **options).rows


def test_an_outcome_survives_the_round_trip(study: ExampleStudy) -> None:
    outcome = study.outcomes()[0]
    data = outcome_to_bytes(outcome)
    copy = outcome_from_bytes(data, "a.parquet")
    for name in ("y_true", "y_pred", "scores"):
        before, after = getattr(outcome, name), getattr(copy, name)
        assert (after.shape, after.dtype, after.tobytes()) == (before.shape, before.dtype, before.tobytes())
    assert result_digest(copy) == result_digest(outcome)
    table = pq.read_table(io.BytesIO(data))
    assert table["y_true"].to_pylist() == outcome.y_true.tolist(), "any Parquet reader sees the labels"


def test_a_changed_label_changes_the_digest(study: ExampleStudy) -> None:
    outcome = study.outcomes()[0]
    for name in ("y_true", "y_pred"):
        labels = getattr(outcome, name).copy()
        labels[1, 2] = 1 - labels[1, 2]
        assert result_digest(dataclasses.replace(outcome, **{name: labels})) != result_digest(outcome)


def test_single_label_outcomes_are_still_of_the_first_version() -> None:
    assert b'"schema_version":1' in outcome_to_bytes(example_study().outcomes()[0])
    assert b'"schema_version":2' in outcome_to_bytes(example_study(multilabel=True).outcomes()[0])


def test_labels_and_scores_of_different_shapes_are_not_written(study: ExampleStudy) -> None:
    outcome = study.outcomes()[0]
    cases: list[dict[str, Any]] = [{"y_true": outcome.y_true[:, 0]}, {"y_pred": outcome.y_pred[:, :2]}]
    for changes in cases:
        with pytest.raises(ValueError, match="sample ids need columns"):
            outcome_to_bytes(dataclasses.replace(outcome, **changes))


def test_scores_are_of_the_pooled_predictions(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    true, predicted, datasets = flat(outcomes)
    scores = score(study.card, outcomes[::-1])
    assert list(scores) == ["full", "casme2", "samm"]
    for name, part in scores.items():
        mine = slice(None) if name == "full" else datasets == name
        for metric, function in SKLEARN.items():
            assert part.metrics[metric] == pytest.approx(function(true[mine], predicted[mine])), metric
        assert list(part.class_counts.values()) == true[mine].sum(axis=0).tolist()
        assert part.n_samples == len(true[mine]) < sum(part.class_counts.values())
    per_fold = np.mean([SKLEARN["uf1"](o.y_true, o.y_pred) for o in outcomes])
    assert abs(scores["full"].metrics["uf1"] - per_fold) > 0.01


def test_labels_that_contradict_the_card_are_refused(study: ExampleStudy) -> None:
    first, *others = study.outcomes()
    with pytest.raises(HonestyError, match="card tells"):
        score(study.card, [dataclasses.replace(first, y_true=1 - first.y_true), *others])
    with pytest.raises(HonestyError, match=r"prediction of casme2/sub00/EP00 is 2, expected 0 to 1 \(AU1, AU2, AU4\)"):
        score(study.card, [dataclasses.replace(first, y_pred=np.full_like(first.y_pred, 2)), *others])
    with pytest.raises(HonestyError, match=r"predictions of shape \(5,\), expected \(5, 3\)"):
        score(study.card, [dataclasses.replace(first, y_pred=first.y_pred[:, 0]), *others])


def test_a_single_label_study_takes_no_multi_label_predictions() -> None:
    study, other = example_study(), example_study(multilabel=True)
    mixed = [
        dataclasses.replace(outcome, y_true=labels.y_true, y_pred=labels.y_pred)
        for outcome, labels in zip(study.outcomes(), other.outcomes(), strict=True)
    ]
    with pytest.raises(HonestyError, match=r"true labels of shape \(4, 3\).*expected \(4,\)"):
        score(study.card, mixed)


def test_a_row_tells_scores_counts_and_interval(study: ExampleStudy, tmp_path: Path) -> None:
    rows = board(study, tmp_path)
    assert [(row.part, row.multilabel, row.rank) for row in rows] == [
        ("full", True, 1),
        ("casme2", True, 1),
        ("samm", True, 1),
    ]
    for row, (_, expected) in zip(rows, score(study.card, study.outcomes()).items(), strict=True):
        assert row.class_counts == expected.class_counts
        assert (row.uf1, row.uar, row.accuracy) == tuple(expected.metrics[n] for n in ("uf1", "uar", "accuracy"))
        assert row.other_metrics == {name: expected.metrics[name] for name in ("macro_f1", "micro_f1")}
        assert (row.uf1_low or 1) < (row.uf1 or 0) < (row.uf1_high or 0)


def test_the_interval_resamples_people(tmp_path: Path) -> None:
    """Of four people two are always right and two always wrong: with clips resampled it would be far narrower."""
    study = example_study(datasets={"casme2": 4}, clips=60, multilabel=True)
    outcomes = [
        dataclasses.replace(outcome, y_pred=outcome.y_true if place % 2 else 1 - outcome.y_true)
        for place, outcome in enumerate(study.outcomes())
    ]
    (row,) = study_rows(study.card, outcomes, np.random.default_rng(0))
    assert (row.uf1_high or 0) - (row.uf1_low or 0) > 0.6


def test_an_absent_class_is_noted(tmp_path: Path) -> None:
    study = example_study(datasets={"casme2": 3}, labels=(0, 1), clips=6, multilabel=True)
    (row,) = board(study, tmp_path)
    assert row.class_counts["AU4"] == 0
    assert row.notes == ["no sample of class 'AU4': it counts as F1 = 0 and recall = 0"]
    assert (row.f1_per_class or {})["AU4"] == 0
    text = study_report(study.card, study.outcomes(), [], np.random.default_rng(0))
    assert "! no sample of class 'AU4'" in text
    more = example_study(datasets={"casme2": 3}, labels=(1,), multilabel=True)
    assert score(more.card, more.outcomes())["full"].notes() == [
        "no sample of the classes 'AU1', 'AU4': they count as F1 = 0 and recall = 0"
    ]


@pytest.mark.parametrize("format", ["table", "md", "latex", "csv", "json"])
def test_a_board_of_both_kinds_says_which_is_which(built_in_columns: None, tmp_path: Path, format: str) -> None:
    store = OutcomeStore(tmp_path / "runs", create=True)
    for study in (example_study(), example_study(multilabel=True), example_study("htnet", multilabel=True)):
        store.write_card(study.card)
        for outcome in study.outcomes():
            store.write_outcome(study.card, outcome)
    leaderboard = build_leaderboard(store, rng=np.random.default_rng(0), resamples=50)
    text = render(leaderboard, format, 120)
    assert "Multi-label tasks" in text or format == "csv"
    for row in leaderboard.rows:
        shown = repr(row.uf1) if format in ("csv", "json") else number(row.uf1)
        assert shown in text
    if format == "table":
        lines = text.splitlines()
        headers = [line for line in lines if line.split()[:2] == ["#", "model"]]
        assert ["UF1" in line.split() for line in headers] == [False, True], "au3 comes before megc3"
        assert ["F1" in line.split() for line in headers] == [True, False]
        (counts,) = (line for line in lines if "AU1 " in line)
        assert counts.endswith("; a sample may show several classes")


def test_the_report_shows_each_class_and_person(study: ExampleStudy) -> None:
    text = study_report(study.card, study.outcomes(), [], np.random.default_rng(0))
    lines = [line.split() for line in text.splitlines()]
    pooled = pool_complete(study.card, study.outcomes())
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        pooled.y_true, pooled.y_pred, zero_division=0
    )
    for place, name in enumerate(UNITS):
        matrix = sklearn.metrics.confusion_matrix(pooled.y_true[:, place], pooled.y_pred[:, place])
        values = [number(float(value)) for value in (precision[place], recall[place], f1[place])]
        assert [name, str(support[place]), *values, *map(str, matrix.reshape(-1).tolist())] in lines
    for outcome in study.outcomes():
        right = int((outcome.y_true == outcome.y_pred).sum())
        assert [outcome.subjects[0], "5", f"{right}/15", number(right / 15), "3"] in lines
    assert "absent as present" in text
    assert "macro_f1" in text


def test_tables_for_other_programs(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    pooled = pool_complete(study.card, outcomes)
    rows = study_rows(study.card, outcomes, np.random.default_rng(0))
    files = study_tables(pooled, outcomes, rows)
    tables = {name: list(csv.DictReader(io.StringIO(files[f"{name}.csv"].decode()))) for name in _TABLES}
    for line, true, guess, sample in zip(
        tables["predictions"], pooled.y_true, pooled.y_pred, pooled.sample_ids, strict=True
    ):
        assert line["sample_id"] == sample
        assert [line[f"true_{name}"] for name in UNITS] == [str(value) for value in true]
        assert [line[f"predicted_{name}"] for name in UNITS] == [str(value) for value in guess]
    for line in tables["subjects"]:
        mine = np.array(pooled.subjects) == line["subject"]
        right = pooled.y_true[mine] == pooled.y_pred[mine]
        assert (line["samples"], line["correct"]) == (str(mine.sum()), str(right.sum()))
        assert line["true_AU1"] == str(pooled.y_true[mine, 0].sum())
        assert line["correct_AU1"] == str((pooled.y_true & pooled.y_pred)[mine, 0].sum())
    line = next(line for line in tables["classes"] if (line["part"], line["class"]) == ("full", "AU2"))
    (tn, fp), (fn, tp) = sklearn.metrics.confusion_matrix(pooled.y_true[:, 1], pooled.y_pred[:, 1])
    names = ("true_positive", "false_negative", "false_positive", "true_negative")
    assert [line[name] for name in names] == [str(value) for value in (tp, fn, fp, tn)]


_TABLES = ("predictions", "subjects", "classes", "folds")


# The average over datasets (hde, lodo), for both kinds of tasks


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_average_is_the_mean_of_the_datasets_scores(tmp_path: Path, multilabel: bool) -> None:
    study = example_study(datasets={"casme2": 2, "samm": 7}, clips=5, averaged=True, multilabel=multilabel)
    rows = {row.part: row for row in board(study, tmp_path)}
    assert list(rows) == ["full", "casme2", "samm", "average"]
    average, parts = rows["average"], (rows["casme2"], rows["samm"])
    for name in ("uf1", "uar", "accuracy", "weighted_f1"):
        assert getattr(average, name) == pytest.approx(np.mean([getattr(part, name) for part in parts]))
    assert average.uf1 != pytest.approx(rows["full"].uf1, abs=1e-4), "pooled is something else"
    assert (average.n_samples, average.n_subjects) == (rows["full"].n_samples, rows["full"].n_subjects) == (45, 9)
    assert average.class_counts == rows["full"].class_counts
    assert (average.uf1_low or 1) < (average.uf1 or 0) < (average.uf1_high or 0)
    assert (average.uf1_low, average.uf1_high) != (rows["full"].uf1_low, rows["full"].uf1_high)
    for label, value in (average.f1_per_class or {}).items():
        assert value == pytest.approx(np.mean([(part.f1_per_class or {})[label] for part in parts]))


def test_the_average_is_ranked_and_reported_by_itself(tmp_path: Path) -> None:
    store = OutcomeStore(tmp_path / "runs", create=True)
    studies = [example_study(model, {"casme2": 2, "samm": 7}, averaged=True) for model in ("a", "b")]
    for study, hit_rate in zip(studies, (0.4, 0.9), strict=True):
        store.write_card(study.card)
        for outcome in study.outcomes(hit_rate):
            store.write_outcome(study.card, outcome)
    leaderboard = build_leaderboard(store, rng=np.random.default_rng(0), resamples=50)
    assert [(row.model, row.rank) for row in leaderboard.rows if row.part == "average"] == [("b", 1), ("a", 2)]
    assert any("Part average" in note for note in leaderboard.notes)
    text = study_report(studies[0].card, studies[0].outcomes(), [], np.random.default_rng(0))
    assert [line.split()[0] for line in text.splitlines() if "[" in line] == ["full", "casme2", "samm", "average"]


def test_a_class_that_one_dataset_lacks_is_noted_on_the_average() -> None:
    labels = (0, 1, 0, 1, 0, 1, 2, 0)
    study = example_study(datasets={"casme2": 2, "samm": 3}, clips=5, averaged=True, labels=labels)
    parts = score(study.card, study.outcomes())
    assert [bool(parts[name].absent) for name in ("full", "casme2", "samm")] == [False, True, False]
    assert parts["average"].notes() == [
        "no sample of class 'surprise' in one of the datasets: it counts as F1 = 0 and recall = 0"
    ]


def test_an_incomplete_study_has_no_average(tmp_path: Path) -> None:
    study = example_study(datasets={"casme2": 2, "samm": 7}, averaged=True)
    store = OutcomeStore(tmp_path / "runs", create=True)
    store.write_card(study.card)
    store.write_outcome(study.card, study.outcomes()[0])
    rows = build_leaderboard(store, rng=np.random.default_rng(0), resamples=50).rows
    assert [(row.part, row.uf1, row.folds_done) for row in rows] == [
        (part, None, 1) for part in ("full", "casme2", "samm", "average")
    ]
