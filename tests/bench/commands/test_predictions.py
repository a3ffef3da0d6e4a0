"""``merbench import`` and ``merbench export``: others' predictions are scored as ours, and ranked only with cause."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from local_runs import LocalRuns

from preprocess.datasets import read_source
from results.scores.leaderboard import Row, build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.watched import IMPORTED, UNSHOWN, UNSHOWN_STAMP

Rows = list[dict[str, str]]
CLASSES = ("negative", "positive", "surprise")


@pytest.fixture
def options(tree: Path, tmp_path: Path) -> list[str]:
    return ["--data", str(tree), "--protocols", "cde", "--results", str(tmp_path / "runs"), "--tracking-uri", "off"]


@pytest.fixture
def rows(tree: Path) -> Rows:
    """Return a row for each sample of the tree: its own person is its fold, and every third answer is wrong."""
    found = []
    for dataset in read_source(tree):
        columns = (dataset.samples[name] for name in ("sample_id", "subject", "emotion"))
        found += [
            {"sample_id": sample, "fold": subject, "predicted": emotion}
            for sample, subject, emotion in zip(*columns, strict=True)
        ]
    for row in found[::3]:
        row["predicted"] = CLASSES[(CLASSES.index(row["predicted"]) + 1) % 3]
    return found


def write(path: Path, rows: Rows, delimiter: str = ",") -> str:
    with path.open("w", newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def board(tmp_path: Path) -> list[Row]:
    return build_leaderboard(OutcomeStore(tmp_path / "runs"), rng=np.random.default_rng(0)).rows


def test_predictions_with_honest_folds_are_scored_and_ranked_beside_ours(
    merbench: LocalRuns, options: list[str], rows: Rows, tmp_path: Path
) -> None:
    assert merbench("run", *options, "--models", "majority").status == 0
    said = merbench("import", write(tmp_path / "theirs.csv", rows), "--model", "gpt-4o", *options)
    assert said.status == 0, said.err
    first, second, *_ = board(tmp_path)
    assert (first.label, first.weights, first.stamp, first.rank) == ("gpt-4o[predictions=external]", IMPORTED, "", 1)
    # Five people cannot tell the two apart: they are ranked against each other all the same.
    assert (second.label, second.rank, second.tied) == ("majority", 1, True)
    wrong = len(rows[::3])
    assert first.accuracy == pytest.approx(1 - wrong / len(rows))
    assert [row.part for row in board(tmp_path)][::2] == ["full", "casme2", "samm"]
    assert "external: predictions of others" in said.out


@pytest.mark.slow
def test_export_and_import_give_the_same_scores(merbench: LocalRuns, options: list[str], tmp_path: Path) -> None:
    assert merbench("run", *options, "--models", "ststnet", "--epochs", "1").status == 0
    store = OutcomeStore(tmp_path / "runs")
    (card,) = store.cards()
    for name in ("own.csv", "own.parquet"):
        file = str(tmp_path / name)
        assert merbench("export", card.key[:12], "--results", store.root, "--out", file).status == 0
        assert merbench("import", file, "--model", "ststnet", *options).status == 0
    printed = merbench("export", card.key[:12], "--results", store.root)
    assert printed.out.encode() == (tmp_path / "own.csv").read_bytes()
    ours, theirs = (
        [row for row in board(tmp_path) if (row.weights == IMPORTED) == imported] for imported in (False, True)
    )
    assert len(ours) == len(theirs) == 3
    for own, other in zip(ours, theirs, strict=True):
        assert (own.uf1, own.uar, own.uf1_low, own.f1_per_class) == (
            other.uf1,
            other.uar,
            other.uf1_low,
            other.f1_per_class,
        )
    # The same file twice, as CSV and as Parquet, is one study; its scores are equal to the bit.
    (imported,) = [one for one in store.cards() if one.weights == IMPORTED]
    scores = [
        {name: row for one in store.read_outcomes(of)[0] for name, row in zip(one.sample_ids, one.scores, strict=True)}
        for of in (card, imported)
    ]
    assert all(np.array_equal(scores[0][name], scores[1][name]) for name in scores[0])


def test_an_incomplete_study_is_exported_with_a_warning_and_not_taken_back(
    merbench: LocalRuns, options: list[str], tmp_path: Path
) -> None:
    merbench("run", *options, "--models", "majority")
    store = OutcomeStore(tmp_path / "runs")
    (card,) = store.cards()
    store.discard(card, card.folds[0].key)
    file = str(tmp_path / "part.csv")
    said = merbench("export", "majority", "--results", store.root, "--out", file)
    assert said.status == 1
    assert "INCOMPLETE: 4/5 folds" in said.err
    assert card.folds[0].name in said.err
    refused = merbench("import", file, "--model", "mine", *options)
    assert refused.status == 2
    assert "6 of 30 tested samples have no prediction" in refused.err
    assert len(store.cards()) == 1


def without_folds(rows: Rows) -> None:
    for row in rows:
        del row["fold"]


def person_in_two_folds(rows: Rows) -> None:
    rows[1]["fold"] = "another"


def one_fold(rows: Rows) -> None:
    for row in rows:
        row["fold"] = "all"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_folds, "theirs.csv names no folds"),
        (person_in_two_folds, "is in two folds"),
        (one_fold, "all rows are in one fold"),
    ],
)
def test_folds_that_do_not_show_who_was_held_out_are_never_ranked(
    merbench: LocalRuns,
    options: list[str],
    rows: Rows,
    tmp_path: Path,
    change: Callable[[Rows], None],
    why: str,
) -> None:
    change(rows)
    said = merbench("import", write(tmp_path / "theirs.csv", rows), "--model", "gpt-4o", *options)
    assert said.status == 0, said.err
    assert why in said.out
    found = board(tmp_path)
    assert {(row.weights, row.stamp, row.rank) for row in found} == {(UNSHOWN, UNSHOWN_STAMP, None)}
    assert all(row.uf1 is not None for row in found)


def test_folds_that_hold_out_more_people_than_the_protocol_are_ranked(
    merbench: LocalRuns, options: list[str], rows: Rows, tmp_path: Path
) -> None:
    for row in rows:
        row["fold"] = "a" if row["sample_id"].startswith("samm") else "b"
    merbench("import", write(tmp_path / "theirs.csv", rows), "--model", "gpt-4o", *options)
    assert board(tmp_path)[0].rank == 1


def test_what_the_protocol_holds_out_together_must_be_in_one_fold(
    merbench: LocalRuns, options: list[str], rows: Rows, tmp_path: Path
) -> None:
    options[options.index("cde")] = "lodo"
    merbench("import", write(tmp_path / "theirs.csv", rows), "--model", "gpt-4o", *options)
    assert {row.weights for row in board(tmp_path)} == {UNSHOWN}


def test_an_epoch_chosen_on_the_test_subject_is_not_ranked_though_its_folds_are_honest(
    merbench: LocalRuns, options: list[str], rows: Rows, tmp_path: Path
) -> None:
    file = write(tmp_path / "theirs.csv", rows)
    merbench("import", file, "--model", "gpt-4o", *options, "--selection", "oracle")
    assert {row.rank for row in board(tmp_path)} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["numbers", "scores", "semicolons", "parquet"])
def test_every_form_of_a_file_gives_the_same_predictions(
    merbench: LocalRuns, options: list[str], rows: Rows, tmp_path: Path, form: str
) -> None:
    expected = {row["sample_id"]: CLASSES.index(row["predicted"]) for row in rows}
    rows = rows[::-1]
    file, delimiter = tmp_path / "theirs.csv", ";" if form == "semicolons" else ","
    if form == "numbers":
        rows = [{**row, "predicted": str(expected[row["sample_id"]])} for row in rows]
    if form == "scores":
        for row in rows:
            place = CLASSES.index(row.pop("predicted"))
            row.update({f"score_{name}": "2.5" if number == place else "-1e3" for number, name in enumerate(CLASSES)})
    if form == "parquet":
        numbered = [{**row, "predicted": float(expected[row["sample_id"]])} for row in rows]
        pq.write_table(pa.Table.from_pylist(numbered), file)
    else:
        write(file, rows, delimiter)
    said = merbench("import", str(file), "--model", "gpt-4o", *options)
    assert said.status == 0, said.err
    store = OutcomeStore(tmp_path / "runs")
    (card,) = store.cards()
    found = {
        name: int(label)
        for one in store.read_outcomes(card)[0]
        for name, label in zip(one.sample_ids, one.y_pred, strict=True)
    }
    assert found == expected


def cell(place: int, column: str, value: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for number, row in enumerate(rows):
            row[column] = value if number == place else row.get(column, "")

    return change


def twice(rows: Rows) -> None:
    rows.append(dict(rows[4]))


def scores_of_two_classes(rows: Rows) -> None:
    for row in rows:
        del row["predicted"]
        row.update({"score_negative": "1", "score_positive": "0"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cell(2, "sample_id", "casme2/sub01/EP99"), "row 4: sample_id 'casme2/sub01/EP99' is no labelled sample"),
        (cell(2, "sample_id", ""), "row 4: sample_id is empty"),
        (cell(5, "predicted", "angry"), "row 7: predicted is 'angry', expected one of negative, positive, surprise"),
        (cell(5, "predicted", "3"), "row 7: predicted is '3', expected"),
        (cell(5, "predicted", ""), "row 7: predicted is '', expected"),
        (cell(3, "fold", ""), "row 5: fold is empty"),
        (cell(3, "subject", "casme2/sub77"), "row 5: subject of"),
        (cell(3, "dataset", "smic"), "row 5: dataset of"),
        (cell(0, "true", "surprise"), "row 2: true of"),
        (cell(0, "folds", "x"), "unknown column 'folds'. Did you mean: fold"),
        (twice, "row 32: sample"),
        (lambda rows: rows.pop(), "1 of 30 tested samples have no prediction: samm/007"),
        (scores_of_two_classes, "no column 'score_surprise'"),
    ],
)
def test_mistakes_are_told_with_file_and_row_and_nothing_is_written(
    merbench: LocalRuns,
    options: list[str],
    rows: Rows,
    tmp_path: Path,
    change: Callable[[Rows], None],
    message: str,
) -> None:
    change(rows)
    said = merbench("import", write(tmp_path / "theirs.csv", rows), "--model", "gpt-4o", *options)
    assert said.status == 2
    assert str(tmp_path / "theirs.csv") in said.err
    assert message in said.err
    assert not (tmp_path / "runs" / "outcomes").exists()


def test_samples_that_a_run_left_out_may_be_left_out_too(
    merbench: LocalRuns, options: list[str], rows: Rows, tree: Path, tmp_path: Path
) -> None:
    gone = rows.pop(0)["sample_id"]
    (picture,) = (tree / "sub01").rglob(f"*{gone.split('/')[-1]}.png")
    whole = picture.read_bytes()
    # As where a feature could not be made of the clip: the run has tested 29 samples of the 30.
    picture.unlink()
    assert merbench("run", *options, "--models", "majority").status == 0
    picture.write_bytes(whole)
    said = merbench("import", write(tmp_path / "theirs.csv", rows), "--model", "gpt-4o", *options)
    assert said.status == 0, said.err
    found = board(tmp_path)
    assert {row.n_samples for row in found if row.part == "full"} == {29}
    assert any("1 labelled samples are left out, as in majority" in note for row in found for note in row.notes)


@pytest.mark.parametrize("name", ["", "a,b", "x" * 81, "two\nlines", "[x]"])
def test_a_name_that_tables_cannot_hold_is_refused(
    merbench: LocalRuns, options: list[str], rows: Rows, tmp_path: Path, name: str
) -> None:
    said = merbench("import", write(tmp_path / "theirs.csv", rows), "--model", name, *options)
    assert said.status == 2
    assert "--model" in said.err
