"""The store on real files: what is written is found again, whole, under one path, and nothing else is taken for it."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from example_studies import ExampleStudy, example_study

from preprocess.base.errors import StoreError
from preprocess.base.hashing import digest
from results.store.outcome_file import DamagedOutcome, result_digest
from results.store.outcome_store import MissingStore, OutcomeStore, fold_file, study_folder
from results.store.watched import EXTERNAL, NOTHING, TEST, VALIDATION, Watched


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


@pytest.fixture
def study() -> ExampleStudy:
    return example_study()


def written(store: OutcomeStore, study: ExampleStudy) -> ExampleStudy:
    store.write_card(study.card)
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    return study


def outcome_path(store: OutcomeStore, study: ExampleStudy, place: int) -> Path:
    return Path(store.root) / fold_file(study.card, study.card.folds[place].key, "outcome")


# Opening


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MissingStore, match=r"No results at .*nowhere; run `merbench run --results"):
        OutcomeStore(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_relative_root_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert OutcomeStore("runs", create=True).root == str(tmp_path / "runs")


def test_a_store_travels_to_other_processes(store: OutcomeStore) -> None:
    assert pickle.loads(pickle.dumps(store)).root == store.root
    assert OutcomeStore(store.root).root == store.root


def test_file_addresses_are_local_folders(tmp_path: Path) -> None:
    store = OutcomeStore(f"file://{tmp_path}/my%20runs", create=True)
    assert store.root == str(tmp_path / "my runs")
    study = written(store, example_study())
    assert OutcomeStore(tmp_path / "my runs").cards() == [study.card]
    with pytest.raises(StoreError, match="three slashes"):
        OutcomeStore("file://tmp/runs")


@pytest.mark.parametrize("address", ["s4://bucket/runs", "s3://", "s3://bucket/runs?endpoint=x"])
def test_an_address_that_is_not_understood(address: str) -> None:
    with pytest.raises(StoreError, match="Give a folder, or an address such as"):
        OutcomeStore(address)


def test_credentials_in_an_address_are_not_printed() -> None:
    with pytest.raises(StoreError) as caught:
        OutcomeStore("s3://me:secret@bucket/runs?endpoint=x")
    assert "secret" not in str(caught.value)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"holds other files: thesis\.tex"):
        OutcomeStore(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_shards_and_tracking_data_may_lie_beside_the_store(tmp_path: Path) -> None:
    for name in ("shards", "mlartifacts", "mlruns"):
        (tmp_path / name).mkdir()
    for name in ("mlflow.db", "mlflow.db-journal"):
        (tmp_path / name).touch()
    OutcomeStore(tmp_path, create=True)
    OutcomeStore(tmp_path)


@pytest.mark.parametrize("create", [True, False])
def test_another_schema_version_is_refused_and_kept(tmp_path: Path, create: bool) -> None:
    OutcomeStore(tmp_path, create=True)
    (tmp_path / "store.json").write_text('{"schema_version": 7}')
    with pytest.raises(StoreError, match=r"store\.json has store schema version 7, this program reads version 1"):
        OutcomeStore(tmp_path, create=create)
    assert json.loads((tmp_path / "store.json").read_text()) == {"schema_version": 7}


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_store_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match=r"store\.json"):
        OutcomeStore(tmp_path)


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for create in (True, False):
        with pytest.raises(StoreError, match="Not a directory"):
            OutcomeStore(tmp_path / "file", create=create)
    with pytest.raises(StoreError, match=r"Cannot write /proc/runs/store\.json"):
        OutcomeStore("/proc/runs", create=True)


# Cards


def test_cards_come_back_equal_and_sorted(store: OutcomeStore) -> None:
    studies = [
        example_study("ststnet", seed=10),
        example_study("ststnet", seed=2),
        example_study("ststnet", seed=2, params={"epochs": 30, "lr": 0.1}),
        example_study("htnet", {"casme2": 2, "samm": 2}),
        example_study("flow_svm", selection="oracle", synthetic=True),
    ]
    for study in studies:
        store.write_card(study.card)
        store.write_card(study.card)
    found = store.cards()
    assert [(card.label, card.seed) for card in found] == [
        *(("flow_svm", 0), ("htnet", 0), ("ststnet", 2), ("ststnet", 10), ("ststnet[epochs=30,lr=0.1]", 2))
    ]
    assert {card.key: card for card in found} == {study.card.key: study.card for study in studies}


def test_a_card_tells_all_its_fields_as_plain_values() -> None:
    card = example_study(datasets={"casme2": 2, "samm": 2}, params={"epochs": 30}).card
    assert card.to_json() == dataclasses.asdict(card)
    assert card.key not in card.to_json()


@pytest.mark.parametrize(
    ("selection", "watches"), [("last", NOTHING), ("validation", VALIDATION), ("oracle", TEST), ("of_a_plug_in", TEST)]
)
def test_cards_that_do_not_say_what_is_watched_are_read(store: OutcomeStore, selection: str, watches: Watched) -> None:
    """They were written before it stood there. What nobody vouches for is taken for a look at the test samples."""
    study = example_study(selection=selection, watches=watches)
    store.write_card(study.card)
    file = Path(store.root, study_folder(study.card), "study.json")
    card = json.loads(file.read_text())["card"]
    del card["watches"]
    file.write_text(json.dumps({"schema_version": 1, "sha256": digest(card), "card": card}))
    assert store.cards() == [study.card]
    assert store.cards()[0].key == study.card.key


def test_a_card_of_before_that_does_not_say_whose_weights_it_scores_is_read(store: OutcomeStore) -> None:
    study = example_study()
    store.write_card(study.card)
    file = Path(store.root, study_folder(study.card), "study.json")
    card = json.loads(file.read_text())["card"]
    assert card.pop("weights") == ""
    file.write_text(json.dumps({"schema_version": 1, "sha256": digest(card), "card": card}))
    assert store.cards() == [study.card]


@pytest.mark.parametrize("watches", [NOTHING, VALIDATION])
def test_external_weights_count_as_ones_that_saw_the_test_samples(watches: Watched) -> None:
    with pytest.raises(ValueError, match="may have seen the test samples, but watches is"):
        example_study(selection="external", watches=watches, weights=EXTERNAL)


def test_a_card_that_watches_something_unheard_of_is_refused(store: OutcomeStore) -> None:
    study = example_study()
    store.write_card(study.card)
    file = Path(store.root, study_folder(study.card), "study.json")
    card = {**json.loads(file.read_text())["card"], "watches": "tests"}
    file.write_text(json.dumps({"schema_version": 1, "sha256": digest(card), "card": card}))
    with pytest.raises(StoreError, match=r"no study card: .*a selection watches"):
        store.cards()


def test_names_that_are_no_folder_names(store: OutcomeStore) -> None:
    card = dataclasses.replace(example_study().card, model="../../escape", dataset="a/b:c", task="..")
    store.write_card(card)
    assert store.cards() == [card]
    assert not (Path(store.root).parent / "escape").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:50],
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace('"full": 16', '"full": 17'),
        lambda text: "{}",
    ],
)
def test_a_damaged_card_is_named(store: OutcomeStore, study: ExampleStudy, damage) -> None:
    store.write_card(study.card)
    path = next(Path(store.root).rglob("study.json"))
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError, match=r"study\.json.*Remove the file and run the same command again"):
        store.cards()


def test_a_card_in_another_studys_folder_is_found(store: OutcomeStore, study: ExampleStudy) -> None:
    store.write_card(study.card)
    path = next(Path(store.root).rglob("study.json"))
    path.parent.rename(path.parent.with_name("0" * 16))
    with pytest.raises(StoreError, match="not the card that was written here"):
        store.cards()


# Outcomes, failures, weights


def test_state_follows_what_is_written(store: OutcomeStore, study: ExampleStudy) -> None:
    card, keys = study.card, [fold.key for fold in study.card.folds]
    assert store.state(card).done == store.state(card).failed == frozenset()
    store.write_failure(card, study.failure(0))
    store.write_failure(card, study.failure(1))
    store.write_outcome(card, study.outcomes()[1])
    store.write_weights(card, keys[1], {"w": np.zeros(2, np.float32)})
    state = store.state(card)
    assert (state.done, state.failed, state.weights) == ({keys[1]}, {keys[0]}, {keys[1]})
    assert store.failures(card) == [study.failure(0)]
    assert not (Path(store.root) / fold_file(card, keys[1], "failure")).exists()
    for key in keys[:2]:
        store.discard(card, key)
    assert store.state(card).done == store.state(card).failed == store.state(card).weights == frozenset()
    assert not list(Path(store.root).rglob(f"{keys[1][:32]}*"))


def test_outcomes_come_back_in_fold_order_equal_to_the_bit(store: OutcomeStore, study: ExampleStudy) -> None:
    for outcome in reversed(study.outcomes()):
        store.write_outcome(study.card, outcome)
    outcomes, damaged = OutcomeStore(store.root).read_outcomes(study.card)
    assert damaged == []
    assert [result_digest(o) for o in outcomes] == [result_digest(o) for o in study.outcomes()]
    assert outcomes[0].provenance == study.outcomes()[0].provenance


def test_a_damaged_outcome_is_named_with_the_remedy(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    path = outcome_path(store, study, 2)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedOutcome, match=rf"{path.name}.*Remove the file and run the same command again"):
        store.read_outcome(study.card, study.card.folds[2].key)
    outcomes, damaged = store.read_outcomes(study.card)
    assert [outcome.fold for outcome in outcomes] == [fold.name for n, fold in enumerate(study.card.folds) if n != 2]
    assert len(damaged) == 1
    assert str(path) in damaged[0]


def test_an_outcome_under_another_folds_name_is_found(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    outcome_path(store, study, 1).write_bytes(outcome_path(store, study, 0).read_bytes())
    with pytest.raises(DamagedOutcome, match="not the fold it is named for"):
        store.read_outcome(study.card, study.card.folds[1].key)


def test_a_fold_that_is_not_there(store: OutcomeStore, study: ExampleStudy) -> None:
    with pytest.raises(StoreError, match="No outcome of this fold"):
        store.read_outcome(study.card, study.card.folds[0].key)
    with pytest.raises(StoreError, match="--keep-weights"):
        store.read_weights(study.card, study.card.folds[0].key)


def test_another_studys_fold_is_refused(store: OutcomeStore, study: ExampleStudy) -> None:
    other = example_study(seed=1)
    with pytest.raises(StoreError, match="belongs to study"):
        store.write_outcome(study.card, other.outcomes()[0])
    with pytest.raises(StoreError, match="belongs to study"):
        store.write_failure(study.card, other.failure(0))
    assert not (Path(store.root) / "outcomes").exists()


@pytest.mark.parametrize("content", ["{", '{"key": "a"}', "[]"])
def test_a_damaged_failure_record_is_named(store: OutcomeStore, study: ExampleStudy, content: str) -> None:
    store.write_failure(study.card, study.failure(0))
    path = Path(store.root) / fold_file(study.card, study.card.folds[0].key, "failure")
    path.write_text(content)
    with pytest.raises(StoreError, match=rf"{path.name}.*Remove the file"):
        store.failures(study.card)


def test_weights_come_back_with_shape_and_dtype(store: OutcomeStore, study: ExampleStudy) -> None:
    key = study.card.folds[0].key
    weights = {
        "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "turned": np.arange(6, dtype=np.float64).reshape(2, 3).T,
        "steps": np.array(7, dtype=np.int64),
    }
    store.write_weights(study.card, key, weights)
    found = store.read_weights(study.card, key)
    assert set(found) == set(weights)
    for name, array in weights.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    path = Path(store.root) / fold_file(study.card, key, "weights")
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(StoreError, match=path.name):
        store.read_weights(study.card, key)


def test_a_process_killed_while_writing_leaves_nothing_that_counts(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    folder = outcome_path(store, study, 0).parent
    key = study.card.folds[1].key
    store.discard(study.card, key)
    # What `atomic_path` has on disk at the moment of a SIGKILL.
    (folder / f".{key[:32]}.outcome.parquet.abc.tmp").write_bytes(b"half")
    assert key not in store.state(study.card).done
    assert len(store.read_outcomes(study.card)[0]) == len(study.card.folds) - 1


_WRITE_WITH_LITTLE_SPACE = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from example_studies import example_study
from preprocess.base.errors import StoreError
from results.store.outcome_store import OutcomeStore
store, study = OutcomeStore(sys.argv[1]), example_study()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.write_outcome(study.card, study.outcomes()[0])
except StoreError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_write_that_does_not_fit_is_told_and_leaves_nothing(store: OutcomeStore, study: ExampleStudy) -> None:
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _WRITE_WITH_LITTLE_SPACE, store.root, str(here)],
        capture_output=True,
        text=True,
        check=True,
        cwd=here.parents[1],
    )
    assert f"Cannot write {outcome_path(store, study, 0)}: File too large" in done.stdout
    assert not [path for path in Path(store.root).rglob("*") if path.is_file() and path.name != "store.json"]
