"""Running packs into a real store: written as each fold ends, resumed, failed, verified, scored again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from small_runs import digests, plan_of, run_here
from throwaway_models import ExplodingNet, register_network, register_scripted

from bench.plan.plan import Plan
from bench.plan.training import verify_fold
from bench.workers.pack import run_pack
from preprocess.base.errors import HonestyError, StoreError
from preprocess.shards.prepared import PreparedDataset
from results.scores.pooling import score
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.study_card import StudyCard


def files(store: OutcomeStore, ending: str) -> list[Path]:
    return sorted(Path(store.root).rglob(f"*{ending}"))


def only(plan: Plan) -> StudyCard:
    (card,) = plan.cards
    return card


def test_every_fold_is_written_the_moment_it_ends(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic[:1], models=[tiny])
    training = plan.trainings[0].training
    pack = run_pack(training, plan.data[training.data].read(), range(5), store)
    for number in range(5):
        assert len(files(store, ".outcome.parquet")) == number
        assert next(pack) == (1, 0)
    assert len(files(store, ".outcome.parquet")) == 5
    assert next(pack, None) is None


def test_outcomes_hold_the_predictions_of_the_test_samples(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic, models=[tiny], protocols=["cde"])
    assert run_here(plan, store) == (10, 0)
    card, data = only(plan), next(iter(plan.data.values())).read()
    label_of = dict(zip(data.sample_ids.tolist(), data.labels.tolist(), strict=True))
    outcomes, damaged = store.read_outcomes(card)
    assert damaged == []
    seen: list[str] = []
    for outcome, fold in zip(outcomes, card.folds, strict=True):
        assert (outcome.key, outcome.fold, outcome.study_key) == (fold.key, fold.name, card.key)
        assert set(outcome.subjects) == {fold.name}
        assert list(outcome.datasets) == [sample_id.partition("/")[0] for sample_id in outcome.sample_ids]
        assert outcome.y_true.tolist() == [label_of[sample_id] for sample_id in outcome.sample_ids]
        assert np.array_equal(outcome.y_pred, outcome.scores.argmax(axis=1))
        assert len(outcome.curves["train_loss"]) == 2
        assert outcome.selected_epoch == 2
        assert outcome.provenance["device"] == "cpu"
        assert outcome.provenance["seconds"] > 0
        seen += outcome.sample_ids
    assert sorted(seen) == data.sample_ids.tolist()
    assert set(score(card, outcomes)) == {"full", "synth_a", "synth_b"}


def test_what_is_done_is_not_trained_again(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    fitted: list[int] = []
    register_scripted(lambda x, y: fitted.append(len(y)))
    plan = plan_of(synthetic[:1], store, models=["scripted"])
    training = plan.trainings[0].training
    list(run_pack(training, plan.data[training.data].read(), [1, 3], store))
    before = {path: path.read_bytes() for path in files(store, ".parquet")}
    assert list(run_pack(training, plan.data[training.data].read(), range(5), store)) == [(1, 0)] * 5
    assert len(fitted) == 5
    assert all(path.read_bytes() == content for path, content in before.items())


def test_last_and_oracle_come_from_one_training(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    fitted: list[int] = []
    register_scripted(lambda x, y: fitted.append(len(y)))
    plan = plan_of(synthetic[:1], models=["scripted"], selection=["last", "oracle", "validation"])
    assert [len(planned.studies) for planned in plan.trainings] == [2, 1]
    assert run_here(plan, store) == (10, 0)
    assert len(fitted) == 10
    assert len(files(store, ".outcome.parquet")) == 15


def test_only_the_missing_selection_of_a_fold_is_written(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    run_here(plan_of(synthetic[:1], store, models=[tiny]), store)
    before = {path: path.stat().st_mtime_ns for path in files(store, ".outcome.parquet")}
    plan = plan_of(synthetic[:1], store, models=[tiny], selection=["last", "oracle"])
    assert run_here(plan, store) == (5, 0)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    for card in plan.cards:
        assert len(store.state(card).done) == 5


def test_a_bug_of_the_model_is_recorded_and_the_others_go_on(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    calls: list[int] = []

    def on_fit(x: np.ndarray, y: np.ndarray) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError("no face in this clip")

    register_scripted(on_fit)
    plan = plan_of(synthetic[:1], models=["scripted"])
    assert run_here(plan, store) == (4, 1)
    card = only(plan)
    (failure,) = store.failures(card)
    assert failure.fold == card.folds[1].name
    assert failure.error == "ZeroDivisionError: no face in this clip"
    assert "in on_fit" in failure.traceback
    assert len(store.state(card).done) == 4
    assert run_here(plan_of(synthetic[:1], store, models=["scripted"]), store) == (0, 0), "failed folds are left alone"
    assert run_here(plan_of(synthetic[:1], store, models=["scripted"], overwrite="failed"), store) == (1, 0)
    assert store.failures(card) == []
    assert len(store.state(card).done) == 5


def test_a_loss_that_is_no_number_names_the_epoch_and_the_run_goes_on(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    register_network(ExplodingNet, "exploding", batch_size=256)
    plan = plan_of(
        synthetic[:1], models=["exploding", "majority"], set={"exploding.explodes_at": 3}, epochs=4, selection=["last"]
    )
    assert run_here(plan, store) == (5, 5)
    exploding, majority = plan.cards
    told = "TrainingError: The loss of epoch 3, batch 1 of 1, is nan"
    assert all(failure.error.startswith(told) for failure in store.failures(exploding))
    assert len(store.state(majority).done) == 5


@pytest.mark.parametrize("method", ["write_outcome", "write_weights"])
def test_a_store_that_cannot_be_written_is_no_fault_of_the_model(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def full(*values: object) -> None:
        raise StoreError("Cannot write there: no space left on device.")

    monkeypatch.setattr(OutcomeStore, method, full)
    plan = plan_of(synthetic[:1], models=[tiny], keep_weights=True)
    with pytest.raises(StoreError, match="no space left"):
        run_here(plan, store)
    assert store.failures(only(plan)) == []
    assert files(store, ".outcome.parquet") == []


def test_a_pack_of_other_samples_than_planned_is_refused(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    """A worker with other data or code works out other folds; its outcomes would get the planned folds' names."""
    fitted: list[int] = []
    register_scripted(lambda x, y: fitted.append(len(y)))
    plan = plan_of(synthetic[:1], models=["scripted"])
    training = plan.trainings[0].training
    data = plan.data[training.data].read()
    renamed = data.sample_ids.copy()
    renamed[0] = renamed[0].replace("c01", "c99")
    for number in range(5):
        with pytest.raises(HonestyError, match=rf"Fold {number} .* has other samples here than in the plan"):
            next(run_pack(training, dataclasses.replace(data, sample_ids=renamed), [number], store))
    assert fitted == []
    assert files(store, ".outcome.parquet") == []


