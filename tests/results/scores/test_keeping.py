"""Boards of sealed studies: equal to the bit to those of single files, from kept counts, and never from stale ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_studies import ExampleStudy, example_study

from results.scores import counted, stored_study
from results.scores.comparison import compare
from results.scores.keeping import seal_studies
from results.scores.leaderboard import build_leaderboard
from results.scores.metrics import METRICS, accuracy
from results.scores.over_benchmarks import rank_over_benchmarks
from results.scores.stored_study import read_study
from results.store.outcome_store import OutcomeStore, study_folder
from results.store.study_file import SealedStudy
from results.views.board_page import board_page


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    store = OutcomeStore(tmp_path / "runs", create=True)
    for study in STUDIES:
        store.write_card(study.card)
        for outcome in study.outcomes(0.5 + 0.1 * (len(study.card.model) % 4)):
            store.write_outcome(study.card, outcome)
    return store


STUDIES = [
    *(example_study(model, {"casme2": 5}, seed=seed) for model in ("ststnet", "htnet", "rcn_a") for seed in (0, 1)),
    *(example_study(model, {"casme2": 3, "samm": 4}) for model in ("ststnet", "htnet")),
    *(example_study(model, {"casme2": 3, "samm": 4}, averaged=True) for model in ("ststnet", "htnet")),
    *(example_study(model, {"samm": 4}, multilabel=True) for model in ("ststnet", "htnet")),
    example_study("ststnet", {"casme2": 5}, selection="oracle"),
]


def everything(store: OutcomeStore) -> dict[str, Any]:
    """Return all that is worked out from the studies, but the time at which the page was made."""
    rng = np.random.default_rng
    page = board_page(store, rng=rng(0)).decode()
    return {
        "leaderboard": build_leaderboard(store, rng=rng(0)).to_json(),
        "compare": compare(store, store.cards(), rng=rng(0), parts=("*",)).to_json(),
        "over": rank_over_benchmarks(store, store.cards()).to_json(),
        "page": page[page.index('"boards":') : page.index("</script>", page.index('"boards":'))],
    }


def never(*_: object) -> None:
    raise AssertionError("predictions were read")


def counts_file(store: OutcomeStore, study: ExampleStudy) -> Path:
    return Path(store.root, study_folder(study.card), "counts.json")


@pytest.mark.slow
def test_boards_are_equal_to_the_bit_before_and_after(store: OutcomeStore) -> None:
    before = everything(store)
    seal_studies(store, store.cards(), print)
    assert not list(Path(store.root).rglob("*.outcome.parquet"))
    assert len(list(Path(store.root).rglob("*.study.parquet"))) == len(STUDIES)
    assert everything(store) == before


def test_studies_that_were_sealed_on_the_way_are_not_read_again(
    store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {key: study.counted for key, study in seal_studies(store, store.cards(), print).items()}
    for file in Path(store.root).rglob("counts.json"):
        file.unlink()
    sealed = seal_studies(store, store.cards(), print)
    for name in ("read_sealed", "seal", "keep_counts"):
        monkeypatch.setattr(OutcomeStore, name, never)
    monkeypatch.setattr(SealedStudy, "outcomes", property(never))
    again = seal_studies(store, store.cards(), print, sealed)
    # As text, since counts are arrays.
    assert str({key: study.counted for key, study in again.items()}) == str(expected)


def test_a_board_of_unchanged_studies_reads_no_predictions(
    store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build_leaderboard(store, rng=np.random.default_rng(0)).to_json()
    seal_studies(store, store.cards(), print)
    monkeypatch.setattr(SealedStudy, "outcomes", property(never))
    assert build_leaderboard(store, rng=np.random.default_rng(0)).to_json() == before
    assert compare(store, store.cards(), rng=np.random.default_rng(0)).pairs


def test_what_is_sealed_and_counted_is_left_as_it_is(store: OutcomeStore) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in Path(store.root).rglob("*")}

    seal_studies(store, store.cards(), print)
    before = state()
    studies = seal_studies(OutcomeStore(store.root), store.cards(), print)
    assert state() == before
    assert all(study.kept_counts is not None for study in studies.values())


def test_a_metric_of_today_is_taken_from_counts_of_before(store: OutcomeStore) -> None:
    seal_studies(store, store.cards(), print)
    with pytest.MonkeyPatch.context() as added:
        added.setattr(METRICS, "_entries", dict(METRICS._entries), raising=False)
        METRICS.register("twice")(lambda matrix: 2 * accuracy(matrix))
        rows = build_leaderboard(store, rng=np.random.default_rng(0)).rows
        single = [row for row in rows if not row.multilabel]
        assert [row.other_metrics["twice"] for row in single] == [2 * (row.accuracy or 0) for row in single]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["a byte", "cut short", "another study's", "of other code", "gone"])
def test_counts_that_do_not_belong_to_the_study_file_are_made_anew(
    store: OutcomeStore, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build_leaderboard(store, rng=np.random.default_rng(0)).to_json()
    seal_studies(store, store.cards(), print)
    path, other = (counts_file(store, study) for study in STUDIES[:2])
    data = path.read_bytes()
    if change == "a byte":
        # A count of 1 more.
        place = data.rindex(b'"counts":[') + len(b'"counts":[')
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    elif change == "cut short":
        path.write_bytes(data[:-9])
    elif change == "another study's":
        path.write_bytes(other.read_bytes())
    elif change == "of other code":
        monkeypatch.setattr(counted, "_code", lambda: "other")
    else:
        path.unlink()
    assert read_study(store, STUDIES[0].card).kept_counts is None
    assert build_leaderboard(store, rng=np.random.default_rng(0)).to_json() == before
    seal_studies(store, [STUDIES[0].card], print)
    assert read_study(store, STUDIES[0].card).kept_counts is not None
    if change != "of other code":
        assert path.read_bytes() == data


def test_counts_are_not_used_for_an_outcome_that_is_newer(store: OutcomeStore) -> None:
    seal_studies(store, store.cards(), print)
    study = STUDIES[0]
    worse = study.outcomes(0.0)[2]
    store.write_outcome(study.card, worse)
    changed = build_leaderboard(store, [study.card], rng=np.random.default_rng(0)).to_json()
    seal_studies(store, [study.card], print)
    assert build_leaderboard(store, [study.card], rng=np.random.default_rng(0)).to_json() == changed
    assert json.loads(counts_file(store, study).read_bytes().partition(b"\n")[2])["results"] == [
        stored_study.count_study(study.card, read_study(store, study.card).outcomes).results[place]
        for place in range(len(study.card.folds))
    ]


def test_damage_of_a_study_file_takes_its_score_and_is_told(store: OutcomeStore) -> None:
    seal_studies(store, store.cards(), print)
    study = STUDIES[0]
    (path,) = Path(store.root, study_folder(study.card)).glob("*.study.parquet")
    data = path.read_bytes()
    key = study.card.folds[2].key.encode()
    path.write_bytes(data.replace(key, bytes([key[0] ^ 1]) + key[1:]))
    rows = build_leaderboard(store, [study.card], rng=np.random.default_rng(0)).rows
    assert [(row.uf1, row.folds_done, row.folds_total) for row in rows] == [(None, 4, 5)]
    assert any(str(path) in note for note in rows[0].notes)


def test_a_failed_study_is_not_sealed(store: OutcomeStore) -> None:
    study = example_study("dual_inception", {"casme2": 5})
    store.write_card(study.card)
    for outcome in study.outcomes()[1:]:
        store.write_outcome(study.card, outcome)
    store.write_failure(study.card, study.failure(0))
    before = sorted(os.listdir(Path(store.root, study_folder(study.card))))
    found = seal_studies(store, [study.card], print)[study.card.key]
    assert (found.done, found.failed, found.sealed) == (4, 1, None)
    assert sorted(os.listdir(Path(store.root, study_folder(study.card)))) == before


def test_a_store_that_cannot_be_written_is_told_and_read(store: OutcomeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_leaderboard(store, rng=np.random.default_rng(0)).to_json()
    folder = Path(store.root, study_folder(STUDIES[0].card))
    monkeypatch.setattr("preprocess.base.storage.write_atomic", refuse)
    said: list[str] = []
    studies = seal_studies(store, store.cards(), said.append)
    assert len(said) == 1
    assert said[0].startswith(f"warning: {len(STUDIES)} studies stay in many files")
    assert all(study.complete for study in studies.values())
    assert len(list(folder.glob("*.outcome.parquet"))) == 5
    assert build_leaderboard(store, rng=np.random.default_rng(0)).to_json() == before


def refuse(*_: object) -> None:
    raise PermissionError(13, "Permission denied")
