"""The same store behind S3's protocol, spoken to a real server on loopback."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from example_studies import example_study
from pyarrow import fs

from preprocess.base.errors import StoreError
from preprocess.base.storage import ObjectStorage
from results.scores.keeping import seal_studies
from results.scores.leaderboard import build_leaderboard
from results.scores.stored_study import read_studies, read_study
from results.store.outcome_file import outcome_digest, result_digest
from results.store.outcome_store import OutcomeStore, fold_file, study_folder


@pytest.mark.slow
def test_a_study_in_a_bucket(endpoint: str) -> None:
    address = f"s3://lab/me/runs?{endpoint}"
    with pytest.raises(StoreError, match="No results at s3://lab/me/runs"):
        OutcomeStore(address)
    store = OutcomeStore(address, create=True)
    assert store.root == address
    study = example_study(datasets={"casme2": 2, "samm": 2})
    card, keys = study.card, [fold.key for fold in study.card.folds]

    store.write_card(card)
    store.write_failure(card, study.failure(0))
    for outcome in study.outcomes()[:3]:
        store.write_outcome(card, outcome)
    store.write_failure(card, study.failure(3))
    store.write_weights(card, keys[0], {"w": np.ones((2, 2), np.float32)})

    other = pickle.loads(pickle.dumps(store))
    assert other.cards() == [card]
    state = other.state(card)
    assert (state.done, state.failed, state.weights) == (set(keys[:3]), {keys[3]}, {keys[0]})
    assert other.failures(card) == [study.failure(3)]
    outcomes, damaged = other.read_outcomes(card)
    assert damaged == []
    assert [result_digest(o) for o in outcomes] == [result_digest(o) for o in study.outcomes()[:3]]
    np.testing.assert_array_equal(other.read_weights(card, keys[0])["w"], np.ones((2, 2)))

    other.discard(card, keys[0])
    assert store.state(card).done == set(keys[1:3])


def test_damage_in_a_bucket_is_named(endpoint: str) -> None:
    store = OutcomeStore(f"s3://lab/damaged?{endpoint}", create=True)
    study = example_study()
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    name = fold_file(study.card, study.card.folds[1].key, "outcome")
    store._storage.write(name, store._storage.read(name)[:-9])
    outcomes, damaged = store.read_outcomes(study.card)
    assert len(outcomes) == len(study.card.folds) - 1
    assert [f"s3://lab/damaged/{name}" in message for message in damaged] == [True]


@pytest.mark.slow
def test_a_sealed_study_in_a_bucket(endpoint: str) -> None:
    store = OutcomeStore(f"s3://lab/sealed?{endpoint}", create=True)
    study = example_study()
    store.write_card(study.card)
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    before = [outcome_digest(outcome) for outcome in store.read_outcomes(study.card)[0]]
    board = build_leaderboard(store, rng=np.random.default_rng(0)).to_json()
    seal_studies(store, store.cards(), print)
    assert read_study(store, study.card).kept_counts is not None
    names = sorted(store._storage.names(study_folder(study.card)))
    assert [name.split("-")[0] for name in names] == ["000001", "counts.json", "study.json"]
    other = pickle.loads(pickle.dumps(store))
    assert [outcome_digest(outcome) for outcome in other.read_outcomes(study.card)[0]] == before
    assert build_leaderboard(other, rng=np.random.default_rng(0)).to_json() == board
    other.discard(study.card, study.card.folds[1].key)
    assert [outcome_digest(outcome) for outcome in store.read_outcomes(study.card)[0]] == [before[0], *before[2:]]


@pytest.mark.slow
def test_many_studies_in_a_bucket_are_read_from_one_listing(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = OutcomeStore(f"s3://lab/many?{endpoint}", create=True)
    studies = [example_study(seed=seed) for seed in range(3)]
    for study in studies:
        for outcome in study.outcomes():
            store.write_outcome(study.card, outcome)
    cards = [study.card for study in studies]
    store.seal(cards[0])
    expected = read_studies(store, cards)
    monkeypatch.setattr("results.store.outcome_store._FEW", 2)
    listed: list[str] = []
    listing = ObjectStorage._list

    def counted(self: ObjectStorage, folder: str, recursive: bool) -> list[fs.FileInfo]:
        listed.append(folder)
        return listing(self, folder, recursive)

    monkeypatch.setattr(ObjectStorage, "_list", counted)
    found = read_studies(store, cards)
    assert listed == ["outcomes"]
    assert found.keys() == expected.keys()
    for key, study in expected.items():
        assert [result_digest(one) for one in found[key].outcomes] == [result_digest(one) for one in study.outcomes]

    before = store.for_many(cards)
    worse = studies[0].outcomes(0.0)[1]
    store.write_outcome(cards[0], worse)
    store.seal(cards[0])
    outcome = read_study(before, cards[0]).outcomes[1]
    assert result_digest(outcome) == result_digest(worse), "the file that was listed is gone: it is looked for again"


def test_a_bucket_with_other_objects_is_left_alone(endpoint: str) -> None:
    OutcomeStore(f"s3://lab/photos/store?{endpoint}", create=True)
    with pytest.raises(StoreError, match="holds other files: store"):
        OutcomeStore(f"s3://lab/photos?{endpoint}", create=True)


def test_a_bucket_that_does_not_exist(endpoint: str) -> None:
    with pytest.raises(StoreError, match=r"Cannot write s3://nobody/runs/store\.json"):
        OutcomeStore(f"s3://nobody/runs?{endpoint}", create=True)


@pytest.mark.slow
def test_a_server_that_does_not_answer(endpoint: str) -> None:
    with pytest.raises(StoreError, match="can be reached"):
        OutcomeStore("s3://lab/runs?endpoint_override=127.0.0.1:9&scheme=http", create=True)