def test_verify_fold_accepts_the_planned_folds_and_no_others(tiny: str, synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic[:1], models=[tiny], selection=["last", "oracle"])
    training = plan.trainings[0].training
    data = plan.data[training.data].read()
    folds = training.folds(data)
    for number, fold in enumerate(folds):
        verify_fold(training, number, fold, data)
    with pytest.raises(HonestyError, match=r"Fold 1 \('synth_a/p01'\)"):
        verify_fold(training, 1, folds[0], data)


def test_an_interrupted_pack_goes_on_to_the_same_outcomes(
    tiny: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    plan = plan_of(synthetic[:1], models=[tiny])
    whole = OutcomeStore(tmp_path / "whole", create=True)
    run_here(plan, whole)
    broken = OutcomeStore(tmp_path / "broken", create=True)
    training = plan.trainings[0].training
    pack = run_pack(training, plan.data[training.data].read(), range(5), broken)
    next(pack)
    next(pack)
    resumed = plan_of(synthetic[:1], broken, models=[tiny])
    assert resumed.trainings[0].todo == [2, 3, 4]
    run_here(resumed, broken)
    assert digests(broken, plan.cards) == digests(whole, plan.cards)


def damage(store: OutcomeStore, card: StudyCard, number: int) -> Path:
    path = Path(store.root) / fold_file(card, card.folds[number].key, "outcome")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def test_a_damaged_outcome_is_named_and_trained_again(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic[:1], store, models=[tiny])
    run_here(plan, store)
    before = digests(store, plan.cards)
    path = damage(store, only(plan), 2)
    again = plan_of(synthetic[:1], store, models=[tiny])
    (study,) = again.studies
    assert again.trainings[0].todo == [2]
    assert len(study.damaged) == 1
    assert str(path) in study.damaged[0]
    assert study.reason == "1 outcome files are damaged"
    assert run_here(again, store) == (1, 0)
    assert digests(store, plan.cards) == before


def test_weights_are_kept_beside_the_outcomes_on_request_only(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    run_here(plan_of(synthetic[:1], store, models=[tiny]), store)
    assert files(store, ".safetensors") == []
    again = plan_of(synthetic[:1], store, models=[tiny], keep_weights=True)
    assert again.studies[0].reason == "5 folds have no stored weights (--keep-weights)"
    assert run_here(again, store) == (5, 0)
    assert len(files(store, ".safetensors")) == 5
    assert len(files(store, ".outcome.parquet")) == 5
    assert plan_of(synthetic[:1], store, models=[tiny], keep_weights=True).trainings[0].todo == []
